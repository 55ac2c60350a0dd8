"""Compare: strategies side by side, and a look inside each of their steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.text.decoding import Comparison, DecodingSettings, View, compare, inspect
from lab.text.models import LanguageModel
from tabs.controls import slider
from tabs.decoding import render
from tabs.decoding.controls import ALL_COLUMNS, NO_COLUMNS, Controls
from tabs.loading import run_with_model
from tabs.looking import Looking
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
        with gr.Accordion("Look inside a step", open=True, elem_id="sd-inside"):
            with gr.Row():
                self.column = gr.Dropdown(ALL_COLUMNS, value=1, label="Column", min_width=180)
                self.step = slider(DecodingSettings, "step", "Token (0: none)", min_width=180)
            self.summary = gr.Markdown(CLICK_A_TOKEN, sanitize_html=True)
            with gr.Row():
                self.plot = gr.Plot(label="Distribution", show_label=False, visible=False, min_width=320)
                self.table = gr.Dataframe(
                    headers=render.STEP_COLUMNS,
                    label="The same as a table",
                    visible=False,
                    max_height=540,
                    interactive=False,
                    min_width=320,
                    show_search="none",
                )

    @property
    def run_inputs(self) -> list[Any]:
        """What a run takes."""
        return [self.runs, *self._controls.inputs]

    @property
    def run_outputs(self) -> list[Any]:
        """What a run sets."""
        return [self.status, self.board, self.result, self.column, self.step]

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, once all controls exist."""
        self._controls = controls
        running = self.run_button.click(self.run, self.run_inputs, self.run_outputs, trigger_mode="multiple", **PRIVATE)
        self.cancel_button.click(Runs.stop, self.runs, None, queue=False, **PRIVATE)
        self.mark = {"fn": None, "inputs": [self.column, self.step], "outputs": None, "js": LOOKING.mark_js, **PRIVATE}
        look = {"fn": self.look, "inputs": [self.result, self.column, self.step], **PRIVATE}
        self._look = look | {"outputs": [self.summary, self.plot, self.table]}
        # What was marked is read from the page when its turn comes: Gradio repeats an event that had to wait with the
        # data of the event for which it waited.
        self.board.pick(None, None, [self.column, self.step], js=LOOKING.marked_js, **PRIVATE)
        self.board.pick(**self._look, trigger_mode="always_last")
        for control in (self.column, self.step):
            control.input(**self.mark)
            control.input(**self._look, trigger_mode="always_last")  # "release" would not come from the keyboard
        self.look_after(running)

    def look_after(self, run: gr.events.Dependency) -> None:
        """Let the look inside follow on a run."""
        run.then(**self.mark)
        run.then(**self._look)

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
            column = step = gr.skip()
            if n == 0:  # and never later: by then the visitor may have chosen another
                column = gr.update(choices=_column_choices(result), value=min(settings.column, len(result.columns)))
                steps = settings.max_new_tokens
                step = gr.update(maximum=steps, value=min(settings.step, steps))
            yield [render.run_status(result, notes), render.board(result), result, column, step]

    def look(self, result: Comparison | None, column: Any, step: Any) -> list[Any]:
        """Return summary, plot and table of a step; columns and steps count from 1."""
        hidden = [gr.update(visible=False), gr.update(visible=False)]
        if result is None:
            return [CLICK_A_TOKEN, *hidden]
        if not isinstance(column, int) or not 1 <= column <= len(result.columns) or not step or step < 1:
            return [CLICK_A_TOKEN, *hidden]
        chosen = result.columns[column - 1]
        if not chosen.tokens:
            return [CLICK_A_TOKEN, *hidden]
        place = min(int(step), len(chosen.tokens)) - 1
        ids = [token.id for token in chosen.tokens]
        try:
            model = self._services.models.get(result.settings.model or self._services.models.default)
            inspection = inspect(model, (*result.prompt_ids, *ids[:place]), chosen.strategy, ids[place])
        except VisitorError as error:
            return [render.plain_markdown(str(error)), *hidden]
        title = render.step_label(chosen, place, [model.vocabulary.label(token) for token in ids])
        return [
            f"**{render.plain_markdown(title)}** · {render.step_summary(inspection)}",
            gr.update(value=render.step_plot(inspection), visible=True),
            gr.update(value=render.step_table(inspection), visible=True),
        ]


def made_texts(result: Comparison | None) -> list[Made]:
    """Return what the columns have written, for the map of the Embeddings tab."""
    columns = result.columns if result else ()
    return [Made("Decoding", column.strategy.label, column.text) for column in columns]


def _column_choices(result: Comparison) -> list[tuple[str, int]]:
    return [(f"{n} · {column.strategy.label}", n) for n, column in enumerate(result.columns, 1)]
