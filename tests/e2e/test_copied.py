"""What the page does by itself about a copied link and a class's results: both are of what is looked at."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tabs.workshop.page import LIVE_SECONDS
from tests.e2e.visitors import Visitor, Visitors

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # a busy machine may need minutes to start

SHORT = {"tab": "decoding", "prompt": "The rain", "max_new_tokens": 12, "columns": "greedy;top_k", "column": 1}


def copies(visitor: Visitor) -> Locator:
    """Copy a link; return its box, which can be seen."""
    visitor.press("Copy link")
    box = visitor.page.locator(".sd-link input:visible, .sd-link textarea:visible")
    expect(box).to_have_value(re.compile("^http"))
    return box


def test_a_link_goes_with_what_keys_change_and_is_heard(visitors: Visitors) -> None:
    visitor = visitors.new(permissions=["clipboard-read", "clipboard-write"]).opens(**SHORT)
    page = visitor.page
    visitor.sees_board(2)
    heard = page.locator("#sd-told")  # there from the start, or it would not be read out
    expect(heard).to_have_text("")
    expect(heard).to_have_attribute("aria-live", "polite")
    box = copies(visitor)
    expect(heard).to_have_text("Copied.")
    visitor.prompt.focus()
    page.keyboard.press("ArrowRight")
    visitor.texts.nth(1).focus()
    page.keyboard.press("Shift")
    expect(box).to_be_visible()  # nothing has changed
    page.keyboard.press("ArrowRight")
    expect(box).to_have_count(0)
    visitor.sees_step("Token 1 of Top-k")

    box = copies(visitor)
    column = visitor.dropdown("Column")
    before = column.input_value()
    column.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(column).not_to_have_value(before)
    expect(box).to_have_count(0)
    visitor.sees_no_toast()


def test_a_link_goes_with_another_point_or_row(visitors: Visitors) -> None:
    visitor = visitors.new()
    page = visitor.page
    page.goto(f"{visitor.url}/?tab=embeddings&view=melodies")
    tune = page.locator("#sd-embeddings-tune .sd-tune h3")
    expect(tune).to_be_visible()
    before = tune.inner_text()
    box = copies(visitor)
    points = page.locator(".js-plotly-plot:visible .scatterlayer .trace").nth(1).locator(".point")
    points.first.click(force=True)
    expect(box).to_have_count(0)
    expect(tune).not_to_have_text(before)
    page.get_by_role("button", name="All tunes as a table").click()
    box = copies(visitor)
    page.get_by_role("gridcell").filter(visible=True).last.click()
    expect(box).to_have_count(0)
    visitor.sees_no_toast()


def test_results_are_asked_for_only_where_they_are_seen(desktop: Visitor) -> None:
    page = desktop.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    page.goto(f"{desktop.url}/?tab=class&class=calm-heron-382")
    expect(page.locator(".sd-workshop-figures")).to_be_visible()
    with page.expect_request(lambda request: request.method == "POST", timeout=3000 * LIVE_SECONDS):
        pass
    page.locator("#sd-tabs > .tab-wrapper").get_by_role("tab", name="Start", exact=True).click()
    expect(page.locator(".sd-workshop-figures")).to_be_hidden()
    page.wait_for_timeout(1000)  # what was on its way
    asked.clear()
    page.wait_for_timeout(2200 * LIVE_SECONDS)
    assert asked == []
    with page.expect_request(lambda request: request.method == "POST", timeout=3000 * LIVE_SECONDS):
        page.get_by_role("link", name="The class’s results").click()
