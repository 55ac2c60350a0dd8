"""Which class Write writes for, if it is pressed before the page has told its tab."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tabs.reward.rank import WITH_CLASS_JS


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
def test_write_right_after_load_is_for_the_class(
    blank: Callable[[str], Page], query: str, told: str, expected: str
) -> None:
    assert blank(query).evaluate(f"({WITH_CLASS_JS.strip()})('prompt', 4, {told!r})") == ["prompt", 4, expected]
