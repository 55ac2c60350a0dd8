"""Best of n: the reward model chooses among more and more completions, and the true rule looks on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from lab.preferences.choosing import Choice, choose
from lab.preferences.settings import RewardSettings, View
from tabs.asking import add_examples
from tabs.controls import slider
from tabs.page import PRIVATE
from tabs.rendering import message, notes_html
from tabs.reward.panels import (
    CURED,
    LEARNS,
    OVERDONE,
    add_plot,
    follow,
    prompt_choices,
    show_when_ready,
    wire_stories,
)
from tabs.reward.render.best_of_n import (
    CURVE_COLUMNS,
    DRAWN_COLUMNS,
    choice_board,
    choice_plot,
    choice_status,
    choice_table,
    choice_words,
    drawn_table,
)
from tabs.reward.shared import Controls, Shared

INTRODUCTION = """
The simplest way to use a reward model: write *n* completions, keep the one with the highest reward. The language model
is not changed at all. With each doubling of *n* the choice strays further from what it would have written by itself.
"""
PLOTTED = (
    "**Reward and truth over n.** The expectation over all draws, in standard deviations of the pool, so that both fit "
    "on one axis. The orange line must rise: it is what is chosen by. The blue one need not."
)
EMPTY = '<p class="sd-empty">Press Choose, or move the slider: the reward model picks one of n completions.</p>'
STORIES = (
    ("Too much of a good thing", {**OVERDONE, "n": 64, "among": 4}),
    ("The same, in moderation", {**OVERDONE, "n": 8, "among": 4}),
    ("Cured: a head that can bend", {**CURED, "n": 64, "among": 4}),
    ("A taste that was learned", {**OVERDONE, "annotator": "short-sentences", "rankings": 1000, "n": 32}),
    ("No choice: n = 1", {"n": 1}),
)


class BestOfNPanel:
    """Prompt, n and draw; the choice, the curves, all that was drawn."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        default = RewardSettings.default
        gr.Markdown(INTRODUCTION)
        self._stories = add_examples(STORIES)
        with gr.Row():
            among = gr.Dropdown(prompt_choices(), value=default("among"), label="Prompt (held out)", min_width=220)
            n = slider(RewardSettings, "n", "n: completions to choose from", min_width=220, elem_id="sd-reward-best-n")
            draw = gr.Number(default("draw"), label="Seed of the draw", precision=0, min_width=120)
        self.controls: dict[str, Any] = {"among": among, "n": n, "draw": draw}
        with gr.Row(elem_classes="sd-actions"):
            self.button = gr.Button("Choose", variant="primary", min_width=120, scale=0, elem_id="sd-reward-best-go")
            self._status = gr.HTML("", elem_classes="sd-status")
        self.board = gr.HTML(EMPTY, elem_id="sd-reward-best-board")
        # In the page from the start: what is sent to parts that are only being made gets lost.
        with gr.Column(visible="hidden") as self._details:
            self._plot, self._table = add_plot(PLOTTED, CURVE_COLUMNS, "Expectations")
            self._words = gr.HTML("", elem_id="sd-reward-best-words")
            with gr.Accordion("All that was drawn", open=False):
                self._drawn = gr.Dataframe(
                    headers=DRAWN_COLUMNS,
                    interactive=False,
                    wrap=True,
                    max_height=420,
                    show_search="none",
                    column_widths=["10%", "13%", "13%", "64%"],
                )

    @property
    def outputs(self) -> list[Any]:
        """Components that a run sets."""
        return [
            self._status,
            self.board,
            self._details,
            self._plot,
            self._table,
            self._words,
            self._drawn,
        ]

    def wire(self, controls: Controls) -> None:
        """Connect button, sliders and stories."""
        self._controls = controls
        self.inputs = [*controls.all, *self._shared.inputs]
        self.button.click(self.run, self.inputs, self.outputs, **PRIVATE)
        follow(controls, self, View.BEST_OF_N, [*LEARNS, *self.controls])
        wire_stories(self._stories, controls, self, View.BEST_OF_N)

    def run(self, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Choose."""
        *values, session, class_code, added = values
        settings, more = self._controls.settings(*values)
        told = [*notes, *more]

        def work() -> Choice:
            return choose(self._shared.learner.learn(settings, session, class_code, added), settings)

        def shown(found: Choice) -> list[Any]:
            if found.n < settings.n:
                told.append(f"This prompt has {found.n} completions, so n is {found.n}.")
            return self._shown(found, [*told, *found.learnt.notes])

        yield from show_when_ready(work, shown, len(self.outputs), told)

    @staticmethod
    def _shown(found: Choice, notes: Sequence[str]) -> list[Any]:
        return [
            message(choice_status(found)) + notes_html(notes),
            choice_board(found),
            gr.update(visible=True),
            choice_plot(found),
            choice_table(found),
            message(choice_words(found)),
            drawn_table(found),
        ]
