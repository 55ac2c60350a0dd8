"""Train, Best of n and The leash in a browser: a link runs what it asks for, sliders answer, and a phone has room."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.e2e.visitors import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]  # a busy machine may need minutes to start

LINK: dict[str, Any] = {"tab": "reward", "view": "train", "annotator": "dialogue", "rankings": 30}


def test_a_reward_model_is_trained_chooses_and_is_held(phone: Visitor) -> None:
    page = phone.page
    page.goto(f"{phone.url}/?{urlencode(LINK)}")
    board = page.locator("#sd-reward-train-board")
    expect(board).to_contain_text("22,713,216")
    expect(phone.status).to_contain_text(["30 of “Likes dialogue”"])
    expect(phone.plot.first).to_contain_text("held-out pairs")
    expect(page.locator("#sd-reward-train-taste tbody tr")).to_have_count(10)
    assert phone.overflow() <= 0

    page.get_by_role("tab", name="Best of n").click()
    page.locator("#sd-reward-best-go").click()
    chosen = page.locator(".sd-reward-best-chosen")
    expect(chosen).to_contain_text("Chosen of 8")
    phone.slider("n: completions to choose from").fill("16")
    expect(chosen).to_contain_text("Chosen of 16")
    expect(chosen).to_contain_text("1.84 nats")  # log 16 - 15/16
    expect(phone.plot).to_have_count(1)
    assert phone.overflow() <= 0

    page.get_by_role("tab", name="The leash").click()
    page.locator("#sd-reward-leash-go").click()
    expect(phone.status).to_contain_text(["β = 0.316"])
    phone.slider("β as a power of ten: −2 is 0.01, 0 is 1, 2 is 100").fill("2")
    expect(page.locator("#sd-reward-leash-board")).to_contain_text("A short leash")
    phone.press("Reward hacking: leash off")
    expect(page.locator("#sd-reward-leash-board")).to_contain_text("The leash is off")
    expect(page.locator("#sd-reward-leash-moved tbody tr")).to_have_count(12)
    assert phone.overflow() <= 0

    phone.press("Copy link")
    link = page.locator(".sd-link input:visible, .sd-link textarea:visible")
    expect(link).to_have_value(re.compile("view=leash.*annotator=ten-words.*n=16.*log_beta=-2"))
    phone.sees_no_toast()


def test_tools_open_on_something_telling(desktop: Visitor) -> None:
    page = desktop.page
    page.goto(f"{desktop.url}/?tab=reward")
    page.get_by_role("tab", name="Best of n").click()
    chosen, words = page.locator(".sd-reward-best-chosen"), page.locator("#sd-reward-best-words")
    expect(chosen).to_contain_text("Chosen of 64")
    expect(words).to_contain_text("This is over-optimisation")
    page.get_by_role("tab", name="The leash").click()
    # What the first tool's story has set counts as nobody's choice: the second one opens on its own.
    expect(page.locator("#sd-reward-leash-board")).to_contain_text("The leash is off")
    expect(desktop.status).to_contain_text(["β = 0.01:"])
    expect(page.locator("#sd-reward-leash-moved tbody tr")).to_have_count(12)

    desktop.press("Fool it with fine words")
    expect(page.locator("#sd-reward-break-standing")).to_contain_text("The true rule: Likes cheerful words")
    desktop.press("Attack")
    expect(desktop.status).to_contain_text(["Done: 8 words"])
    desktop.press("Add as rejected pairs and retrain")
    expect(page.get_by_text(re.compile("[0-9]+% of the hole closed"))).to_be_visible()

    # A link is what it says, and no story comes in between.
    page.goto(f"{desktop.url}/?{urlencode(LINK | {'view': 'best-of-n', 'n': 16})}")
    expect(chosen).to_contain_text("Chosen of 16")
    page.get_by_role("tab", name="The leash").click()
    expect(page.locator("#sd-reward-leash-board")).to_contain_text("With β near 0")
    expect(page.get_by_label("Annotator: the true rule")).to_have_value("Likes dialogue")
    desktop.sees_no_toast()
