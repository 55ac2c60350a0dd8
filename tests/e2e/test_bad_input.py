"""Whatever is typed or comes with a link: nothing breaks, nothing typed is run, and the next run works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from lab.text.decoding import DecodingSettings
from tests.e2e.visitors import Visitor, Visitors

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]  # a busy machine may need minutes to start

SHORT: dict[str, Any] = {"tab": "decoding", "prompt": "The rain", "max_new_tokens": 6, "columns": "greedy;top_k"}
MARKUP = [
    "<img src=x onerror=window.pwned=1>",
    "${window.pwned=1}",
    "{{7*7}} {{window.pwned=1}}",
    "</script><script>window.pwned=1</script>",
    "[click](javascript:window.pwned=1) `code` **bold** $x^2$",
]
LINKS = [
    {"tab": "decoding", "seed": "NaN", "max_new_tokens": "1e9", "columns": "top_p(top_p=-3);bogus",
     "model": "../../etc", "step": "99999", "view": "nope"},
    {"tab": "decoding", "prompt": "", "columns": ";;;", "column": "-1", "picks": "1.2.x", "v": "999"},
    {"tab": "decoding", "view": "sampler", "picks": "9999999.0"},
    {"tab": "decoding", "view": "samples", "samples": "0", "vary": "greedy", "vary_from": "inf", "vary_points": "-1",
     "max_new_tokens": "0"},
    {"tab": "decoding", "view": "beams", "num_beams": "1e400", "beam_steps": "0x10", "length_penalty": "${1}"},
    {"tab": "nope", "prompt": "<script>window.pwned=1</script>", "%00": "1"},
]  # fmt: skip


def works_still(visitor: Visitor) -> None:
    """Check that nothing was run or broken, and that the next run works."""
    visitor.sees_no_toast()
    assert visitor.page.evaluate("window.pwned") is None
    tab = visitor.page.get_by_role("tab", name="Compare")
    if tab.get_attribute("aria-selected") != "true":
        tab.click()
    visitor.prompt.fill("And then")
    visitor.slider("New tokens").fill("5")
    visitor.press("Generate")
    expect(visitor.board.locator(".sd-prompt").first).to_have_text("And then")
    visitor.sees_board(visitor.cards.count())
    assert all(visitor.written())
    visitor.sees_no_toast()


@pytest.fixture(scope="module")
def regular(browser: Browser, app_url: str) -> Iterator[Visitor]:
    """A visitor who has had two columns written, and stays: after each test the page must work still."""
    with Visitors(browser, app_url) as visitors:
        visitor = visitors.new().opens(**SHORT)
        visitor.sees_board(2)
        yield visitor


def test_nothing_to_continue_is_said_so(regular: Visitor) -> None:
    before = regular.written()
    for prompt in ("", " \n\t  \u2003"):
        regular.prompt.fill(prompt)
        regular.press("Generate")
        expect(regular.page.get_by_role("alert")).to_have_text(re.compile("prompt is empty"))
        assert regular.written() == before
        works_still(regular)
        before = regular.written()


def test_a_prompt_of_100_000_characters(regular: Visitor) -> None:
    regular.prompt.fill("A lot of words. " * 6250)
    regular.press("Generate")
    expect(regular.page.locator(".sd-notes").first).to_contain_text("100,000 characters; its last 20,000 are read")
    regular.sees_board(2)
    works_still(regular)


def test_emoji_and_writing_from_right_to_left(desktop: Visitor) -> None:
    prompt = "👩‍👩‍👧‍👦 שלום עולם \u202eمرحبا\u202c 🏳️‍🌈"
    desktop.opens(**SHORT | {"prompt": prompt})
    desktop.sees_board(2)
    assert desktop.board.locator(".sd-prompt").first.text_content() == prompt
    works_still(desktop)


def test_markup_is_text(desktop: Visitor) -> None:
    desktop.opens(**SHORT | {"prompt": MARKUP[0], "step": 2})
    expect(desktop.prompt).to_have_value(MARKUP[0])  # what is typed while a link arrives is typed into its text
    for prompt in MARKUP:
        desktop.prompt.fill(prompt)
        desktop.press("Generate")
        expect(desktop.board.locator(".sd-prompt").first).to_have_text(prompt)
        desktop.sees_board(2)
        desktop.sees_step("Token 2 of Greedy")
        desktop.sees_no_toast()
    desktop.page.get_by_role("tab", name="You are the sampler").click()
    for prompt in MARKUP:
        desktop.prompt.fill(prompt)
        desktop.press("Start from the prompt")
        expect(desktop.page.locator("#sd-game .sd-prompt")).to_have_text(prompt)
    works_still(desktop)


@pytest.mark.parametrize("link", LINKS)
def test_a_bad_link(desktop: Visitor, link: dict[str, str]) -> None:
    desktop.opens(**link)
    if link["tab"] == "decoding":
        shown = desktop.page.locator(".sd-board[data-state=done], [role=alert], .sd-choices, .js-plotly-plot")
        expect(shown.filter(visible=True).first).to_be_visible()
    if link is LINKS[0]:
        is_clamped(desktop)
    works_still(desktop)


def is_clamped(desktop: Visitor) -> None:
    """Check that what the first link has out of range is within it."""
    desktop.sees_board(1)
    expect(desktop.seed).to_have_value(str(DecodingSettings.default("seed")))
    expect(desktop.slider("New tokens")).to_have_value("200")
    expect(desktop.slider("top_p")).to_have_value("0.01")
    expect(desktop.dropdown("Model")).to_have_value(re.compile("^Built-in"))
    expect(desktop.inside).to_contain_text(re.compile(r"Token \d+ of Top-p 0.01"))


def test_a_model_that_cannot_be_had(regular: Visitor) -> None:
    regular.chooses("Model", "GPT-2 124M, from the Hub")
    alert = regular.page.get_by_role("alert")
    expect(alert).to_contain_text("is not on this machine, and the Hub cannot be reached from here")
    expect(regular.dropdown("Model")).to_have_value(re.compile("^Built-in"))
    works_still(regular)
