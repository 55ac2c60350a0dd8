"""An automatic attack on a reward model, word after word, while one looks on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.preferences.settings import RewardSettings
from lab.preferences.standing import share_beaten
from tabs.controls import slider
from tabs.page import PRIVATE
from tabs.rendering import counted, message, notes_html
from tabs.reward.fooled import remembered
from tabs.reward.render.break_it import FOOLED, STEP_COLUMNS, attack_plot, attacked_html, step_rows, verdict
from tabs.reward.render.texts import signed
from tabs.reward.shared import Controls, Shared
from tabs.runs import Runs
from tabs.waiting import Ready, wait_for

INTRODUCTION = """
#### An automatic attack
It begins with your text, or without one with the worst that ships, and puts in word after word, each time the one that
raises the reward most. Words for which the rule itself likes the text more, put at its end, would be no deceit: they
are not offered, unless there are no others.
"""
FAILED = VisitorError("The reward model could not be trained.")
ATTACK_FAILED = VisitorError("The attack could not be carried out.")


class AttackPanel:
    """The attack's budget and buttons, and its steps.

    Attributes:
        runs: a ``gr.State`` with what is under way.
        found: a ``gr.State`` with its texts that fooled a model. Its own, not that of the visitor's attempts: what they
            try while an attack is running stays.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.found = gr.State(())
        gr.Markdown(INTRODUCTION)
        with gr.Row(elem_classes="sd-actions"):
            budget = slider(RewardSettings, "budget", "Words it may insert", min_width=280)
            self._attack = gr.Button("Attack", variant="primary", min_width=110, scale=0)
            self._stop = gr.Button("Stop", min_width=90, scale=0)
            self.status = gr.HTML("", elem_classes="sd-status")
        self._attacked = gr.HTML("", elem_id="sd-reward-attacked")
        with gr.Row():
            self._plot = gr.Plot(show_label=False, visible=False, min_width=320)
            self._steps = gr.Dataframe(
                headers=STEP_COLUMNS,
                interactive=False,
                visible=False,
                label="Steps of the attack",
                show_search="none",
                min_width=320,
                max_height=320,
            )
        self.runs = gr.State(Runs())
        self.controls = {"budget": budget}
        self.outputs = [self.status, self._attacked, self._plot, self._steps, self.found]

    def wire(self, controls: Controls) -> None:
        """Connect buttons."""
        self._controls = controls
        inputs = [*controls.all, *self._shared.inputs, self.found, self.runs]
        self._attack.click(self.run, inputs, self.outputs, trigger_mode="multiple", **PRIVATE)
        self._stop.click(Runs.stop, self.runs, None, queue=False, **PRIVATE)

    def run(self, *values: Any) -> Iterator[list[Any]]:
        """Attack the model, step by step."""
        *values, runs = values
        yield from runs.follow(
            self._attacking(*values), lambda update: [message("Stopped. What was found stays."), *update[1:]]
        )

    def _attacking(self, *values: Any) -> Iterator[list[Any]]:
        from lab.preferences.attack import attack
        from lab.preferences.breaking import deceiving_words, dull_text

        *values, session, class_code, added, found = values
        settings, notes = self._controls.settings(*values)
        keep = [gr.skip()] * 4
        try:
            learnt = None
            for news in wait_for(
                lambda tell: self._shared.learn(settings, session, class_code, added),
                "Training the reward model …",
                FAILED,
            ):
                if isinstance(news, Ready):
                    learnt = news.value
                else:
                    yield [message(news), *keep]
            first = settings.attempt if settings.attempt.strip() else dull_text(learnt)
            words = deceiving_words(learnt, first)
            attacking = attack("", first, learnt.model.score, words, settings.budget, learnt.annotator.score)
            rewards, scores = learnt.shipped
            steps, learned, true = [], [], []
            while True:
                step = None
                for news in wait_for(lambda tell: next(attacking, None), "Trying words …", ATTACK_FAILED):
                    if isinstance(news, Ready):
                        step = news.value
                    else:
                        yield [message(news), *keep]
                if step is None:
                    break
                steps.append(step)
                learned.append(share_beaten(step.reward, rewards))
                true.append(share_beaten(step.true_score, scores))
                fooled = learned[-1] - true[-1] >= FOOLED  # at once, so that it stays when the attack is stopped
                yield [
                    message("Trying words …", changing=f" {step.number} of at most {settings.budget}"),
                    attacked_html(first, step),
                    gr.update(value=attack_plot(steps, learned, true), visible=True),
                    gr.update(value=step_rows(steps, learned, true), visible=True),
                    remembered(found, settings.annotator, step.text) if fooled else gr.skip(),
                ]
            last = steps[-1]
            moved = f"from {signed(steps[0].reward)} to {signed(last.reward)}"
            end = message(
                f"Done: {counted(last.number, 'word')} moved the reward {moved}. " + verdict(learned[-1] - true[-1])
            )
            yield [end + notes_html(notes), *keep]
        except VisitorError as error:
            yield [message(str(error), alert=True) + notes_html(notes), *keep]
