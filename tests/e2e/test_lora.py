"""The LoRA tab as its visitors use it: a link, switches, strengths, a look inside; and the rules for all pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.visitors import DESKTOP, PHONE, SCHEMES, Visitor, Visitors, grave_violations, in_scheme

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]  # a busy machine may need minutes to start

LINK: dict[str, Any] = {
    "prompt": "The king looked at the sea and",
    "seed": 11,
    "max_new_tokens": 20,
    "adapters": "shakespeare=0.5;shakespeare=0.5+fairy-tales=0.5",
    "column": 2,
    "step": 3,
}
INSIDE = {"view": "inside", "adapter": "fairy-tales", "layer": "transformer.h.1.mlp.c_proj", "calc_rank": 16}
SCREENS = {"desktop": DESKTOP, "phone": PHONE}
BOARD = "#sd-lora-board .sd-board[data-state='done']"


def opens(visitor: Visitor, **query: Any) -> Page:
    """Open the tab by a link and wait until it can be used."""
    visitor.page.goto(f"{visitor.url}/?{urlencode({'tab': 'lora'} | query)}")
    expect(visitor.prompt).to_be_editable()
    return visitor.page


def sees_columns(page: Page, *badges: str) -> None:
    """Wait until the board is done, with these columns."""
    expect(page.locator(f"{BOARD} .sd-card h3")).to_have_text(list(badges))


def texts(page: Page) -> list[str]:
    """Return what the columns say, prompt included."""
    return page.locator("#sd-lora-board .sd-text").all_text_contents()


def test_a_link_opens_and_switches_switch(visitors: Visitors) -> None:
    visitor = visitors.new(permissions=["clipboard-read", "clipboard-write"])
    page = opens(visitor, **LINK)
    sees_columns(page, "Base", "Shakespeare 50 %", "Shakespeare 50 % + Fairy tales 50 %")
    expect(visitor.slider("Shakespeare, %")).to_have_value("50")
    expect(page.get_by_label("Fairy tales", exact=True)).not_to_be_checked()
    step = page.locator("#sd-lora-step")
    expect(step).to_contain_text("Token 3 of Shakespeare 50 %")
    expect(step.locator(".js-plotly-plot")).to_contain_text("came")
    expect(step.get_by_role("gridcell").first).to_be_visible()
    base, half, _ = texts(page)

    # A switch is an order by itself; columns that are there stay as they are.
    page.get_by_label("Fairy tales", exact=True).check()
    sees_columns(
        page, "Base", "Shakespeare 50 %", "Fairy tales 100 %", "Shakespeare 50 % + Fairy tales 50 %"
    )  # fmt: skip
    assert texts(page)[:2] == [base, half]
    page.get_by_label("Blend of two", exact=True).uncheck()
    sees_columns(page, "Base", "Shakespeare 50 %", "Fairy tales 100 %")

    # No strength is the base, to the letter.
    visitor.slider("Shakespeare, %").fill("0")
    page.keyboard.press("Tab")
    visitor.press("Generate")
    sees_columns(page, "Base", "Shakespeare 0 %", "Fairy tales 100 %")
    shown = texts(page)
    assert shown[0] == shown[1] == base != shown[2]

    # A look into a step by a click, and the link to it.
    page.locator("#sd-lora-board .sd-text").nth(2).locator("[data-n='4']").click()
    expect(step).to_contain_text("Token 5 of Fairy tales 100 %")
    visitor.press("Copy link")
    expect(page.locator(".sd-message:visible").get_by_text("Copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    other = visitors.new().page
    other.goto(copied)
    sees_columns(other, "Base", "Shakespeare 0 %", "Fairy tales 100 %")
    assert texts(other) == shown
    expect(other.locator("#sd-lora-step")).to_contain_text("Token 5 of Fairy tales 100 %")
    visitor.sees_no_toast()


def test_a_layer_is_looked_into_and_proved(desktop: Visitor) -> None:
    page = opens(desktop, **INSIDE)
    expect(page.get_by_text("W of transformer.h.1.mlp.c_proj")).to_be_visible()
    expect(page.get_by_text("What Fairy tales adds to it")).to_be_visible()
    expect(desktop.plot).to_have_count(4)
    expect(page.get_by_text("72% fewer")).to_be_visible()
    page.get_by_label("Rank r").fill("8")
    page.keyboard.press("Tab")
    expect(page.get_by_text("86% fewer")).to_be_visible()
    desktop.press("Merge and compare")
    expect(page.get_by_text("Apart and merged write the same")).to_be_visible()
    desktop.press("Compare with PEFT")
    expect(page.get_by_text("Max difference")).to_be_visible()
    desktop.sees_no_toast()


@pytest.mark.parametrize("screen", SCREENS)
def test_the_page_fits_and_is_accessible(visitors: Visitors, screen: str) -> None:
    visitor = visitors.new(SCREENS[screen])
    page = opens(visitor, **LINK | INSIDE)
    for view in ("inside", "toggle"):
        if view == "toggle":
            page.get_by_role("tab", name="Toggle").click()
            visitor.press("Generate")
            expect(page.locator("#sd-lora-step .js-plotly-plot")).to_be_visible()
        expect(visitor.plot.first).to_be_visible()
        assert visitor.overflow() <= 0
        for scheme in SCHEMES:
            in_scheme(page, scheme)
            assert not grave_violations(page), (view, scheme)
