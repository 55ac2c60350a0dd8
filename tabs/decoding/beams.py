"""Beam search drawn as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from lab.text.decoding import DecodingSettings, View
from lab.text.models import LanguageModel
from lab.text.tree import grow
from tabs.controls import slider
from tabs.decoding import render
from tabs.decoding.controls import Controls
from tabs.loading import run_with_model
from tabs.page import PRIVATE, Services
from tabs.runs import Runs

PENALTY = (
    "An ended text counts as its summed log-probability / length^length_penalty: 0 compares the sums, 1 the means; the "
    "larger it is, the better for long texts."
)


class BeamsPanel:
    """The tree of what was weighed, and the same as a table."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.controls = self._add_controls()
        with gr.Row(elem_classes="sd-actions"):
            self.run_button = gr.Button("Grow the tree", variant="primary", min_width=140, scale=0)
            self.status = gr.HTML("", elem_classes="sd-status")
        self.empty = gr.HTML(
            render.empty_board("Press Grow the tree: all that beam search weighs at each step is drawn.")
        )
        self.plot = gr.Plot(label="What was weighed at each step", show_label=False, visible=False)
        self.table = gr.Dataframe(
            headers=render.TREE_COLUMNS,
            label="The same as a table",
            visible=False,
            interactive=False,
            max_height=420,
            wrap=True,
            show_search="none",
        )
        self._runs = gr.State(Runs())

    @staticmethod
    def _add_controls() -> dict[str, Any]:
        gr.Markdown(
            "Beam search follows several continuations at once. At each step every beam is extended, and the best stay."
        )
        with gr.Row():
            return {
                "num_beams": slider(DecodingSettings, "num_beams", "num_beams", min_width=130),
                "beam_steps": slider(DecodingSettings, "beam_steps", "Steps", min_width=130),
                "length_penalty": slider(
                    DecodingSettings, "length_penalty", "length_penalty", min_width=130, info=PENALTY
                ),
            }

    @property
    def outputs(self) -> list[Any]:
        """What a run sets."""
        return [self.status, self.empty, self.plot, self.table]

    def wire(self, controls: Controls) -> None:
        """Connect the button, once all controls exist."""
        self._controls = controls
        self.inputs = [*controls.inputs, self._runs]
        self.run_button.click(self.run, self.inputs, self.outputs, trigger_mode="multiple", **PRIVATE)

    def run(self, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Yield the tree; on bad input a message, and what is shown stays."""
        *values, runs = values
        settings, more = self._controls.settings(*values, view=View.BEAMS)
        models, every = self._services.models, [*notes, *more]
        outputs = len(self.outputs)
        growing = run_with_model(models, settings.model, lambda model: self._grow(model, settings, every), outputs)
        yield from runs.follow(growing)

    @staticmethod
    def _grow(model: LanguageModel, settings: DecodingSettings, notes: Sequence[str]) -> Iterator[list[Any]]:
        tree = grow(model, settings)
        yield [
            render.message(render.tree_summary(tree)) + render.notes_html([*notes, *tree.notes]),
            gr.update(visible=False),
            gr.update(value=render.tree_plot(tree), visible=True),
            gr.update(value=render.tree_table(tree), visible=True),
        ]
