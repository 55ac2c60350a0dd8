"""What a visitor of the Decoding tab does and sees, in a visitor's words, so that tests read like visits."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlencode

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Error, Locator, Page, expect

TIMEOUT = 60_000  # milliseconds; a busy two-core machine takes long, and waiting costs nothing where all is well
DESKTOP: dict[str, Any] = {"viewport": {"width": 1400, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SCRIPT_FAILED = re.compile("Error (executing|in watch)")  # what Gradio says of a script of ours that it has run
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
OWN = re.compile(r"((https?|wss?)://127\.0\.0\.1(:\d+)?/|data:|blob:)")

expect.set_options(timeout=TIMEOUT)


def grave_violations(page: Page) -> list[str]:
    """Return what axe-core finds on a page that is serious or critical, a line for each place."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{violation['id']} ({violation['impact']}): {node['target']} {node['html'][:200]} {node['failureSummary']}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def in_scheme(page: Page, scheme: Scheme) -> None:
    """Show a page as those see it who prefer a scheme."""
    page.add_style_tag(content="* { transition: none !important; }")  # colours are those of the end
    page.emulate_media(color_scheme=scheme)
    page.evaluate("dark => document.body.classList.toggle('dark', dark)", scheme == "dark")


class Visitor:
    """A visitor with one page open."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.board = page.locator("#sd-decoding-board .sd-board")
        self.cards = self.board.locator(".sd-card")
        self.texts = self.board.locator(".sd-text")
        self.inside = page.locator("#sd-inside")
        self.prompt = page.get_by_label("Prompt")
        self.seed = page.get_by_label("Seed")
        self.status = page.locator(".sd-status:visible").locator("p, li")
        self.plot = page.locator(".js-plotly-plot:visible")

    def opens(self, **query: Any) -> Self:
        """Open the Decoding tab, by a link if there is a query, and wait until it can be used."""
        self.page.goto(f"{self.url}/?{urlencode(query)}" if query else self.url)
        if query.get("tab") != "decoding":
            self.page.get_by_role("tab", name="Decoding", exact=True).click()
        expect(self.prompt).to_be_editable()
        return self

    def press(self, name: str) -> None:
        """Press the button of this name that can be seen."""
        self.page.locator("button:visible").get_by_text(name, exact=True).click()

    def slider(self, name: str, nth: int = 0) -> Locator:
        """Return a slider's number box."""
        return (
            self.page.get_by_label(f"number input for {name}", exact=True).and_(self.page.locator(":visible")).nth(nth)
        )

    def dropdown(self, name: str) -> Locator:
        """Return a dropdown."""
        return self.page.get_by_role("combobox", name=name, exact=True)

    def chooses(self, dropdown: str, option: str) -> None:
        """Choose an option of a dropdown."""
        self.dropdown(dropdown).click()
        self.page.get_by_role("option", name=option, exact=True).click()
        expect(self.page.get_by_role("listbox")).to_have_count(0)  # it goes with an animation

    def sees_board(self, columns: int, state: str = "done") -> None:
        """Wait until the board is in a state, with this many columns."""
        expect(self.board).to_have_attribute("data-state", state)
        expect(self.cards).to_have_count(columns)

    def written(self) -> list[str]:
        """Return what the columns' strategies have written, without the prompt."""
        return self.texts.evaluate_all(
            "texts => texts.map(t => [...t.querySelectorAll('[data-n]')].map(token => token.textContent).join(''))"
        )

    def token(self, column: int, step: int) -> Locator:
        """Return a token on the board; both count from 1."""
        return self.texts.nth(column - 1).locator(f"[data-n='{step - 1}']")

    def sees_step(self, title: str) -> None:
        """Wait until the panel looks into a step, with its plot, in which the chosen token is marked, and its table."""
        expect(self.inside).to_contain_text(title)
        expect(self.inside.locator(".js-plotly-plot")).to_contain_text("chosen")
        expect(self.inside.get_by_role("gridcell").first).to_be_visible()

    def rows(self, *cells: str) -> Locator:
        """Return the rows of tables that have all these cells. Of a long table only what is in view is there."""
        rows = self.page.get_by_role("row")
        for cell in cells:
            rows = rows.filter(has=self.page.get_by_role("gridcell", name=cell, exact=True))
        return rows

    def sees_no_toast(self) -> None:
        """Check that Gradio put up no error of its own."""
        expect(self.page.get_by_test_id("toast-body")).to_have_count(0)

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the screen."""
        return self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


class Visitors:
    """Lets visitors come, each with a context of their own, and watches for what must not happen in any page."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self.url = url
        self._contexts: list[BrowserContext] = []
        self.errors: list[str] = []
        self.requests: list[str] = []

    def new(self, device: dict[str, Any] = DESKTOP, **options: Any) -> Visitor:
        """Return a new visitor, who has not been anywhere yet."""
        context = self._browser.new_context(**device, **options)
        context.set_default_timeout(TIMEOUT)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("console", lambda said: self.errors.append(said.text) if SCRIPT_FAILED.match(said.text) else None)
        context.on("request", lambda request: self.requests.append(request.url))
        context.on("page", lambda page: page.on("websocket", lambda socket: self.requests.append(socket.url)))
        self._contexts.append(context)
        return Visitor(context.new_page(), self.url)

    def photograph(self, folder: Path, name: str) -> None:
        """Keep a picture of every open page."""
        folder.mkdir(exist_ok=True)
        safe = re.sub(r"[^\w.-]+", "-", name)
        for n, page in enumerate(page for context in self._contexts for page in context.pages):
            with suppress(Error):  # a page that does not answer any more
                page.screenshot(path=folder / f"{safe}-{n}.png", full_page=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for context in self._contexts:
            context.close()
        assert not self.errors, f"errors in a page: {self.errors}"
        assert not (foreign := [url for url in self.requests if not OWN.match(url)]), (
            f"requests to elsewhere: {foreign}"
        )
