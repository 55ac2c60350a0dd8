"""Markup, templates and scripts in every text field of every tab stay text, in what is shown after the tab has run."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from tabs import TABS
from tests.e2e.visitors import DESKTOP, Visitors

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # a busy machine may need minutes to start

PAYLOAD = (
    '<img src=x onerror="window.pwned=1"><svg onload="window.pwned=2"></svg>'
    "{{constructor.constructor('window.pwned=3')()}}${window.pwned=4}"
    "</script></textarea><script>window.pwned=5</script>"
    "[read on](javascript:window.pwned=6) <a href=javascript:window.pwned=7>x</a>\" onmouseover='window.pwned=8'"
)
# What must not come out of the payload, wherever it is shown. Links of a plot are in a namespace of their own.
MADE = """() => [...document.querySelectorAll('img[src="x"], [onload], [onerror], [onmouseover], ' +
    '[*|href^="javascript:"]')].map(e => e.outerHTML.slice(0, 200))"""
QUIET = 0.25  # seconds without a call after which a page is taken to be done
LONGEST = 120.0  # seconds for a run on a busy machine
LONG_ENOUGH = 4.0  # seconds after which a run is stopped: what it shows is there by then
FIELDS = "textarea:visible, input[type=text]:visible, input:not([type]):visible"


class Calls:
    """The calls of a page to its server that are under way, and how many there were."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._open: set[Request] = set()
        self.count = 0
        page.on("request", self._began)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)

    def _began(self, request: Request) -> None:
        if "/queue/" in request.url:
            self._open.add(request)
            self.count += 1

    def _ended(self, request: Request) -> None:
        self._open.discard(request)

    def leave(self) -> None:
        """Leave the page; of the ends of its calls the browser tells no more."""
        self._page.goto("about:blank")
        self._open.clear()

    def done(self) -> None:
        """Wait until nothing has been under way for a moment; what takes long is stopped where there is a button."""
        quiet_since = started = time.monotonic()
        deadline, stopped = started + LONGEST, False
        while time.monotonic() - quiet_since < QUIET:
            assert time.monotonic() < deadline, "the page does not come to rest"
            self._page.wait_for_timeout(50)
            if not stopped and time.monotonic() - started > LONG_ENOUGH:
                stopped = True
                for button in self._page.get_by_role("button", name=re.compile("^Stop")).element_handles():
                    if button.is_visible() and button.is_enabled():
                        button.click()
            if self._open:
                quiet_since = time.monotonic()


def panel_of(page: Page, slug: str) -> Locator:
    return page.locator(f"#sd-tab-{slug}")


def unfold(panel: Locator) -> None:
    """Open what is folded, but for the sources, which hold no text of visitors."""
    for title in panel.locator("button.label-wrap:visible:not(.open)").element_handles():
        if "code" not in title.inner_text().lower():
            title.click()


def fill(panel: Locator) -> list[str]:
    """Write the payload into every text field that can be seen; return what the fields are called."""
    names = []
    for field in panel.locator(FIELDS).element_handles():
        if field.get_attribute("role") in ("combobox", "listbox") or not field.is_editable():
            continue
        field.fill(PAYLOAD)
        field.evaluate("e => e.blur()")
        names.append(field.evaluate("e => e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.id"))
    return names


def is_clean(page: Page) -> None:
    assert page.evaluate("window.pwned") is None
    assert page.evaluate(MADE) == []


def test_payloads_in_every_text_field_stay_text(visitors: Visitors) -> None:
    visitor = visitors.new(DESKTOP)
    page = visitor.page
    calls = Calls(page)
    page.on("dialog", lambda dialog: pytest.fail(f"a script has run: {dialog.message}"))
    filled: dict[str, list[str]] = {}
    for tab in TABS:
        calls.leave()
        page.goto(f"{visitor.url}/?tab={tab.slug}")
        panel = panel_of(page, tab.slug)
        expect(panel).to_be_visible()
        calls.done()
        before = calls.count
        tools = panel.get_by_role("tab")
        found: list[str] = []
        for tool in [None, *tools.all()]:
            if tool is not None:
                if tool.get_attribute("aria-selected") == "true":
                    continue
                tool.click()
                calls.done()
            unfold(panel)
            found += fill(panel)
            for button in panel.locator("button.primary:visible").element_handles():
                if button.is_visible() and button.is_enabled():
                    button.click()
                    calls.done()
            is_clean(page)
        filled[tab.slug] = found
        assert not found or calls.count > before, f"{tab.slug}: nothing has run"
    print({slug: names for slug, names in filled.items() if names})
    for slug in ("embeddings", "decoding", "melodies", "lora", "reward", "reflection", "class"):
        assert filled[slug], f"{slug}: no text field was found"
    assert sum(map(len, filled.values())) >= 30
    assert not [url for url in visitors.requests if url.endswith("/x")]  # as an image of the payload would ask for
