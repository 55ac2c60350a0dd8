"""Best of n: the reward model chooses among more and more completions, and the true rule looks on."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lab.preferences.choosing import Choice, choose
from lab.preferences.learning import Learnt
from lab.preferences.settings import RewardSettings, View
from tabs.controls import slider
from tabs.rendering import message
from tabs.reward.choosing import ChoosingPanel
from tabs.reward.panels import CURED, OVERDONE, prompt_choices
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


class BestOfNPanel(ChoosingPanel[Choice]):
    """Prompt, n and draw; the choice, the curves, all that was drawn."""

    view = View.BEST_OF_N
    slug = "best"
    introduction = INTRODUCTION
    verb = "Choose"
    empty = EMPTY
    plotted = PLOTTED
    columns = CURVE_COLUMNS
    stories = STORIES

    def add_controls(self) -> dict[str, Any]:
        """Add prompt, n and seed."""
        default = RewardSettings.default
        return {
            "among": gr.Dropdown(prompt_choices(), value=default("among"), label="Prompt (held out)", min_width=220),
            "n": slider(
                RewardSettings, "n", "n: completions to choose from", min_width=220, elem_id="sd-reward-best-n"
            ),
            "draw": gr.Number(default("draw"), label="Seed of the draw", precision=0, min_width=120),
        }

    def add_parts(self) -> list[Any]:
        """Add a verdict in words, and all completions drawn."""
        words = gr.HTML("", elem_id="sd-reward-best-words")
        with gr.Accordion("All that was drawn", open=False):
            drawn = gr.Dataframe(
                headers=DRAWN_COLUMNS,
                interactive=False,
                wrap=True,
                max_height=420,
                show_search="none",
                column_widths=["10%", "13%", "13%", "64%"],
            )
        return [words, drawn]

    def find(self, learnt: Learnt, settings: RewardSettings) -> Choice:
        """Draw n completions and choose one."""
        return choose(learnt, settings)

    def remarks(self, found: Choice, settings: RewardSettings) -> list[str]:
        """Say if the prompt has fewer completions than were asked for."""
        return [f"This prompt has {found.n} completions, so n is {found.n}."] if found.n < settings.n else []

    def show(self, found: Choice) -> tuple[str, str, list[Any]]:
        """Return status, board, and the parts below."""
        parts = [choice_plot(found), choice_table(found), message(choice_words(found)), drawn_table(found)]
        return message(choice_status(found)), choice_board(found), parts
