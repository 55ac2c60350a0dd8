"""Looking into tokens of texts side by side: a click or arrow key chooses one, the board marks it, a panel opens it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from lab.settings import Settings
from tabs.controls import slider
from tabs.page import PRIVATE

_BOARD_JS = """
const looked = () => (document.body.dataset.KEY ?? '1.0').split('.').map(Number);
const mark = () => {
    const [column, step] = looked();
    const tokens = element.querySelectorAll(`[data-column='${column - 1}'] [data-n]`);
    // Of a text that has ended the last token is looked into where one is asked for beyond it.
    const done = element.querySelector('.sd-board')?.dataset.state === 'done';
    const token = step ? tokens[done ? Math.min(step, tokens.length) - 1 : step - 1] : undefined;
    element.querySelectorAll('.on').forEach(other => other !== token && other.classList.remove('on'));
    if (token && !token.classList.contains('on')) token.classList.add('on');
};
// Drawing again changes old elements into new ones, and takes away what was added to them.
new MutationObserver(mark).observe(element, {childList: true, subtree: true, attributeFilter: ['class', 'data-state']});
new MutationObserver(mark).observe(document.body, {attributeFilter: ['data-ATTRIBUTE']});
// Beside the board, which is drawn again: a screen reader is told what an arrow key has come to.
const live = document.createElement('p');
live.className = 'sd-live';
live.setAttribute('aria-live', 'polite');
element.after(live);
const choose = (text, n) => {
    const tokens = text.querySelectorAll('[data-n]');
    if (!tokens.length) return;
    n = Math.max(0, Math.min(tokens.length - 1, n));
    document.body.dataset.KEY = `${Number(text.dataset.column) + 1}.${n + 1}`;
    const words = [tokens[n].textContent.trim() || 'white space', tokens[n].title];
    live.textContent = `Token ${n + 1}: ${words.filter(Boolean).join(', ')}`;
    trigger('pick');
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
    const [column, step] = looked();
    choose(text, (column === Number(text.dataset.column) + 1 ? step - 1 : -1) + move);
});
"""


@dataclass(frozen=True)
class Looking:
    """The scripts of one board and its two controls.

    The token that is looked into is kept as "column.step" in the page's body, both from 1: a click, an arrow key and
    the two controls write it there, and the board marks it, whenever it is drawn again too.

    Attributes:
        key: in the body's dataset, the board's own.
    """

    key: str

    @property
    def board_js(self) -> str:
        """For ``js_on_load`` of the board, which then fires ``pick``."""
        attribute = re.sub("[A-Z]", lambda letter: "-" + letter[0].lower(), self.key)
        return _BOARD_JS.replace("KEY", self.key).replace("ATTRIBUTE", attribute)

    @property
    def mark_js(self) -> str:
        """From the values of the two controls to the mark."""
        return f"(column, step) => {{ document.body.dataset.{self.key} = `${{column}}.${{step}}`; return []; }}"

    @property
    def marked_js(self) -> str:
        """From the mark to the values of the two controls."""
        return f"() => document.body.dataset.{self.key}.split('.').map(Number)"


class StepPanel:
    """The panel below a board that looks into one step of one of its columns: two controls, a plot and a table.

    Columns and steps count from 1; step 0 stands for none.
    """

    def __init__(
        self,
        looking: Looking,
        settings: type[Settings],
        title: str,
        hint: str,
        headers: Sequence[str],
        columns: Sequence[tuple[str, int]],
        elem_id: str,
    ) -> None:
        """Add the panel to the Blocks under construction.

        Args:
            looking: the board's.
            settings: have a ``column`` and a ``step``.
            hint: stands where nothing is looked into.
            headers: of the table.
            columns: to choose from before there are any, with their numbers.
        """
        self._looking, self._hint = looking, hint
        with gr.Accordion(title, open=True, elem_id=elem_id):
            with gr.Row():
                default = settings.default("column")
                self.column = gr.Dropdown(list(columns), value=default, label="Column", min_width=180)
                self.step = slider(settings, "step", "Token (0: none)", min_width=180)
            self._summary = gr.Markdown(hint, sanitize_html=True)
            with gr.Row():
                self._plot = gr.Plot(label=title, show_label=False, visible=False, min_width=320)
                self._table = gr.Dataframe(
                    headers=list(headers),
                    label="The same as a table",
                    visible=False,
                    max_height=540,
                    interactive=False,
                    min_width=320,
                    show_search="none",
                )

    def wire(self, board: gr.HTML, result: gr.State, look: Callable[[Any, Any, Any], list[Any]]) -> None:
        """Let clicks on the board and the two controls call ``look(result, column, step)``, which updates the panel."""
        controls = [self.column, self.step]
        self._mark = {"fn": None, "inputs": controls, "outputs": None, "js": self._looking.mark_js, **PRIVATE}
        outputs = [self._summary, self._plot, self._table]
        self._look = {"fn": look, "inputs": [result, *controls], "outputs": outputs, **PRIVATE}
        # What was marked is read from the page when its turn comes: Gradio repeats an event that had to wait with the
        # data of the event for which it waited.
        board.pick(None, None, controls, js=self._looking.marked_js, **PRIVATE)
        board.pick(**self._look, trigger_mode="always_last")
        for control in controls:
            control.input(**self._mark)
            control.input(**self._look, trigger_mode="always_last")  # "release" would not come from the keyboard

    def mark_after(self, filled: gr.events.Dependency) -> None:
        """Let the board mark what the controls were filled with."""
        filled.then(**self._mark)

    def look_after(self, run: gr.events.Dependency) -> None:
        """Let the look inside follow on a run."""
        run.then(**self._mark)
        run.then(**self._look)

    @staticmethod
    def choices(settings: Any, labels: Sequence[str]) -> list[Any]:
        """Return updates of the two controls for a run's columns: its settings say what was looked into."""
        choices = [(f"{n} · {label}", n) for n, label in enumerate(labels, 1)]
        steps = settings.max_new_tokens
        return [
            gr.update(choices=choices, value=min(settings.column, len(choices))),
            gr.update(maximum=steps, value=min(settings.step, steps)),
        ]

    def nothing(self, words: str = "") -> list[Any]:
        """Return updates that show no step but words (Markdown), by default the hint."""
        return [words or self._hint, gr.update(visible=False), gr.update(visible=False)]

    @staticmethod
    def shown(summary: str, plot: Any, table: list[list[Any]]) -> list[Any]:
        """Return updates that show a step; the summary is Markdown."""
        return [summary, gr.update(value=plot, visible=True), gr.update(value=table, visible=True)]


def looked_at(columns: Sequence[Any], column: Any, step: Any) -> tuple[Any, int] | None:
    """Return which of the columns is looked into and the place of its token, from 0; None where there is none.

    Of a text that has ended it is the last token where one beyond it is asked for.
    """
    if not isinstance(column, int) or not 1 <= column <= len(columns) or not step or step < 1:
        return None
    chosen = columns[column - 1]
    return (chosen, min(int(step), len(chosen.tokens)) - 1) if chosen.tokens else None
