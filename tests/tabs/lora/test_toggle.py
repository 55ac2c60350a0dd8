"""Toggle: the columns that switches ask for, whose text is whose, what is said when something is wrong."""

from __future__ import annotations

import math
from typing import Any

import gradio as gr
import pytest

from lab.text.adapting import AdaptSettings
from lab.text.models import GPT2
from lab.text.outfits import outfits_from_text
from tabs.lora.controls import MAX_SWITCHES, share, unshown
from tabs.lora.offers import GONE, offers_here, without_adapters
from tabs.lora.page import worn_too
from tabs.lora.render.board import gain_text
from tabs.lora.toggle import CLICK_A_TOKEN, NO_ADAPTER
from tabs.runs import Runs
from tests.tabs.lora.conftest import LAYER, Tab
from tests.tabs.pages import PAYLOADS, Page

PROMPT = "The old house"


def run(tab: Tab, *values: Any, **settings: Any) -> list[list[Any]]:
    """Return all that a run sends to the page."""
    return list(tab.toggle.run(Runs(), *(values or tab.values(prompt=PROMPT, **settings))))


def badges(board: str) -> list[str]:
    """Return what the cards wear, as their headings say."""
    return [text for _, text in Page(board).find("h3")]


# --- controls and settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "adapters",
    [
        "",
        "shakespeare=1",
        "fairy-tales=0.35",
        "shakespeare=0;fairy-tales=2;shakespeare=0.25+fairy-tales=0.75",
        "fairy-tales=1.5+shakespeare=0.5",
        "shakespeare=0+fairy-tales=1",
    ],
)
def test_the_controls_show_settings_as_they_are(tab: Tab, adapters: str) -> None:
    asked = AdaptSettings(prompt="Ü <b>", adapters=adapters, seed=3, strategy="min_p(min_p=0.2)", max_new_tokens=9)
    values = tab.values(**asked.model_dump())
    settings, notes = tab.controls.settings(*values)
    assert notes == []
    expected = asked.model_copy(update={"model": settings.model, "adapter": settings.adapter})
    assert settings == expected


def test_switches_stand_for_what_is_offered(tab: Tab) -> None:
    offered = offers_here(tab.services.models, tab.services.models.default)
    assert offered == (("shakespeare", "Shakespeare"), ("fairy-tales", "Fairy tales"))
    updates = tab.controls.switch_updates(AdaptSettings(adapters="fairy-tales=2"), offered)
    assert updates[0] == offered
    groups, switches, strengths = (updates[1 + n : 1 + 3 * MAX_SWITCHES : 3] for n in range(3))
    assert [group["visible"] for group in groups] == [True, True] + [False] * (MAX_SWITCHES - 2)
    assert [switch["label"] for switch in switches[:2]] == ["Shakespeare", "Fairy tales"]
    assert [switch["value"] for switch in switches[:2]] == [False, True]
    assert [strength["value"] for strength in strengths[:2]] == [100, 200]
    none = tab.controls.switch_updates(AdaptSettings(), ())
    assert not any(update["visible"] for update in none if isinstance(update, dict) and "visible" in update)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(50, 0.5), (0, 0.0), (200, 2.0), (900, 2.0), (-5, 0.0), (math.nan, 1.0), (None, 1.0), ("x", 1.0), (33, 0.33)],
)
def test_percent_are_a_share(value: Any, expected: float) -> None:
    assert share(value, 1.0) == expected


def test_what_the_page_cannot_show_is_told() -> None:
    offered = (("a", "A"), ("b", "B"))
    assert unshown(AdaptSettings(adapters="a=1;b=1;a=0.5+b=0.5"), offered) == []
    assert "'x'" in unshown(AdaptSettings(adapters="a=1;x=1"), offered)[0]
    assert "one strength" in unshown(AdaptSettings(adapters="a=1;a=2"), offered)[0]
    assert "one blend" in unshown(AdaptSettings(adapters="a=1+b=1;a=0.5+b=1"), offered)[0]


