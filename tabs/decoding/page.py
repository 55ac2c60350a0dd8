"""The layout of the Decoding tab, and how its parts hang together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gradio as gr

from lab.text.decoding import DecodingSettings, View
from tabs.asking import add_asking, add_examples, choose_model, with_model_here
from tabs.decoding.api import add_api
from tabs.decoding.beams import BeamsPanel
from tabs.decoding.compare import ComparePanel
from tabs.decoding.controls import Controls, Slot, add_slot, wire_slots
from tabs.decoding.examples import EXAMPLES, warm_examples
from tabs.decoding.sampler import SamplerPanel, own_picks, text_of
from tabs.decoding.samples import SamplesPanel
from tabs.page import PRIVATE, Page, Services, link_controls, only_if
from tabs.sources import add_sources

INTRODUCTION = """
<div class="sd-why">
<p><b class="sd-frozen">Frozen</b> All of the model. Not one weight moves.</p>
<p><b class="sd-changed">Changed</b> Only the rule that picks each next token from the model's probabilities.</p>
<p><b>Why</b> The model offers a probability for every token; a text comes about only by choosing. Always taking the
likeliest token gets stuck in loops, drawing blindly derails: strategies are the ways between.</p>
</div>
"""

VIEW_TITLES = {
    View.COMPARE: "Compare",
    View.SAMPLER: "You are the sampler",
    View.SAMPLES: "Many samples",
    View.BEAMS: "Beam search as a tree",
}

SOURCE_WORDS = (
    "Read from the files, so it cannot differ from what runs. One of transformers' own seldom runs here: `cut_top_p` "
    "does what `TopPLogitsWarper` does, to the last bit, in a tenth of the time."
)
SOURCES = {
    "One step for all rows: choose": ("lab.text.choosing", "choose"),
    "A strategy's chain: warp": ("lab.text.choosing", "warp"),
    "Which warpers make the chain: truncation": ("lab.text.strategies", "truncation"),
    "What cuts for top-p: cut_top_p": ("lab.text.choosing", "cut_top_p"),
    "The dice: roll": ("lab.text.choosing", "roll"),
    "What the dice choose: draw": ("lab.text.choosing", "draw"),
    "A step of beam search: advance": ("lab.text.beam", "BeamSearch.advance"),
    "transformers: TopKLogitsWarper": None,
    "transformers: TopPLogitsWarper": None,
    "transformers: MinPLogitsWarper": None,
    "transformers: TypicalLogitsWarper": None,
    "transformers: RepetitionPenaltyLogitsProcessor": None,
}


def build(services: Services) -> Page:
    """Build the tab inside the Blocks under construction."""
    return _DecodingPage(services).page


class _DecodingPage:
    def __init__(self, services: Services) -> None:
        self._services = services
        gr.HTML(INTRODUCTION)
        simple, self._model_status = add_asking(DecodingSettings, services.models, "sd-prompt")
        self._example_buttons = add_examples(EXAMPLES)
        view = gr.State(View.COMPARE.value)
        simple["view"] = view
        with gr.Tabs(elem_id="sd-decoding-tools", overflow_behavior="wrap") as self._tools:
            with gr.Tab(VIEW_TITLES[View.COMPARE], id=View.COMPARE.value) as compare_tab:
                self._compare = ComparePanel(services)
                slots = self._slots()
                self._compare.add_results()
            with gr.Tab(VIEW_TITLES[View.SAMPLER], id=View.SAMPLER.value) as sampler_tab:
                self._sampler = SamplerPanel(services)
                simple["picks"] = self._sampler.picks
            with gr.Tab(VIEW_TITLES[View.SAMPLES], id=View.SAMPLES.value) as samples_tab:
                self._samples = SamplesPanel(services)
                simple |= self._samples.controls
            with gr.Tab(VIEW_TITLES[View.BEAMS], id=View.BEAMS.value) as beams_tab:
                self._beams = BeamsPanel(services)
                simple |= self._beams.controls
        simple["column"], simple["step"] = self._compare.inside.column, self._compare.inside.step
        self._controls = Controls(simple, slots)
        for panel in (self._compare, self._sampler, self._samples, self._beams):
            panel.wire(self._controls)
        with gr.Row(elem_classes="sd-actions"):
            link_controls("decoding", self._query, [self._sampler.picked_for, *self._controls.inputs])
        add_sources(SOURCES, SOURCE_WORDS)
        add_api(services)
        services.warm_ups.append(lambda: warm_examples(services.models.get(services.models.default)))

        for tab, name in (
            (compare_tab, View.COMPARE),
            (sampler_tab, View.SAMPLER),
            (samples_tab, View.SAMPLES),
            (beams_tab, View.BEAMS),
        ):
            tab.select(lambda name=name: name.value, None, view, queue=False, **PRIVATE)
        self._wire_examples()
        model = simple["model"]
        model.input(self._choose_model, model, [model, self._model_status], trigger_mode="always_last", **PRIVATE)
        self._auto_run = gr.State("")
        self._link_notes = gr.State([])
        restored = [*self._controls.outputs, self._sampler.picked_for, self._tools, self._auto_run, self._link_notes]
        self.page = Page(restored, self._restore, self._after_restore)

    @staticmethod
    def _slots() -> list[Slot]:
        strategies = DecodingSettings().strategies
        with gr.Accordion("Strategies, one per column", open=True), gr.Row(elem_classes="sd-slots"):
            slots = [
                add_slot(n + 1, strategies[n] if n < len(strategies) else None)
                for n in range(DecodingSettings.bounds("column").maximum)
            ]
            add = gr.Button("+ column", size="sm", min_width=90, scale=0, elem_classes="sd-add")
        wire_slots(slots, add)
        return slots

    def _query(self, picked_for: object, *values: Any) -> str:
        settings = own_picks(picked_for, self._controls.settings(*values)[0])
        if settings.model == self._services.models.default:
            settings = settings.model_copy(update={"model": ""})
        return settings.to_query()

    def _wire_examples(self) -> None:
        picks = list(self._controls.simple).index("picks")
        for button, settings in self._example_buttons:

            def fill(settings: DecodingSettings = settings) -> list[Any]:
                updates = self._controls.updates(settings, self._services.models.default)
                updates[picks] = gr.skip()  # a text built by hand stays, with the prompt that it continues
                return [*updates, gr.Tabs(selected="compare"), gr.update(visible=False)]

            outputs = [*self._controls.outputs, self._tools, self._model_status]
            filled = button.click(fill, None, outputs, queue=False, **PRIVATE)
            self._compare.inside.mark_after(filled)
            self._compare.inside.look_after(
                filled.then(self._compare.run, self._compare.run_inputs, self._compare.run_outputs, **PRIVATE)
            )

    def _choose_model(self, name: str) -> Iterator[list[Any]]:
        """Load a model when it is chosen, so that a visitor learns at once whether it can be had."""
        yield from choose_model(self._services.models, name)

    def _restore(self, query: Mapping[str, str]) -> Sequence[Any]:
        # A query of others' making, such as ?__theme=dark, asks for nothing.
        if "tab" not in query and not DecodingSettings.names_any(query):
            return [gr.skip()] * len(self.page.outputs)
        settings, _ = DecodingSettings.lenient(query)
        notes = DecodingSettings.notes_for(settings.view, query)
        settings, more = with_model_here(settings, self._services.models)
        notes += more
        updates = self._controls.updates(settings, self._services.models.default)
        return [*updates, text_of(settings), gr.Tabs(selected=settings.view.value), settings.view.value, notes]

    def _after_restore(self, restored: Any) -> None:
        """After a link has filled the controls, run what it asks for."""
        compare, samples = self._compare, self._samples
        compare.inside.mark_after(restored)
        tools = (
            (View.COMPARE, compare.run, compare.run_inputs, compare.run_outputs),
            (View.SAMPLER, self._sampler.resume, self._sampler.inputs, self._sampler.outputs),
            (View.SAMPLES, samples.run, samples.inputs, samples.outputs),
            (View.BEAMS, self._beams.run, self._beams.inputs, self._beams.outputs),
        )
        for view, run, inputs, outputs in tools:
            inputs = [self._auto_run, self._link_notes, *inputs]
            started = restored.then(only_if(view, run, len(outputs)), inputs, outputs, **PRIVATE)
            if view is View.COMPARE:
                compare.inside.look_after(started)
