"""The two scripts that tell a tab by which link it was opened say the same, in whatever order they run."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser

from tabs.launch import FIRST_SEEN_JS, OPEN_TAB_JS

ADDRESS = "http://tabs.test/"


def told(browser: Browser, query: str, slugs: list[str], slug: str) -> tuple[str, str]:
    """Return the link that the page's start tells a tab, and the one that its first selection does."""
    page = browser.new_page()
    page.route("**/*", lambda route: route.fulfill(body="<p>", content_type="text/html"))
    page.goto(ADDRESS + query)
    _, *links = page.evaluate(f"({(OPEN_TAB_JS % (json.dumps(slugs), '[]')).strip()})()")
    only = slug if len(slugs) == 1 else ""
    selected = page.evaluate(f"({(FIRST_SEEN_JS % (json.dumps(only), json.dumps(slug))).strip()})('')")
    page.close()
    return links[slugs.index(slug)], selected


@pytest.mark.parametrize(
    ("query", "slugs"),
    [
        ("?tab=melodies&seed=7", ["melodies"]),
        ("?tab=melodies&seed=7", ["decoding", "melodies"]),
        ("?seed=7", ["melodies"]),
        ("", ["melodies"]),
    ],
)
def test_a_tab_that_a_link_opens_hears_of_it_once(browser: Browser, query: str, slugs: list[str]) -> None:
    assert told(browser, query, slugs, "melodies") == (query or "?",) * 2


def test_a_tab_opened_by_hand_gets_no_other_tabs_link(browser: Browser) -> None:
    assert told(browser, "?tab=melodies&seed=7", ["decoding", "melodies"], "decoding") == ("", "?")
    assert told(browser, "?tab=nowhere", ["decoding", "melodies"], "decoding") == ("", "?")


def test_the_name_of_a_tab_opened_by_hand_is_no_link(browser: Browser) -> None:
    page = browser.new_page()
    page.route("**/*", lambda route: route.fulfill(body="<p>", content_type="text/html"))
    page.goto(ADDRESS)
    page.evaluate("history.pushState(null, '', '?tab=decoding')")
    assert page.evaluate(f"({(FIRST_SEEN_JS % (json.dumps(''), json.dumps('decoding'))).strip()})('')") == "?"
    page.close()
