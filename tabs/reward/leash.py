"""The leash: the policy that the KL divergence holds back, for a visitor's beta."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lab.preferences.choosing import Held, hold
from lab.preferences.learning import Learnt
from lab.preferences.settings import RewardSettings, View
from tabs.controls import slider
from tabs.rendering import message
from tabs.reward.choosing import ChoosingPanel
from tabs.reward.panels import CURED, OVERDONE, prompt_choices
from tabs.reward.render.leash import LEASH_COLUMNS, leash_plot, leash_status, leash_table, leash_words, moved_html

INTRODUCTION = """
Training with a reward does not pick one text, it moves probability. The best that can be done while staying near the
reference, the model as it was, is known exactly: **π\\*(y) ∝ π_ref(y) · exp(reward(y) / β)**. It has the greatest
*expected reward − β · KL(π\\* ‖ π_ref)*. β is the leash: large keeps the policy at the reference, small lets it run
wherever the reward model points. Here π_ref gives each completion of a held-out prompt the same share.
"""
PLOTTED = (
    "**What the leash gives and costs.** Left, almost no leash: all for the reward. Right, a short one: the reference. "
    "Where the blue line bends down while the orange one rises, the policy exploits errors of the reward model."
)
EMPTY = '<p class="sd-empty">Press Hold, or move the slider: probability moves to what the reward model likes.</p>'
STORIES = (
    ("Reward hacking: leash off", {**OVERDONE, "log_beta": -2.0, "leash_among": 0}),
    ("The same on a leash", {**OVERDONE, "log_beta": -0.4, "leash_among": 0}),
    ("Leash off, but a head that can bend", {**CURED, "log_beta": -2.0, "leash_among": 0}),
    ("Hardly a step from the reference", {"log_beta": 1.5}),
)


class LeashPanel(ChoosingPanel[Held]):
    """Prompt and beta; curves over beta, and the completions that moved."""

    view = View.LEASH
    slug = "leash"
    introduction = INTRODUCTION
    verb = "Hold"
    empty = EMPTY
    plotted = PLOTTED
    columns = LEASH_COLUMNS
    stories = STORIES

    def add_controls(self) -> dict[str, Any]:
        """Add prompt and beta."""
        among = gr.Dropdown(
            [("all held-out prompts, on average", 0), *prompt_choices()],
            value=RewardSettings.default("leash_among"),
            label="Prompt",
            min_width=220,
        )
        beta = slider(
            RewardSettings,
            "log_beta",
            "β as a power of ten: −2 is 0.01, 0 is 1, 2 is 100",
            min_width=260,
            elem_id="sd-reward-leash-beta",
        )
        return {"leash_among": among, "log_beta": beta}

    def add_parts(self) -> list[Any]:
        """Add the completions that moved."""
        return [gr.HTML("", elem_id="sd-reward-leash-moved")]

    def find(self, learnt: Learnt, settings: RewardSettings) -> Held:
        """Hold the policy back."""
        return hold(learnt, settings)

    def show(self, found: Held) -> tuple[str, str, list[Any]]:
        """Return status, board, and the parts below."""
        parts = [leash_plot(found), leash_table(found), moved_html(found)]
        return message(leash_status(found)), message(leash_words(found)), parts
