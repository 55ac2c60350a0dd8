"""Compare: strategies side by side, and a look inside each of their steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.text.decoding import Comparison, DecodingSettings, compare, inspect
from lab.text.models import LanguageModel
from tabs.decoding import render
from tabs.decoding.controls import ALL_COLUMNS, Controls, slider
from tabs.loading import run_with_model
from tabs.page import PRIVATE, Services
from tabs.runs import Runs

CLICK_A_TOKEN = "Once a text is there, click one of its tokens, or choose one here, to see what else could have come."

# A click or an arrow key in a column marks the token and tells Python; nothing is drawn again, so the focus stays.
BOARD_JS = """
const choose = (text, n) => {
    const tokens = text.querySelectorAll('[data-n]');
    if (!tokens.length) return;
    n = Math.max(0, Math.min(tokens.length - 1, n));
    element.querySelectorAll('.on').forEach(token => token.classList.remove('on'));
    tokens[n].classList.add('on');
    text.dataset.at = n;
    trigger('pick', {column: Number(text.dataset.column), step: n});
};
element.addEventListener('click', event => {
    const token = event.target.closest('[data-n]');
    if (token) choose(token.closest('.sd-text'), Number(token.dataset.n));
});
element.addEventListener('keydown', event => {
    const text = event.target.closest('.sd-text');
    const move = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (!text || !move) return;
    event.preventDefault();
    choose(text, Number(text.dataset.at ?? text.querySelector('.on')?.dataset.n ?? -1) + move);
});
"""


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
        self.board = gr.HTML(render.empty_board(), js_on_load=BOARD_JS, elem_id="sd-decoding-board")
        self.result = gr.State(None)
        self.runs = gr.State(Runs())
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
        look = {"fn": self.look, "inputs": [*self._controls.inputs, self.result, self.column, self.step], **PRIVATE}
        look["outputs"] = [self.summary, self.plot, self.table]
        self.board.pick(self._picked, None, [self.column, self.step], queue=False, **PRIVATE).then(**look)
        self.column.input(**look, trigger_mode="always_last")
        self.step.input(**look, trigger_mode="always_last")  # "release" would not come from the keyboard
        running.then(**look)
        self.look_arguments = look

    def run(self, runs: Runs, *values: Any) -> Iterator[list[Any]]:
        """Yield the board as it grows."""
        settings, notes = self._controls.settings(*values)
        yield from runs.follow(self.run_settings(settings, notes), self._stopped)

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
        selected = (settings.column - 1, settings.step - 1) if settings.step else None
        for n, result in enumerate(compare(model, settings)):
            column = step = gr.skip()
            if n == 0:  # and never later: by then the visitor may have chosen another
                column = gr.update(choices=_column_choices(result), value=min(settings.column, len(result.columns)))
                steps = settings.max_new_tokens
                step = gr.update(maximum=steps, value=min(settings.step, steps))
            yield [render.run_status(result, notes), render.board(result, selected), result, column, step]

    @staticmethod
    def _picked(event: gr.EventData) -> list[Any]:
        try:
            return [int(event.column) + 1, int(event.step) + 1]
        except (AttributeError, TypeError, ValueError):
            return [gr.skip(), gr.skip()]

    def look(self, *values: Any) -> list[Any]:
        """Return what can be seen of a step of the last result."""
        *_, result, column, step = values
        return self.look_into(result, column, step)

    def look_into(self, result: Comparison | None, column: Any, step: Any) -> list[Any]:
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


def _column_choices(result: Comparison) -> list[tuple[str, int]]:
    return [(f"{n} · {column.strategy.label}", n) for n, column in enumerate(result.columns, 1)]