def test_a_blend_of_one_adapter_with_itself_is_left_out(tab: Tab) -> None:
    values = tab.values(adapters="shakespeare=0.5+fairy-tales=0.5")
    place = tab.controls.inputs.index(tab.controls.blend.second)
    values[place] = "shakespeare"
    settings, notes = tab.controls.settings(*values)
    assert settings.adapters == ""
    assert "two different" in notes[0]


# --- a run ----------------------------------------------------------------------------------------------------------


def test_every_text_says_which_adapter_made_it(tab: Tab) -> None:
    updates = run(tab, adapters="shakespeare=1;fairy-tales=0.5;shakespeare=0.25+fairy-tales=0.75")
    assert all(len(update) == len(tab.toggle.outputs) for update in updates)
    expected = ["Base", "Shakespeare 100 %", "Fairy tales 50 %", "Shakespeare 25 % + Fairy tales 75 %"]
    for _, board, *_ in updates:
        assert badges(board) == expected  # from the first moment on
    _, board, result, *_ = updates[-1]
    page = Page(board)
    assert [attributes["aria-label"] for attributes, _ in page.find("section")] == expected
    assert [attributes["data-kind"] for attributes, _ in page.find("section")] == [
        "base",
        "adapter",
        "adapter",
        "blend",
    ]
    for column_of_result, (_, text) in zip(result.columns, page.find("p", **{"class": "sd-text"}), strict=True):
        assert text == PROMPT + column_of_result.text
    assert updates[0][3]["choices"][1] == ("2 · Shakespeare 100 %", 2)
    figures = [dict(zip((t for _, t in page.find("dt")), (t for _, t in page.find("dd")), strict=False))]
    assert {"perplexity: base", "perplexity: Shakespeare 100 %", "tokens per second"} <= figures[0].keys()
    assert "…" not in figures[0].values()


def test_switching_off_leaves_the_base(tab: Tab) -> None:
    _, board, result, *_ = run(tab, adapters="")[-1]
    assert badges(board) == ["Base"]
    assert tab.toggle.look(result, 1, 1)[0] == NO_ADAPTER


def test_a_model_without_adapters_writes_and_offers_training(tab: Tab) -> None:
    _, board, *_ = run(tab, model=GPT2)[-1]
    assert badges(board) == ["Base"]
    words = without_adapters(tab.services.models, GPT2)
    assert "no adapter" in words and "Train one" in words and "that takes" in words
    own = ()
    *_, (name, facts) = tab.page._choose_model(GPT2)
    absent, told, _, offered, *_ = tab.page._offer_model(own, *tab.values(model=GPT2))
    assert absent["visible"] is True and told == words and offered == ()
    assert "All of them frozen" in facts["value"]
    back = tab.page._offer_model(own, *tab.values(model=tab.services.models.default, adapters="", offered=()))
    assert back[0]["visible"] is False
    settings, _ = tab.controls.settings(*tab.sent(back[3:], tab.controls.switch_outputs))
    assert settings.adapters == AdaptSettings.default("adapters")  # there were none to switch on before
    assert name is not None


def test_a_model_that_cannot_be_had_leaves_the_default(tab: Tab) -> None:
    *_, (name, told, *_) = tab.page._choose_model("nobody/nothing")
    assert name == tab.services.models.default
    assert 'role="alert"' in told["value"]


@pytest.mark.parametrize("prompt", ["", "   ", "\x00\x01"])
def test_an_empty_prompt_is_told_and_what_is_shown_stays(tab: Tab, prompt: str) -> None:
    ((status, *rest),) = run(tab, *tab.values(prompt=prompt))
    assert "empty" in status and 'role="alert"' in status
    assert rest == [gr.skip()] * 4


def test_a_run_can_be_stopped(tab: Tab) -> None:
    runs = Runs()
    running = tab.toggle.run(runs, *tab.values(prompt=PROMPT, max_new_tokens=40, seed=41))
    next(running)
    runs.stop()
    *_, last = running
    assert "Stopped" in last[0]
    assert 'data-state="done"' in last[1]


