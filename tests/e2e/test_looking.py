"""What is marked on the board is what the panel looks into, however quickly one goes from token to token."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.visitors import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]  # a busy machine may need minutes to start

LINK: dict[str, Any] = {
    "tab": "decoding",
    "prompt": "The rain had stopped, and the street",
    "seed": 11,
    "max_new_tokens": 24,
    "columns": "greedy;top_p(top_p=0.8)",
}
MARKED = re.compile(r"\bon\b")


def sees_marked(visitor: Visitor, column: int, step: int) -> None:
    """Wait until this token is marked, and no other."""
    expect(visitor.token(column, step)).to_have_class(MARKED)
    expect(visitor.board.locator(".on")).to_have_count(1)


def test_of_keys_pressed_quickly_the_last_one_counts(desktop: Visitor) -> None:
    desktop.opens(**LINK)
    desktop.sees_board(2)
    desktop.texts.nth(1).focus()
    for _ in range(9):  # faster than any answer
        desktop.page.keyboard.press("ArrowRight")
    sees_marked(desktop, 2, 9)
    desktop.sees_step("Token 9 of Top-p 0.8")
    for _ in range(6):
        desktop.page.keyboard.press("ArrowLeft")
    sees_marked(desktop, 2, 3)
    desktop.sees_step("Token 3 of Top-p 0.8")
    expect(desktop.page.locator(".sd-live:not(:empty)")).to_have_text(re.compile(r"^Token 3: .*rank \d"))
    expect(desktop.slider("Token (0: none)")).to_have_value("3")
    expect(desktop.dropdown("Column")).to_have_value("2 · Top-p 0.8")
    desktop.sees_no_toast()


def test_the_controls_move_the_mark(desktop: Visitor) -> None:
    desktop.opens(**LINK | {"column": 2, "step": 5})
    desktop.sees_board(2)
    sees_marked(desktop, 2, 5)
    desktop.slider("Token (0: none)").fill("7")
    desktop.page.keyboard.press("Tab")
    sees_marked(desktop, 2, 7)
    desktop.chooses("Column", "1 · Greedy")
    sees_marked(desktop, 1, 7)
    desktop.sees_step("Token 7 of Greedy")
    # From there the keys go on.
    desktop.texts.nth(0).focus()
    desktop.page.keyboard.press("ArrowRight")
    sees_marked(desktop, 1, 8)
    desktop.sees_step("Token 8 of Greedy")
    desktop.slider("New tokens").fill("6")
    desktop.press("Generate")
    expect(desktop.slider("Token (0: none)")).to_have_value("6")
    desktop.sees_board(2)
    sees_marked(desktop, 1, 6)
    desktop.sees_step("Token 6 of Greedy")
