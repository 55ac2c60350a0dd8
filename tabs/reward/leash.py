"""The leash: the policy that the KL divergence holds back, for a visitor's beta."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from lab.preferences.choosing import Held, hold
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
from tabs.reward.render.leash import LEASH_COLUMNS, leash_plot, leash_status, leash_table, leash_words, moved_html
from tabs.reward.shared import Controls, Shared

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


class LeashPanel:
    """Prompt and beta; curves over beta, and the completions that moved."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        gr.Markdown(INTRODUCTION)
        self._stories = add_examples(STORIES)
        with gr.Row():
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
        self.controls: dict[str, Any] = {"leash_among": among, "log_beta": beta}
        with gr.Row(elem_classes="sd-actions"):
            self.button = gr.Button("Hold", variant="primary", min_width=120, scale=0, elem_id="sd-reward-leash-go")
            self._status = gr.HTML("", elem_classes="sd-status")
        self.board = gr.HTML(EMPTY, elem_id="sd-reward-leash-words")
        # In the page from the start: what is sent to parts that are only being made gets lost.
        with gr.Column(visible="hidden") as self._details:
            self._plot, self._table = add_plot(PLOTTED, LEASH_COLUMNS, "Expectations")
            self._moved = gr.HTML("", elem_id="sd-reward-leash-moved")

    @property
    def outputs(self) -> list[Any]:
        """Components that a run sets."""
        return [self._status, self.board, self._details, self._plot, self._table, self._moved]

    def wire(self, controls: Controls) -> None:
        """Connect button, sliders and stories."""
        self._controls = controls
        self.inputs = [*controls.all, *self._shared.inputs]
        self.button.click(self.run, self.inputs, self.outputs, **PRIVATE)
        follow(controls, self, View.LEASH, [*LEARNS, *self.controls])
        wire_stories(self._stories, controls, self, View.LEASH)

    def run(self, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Show what the policy does."""
        *values, session, class_code, added = values
        settings, more = self._controls.settings(*values)
        told = [*notes, *more]

        def work() -> Held:
            return hold(self._shared.learner.learn(settings, session, class_code, added), settings)

        def shown(found: Held) -> list[Any]:
            return self._shown(found, [*told, *found.learnt.notes])

        yield from show_when_ready(work, shown, len(self.outputs), told)

    @staticmethod
    def _shown(found: Held, notes: Sequence[str]) -> list[Any]:
        return [
            message(leash_status(found)) + notes_html(notes),
            message(leash_words(found)),
            gr.update(visible=True),
            leash_plot(found),
            leash_table(found),
            moved_html(found),
        ]