# --- a look inside a step -------------------------------------------------------------------------------------------


def test_a_step_shows_what_was_raised_and_lowered(tab: Tab) -> None:
    result = run(tab, adapters="shakespeare=1;fairy-tales=1")[-1][2]
    summary, plot, table = tab.toggle.look(result, 3, 2)
    assert "Token 2 of Fairy tales 100" in summary
    rows = table["value"]
    changes = [row[3] for row in rows]
    assert changes == sorted(changes, reverse=True)
    assert changes[0] > 0 > changes[-1]
    assert [row[5] for row in rows].count("came") == 1
    bars = plot["value"].data[0]
    assert max(bars.x) == pytest.approx(changes[0], abs=0.01)
    assert sum("came" in label for label, *_ in bars.customdata) == 1
    through_first, *_ = tab.toggle.look(result, 1, 1)
    assert "Token 1 of Base" in through_first and "Shakespeare" in through_first


@pytest.mark.parametrize(("column", "step"), [(0, 1), (9, 1), (2, 0), (2, None), (None, 1), ("x", 1)])
def test_a_step_that_is_not_there_is_not_looked_into(tab: Tab, column: Any, step: Any) -> None:
    result = run(tab, adapters="shakespeare=1")[-1][2]
    assert tab.toggle.look(result, column, step)[0] == CLICK_A_TOKEN
    assert tab.toggle.look(None, 1, 1)[0] == CLICK_A_TOKEN


def test_a_change_in_words() -> None:
    assert gain_text(math.log(12)) == "12 times as probable as under the base"
    assert gain_text(-math.log(3)) == "3 times less probable than under the base"
    assert gain_text(0.01) == gain_text(-0.01) == "about as probable as under the base"


# --- the visitor's own ----------------------------------------------------------------------------------------------


@pytest.fixture
def own(tab: Tab) -> tuple[tuple[str, str], ...]:
    """An adapter of the visitor's own in the engine, with a title that nobody would like to see run."""
    engine = tab.services.models.get(tab.services.models.default).engine
    engine.add_adapter("own-1", engine.adapter("shakespeare"))
    return (("own-1", PAYLOADS[0]), ("own-2", "of another model"))


def test_an_own_adapter_joins_the_switches_switched_on(tab: Tab, own: tuple[tuple[str, str], ...]) -> None:
    updates = tab.page._wear_own(own, *tab.values(adapters="fairy-tales=0.5"))
    absent, _, looked_into, *switches = updates
    assert absent["visible"] is False
    assert (PAYLOADS[0], "own-1") in looked_into["choices"]
    values = tab.sent(switches, tab.controls.switch_outputs)
    settings, _ = tab.controls.settings(*values)
    assert settings.adapters == "fairy-tales=0.5;own-1=1"
    _, board, *_ = run(tab, *values)[-1]
    assert badges(board)[-1] == f"{PAYLOADS[0]} 100 %"
    assert not Page(board).find("img")
    # It stays when others come, and is not switched on again when it was switched off.
    values = tab.values(offered=tab.controls.offers_of(values), adapters="")
    again = tab.page._wear_own(own, *values)
    assert tab.controls.settings(*tab.sent(again[3:], tab.controls.switch_outputs))[0].adapters == ""


def test_a_link_tells_nobody_of_an_own_adapter(tab: Tab, own: tuple[tuple[str, str], ...]) -> None:
    offered = (*offers_here(tab.services.models, tab.services.models.default), own[0])
    values = tab.values(offered=offered, adapters="shakespeare=1;own-1=1", adapter="own-1")
    assert "own" not in tab.page._query(*values)
    assert worn_too(AdaptSettings(adapters="a=1"), ["b"]).adapters == "a=1;b=1"


