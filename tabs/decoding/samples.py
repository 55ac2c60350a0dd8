"""Many samples: quality against diversity over a range of temperatures, or of another number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from lab.text.decoding import DecodingSettings, View
from lab.text.models import LanguageModel
from lab.text.strategies import SAMPLERS, TITLES
from lab.text.sweep import USUAL_RANGES, sweep
from tabs.controls import slider
from tabs.decoding import render
from tabs.decoding.controls import Controls
from tabs.loading import run_with_model
from tabs.page import PRIVATE, Services
from tabs.runs import Runs


class SamplesPanel:
    """A sweep's plot, its table, and the samples to read."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.controls = self._add_controls()
        with gr.Row(elem_classes="sd-actions"):
            self.run_button = gr.Button("Draw samples", variant="primary", min_width=140, scale=0)
            self.cancel_button = gr.Button("Cancel", min_width=90, scale=0)
            self.status = gr.HTML("", elem_classes="sd-status")
        self.empty = gr.HTML(render.empty_board("Press Draw samples: every setting writes several texts, all at once."))
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
            column_widths=["150px", "60px", "140px", "620px"],
        )

    @staticmethod
    def _add_controls() -> dict[str, Any]:
        gr.Markdown(
            "Many texts per setting: how probable are they, and how different from each other? No setting has both. "
            "Probable is not the same as good, though: far up stand the texts that go in circles."
        )
        controls: dict[str, Any] = {}
        with gr.Row():
            controls["vary"] = gr.Dropdown(
                [(TITLES[kind], str(kind)) for kind in TITLES if kind in SAMPLERS],
                value=str(DecodingSettings.default("vary")),
                label="Vary the number of",
                min_width=150,
            )
            controls["vary_from"] = gr.Number(DecodingSettings.default("vary_from"), label="from", min_width=90)
            controls["vary_to"] = gr.Number(DecodingSettings.default("vary_to"), label="to", min_width=90)
            controls["vary_points"] = slider(DecodingSettings, "vary_points", "Settings", min_width=130)
            controls["samples"] = slider(DecodingSettings, "samples", "Samples each", min_width=130)
        # "input", not "change": a link that sets what is varied sets the range beside it.
        ends = [controls["vary_from"], controls["vary_to"]]
        controls["vary"].input(usual_range, controls["vary"], ends, trigger_mode="always_last", queue=False, **PRIVATE)
        return controls

    @property
    def inputs(self) -> list[Any]:
        """What a run takes."""
        return [self.runs, *self._controls.inputs]

    @property
    def outputs(self) -> list[Any]:
        """What a run sets."""
        return [self.status, self.empty, self.plot, self.points, self.samples]

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, once all controls exist."""
        self._controls = controls
        self.run_button.click(self.run, self.inputs, self.outputs, trigger_mode="multiple", **PRIVATE)
        self.cancel_button.click(Runs.stop, self.runs, None, queue=False, **PRIVATE)

    def run(self, runs: Runs, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Yield the settings as they finish."""
        settings, more = self._controls.settings(*values, view=View.SAMPLES)
        updates = self.run_settings(settings, [*notes, *more])
        yield from runs.follow(updates, lambda update: [render.message("Stopped. What was drawn stays."), *update[1:]])

    def run_settings(self, settings: DecodingSettings, notes: Sequence[str]) -> Iterator[list[Any]]:
        """Yield the sweep for settings; on bad input a message, and what is shown stays."""
        models = self._services.models
        outputs = len(self.outputs)
        yield from run_with_model(models, settings.model, lambda model: self._sweep(model, settings, notes), outputs)

    @staticmethod
    def _sweep(model: LanguageModel, settings: DecodingSettings, notes: Sequence[str]) -> Iterator[list[Any]]:
        shown = 0
        for result in sweep(model, settings):
            status = render.progress(result.share_done, [*notes, *result.notes])
            if len(result.points) == shown:
                yield [status, *[gr.skip()] * 4]
                continue
            shown = len(result.points)
            yield [
                status,
                gr.update(visible=False),
                gr.update(value=render.sweep_plot(result), visible=True),
                gr.update(value=render.sweep_table(result), visible=True),
                gr.update(value=render.sweep_samples(result), visible=True),
            ]


def usual_range(vary: str) -> list[Any]:
    """Return the ends of the range over which a number is usually varied."""
    return list(USUAL_RANGES.get(vary, [gr.skip(), gr.skip()]))
