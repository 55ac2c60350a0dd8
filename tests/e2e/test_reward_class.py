"""Which class Write writes for, if it is pressed before the page has told its tab."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tabs.reward.rank import WITH_CLASS_JS

ADDRESS = "http://class.test/"


@pytest.mark.parametrize(
    ("query", "told", "expected"),
    [
        ("?tab=reward&class=oak-7", "", "oak-7"),  # not told yet: the address knows
        ("?class=oak-7", "elm", "elm"),  # what was told holds
        ("", "elm", "elm"),
        ("", "", ""),
        ("?class=%3Cb%3E", "", ""),  # no code of ours
        ("?class=" + "a" * 33, "", ""),
    ],
)
def test_write_right_after_load_is_for_the_class(browser: Browser, query: str, told: str, expected: str) -> None:
    page = browser.new_page()
    page.route("**/*", lambda route: route.fulfill(body="<p>", content_type="text/html"))
    page.goto(ADDRESS + query)
    assert page.evaluate(f"({WITH_CLASS_JS.strip()})('prompt', 4, {told!r})") == ["prompt", 4, expected]
    page.close()