def test_an_own_adapter_that_has_gone_is_told(tab: Tab, own: tuple[tuple[str, str], ...]) -> None:
    offered = (*offers_here(tab.services.models, tab.services.models.default), own[0])
    result = run(tab, *tab.values(prompt=PROMPT, offered=offered, adapters="own-1=1"))[-1][2]
    engine = tab.services.models.get(tab.services.models.default).engine
    engine.remove_adapter("own-1")
    assert "not there any more" in tab.toggle.look(result, 2, 1)[0].replace("\\", "")
    adapters = "shakespeare=1;own-1=1;shakespeare=0.5+own-1=0.5"
    status, board, *_ = run(tab, *tab.values(prompt=PROMPT, seed=77, offered=offered, adapters=adapters))[-1]
    assert badges(board) == ["Base", "Shakespeare 100 %"]
    ((_, note),) = Page(status).find("li")  # once, and by its title
    assert note == GONE.format(title=PAYLOADS[0])
    assert "own-1" not in board


# --- links ----------------------------------------------------------------------------------------------------------


def restored(tab: Tab, **query: str) -> tuple[AdaptSettings, str, tuple[str, ...]]:
    """Return the settings that a link fills in, the tool that it runs, and notes."""
    updates = dict(zip(map(id, tab.page.page.outputs), tab.page._restore({"tab": "lora", **query}), strict=True))
    outputs = tab.controls.outputs
    values = tab.sent([updates[id(component)] for component in outputs], outputs)
    settings, _ = tab.controls.settings(*values)
    return settings, updates[id(tab.page._auto_run)], updates[id(tab.page._link_notes)]


def test_a_link_brings_back_what_it_was_made_from(tab: Tab) -> None:
    from urllib.parse import parse_qsl

    asked = {
        "prompt": "A & b", "seed": 9, "adapters": "fairy-tales=0.5;shakespeare=0.4+fairy-tales=0.6",
        "strategy": "greedy", "column": 2, "step": 3, "view": "inside", "layer": LAYER, "adapter": "fairy-tales",
        "calc_inputs": 10, "calc_outputs": 20, "calc_rank": 2,
    }  # fmt: skip
    values = tab.values(**asked)
    query = dict(parse_qsl(tab.page._query(*values)))
    assert "model" not in query
    settings, view, notes = restored(tab, **query)
    assert (view, notes) == ("inside", ())
    for name, value in asked.items():
        assert getattr(settings, name) == value, name


def test_a_bad_link_is_mended_with_notes(tab: Tab) -> None:
    settings, view, notes = restored(tab, adapters="nobody=1;shakespeare=nan", model="x/y", view="attic", step="1e9")
    assert settings.adapters == "shakespeare=1"
    assert view == "toggle"
    assert len(notes) == 5
    for part in ("'nobody'", "nan", "x/y", "attic", "step"):
        assert any(part in note for note in notes), part


def test_a_query_of_others_asks_for_nothing(tab: Tab) -> None:
    assert tab.page._restore({"__theme": "dark"}) == [gr.skip()] * len(tab.page.page.outputs)


def test_outfits_of_examples_can_be_shown() -> None:
    from tabs.lora.examples import EXAMPLES

    offered = (("shakespeare", ""), ("fairy-tales", ""), ("science-fiction", ""), ("jeeves", ""))
    for title, settings in EXAMPLES:
        assert unshown(settings, offered) == [], title
        assert outfits_from_text(settings.adapters)[1] == []
        assert len(settings.outfits) > 1


# --- escaping -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_board_escapes(tab: Tab, payload: str) -> None:
    from dataclasses import replace

    from tabs.lora.render.board import board

    result = run(tab, adapters="shakespeare=1")[-1][2]
    columns = tuple(replace(column, pieces=(payload,) * len(column.tokens)) for column in result.columns)
    settings = result.settings.model_copy(update={"prompt": payload})
    changed = replace(result, columns=columns, settings=settings, titles={"shakespeare": payload}, notes=(payload,))
    page = Page(board(changed))
    ((_, note),) = page.find("li")
    assert note == payload
    assert badges(board(changed)) == ["Base", f"{payload} 100 %"]
    texts = page.find("p", **{"class": "sd-text"})
    assert [text for _, text in texts] == [payload.rstrip(" \t") + payload * len(c.tokens) for c in columns]
