"""Compare: strategies side by side, and a look inside each of their steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.text.decoding import Comparison, DecodingSettings, View, compare, inspect
from lab.text.models import LanguageModel
from tabs.decoding import render
from tabs.decoding.controls import ALL_COLUMNS, NO_COLUMNS, Controls
from tabs.loading import run_with_model
from tabs.looking import Looking, StepPanel, looked_at
from tabs.made import Made, send_button
from tabs.page import PRIVATE, Services
from tabs.runs import Runs

CLICK_A_TOKEN = "Once a text is there, click one of its tokens, or choose one here, to see what else could have come."

LOOKING = Looking("sdLooked")


class ComparePanel:
    """The buttons, then (after the strategies' controls) the board of columns and the panel that looks into a step."""

    def __init__(self, services: Services) -> None:
        self._services = services
        with gr.Row(elem_classes="sd-actions"):
            self.run_button = gr.Button("Generate", variant="primary", min_width=130, scale=0)
            self.cancel_button = gr.Button("Cancel", min_width=90, scale=0)
            self.status = gr.HTML("", elem_classes="sd-status")

    def add_results(self) -> None:
        """Add the board and what stands below it."""
        gr.HTML(render.LEGEND)
        self.board = gr.HTML(render.empty_board(), js_on_load=LOOKING.board_js, elem_id="sd-decoding-board")
        self.result = gr.State(None)
        self.runs = gr.State(Runs())
        send_button(self._services, made_texts, [self.result])
        self.inside = StepPanel(
            LOOKING,
            DecodingSettings,
            "Look inside a step",
            CLICK_A_TOKEN,
            render.STEP_COLUMNS,
            ALL_COLUMNS,
            "sd-inside",
        )

    @property
    def run_inputs(self) -> list[Any]:
        """What a run takes."""
        return [self.runs, *self._controls.inputs]

    @property
    def run_outputs(self) -> list[Any]:
        """What a run sets."""
        return [self.status, self.board, self.result, self.inside.column, self.inside.step]

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, once all controls exist."""
        self._controls = controls
        running = self.run_button.click(self.run, self.run_inputs, self.run_outputs, trigger_mode="multiple", **PRIVATE)
        self.cancel_button.click(Runs.stop, self.runs, None, queue=False, **PRIVATE)
        self.inside.wire(self.board, self.result, self.look)
        self.inside.look_after(running)

    def run(self, runs: Runs, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Yield the board as it grows."""
        if not self._controls.has_columns(*values):
            yield [render.message(NO_COLUMNS, alert=True), *[gr.skip()] * (len(self.run_outputs) - 1)]
            return
        settings, more = self._controls.settings(*values, view=View.COMPARE)
        yield from runs.follow(self.run_settings(settings, [*notes, *more]), self._stopped)

    @staticmethod
    def _stopped(update: list[Any]) -> list[Any]:
        result = update[2]
        board = render.board(replace(result, done=True)) if isinstance(result, Comparison) else gr.skip()
        return [render.message("Stopped. What was written stays."), board, *update[2:]]

    def run_settings(self, settings: DecodingSettings, notes: list[str]) -> Iterator[list[Any]]:
        """Yield the board for settings; on bad input a message, and what is shown stays."""
        models = self._services.models
        outputs = len(self.run_outputs)
        yield from run_with_model(models, settings.model, lambda model: self._compare(model, settings, notes), outputs)

    @staticmethod
    def _compare(model: LanguageModel, settings: DecodingSettings, notes: list[str]) -> Iterator[list[Any]]:
        for n, result in enumerate(compare(model, settings)):
            controls = [gr.skip(), gr.skip()]
            if n == 0:  # and never later: by then the visitor may have chosen another
                controls = StepPanel.choices(settings, [one.strategy.label for one in result.columns])
            yield [render.run_status(result, notes), render.board(result), result, *controls]

    def look(self, result: Comparison | None, column: Any, step: Any) -> list[Any]:
        """Return summary, plot and table of a step; columns and steps count from 1."""
        found = looked_at(result.columns, column, step) if result else None
        if found is None:
            return self.inside.nothing()
        chosen, place = found
        ids = [token.id for token in chosen.tokens]
        try:
            model = self._services.models.get(result.settings.model or self._services.models.default)
            inspection = inspect(model, (*result.prompt_ids, *ids[:place]), chosen.strategy, ids[place])
        except VisitorError as error:
            return self.inside.nothing(render.plain_markdown(str(error)))
        title = render.step_label(chosen, place, [model.vocabulary.label(token) for token in ids])
        summary = f"**{render.plain_markdown(title)}** · {render.step_summary(inspection)}"
        return self.inside.shown(summary, render.step_plot(inspection), render.step_table(inspection))


def made_texts(result: Comparison | None) -> list[Made]:
    """Return what the columns have written, for the map of the Embeddings tab."""
    columns = result.columns if result else ()
    return [Made("Decoding", column.strategy.label, column.text) for column in columns]
