"""The style sheets of all tabs reach the page."""

from __future__ import annotations

from tabs.theme import STYLE, style


def test_the_sheet_of_the_app_comes_first_and_those_of_tabs_follow() -> None:
    sheet = style()
    assert sheet.startswith(STYLE.read_text(encoding="utf-8"))
    for path in STYLE.parent.glob("*/style.css"):
        assert path.read_text(encoding="utf-8") in sheet


def test_nothing_is_fetched_from_outside() -> None:
    assert "http" not in style()
    assert "@import" not in style()
