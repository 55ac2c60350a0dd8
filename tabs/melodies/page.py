"""The layout of the melodies tab, and how its parts hang together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.music.composing import MelodySettings, View, compose
from tabs.asking import add_examples
from tabs.melodies.api import add_api
from tabs.melodies.blind import BlindPanel
from tabs.melodies.cards import piece_card
from tabs.melodies.compare import ComparePanel
from tabs.melodies.controls import Controls, add_composing, add_manner, manner_of
from tabs.melodies.examples import EXAMPLES
from tabs.melodies.inside import InsidePanel
from tabs.melodies.morph import MorphPanel
from tabs.melodies.openings import Openings
from tabs.melodies.render.figures import measure_table
from tabs.page import PRIVATE, Page, Services, link_controls, only_if
from tabs.sources import add_sources

log = logging.getLogger(__name__)

INTRODUCTION = """
<div class="sd-why">
<p><b class="sd-frozen">Frozen</b> With LoRA, all of a small transformer that has read 5,000 German folk songs.</p>
<p><b class="sd-changed">Changed</b> A little beside it, learnt in about a minute from 240 chorale melodies as Bach
set them: or its last block, or all of it.</p>
<p><b>Why</b> 240 melodies are too few to learn music from. They are enough to learn what is different about Bach, if
what a tune is was learnt before. (Most of these tunes are hymns older than Bach. What is his is above all the harmony,
which is left out here: “Bach” stands for the melodies of his chorales.)</p>
</div>
"""

VIEW_TITLES = {
    View.COMPARE: "Compare",
    View.MORPH: "Morph",
    View.BLIND: "Blind test",
    View.INSIDE: "What is frozen",
}

SOURCES = {
    "Melodies as tokens: write_notes": ("lab.music.tokens", "write_notes"),
    "Which tokens keep bars complete: State.allowed": ("lab.music.grammar", "State.allowed"),
    "Which notes would copy a tune: Pursuit.forbidden": ("lab.music.originality", "Pursuit.forbidden"),
    "LoRA for every row of a batch: Mix": ("lab.lora", "Mix"),
    "LoRA as a layer: LoRALinear": ("lab.lora", "LoRALinear"),
    "One step for all rows: choose": ("lab.text.choosing", "choose"),
}

CREDITS = """
The folk songs are from the **Essen folksong collection** (H. Schaffrath and others), the chorales from the scores of
Bach's works; both come with the music21 package. The legal status of the Essen collection is unclear; its keeper has
allowed non-commercial distribution and use. So this tab's models and note data are for non-commercial use.
"""


def build(services: Services) -> Page:
    """Build the tab inside the Blocks under construction."""
    return _MelodiesPage(services).page


def warm(services: Services) -> None:
    """Do once what is slow only the first time: loading models, measuring the collections, starting the engraver."""
    try:
        for _, settings in EXAMPLES:
            for piece in compose(services.voices, settings):
                piece_card(piece, manner_of(settings), "c")
        measure_table(())
    except VisitorError as error:
        log.warning("the melodies tab is not warm: %s", error)


class _MelodiesPage:
    def __init__(self, services: Services) -> None:
        self._services = services
        gr.HTML(INTRODUCTION)
        view = gr.State(View.COMPARE.value)
        openings = Openings()
        components: dict[str, Any] = {"view": view, "opening": openings.text} | add_composing()
        with gr.Accordion("Instrument, tempo, key", open=False):
            components |= add_manner()
        openings.wire(components["meter"], components["mode"])
        self._example_buttons = add_examples(EXAMPLES)
        with gr.Tabs(elem_id="sd-melody-tools", overflow_behavior="wrap") as self._tools:
            with gr.Tab(VIEW_TITLES[View.COMPARE], id=View.COMPARE.value) as compare_tab:
                self._compare = ComparePanel(services)
            with gr.Tab(VIEW_TITLES[View.MORPH], id=View.MORPH.value) as morph_tab:
                self._morph = MorphPanel(services)
                components["strength"] = self._morph.strength
            with gr.Tab(VIEW_TITLES[View.BLIND], id=View.BLIND.value) as blind_tab:
                self._blind = BlindPanel(services)
            with gr.Tab(VIEW_TITLES[View.INSIDE], id=View.INSIDE.value) as inside_tab:
                self._inside = InsidePanel()
                components["method"] = self._inside.method
        self._controls = Controls(components)
        for panel in (self._compare, self._morph):
            panel.wire(self._controls)
        self._blind.wire()
        self._inside.wire()
        with gr.Row(elem_classes="sd-actions"):
            link_controls("melodies", self._query, self._controls.all)
        add_sources(SOURCES)
        gr.Markdown(CREDITS, elem_classes="sd-credits")
        add_api(services)
        services.warm_ups.append(lambda: warm(services))
        tabs = {View.COMPARE: compare_tab, View.MORPH: morph_tab, View.BLIND: blind_tab, View.INSIDE: inside_tab}
        for name, tab in tabs.items():
            tab.select(lambda name=name: name.value, None, view, queue=False, **PRIVATE)
        self._wire_examples()
        self._auto_run, self._link_notes = gr.State(""), gr.State(())
        outputs = [*self._controls.all, self._tools, self._auto_run, self._link_notes]
        self.page = Page(outputs, self._restore, self._after_restore)

    def _query(self, *values: Any) -> str:
        return self._controls.settings(*values)[0].to_query()

    def _wire_examples(self) -> None:
        panels = {View.COMPARE: self._compare, View.MORPH: self._morph}
        for button, settings in self._example_buttons:

            def fill(settings: MelodySettings = settings) -> list[Any]:
                return [*self._controls.updates(settings), gr.Tabs(selected=settings.view.value)]

            filled = button.click(fill, None, [*self._controls.all, self._tools], queue=False, **PRIVATE)
            panel = panels[settings.view]
            filled.then(panel.run, panel.inputs, panel.outputs, **PRIVATE)

    def _restore(self, query: Mapping[str, str]) -> Sequence[Any]:
        if "tab" not in query and not MelodySettings.names_any(query):  # such as ?__theme=dark
            return [gr.skip()] * (len(self._controls.all) + 3)
        settings, notes = MelodySettings.lenient(query)
        view = settings.view.value
        return [*self._controls.updates(settings), gr.Tabs(selected=view), view, tuple(notes)]

    def _after_restore(self, restored: Any) -> None:
        """After a link has filled the controls, run what it asks for."""
        panels = {View.COMPARE: self._compare, View.MORPH: self._morph, View.INSIDE: self._inside}
        for view, panel in panels.items():
            run = only_if(view, panel.run, len(panel.outputs))
            restored.then(run, [self._auto_run, self._link_notes, *panel.inputs], panel.outputs, **PRIVATE)
