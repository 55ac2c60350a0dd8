"""Beam search drawn as a tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from lab.text.decoding import DecodingSettings
from lab.text.models import LanguageModel
from lab.text.tree import grow
from tabs.decoding import render
from tabs.decoding.controls import Controls
from tabs.loading import run_with_model
from tabs.page import PRIVATE, Services


class BeamsPanel:
    """The tree of what was weighed, and the same as a table."""

    def __init__(self, services: Services) -> None:
        self._services = services
        with gr.Row(elem_classes="sd-actions"):
            self.run_button = gr.Button("Grow the tree", variant="primary", min_width=140, scale=0)
            self.status = gr.HTML("", elem_classes="sd-status")
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

    @property
    def outputs(self) -> list[Any]:
        """What a run sets."""
        return [self.status, self.plot, self.table]

    def wire(self, controls: Controls) -> None:
        """Connect the button, once all controls exist."""
        self._controls = controls
        self.run_button.click(self.run, controls.inputs, self.outputs, **PRIVATE)

    def run(self, *values: Any) -> Iterator[list[Any]]:
        """Yield the tree."""
        yield from self.run_settings(self._controls.settings(*values)[0])

    def run_settings(self, settings: DecodingSettings) -> Iterator[list[Any]]:
        """Yield the tree for settings; on bad input a message, and what is shown stays."""
        models = self._services.models
        yield from run_with_model(models, settings.model, lambda model: self._grow(model, settings), len(self.outputs))

    @staticmethod
    def _grow(model: LanguageModel, settings: DecodingSettings) -> Iterator[list[Any]]:
        tree = grow(model, settings)
        yield [
            render.message(render.tree_summary(tree)) + render.notes_html(tree.notes),
            gr.update(value=render.tree_plot(tree), visible=True),
            gr.update(value=render.tree_table(tree), visible=True),
        ]
