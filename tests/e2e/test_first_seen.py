"""The two scripts that tell a tab by which link it was opened say the same, in whatever order they run."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tabs.launch import FIRST_SEEN_JS, OPEN_TAB_JS

Blank = Callable[[str], Page]


def selected(page: Page, slugs: list[str], slug: str) -> str:
    """Return the link that its first selection tells a tab."""
    only = slug if len(slugs) == 1 else ""
    return page.evaluate(f"({(FIRST_SEEN_JS % (json.dumps(only), json.dumps(slug))).strip()})('')")


def told(page: Page, slugs: list[str], slug: str) -> tuple[str, str]:
    """Return the link that the page's start tells a tab, and the one that its first selection does."""
    _, *links = page.evaluate(f"({(OPEN_TAB_JS % (json.dumps(slugs), '[]')).strip()})()")
    return links[slugs.index(slug)], selected(page, slugs, slug)


@pytest.mark.parametrize(
    ("query", "slugs"),
    [
        ("?tab=melodies&seed=7", ["melodies"]),
        ("?tab=melodies&seed=7", ["decoding", "melodies"]),
        ("?seed=7", ["melodies"]),
        ("", ["melodies"]),
    ],
)
def test_a_tab_that_a_link_opens_hears_of_it_once(blank: Blank, query: str, slugs: list[str]) -> None:
    assert told(blank(query), slugs, "melodies") == (query or "?",) * 2


def test_a_tab_opened_by_hand_gets_no_other_tabs_link(blank: Blank) -> None:
    assert told(blank("?tab=melodies&seed=7"), ["decoding", "melodies"], "decoding") == ("", "?")
    assert told(blank("?tab=nowhere"), ["decoding", "melodies"], "decoding") == ("", "?")


def test_the_name_of_a_tab_opened_by_hand_is_no_link(blank: Blank) -> None:
    page = blank("")
    page.evaluate("history.pushState(null, '', '?tab=decoding')")
    assert selected(page, ["decoding", "melodies"], "decoding") == "?"
