"""Texts sent to the map: kept once, bounded, and only where there is a map."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr

from lab.preferences.store import Store
from lab.text.models import Models
from tabs.decoding.compare import made_texts
from tabs.made import MAX_MADE, MAX_TEXT, Made, added, send_button, to_text
from tabs.page import Services


def test_the_newest_stay_each_once() -> None:
    old = tuple(Made("s", "t", str(n)) for n in range(MAX_MADE))
    kept = added(old, [Made("s", "t", "5"), Made("s", "t", " new ")])
    assert len(kept) == MAX_MADE
    assert kept[-1].text == "new"
    assert kept[0].text == "1"
    assert len(added((), [Made("s", "t", "x" * 9000)])[0].text) == MAX_TEXT
    assert to_text(()) == ""


def test_the_button_sends_texts_and_tells() -> None:
    with gr.Blocks(analytics_enabled=False) as blocks:
        services = Services(Models(), store=Store(None), made=gr.State(()))
        box = gr.Textbox()
        button = send_button(services, lambda text: [Made("Tab", "by hand", text)], [box])
    assert isinstance(button, gr.Button)
    (send,) = (fn for fn in blocks.fns.values())
    assert send.api_visibility == "private"
    kept, told = send.fn((), "a text")
    assert kept == (Made("Tab", "by hand", "a text"),)
    assert "1 sent" in told
    kept, told = send.fn(kept, " ")
    assert kept == gr.skip()
    assert "no text to send" in told


def test_without_a_map_there_is_no_button() -> None:
    with gr.Blocks(analytics_enabled=False) as blocks:
        assert send_button(Services(Models(), store=Store(None)), lambda: [], []) is None
    assert not blocks.fns


def test_columns_of_the_decoding_tab_as_texts() -> None:
    assert made_texts(None) == []
    column = SimpleNamespace(strategy=SimpleNamespace(label="Top-p 0.9"), text=" and so on")
    assert made_texts(SimpleNamespace(columns=[column])) == [Made("Decoding", "Top-p 0.9", " and so on")]  # type: ignore[arg-type]
