"""The embeddings tab as its visitors use it: the first map, own lines, all tools, a link; and the rules for all."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.visitors import PHONE, SCHEMES, Visitor, Visitors, grave_violations, in_scheme

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # a busy machine may need minutes to start

PLOT = ".js-plotly-plot:visible"


def opens(visitor: Visitor, **query: str | int) -> Page:
    """Open the tab by a link and wait for what it asks for."""
    visitor.page.goto(f"{visitor.url}/?{urlencode({'tab': 'embeddings'} | query)}")
    return visitor.page


def uses(page: Page, tool: str) -> None:
    """Open one of the tools."""
    page.locator("#sd-embeddings-tools").get_by_role("tab", name=tool, exact=True).click()


def status(page: Page) -> Locator:
    """Return the lines that tell how the tools in view are doing."""
    return page.locator("#sd-embeddings-tools .sd-status.prose:visible")


def is_fit_for_all(visitor: Visitor, tool: str) -> None:
    """Check that a tool with its results is not too wide, and breaks no grave rule, in light and in dark."""
    page = visitor.page
    expect(page.get_by_label("Empty value").filter(visible=True)).to_have_count(0)  # Gradio's, where a plot will be
    assert visitor.overflow() <= 0, tool
    for scheme in SCHEMES:
        in_scheme(page, scheme)
        grave = grave_violations(page)
        assert not grave, (tool, scheme, grave)


def test_a_visit(visitors: Visitors) -> None:
    visitor = visitors.new()
    page = opens(visitor)
    expect(page.locator(PLOT)).to_contain_text("Instruments")
    expect(status(page)).to_contain_text("points.")
    is_fit_for_all(visitor, "Map")

    # Own lines: on the map, and in the table first.
    page.get_by_role("button", name=re.compile("Add your own lines")).click()
    own = page.get_by_role("textbox", name=re.compile("Own lines"))
    own.fill("kazoo, Instruments\n\n<img src=x onerror=window.pwned=1>, my category\nkazoo, Instruments")
    page.get_by_label("PCA: directions").check()
    expect(page.locator(PLOT)).to_contain_text("my category")
    expect(status(page)).to_contain_text("1 line was there before")
    page.get_by_role("button", name="No list", exact=True).click()
    own.fill("only one, x")
    visitor.press("Draw the map")
    alert = page.get_by_role("alert").filter(visible=True)
    expect(alert).to_contain_text("One point alone makes no map")
    expect(page.locator(PLOT)).to_contain_text("my category")  # what was there stays
    assert page.evaluate("window.pwned") is None

    # Each tool shows something when it is first seen.
    uses(page, "Two senses")
    expect(page.locator(PLOT)).to_contain_text("trout")
    page.get_by_label("pitch", exact=True).check()
    expect(page.locator(PLOT)).to_contain_text("goalkeeper")
    uses(page, "Similarity")
    expect(page.locator(".sd-embeddings-scale .on")).to_contain_text("Your pair")
    expect(page.locator(PLOT)).to_have_count(3)
    uses(page, "Search")
    expect(page.locator(PLOT)).to_have_count(2)
    expect(page.get_by_role("gridcell", name="queen", exact=True).first).to_be_visible()
    uses(page, "Axis")
    expect(page.locator(PLOT)).to_contain_text("a mournful melody")

    # A point of the melodies is heard at a click, and a tune can be chosen by keyboard.
    uses(page, "Melodies")
    tune = page.locator("#sd-embeddings-tune .sd-tune h3")
    expect(tune).to_be_visible()
    before = tune.inner_text()
    page.locator(f"{PLOT} .scatterlayer .trace").nth(1).locator(".point").first.click(force=True)
    expect(tune).not_to_have_text(before)
    expect(page.locator("#sd-embeddings-tune audio")).to_be_attached()
    is_fit_for_all(visitor, "Melodies")
    visitor.sees_no_toast()


def test_made_texts_come_along_in_a_link_and_a_phone_shows_all(visitors: Visitors) -> None:
    visitor = visitors.new(PHONE)
    page = opens(
        visitor, view="made", made='[["Decoding","greedy","The rain fell all night."]]', method="pca", word="key"
    )
    expect(page.get_by_role("gridcell", name="The rain fell all night.")).to_be_visible()
    expect(page.locator(PLOT)).to_contain_text("Decoding")
    visitor.press("Copy link")
    link = page.locator(".sd-link input:visible, .sd-link textarea:visible")
    expect(link).to_have_value(re.compile(r"\?tab=embeddings&.*view=made.*made="))
    assert visitor.overflow() <= 0
    for tool in ("Map", "Two senses", "Similarity", "Search", "Axis", "Melodies"):
        uses(page, tool)
        expect(page.locator(PLOT).first).to_be_visible()
        is_fit_for_all(visitor, tool)
    visitor.sees_no_toast()


def test_what_the_decoding_tab_writes_can_be_sent_to_the_map(desktop: Visitor) -> None:
    desktop.opens(tab="decoding", prompt="Once upon a time", columns="greedy;top_p", max_new_tokens=12)
    desktop.sees_board(2)
    desktop.press("Send to the map")
    expect(desktop.page.get_by_text("2 sent. See Embeddings → Texts we made.")).to_be_visible()
    desktop.page.get_by_role("tab", name="Embeddings", exact=True).click()
    uses(desktop.page, "Texts we made")
    expect(status(desktop.page)).to_contain_text("2 texts on the map.")
    expect(desktop.page.locator(PLOT).first).to_be_visible()
