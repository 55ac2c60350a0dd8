"""A class's banner and the teacher's page: pooled figures, live, and text that stays text."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest

from lab.preferences import Item
from lab.preferences.store import Store
from lab.text.models import Models
from lab.workshop import ClassResults, Fooled
from tabs.page import Services
from tabs.workshop.banner import Banner, banner
from tabs.workshop.page import LOOKED_AT_JS, _ClassPage
from tabs.workshop.render import figures, fooled_bars, fooled_table, handout
from tests.tabs.pages import Page

CODE = "calm-heron-382"


def request(session: str = "s1", **query: str) -> SimpleNamespace:
    return SimpleNamespace(query_params=query, session_hash=session)


@pytest.fixture
def services() -> Services:
    return Services(Models(), store=Store(None))


@pytest.fixture
def joined(services: Services) -> Banner:
    with gr.Blocks(analytics_enabled=False):
        return Banner(services)


@pytest.fixture
def page(services: Services) -> _ClassPage:
    with gr.Blocks(analytics_enabled=False):
        return _ClassPage(services)


def test_a_class_is_joined_by_link_and_left_by_closing(joined: Banner, services: Services) -> None:
    code, shown, timer = joined._join(request("a", **{"class": CODE}))
    assert code == CODE and shown["visible"] and timer.active
    joined._beat(CODE, request("b"))
    assert services.presence.count(CODE) == 2
    joined._leave(request("a"))
    assert services.presence.count(CODE) == 1


def test_who_reloads_the_results_is_in_but_not_counted(joined: Banner, services: Services) -> None:
    code, shown, timer = joined._join(request("a", tab="class", **{"class": CODE}))
    assert code == CODE and shown["visible"] and timer == gr.skip()
    assert services.presence.count(CODE) == 0


def test_opening_results_joins_their_class(services: Services) -> None:
    with gr.Blocks(analytics_enabled=False) as blocks:
        top = Banner(services)
        page = _ClassPage(replace(services, class_code=top.class_code, class_banner=top.shown))
    opening = [fn for fn in blocks.fns.values() if fn.fn in (page._open, page._resume)]
    assert len(opening) == 3  # started, or looked up by button or key
    for code in (CODE, "other"):  # from one class another one's results can be opened
        for fn in opening:
            values = dict(zip(fn.outputs, fn.fn(code), strict=True))
            assert values[top.class_code] == code
            assert values[top.shown]["visible"] and code in values[top.shown]["value"]
            assert top._timer not in values and services.presence.count(code) == 0
    refused = dict(zip(opening[0].outputs, page._open("no spaces"), strict=True))
    assert refused[top.class_code] == refused[top.shown] == gr.skip()
    assert dict(zip(opening[0].outputs, page._resume(""), strict=True))[top.class_code] == gr.skip()


def test_without_a_code_nothing_is_shown_or_sent(joined: Banner) -> None:
    for query in ({}, {"class": ""}):
        assert joined._join(request(**query)) == (gr.skip(), gr.skip(), gr.skip())


@pytest.mark.parametrize("code", ["no spaces", "x" * 33, "<img src=x onerror=1>", "../.."])
def test_a_code_that_cannot_be_one_is_refused_in_a_sentence(joined: Banner, services: Services, code: str) -> None:
    said, shown, timer = joined._join(request(**{"class": code}))
    assert said == "" and timer == gr.skip()
    assert "You are in no class." in Page(shown["value"]).text and "<img" not in shown["value"]
    joined._beat(code, request())  # what no page of ours sends does no harm
    assert services.presence.count(code) == 0


def test_the_banner_says_how_to_leave() -> None:
    page = Page(banner(CODE))
    assert CODE in page.text
    links = {text: link for link, text in page.find("a")}
    assert links["The class’s results"]["href"] == f"?tab=class&class={CODE}"
    assert links["Leave the class"]["href"] == "?tab=start" and links["Leave the class"]["data-leave"]


def guess(services: Services, answer: str, code: str = CODE) -> None:
    clip = json.dumps({"model": "lora", "id": "lora"})
    services.store.add_guess("secret1", "melodies", clip, "machine", answer, class_code=code)


def test_results_are_live(page: _ClassPage, services: Services) -> None:
    for code in (CODE, "other"):
        guess(services, "bach", code)
    status, results, timer, shown, hand, numbers, _, table = page._open(f" {CODE} ")
    assert (status, shown) == ("", CODE) and results["visible"] and timer.active
    assert CODE in hand and "secret1" not in numbers
    assert [row[:3] for row in table] == [["LoRA", 1, 100.0]]
    guess(services, "machine")
    services.presence.beat(CODE, "x")
    numbers, bars, table = page._tick(CODE)
    assert [row[:3] for row in table] == [["LoRA", 2, 50.0]]
    assert "1 of 2" in bars
    assert [text for _, text in Page(numbers).find("dd")][::2] == ["1", "1", "2", "0"]
    assert "role=" not in numbers  # or all of it would be read out every few seconds


def test_only_a_browser_that_shows_the_results_asks_for_them(services: Services) -> None:
    with gr.Blocks(analytics_enabled=False) as blocks:
        page = _ClassPage(services)
    (beat,) = (fn for fn in blocks.fns.values() if (page._timer._id, "tick") in fn.targets)
    (asking,) = (fn for fn in blocks.fns.values() if fn.fn == page._tick)
    assert beat.fn is None and beat.js == LOOKED_AT_JS
    assert asking.targets == [(beat.outputs[0]._id, "change")]


@pytest.mark.parametrize(
    ("shown", "covered", "asks"), [("{}", "false", True), ("null", "false", False), ("{}", "true", False)]
)
def test_results_in_another_tab_or_window_wait(shown: str, covered: str, asks: bool) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run the page's script")
    document = f"{{hidden: {covered}, getElementById: id => id === 'sd-workshop' ? {{offsetParent: {shown}}} : null}}"
    script = f"global.document = {document}; console.log(JSON.stringify(({LOOKED_AT_JS})()));"
    told = subprocess.run([node, "-e", script], capture_output=True, text=True, timeout=60, check=True)
    beat = json.loads(told.stdout)
    assert beat.isdigit() if asks else beat == {"__type__": "update"}


@pytest.mark.parametrize("code", ["", "  ", "no spaces", "<script>", "x" * 100])
def test_no_code_no_results(page: _ClassPage, code: str) -> None:
    status, *rest = page._open(code)
    assert 'role="alert"' in status and "<script>" not in status
    assert rest == [gr.skip()] * 7


def test_a_store_that_fails_leaves_what_is_shown(page: _ClassPage, services: Services) -> None:
    services.store.close()
    assert page._tick(CODE) == [gr.skip()] * 3
    assert 'role="alert"' in page._open(CODE)[0]


def test_exports_are_of_the_class_alone(page: _ClassPage, services: Services) -> None:
    from lab.errors import VisitorError

    for make in (page._guesses, page._rankings):
        with pytest.raises(VisitorError, match="none yet"):
            make(CODE)
        with pytest.raises(VisitorError):
            make("")
    guess(services, "bach")
    guess(services, "folk", "other")
    items = [Item("a"), Item("b")]
    services.store.add_ranking("secret1", "p", items, [1, 2], class_code=CODE)
    services.store.add_ranking("secret1", "q", items, [1, 2], class_code="other")
    name, text = page._guesses(CODE)
    assert name == f"class-{CODE}-guesses.jsonl"
    assert [json.loads(line)["answer"] for line in text.splitlines()] == ["bach"]
    _, rankings = page._rankings(CODE)
    assert [json.loads(line)["prompt"] for line in rankings.splitlines()] == ["p"]
    assert "secret1" not in text + rankings


def test_figures_and_bars() -> None:
    results = ClassResults(CODE, 7, 12, 9, (Fooled("lora", 3, 4), Fooled("<b>", 0, 2)), 5, 0.371)
    page = Page(figures(results, 30))
    assert "75 % right" in page.text and "agreement α = 0.37" in page.text
    assert fooled_table(results.fooled) == [["LoRA", 4, 75.0, 30.1, 95.4], ["<b>", 2, 0.0, 0.0, 65.8]]
    bars = fooled_bars(results.fooled)
    assert "<b><b>" not in bars and "--share:0.7500;--low:0.3006" in bars
    assert "Nobody has guessed" in fooled_bars(())
    assert "<i>" not in handout("<i>")


def test_a_link_opens_its_class(page: _ClassPage) -> None:
    assert page._restore({"tab": "class", "class": CODE}) == [CODE]
    assert page._restore({"tab": "class"}) == [gr.skip()]
    assert page._resume("") == [gr.skip()] * 8
