"""The Decoding tab as a browser uses it: by links, buttons and examples, and with input that has to be mended."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import urlencode

import pytest

from lab.text.models import BUILT_IN, GPT2
from tests.tabs.conftest import PROMPT, Server, Visitor, decode, shortened
from tests.tabs.pages import read


def board_of(visitor: Visitor) -> str:
    return visitor.value(elem_id="sd-decoding-board")


def alerts_of(visitor: Visitor) -> list[str]:
    return [str(p["value"]) for p in visitor.properties.values() if 'role="alert"' in str(p.get("value"))]


def link(**query: object) -> str:
    return urlencode({"tab": "decoding"} | query)


def test_an_ordinary_page_waits(server: Server) -> None:
    visitor = Visitor(server)
    assert "Press Generate" in board_of(visitor)
    visitor.click("Generate")
    assert 'data-state="done"' in board_of(visitor)
    assert board_of(visitor).count("sd-card") == 4
    assert alerts_of(visitor) == []


def test_a_link_writes_what_the_api_writes(server: Server, fresh_cache: None) -> None:
    query = {
        "prompt": PROMPT,
        "seed": 9,
        "columns": "greedy;top_k(top_k=4)",
        "max_new_tokens": 8,
        "column": 2,
        "step": 3,
    }
    visitor = Visitor(server, link(**query))
    written = board_of(visitor)
    assert 'data-state="done"' in written
    answer = decode(server, prompt=PROMPT, seed=9, columns="greedy;top_k(top_k=4)", max_new_tokens=8)
    tokens = [
        text for (_, attrs), text in zip(read(written).tags, read(written).of_tag, strict=True) if "data-n" in attrs
    ]
    assert tokens == [token["text"] for column in answer["columns"] for token in column["tokens"]]
    summary = next(p["value"] for p in visitor.properties.values() if str(p.get("value")).startswith("**Token 3 of"))
    assert "4 of 330 tokens stay" in summary


@pytest.mark.parametrize(
    "query",
    [
        {"view": "compare", "column": 6, "step": 200},
        {"view": "compare", "column": 999, "step": -1, "columns": "greedy"},
        {"view": "compare", "columns": "beam(num_beams=8);typical", "max_new_tokens": 9999},
        {"view": "sampler"},
        {"view": "sampler", "picks": "5.6.7"},
        {"view": "samples", "samples": 2, "vary_points": 2, "max_new_tokens": 4},
        {"view": "samples", "vary": "greedy", "samples": "x", "vary_points": 2, "max_new_tokens": 4},
        {"view": "samples", "vary": "top_k", "vary_from": "nan", "vary_to": "inf", "samples": 2, "max_new_tokens": 3},
        {"view": "beams"},
        {"view": "beams", "num_beams": 99, "beam_steps": -1, "length_penalty": "1e9"},
        {"view": "nothing", "model": "/etc/passwd", "seed": "1e999"},
        {"prompt": "<img src=x onerror=alert(1)>${alert(1)}"},
        {"prompt": "x" * 30_000},
        {"top_p": "0.5", "temperature": "0", "__theme": "dark"},
    ],
    ids=shortened,
)
def test_any_link_runs(server: Server, query: dict[str, object]) -> None:
    visitor = Visitor(server, link(**query))  # every event that fires must succeed
    assert alerts_of(visitor) == []
    view = query.get("view")
    shown = {
        "sampler": "sd-choices" in visitor.value(elem_id="sd-game"),
        "samples": visitor.properties[visitor.find(label="Quality against diversity")].get("visible"),
        "beams": visitor.properties[visitor.find(label="What was weighed at each step")].get("visible"),
    }
    assert shown.pop(view, True)
    assert not any(shown.values())  # and the other tools wait
    if view not in ("sampler", "samples", "beams"):
        assert 'data-state="done"' in board_of(visitor)
    assert "<img" not in board_of(visitor)
    visitor.click("Generate")
    assert 'data-state="done"' in board_of(visitor)


@pytest.mark.parametrize(
    ("view", "button"),
    [
        ("compare", "Generate"),
        ("sampler", "Start from the prompt"),
        ("samples", "Draw samples"),
        ("beams", "Grow the tree"),
    ],
)
def test_an_empty_prompt_is_told_and_then_mended(server: Server, view: str, button: str) -> None:
    visitor = Visitor(server, link(view=view, prompt=" ", samples=2, vary_points=2, max_new_tokens=4))
    (alert,) = alerts_of(visitor)
    assert "Please write a few words for the model to continue." in alert
    visitor.set("Once upon", label="Prompt")
    visitor.click(button)
    assert alerts_of(visitor) == []


def test_a_game(server: Server) -> None:
    visitor = Visitor(server)
    visitor.set(PROMPT, label="Prompt")
    visitor.set(8, label="New tokens")
    visitor.click("Start from the prompt")
    assert visitor.value(elem_id="sd-game").count("data-token") == 20
    visitor.trigger("pick", {"token": 40}, elem_id="sd-game")
    visitor.trigger("pick", {"token": 41}, elem_id="sd-game")
    assert visitor.value(label="picks") == "40.41"
    for nonsense in ({"token": "x"}, {"token": None}, {"token": []}, {}):
        visitor.trigger("pick", nonsense, elem_id="sd-game")
    assert visitor.value(label="picks") == "40.41"
    visitor.trigger("pick", {"token": 10**6}, elem_id="sd-game")
    assert "does not exist in this model" in alerts_of(visitor)[0]
    assert visitor.value(label="picks") == "40.41"
    visitor.click("Undo")
    assert visitor.value(label="picks") == "40"
    assert alerts_of(visitor) == []
    visitor.click("Column 1 goes on (20 tokens)")
    assert visitor.value(label="picks").startswith("40.")
    assert visitor.value(label="picks").count(".") == 20
    for _ in range(23):
        visitor.click("Undo")
    assert visitor.value(label="picks") == ""


@pytest.mark.parametrize("picks", ["9999999", "5.329.330", "1.2.999999"])
def test_picks_from_another_model_are_told(server: Server, picks: str) -> None:
    visitor = Visitor(server, link(view="sampler", picks=picks, prompt=PROMPT))
    assert "Start again from the prompt" in alerts_of(visitor)[0]
    visitor.click("Column 1 goes on (20 tokens)")
    assert "Start again from the prompt" in alerts_of(visitor)[0]
    visitor.click("Start from the prompt")
    assert alerts_of(visitor) == []
    assert visitor.value(label="picks") == ""


def test_a_model_that_cannot_be_had_is_told_and_the_choice_goes_back(server: Server) -> None:
    visitor = Visitor(server)
    visitor.set(GPT2, label="Model")
    visitor.trigger("input", label="Model")
    assert "The built-in model goes on working." in alerts_of(visitor)[0]
    assert visitor.value(label="Model") == BUILT_IN
    visitor.click("Generate")
    assert 'data-state="done"' in board_of(visitor)


@pytest.mark.parametrize(
    ("view", "wrong", "told"),
    [
        ("compare", {"max_new_tokens": 999}, "max_new_tokens: 999 is outside 1 to 200"),
        ("compare", {"columns": "greedy(5)"}, "5&#x27; is left out"),
        ("sampler", {"seed": -4}, "seed: -4 is outside 0 to"),
        ("samples", {"vary_points": 2, "samples": 1}, "samples: 1 is outside 2 to 32"),
        ("beams", {"num_beams": 99}, "num_beams: 99 is outside 2 to 6"),
        ("beams", {"model": "gpt5"}, "model: gpt5 is not offered here"),
    ],
    ids=shortened,
)
def test_what_was_changed_in_a_link_is_told_once(server: Server, view: str, wrong: dict[str, Any], told: str) -> None:
    def notes() -> str:
        shown = [str(p["value"]) for p in visitor.properties.values() if "sd-notes" in str(p.get("value"))]
        return "".join(shown)

    visitor = Visitor(server, link(view=view, prompt=PROMPT, **{"max_new_tokens": 4} | wrong))
    assert told in notes()
    buttons = {"compare": "Generate", "sampler": "Undo", "samples": "Draw samples", "beams": "Grow the tree"}
    visitor.click(buttons[view])  # the controls have shown the changed value since
    assert told not in notes()


@pytest.mark.parametrize(
    ("button", "named"),
    [("Generate", True), ("Start from the prompt", True), ("Draw samples", True), ("Grow the tree", False)],
)
def test_a_seed_below_zero_is_told_where_it_matters(server: Server, button: str, named: bool) -> None:
    visitor = Visitor(server, link(view="sampler", prompt=PROMPT, max_new_tokens=4, samples=2, vary_points=2))
    visitor.set(-4, label="Seed")
    visitor.click(button)
    told = [p for p in visitor.properties.values() if "seed: -4 is outside 0 to" in str(p.get("value"))]
    assert len(told) == named
    assert alerts_of(visitor) == []


def test_without_any_column_one_is_asked_for(server: Server) -> None:
    visitor = Visitor(server, link(prompt=PROMPT, columns="greedy", max_new_tokens=4))
    before = board_of(visitor)
    visitor.set("", label="Column 1")
    visitor.trigger("input", label="Column 1")
    for button in ("Generate", "Column 1 goes on (20 tokens)"):
        visitor.click(button)
        assert "Add a column first" in alerts_of(visitor)[-1]
    assert board_of(visitor) == before
    visitor.click("+ column")
    visitor.click("Generate")
    assert 'aria-label="Top-p 0.6"' in board_of(visitor)


@pytest.mark.parametrize("query", ["__theme=dark", "fbclid=abc", "utm_source=mail&v=1"])
def test_a_query_of_others_makes_nothing_run(server: Server, query: str) -> None:
    assert "Press Generate" in board_of(Visitor(server, query))


def test_two_texts_are_never_mixed_in_a_game(server: Server) -> None:
    visitor = Visitor(server, link(view="sampler", picks="5.6", prompt=PROMPT, max_new_tokens=4))
    for button in ("Undo", "Column 1 goes on (20 tokens)", None):
        visitor.set("Once upon", label="Prompt")
        visitor.click("Copy link")
        assert "picks" not in visitor.value(label="Link to exactly this")
        if button:
            visitor.click(button)
        else:
            visitor.trigger("pick", {"token": 40}, elem_id="sd-game")
        assert visitor.value(label="picks") == ""
        assert '<span class="sd-prompt">Once upon</span><span class="sd-caret"' in visitor.value(elem_id="sd-game")
        assert sum("the text starts again" in str(p.get("value")) for p in visitor.properties.values()) == 1
        visitor.set(PROMPT, label="Prompt")
        visitor.click("Start from the prompt")
        visitor.trigger("pick", {"token": 40}, elem_id="sd-game")
    assert visitor.value(label="picks") == "40"
    visitor.click("Greedy against beams")
    visitor.set(4, label="New tokens")
    visitor.trigger("pick", {"token": 41}, elem_id="sd-game")
    assert visitor.value(label="picks") == ""
    assert "I do not know" in visitor.value(elem_id="sd-game")


def test_a_full_context_is_told(server: Server) -> None:
    visitor = Visitor(server, link(view="sampler", prompt=PROMPT, picks=".".join(["5"] * 80), max_new_tokens=4))
    told = [str(p["value"]) for p in visitor.properties.values() if "sd-notes" in str(p.get("value"))]
    assert any("context of 64 tokens is full" in one for one in told)
    assert visitor.value(label="picks").count("5") == 62


def test_a_text_too_long_for_a_link_is_told(server: Server) -> None:
    visitor = Visitor(server, link(prompt=PROMPT, columns="greedy", max_new_tokens=4))
    visitor.click("Copy link")
    dice = random.Random(0)  # a text in which nothing repeats, so that packing it does not help
    visitor.set("".join(chr(dice.randrange(0x4E00, 0x9FA5)) for _ in range(40_000)), label="Prompt")
    visitor.click("Copy link")
    assert ["too long for a link" in alert for alert in alerts_of(visitor)] == [True]
    assert visitor.value(label="Link to exactly this") == ""
    assert visitor.properties[visitor.find(label="Link to exactly this")]["visible"] is False
    visitor.set(PROMPT, label="Prompt")
    visitor.click("Copy link")
    assert alerts_of(visitor) == []


def test_an_example_runs(server: Server) -> None:
    visitor = Visitor(server)
    visitor.click("Greedy against beams")
    assert 'aria-label="Beam search 6"' in board_of(visitor)
    assert visitor.value(label="Prompt").startswith("“I do not know,”")


def test_the_copied_link_opens_the_same(server: Server) -> None:
    visitor = Visitor(server, link(prompt=PROMPT, seed=77, columns="top_p(top_p=0.35)", max_new_tokens=6))
    visitor.click("Copy link")
    copied = visitor.value(label="Link to exactly this")
    assert copied.startswith("?tab=decoding&v=1&")
    again = Visitor(server, copied.removeprefix("?"))
    assert board_of(again) == board_of(visitor)
