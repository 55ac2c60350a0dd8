"""Whoever leaves, cancels or starts something else gives the model back at once: others wait for those rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from lab.text.models import Models
from tabs import TABS
from tabs.launch import build
from tabs.page import Services
from tests.e2e.cable import Cable
from tests.e2e.visitors import Visitor, Visitors

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]  # a busy machine may need minutes to start

SLOW = 0.4  # seconds that a step takes
SIGNAL = 0.5  # seconds from one sign of life of a page in a class to its next
DEADLINE = 10.0  # seconds after which rows must be gone that would need 24 and more by themselves
CLASS = "calm-heron-382"
LONG = {"tab": "decoding", "columns": "greedy;top_p;beam(num_beams=8)", "max_new_tokens": 200}
SAMPLES = {"tab": "decoding", "view": "samples", "samples": 4, "vary_points": 2, "max_new_tokens": 60}


class SlowApp:
    """The tab in this process, with an engine that can be looked at and is as slow as a test wants it."""

    def __init__(self) -> None:
        self._services = Services(Models())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tabs.workshop.banner.SIGNAL_SECONDS", SIGNAL)
            self._app = build(self._services, [tab for tab in TABS if tab.slug == "decoding"])
        self._engine = self._services.models.get(self._services.models.default).engine
        self.pause = SLOW
        step = self._engine._step

        def slow_step(*arguments: Any) -> list[int]:
            time.sleep(self.pause)
            return step(*arguments)

        self._engine._step = slow_step
        _, url, _ = self._app.launch(prevent_thread_lock=True, quiet=True, run_history=False)
        self.url = url.rstrip("/")

    def wait_for_sign(self, since: float) -> None:
        """Wait until a page in the class has given a sign of life after this moment."""
        while max(self._services.presence._seen.get(CLASS, {"": 0.0}).values()) <= since:
            assert time.monotonic() - since < DEADLINE, "no page of the class gives a sign of life"
            time.sleep(0.02)

    def forget_streams(self) -> None:
        """Know no page's stream any more, as when an old connection's end is seen late."""
        self._app._queue.pending_messages_per_session.clear()

    def wait_for_rows(self, *, any_left: bool) -> None:
        """Wait until rows run, or until none runs or waits any more."""
        started = time.monotonic()
        while (self._engine.load != (0, 0)) != any_left:
            assert time.monotonic() - started < DEADLINE, f"rows that run and wait: {self._engine.load}"
            time.sleep(0.02)

    def close(self) -> None:
        """End server and engine."""
        self._app.close(verbose=False)
        self._services.models.close()


@pytest.fixture(scope="module")
def slow_app(browser: Browser) -> Iterator[SlowApp]:
    """One app for all tests here; none of them leaves it with work to do."""
    app = SlowApp()
    yield app
    app.close()


@pytest.fixture
def visitor(browser: Browser, slow_app: SlowApp) -> Iterator[Visitor]:
    """A visitor of the slow app."""
    slow_app.pause = SLOW
    with Visitors(browser, slow_app.url) as visitors:
        yield visitors.new()
    slow_app.wait_for_rows(any_left=False)


@pytest.mark.parametrize("link", [LONG, SAMPLES], ids=["compare", "samples"])
@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(lambda visitor: visitor.page.close(), id="closing-the-page"),
        pytest.param(lambda visitor: visitor.page.goto("about:blank"), id="going-elsewhere"),
        pytest.param(lambda visitor: visitor.press("Cancel"), id="cancelling"),
    ],
)
def test_leaving_frees_the_rows(
    slow_app: SlowApp, visitor: Visitor, link: dict[str, Any], leave: Callable[[Visitor], Any]
) -> None:
    visitor.opens(**link)
    slow_app.wait_for_rows(any_left=True)
    expect(visitor.page.get_by_role("progressbar")).to_be_visible()
    leave(visitor)
    slow_app.wait_for_rows(any_left=False)


def test_cancel_keeps_what_is_written_and_the_next_run_works(slow_app: SlowApp, visitor: Visitor) -> None:
    visitor.opens(**LONG | {"columns": "greedy;temperature;top_k;top_p;typical;beam(num_beams=8)"})
    expect(visitor.token(1, 2)).to_be_attached()
    before = visitor.written()
    visitor.press("Cancel")
    expect(visitor.status).to_have_text(["Stopped. What was written stays."])
    visitor.sees_board(6)
    expect(visitor.board.locator(".sd-caret, dd")).to_have_count(0)  # none is being written any more, none is finished
    kept = visitor.written()
    assert all(new.startswith(old) for new, old in zip(kept[:5], before[:5], strict=True))
    slow_app.pause = 0
    # What stands there can be looked into.
    visitor.token(1, 1).click()
    visitor.sees_step("Token 1 of Greedy")
    assert visitor.written() == kept
    visitor.slider("New tokens").fill("20")
    visitor.press("Generate")
    expect(visitor.board.locator("dd").first).to_be_visible()
    visitor.sees_board(6)
    assert visitor.written()[0].startswith(kept[0])
    visitor.sees_no_toast()


def test_a_new_run_takes_over_the_board(slow_app: SlowApp, visitor: Visitor) -> None:
    visitor.opens(**LONG)
    expect(visitor.token(1, 2)).to_be_attached()
    visitor.press("Same dice, other p")
    expect(visitor.board.locator(".sd-prompt").first).to_have_text("It was a dark night, and")
    visitor.prompt.fill("And then")
    visitor.slider("New tokens").fill("9")
    visitor.press("Generate")
    expect(visitor.board.locator(".sd-prompt").first).to_have_text("And then")
    slow_app.pause = 0
    visitor.sees_board(3)
    slow_app.wait_for_rows(any_left=False)
    expect(visitor.board.locator(".sd-prompt")).to_have_text(["And then"] * 3)


def test_the_mark_follows_the_visitor_while_the_text_grows(slow_app: SlowApp, visitor: Visitor) -> None:
    visitor.opens(**LONG | {"step": 1})
    expect(visitor.token(2, 3)).to_be_attached()
    visitor.token(2, 2).click()
    expect(visitor.token(2, 5)).to_be_attached()  # drawn again since
    expect(visitor.board.locator(".on")).to_have_count(1)
    assert "on" in (visitor.token(2, 2).get_attribute("class") or "").split()
    visitor.press("Cancel")
    expect(visitor.status).to_have_text(["Stopped. What was written stays."])
    visitor.sees_step("Token 2 of Top-p 0.9")
    expect(visitor.board.locator(".on")).to_have_count(1)
    assert "on" in (visitor.token(2, 2).get_attribute("class") or "").split()


def test_a_page_outlives_a_connection_that_is_lost(browser: Browser, slow_app: SlowApp) -> None:
    """Gradio by itself would load it anew, with all that stands on it."""
    slow_app.pause = SLOW
    with Cable(slow_app.url) as cable, Visitors(browser, cable.url) as visitors:
        visitor = visitors.new()
        visitor.opens(**LONG | {"class": CLASS})
        page, lost = visitor.page, visitor.page.locator("#sd-lost")
        expect(visitor.token(1, 2)).to_be_attached()
        page.evaluate("window.made = 'half'")
        visitor.prompt.fill("Half written")
        cable.cut()  # in the middle of a run, and with signs of life under way
        expect(lost).to_contain_text("still here")
        slow_app.wait_for_rows(any_left=False)
        written = visitor.written()
        visitor.press("Generate")  # in vain
        expect(lost).to_contain_text("still here")
        visitor.sees_no_toast()
        cable.mend()
        slow_app.wait_for_sign(time.monotonic())  # the page has found back by itself
        expect(lost).to_be_empty()
        assert page.evaluate("window.made") == "half" and visitor.prompt.input_value() == "Half written"
        assert visitor.written() == written
        slow_app.pause = 0
        visitor.slider("New tokens").fill("9")
        visitor.press("Generate")
        expect(visitor.board.locator(".sd-prompt").first).to_have_text("Half written")
        visitor.sees_board(3)
        visitor.sees_no_toast()


def test_a_page_outlives_a_server_that_forgets_its_stream(slow_app: SlowApp, visitor: Visitor) -> None:
    slow_app.pause = SLOW
    visitor.opens(**LONG)
    page, lost = visitor.page, visitor.page.locator("#sd-lost")
    expect(visitor.token(1, 2)).to_be_attached()
    page.evaluate("window.made = 'half'")
    slow_app.forget_streams()
    expect(lost).to_contain_text("still here", timeout=20_000)  # the server looks every ten seconds
    page.wait_for_timeout(3000)  # in two seconds Gradio would load it anew
    assert page.evaluate("window.made") == "half"
    visitor.sees_no_toast()
