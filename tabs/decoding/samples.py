"""Many samples: quality against diversity over a range of temperatures, or of another number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from lab.text.decoding import DecodingSettings
from lab.text.models import LanguageModel
from lab.text.sweep import sweep
from tabs.decoding import render
from tabs.decoding.controls import Controls
from tabs.loading import run_with_model
from tabs.page import PRIVATE, Services
from tabs.runs import Runs


class SamplesPanel:
    """A sweep's plot, its table, and the samples to read."""

    def __init__(self, services: Services) -> None:
        self._services = services
        with gr.Row(elem_classes="sd-actions"):
            self.run_button = gr.Button("Draw samples", variant="primary", min_width=140, scale=0)
            self.cancel_button = gr.Button("Cancel", min_width=90, scale=0)
            self.status = gr.HTML("", elem_classes="sd-status")
        self.runs = gr.State(Runs())
        self.plot = gr.Plot(label="Quality against diversity", show_label=False, visible=False)
        self.points = gr.Dataframe(
            headers=render.POINT_COLUMNS, label="Settings", visible=False, interactive=False, show_search="none"
        )
        self.samples = gr.Dataframe(
            headers=render.SAMPLE_COLUMNS,
            label="Samples",
            visible=False,
            interactive=False,
            wrap=True,
            max_height=480,
            column_widths=["17%", "7%", "14%", "62%"],
        )

    @property
    def inputs(self) -> list[Any]:
        """What a run takes."""
        return [self.runs, *self._controls.inputs]

    @property
    def outputs(self) -> list[Any]:
        """What a run sets."""
        return [self.status, self.plot, self.points, self.samples]

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, once all controls exist."""
        self._controls = controls
        self.run_button.click(self.run, self.inputs, self.outputs, trigger_mode="multiple", **PRIVATE)
        self.cancel_button.click(Runs.stop, self.runs, None, queue=False, **PRIVATE)

    def run(self, runs: Runs, *values: Any) -> Iterator[list[Any]]:
        """Yield the settings as they finish."""
        updates = self.run_settings(self._controls.settings(*values)[0])
        yield from runs.follow(updates, lambda update: [render.message("Stopped. What was drawn stays."), *update[1:]])

    def run_settings(self, settings: DecodingSettings) -> Iterator[list[Any]]:
        """Yield the sweep for settings; on bad input a message, and what is shown stays."""
        models = self._services.models
        yield from run_with_model(models, settings.model, lambda model: self._sweep(model, settings), len(self.outputs))

    @staticmethod
    def _sweep(model: LanguageModel, settings: DecodingSettings) -> Iterator[list[Any]]:
        shown = 0
        for result in sweep(model, settings):
            status = render.progress(result.share_done, result.notes)
            if len(result.points) == shown:
                yield [status, *[gr.skip()] * 3]
                continue
            shown = len(result.points)
            yield [
                status,
                gr.update(value=render.sweep_plot(result), visible=True),
                gr.update(value=render.sweep_table(result), visible=True),
                gr.update(value=render.sweep_samples(result), visible=True),
            ]
