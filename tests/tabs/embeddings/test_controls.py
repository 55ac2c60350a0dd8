"""The controls show what the settings say, the settings say what the controls show, and a link says it all."""

from __future__ import annotations

from urllib.parse import parse_qsl

import gradio as gr

from lab.embeddings import BUILT_IN
from lab.embeddings.settings import EmbeddingSettings, Method, View
from tabs.made import Made, from_text, to_text
from tests.tabs.embeddings.conftest import Tab

OWN = "bandoneon, Instruments\n“ü” & <b>, x\n猫, Animals"
MADE = (Made("Decoding", "greedy", "He said: “no”, and left."), Made("LoRA", "shakespeare", "What, ho!"))
FULL = EmbeddingSettings(
    view=View.MADE,
    method=Method.PCA,
    dimensions=3,
    lists="instruments,weather",
    own=OWN,
    word="key",
    sentences="The key is lost.",
    first="a",
    second="b",
    query="q",
    layer=1,
    tune=3,
    made=to_text(MADE),
)


def test_every_setting_has_a_control(tab: Tab) -> None:
    assert set(tab.page._controls.components) == set(EmbeddingSettings.model_fields)


def test_an_untouched_page_shows_the_defaults(tab: Tab) -> None:
    shown = [component.value for component in tab.page._controls.all]
    assert tab.page._controls.settings(*shown) == (EmbeddingSettings(), [])
    model = tab.page._controls.components["model"]
    assert model.value == BUILT_IN
    assert len(model.choices) >= 2


def test_settings_come_back_from_the_controls_and_from_a_link(tab: Tab) -> None:
    for settings in (FULL, EmbeddingSettings(), EmbeddingSettings(lists="none", view=View.AXIS)):
        values = tab.values(**settings.model_dump())
        assert tab.page._controls.settings(*values) == (settings, [])
        query = dict(parse_qsl(tab.page._query(*values), keep_blank_values=True))
        assert EmbeddingSettings.lenient(query) == (settings, [])


def test_a_link_fills_the_page_and_the_visitors_made_texts(tab: Tab) -> None:
    query = dict(parse_qsl("tab=embeddings&" + FULL.to_query()))
    *values, tools, run, told = tab.page._restore(query)
    shown = dict(zip(tab.page._controls.components, values, strict=True))
    assert shown["made"] == MADE
    assert shown["own"] == OWN
    assert (run, told) == ("made", ())
    assert isinstance(tools, gr.Tabs)
    assert len(tab.page.page.outputs) == len(values) + 3


def test_without_a_link_nothing_changes_and_a_link_without_texts_takes_none_away(tab: Tab) -> None:
    assert tab.page._restore({}) == [gr.skip()] * len(tab.page.page.outputs)
    place = list(tab.page._controls.components).index("made")
    assert tab.page._restore({"tab": "embeddings", "word": "key"})[place] == gr.skip()


def test_a_link_with_nonsense_gives_notes(tab: Tab) -> None:
    query = {"dimensions": "7", "lists": "nope", "made": "{", "word": "kazoo", "axis_list": "x", "layer": "12"}
    *values, _, _, told = tab.page._restore({"tab": "embeddings", "model": "../etc", "tune": "9999"} | query)
    wrong = {"dimensions", "lists", "word", "axis_list", "layer", "model", "tune"}
    assert {note.partition(":")[0] for note in told} == wrong
    for component, value in zip(tab.page._controls.all, values, strict=True):
        if not isinstance(component, gr.State):
            component.preprocess(value)  # what is not among the choices would make Gradio put up an error
    assert from_text("{") == ()
    assert from_text('[["a","b"],["a","b",3],["a","b"," "],["a","b","c"]]') == (Made("a", "b", "c"),)
    assert from_text("[" * 100_000) == ()
