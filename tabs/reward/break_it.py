"""Break it: texts that a reward model likes and the true rule does not, by hand or by machine, and closing the hole."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.preferences import MAX_COMPLETION, PreferenceError
from lab.preferences.pairs import Completion
from lab.preferences.settings import RewardSettings
from lab.preferences.standing import share_beaten, standings
from tabs.controls import slider
from tabs.page import PRIVATE
from tabs.rendering import message, notes_html
from tabs.reward.rank import KEEP_SESSION_JS
from tabs.reward.render.break_it import (
    BOARD_COLUMNS,
    CLOSED_COLUMNS,
    FOOLED,
    STEP_COLUMNS,
    attack_plot,
    attacked_html,
    closed_plot,
    closed_table,
    closed_words,
    leaderboard,
    step_rows,
    verdict,
)
from tabs.reward.render.score import standing_html
from tabs.reward.render.texts import signed
from tabs.reward.shared import Controls, Shared
from tabs.runs import Runs
from tabs.waiting import Ready, wait_for

INTRODUCTION = """
The model has seen a few hundred rankings; the rule behind them it can only guess. **Write a text that the reward model
likes and the true rule does not.** Words that merely keep good company will often do.
"""
EMPTY_ATTEMPT = "There is no text yet. Write one that the model might fall for."
NOTHING_TO_REJECT = "No text has fooled the model yet. Try one, or let the machine attack."
COLUMN_WIDTHS = ["70px", "110px", "110px", "150px", "190px", "580px"]
CLOSED_WIDTHS = ["540px", "140px", "100px", "140px", "100px", "190px"]
KEPT_TEXTS = 8  # that fooled the model, the newest
FAILED = VisitorError("The reward model could not be trained.")
ATTACK_FAILED = VisitorError("The attack could not be carried out.")


class BreakPanel:
    """An attempt, the leaderboard, the attack, and retraining."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        gr.Markdown(INTRODUCTION)
        with gr.Accordion("The true rule, as code", open=False) as self._rule_box:
            self._rule = gr.Code(language="python", interactive=False, label="Rule", max_lines=30)
        attempt = gr.Textbox(
            RewardSettings.default("attempt"),
            label="A text to fool the model",
            lines=3,
            max_lines=10,
            info=f"Up to {MAX_COMPLETION:,} characters",
            elem_id="sd-reward-attempt",
        )
        with gr.Row(elem_classes="sd-actions"):
            self._try = gr.Button("Try it", variant="primary", min_width=110, scale=0)
            self.status = gr.HTML("", elem_classes="sd-status")
        self._standing = gr.HTML("", elem_id="sd-reward-break-standing")
        self._board = gr.Dataframe(
            headers=BOARD_COLUMNS,
            column_widths=COLUMN_WIDTHS,
            interactive=False,
            wrap=True,
            label="Leaderboard",
            show_search="none",
        )
        gr.Markdown(
            "#### An automatic attack\nIt begins with your text, or without one with the worst that ships, and puts in "
            "word after word, each time the one that raises the reward most. Words for which the rule itself likes the "
            "text more, put at its end, would be no deceit: they are not offered, unless there are no others."
        )
        with gr.Row(elem_classes="sd-actions"):
            budget = slider(RewardSettings, "budget", "Words it may insert", min_width=200)
            self._attack = gr.Button("Attack", variant="primary", min_width=110, scale=0)
            self._stop = gr.Button("Stop", min_width=90, scale=0)
            self.attack_status = gr.HTML("", elem_classes="sd-status")
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
        gr.Markdown("#### Close the hole")
        with gr.Row(elem_classes="sd-actions"):
            self._close = gr.Button("Add as rejected pairs and retrain", variant="primary", min_width=260, scale=0)
            self._forget = gr.Button("Forget added pairs", min_width=160, scale=0)
            self.close_status = gr.HTML("", elem_classes="sd-status")
        self._closed = gr.Markdown("", sanitize_html=True)
        self._closed_plot = gr.Plot(show_label=False, visible=False)
        self._closed_table = gr.Dataframe(
            headers=CLOSED_COLUMNS,
            column_widths=CLOSED_WIDTHS,
            interactive=False,
            wrap=True,
            visible=False,
            label="Before and after",
            show_search="none",
        )
        self._fooling = gr.State(())  # texts that fooled the model
        self._runs = gr.State(Runs())
        self.controls = {"attempt": attempt, "budget": budget}
        self.outputs = [self.status, self._standing, self._board, self._fooling, shared.session]
        self.attack_outputs = [self.attack_status, self._attacked, self._plot, self._steps, self._fooling]
        self.close_outputs = [
            self.close_status,
            self._closed,
            self._closed_plot,
            self._closed_table,
            shared.added,
        ]

    def wire(self, controls: Controls) -> None:
        """Connect buttons."""
        self._controls = controls
        self.inputs = [*controls.all, *self._shared.inputs, self._fooling]
        self._attack.click(
            self.attack, [*self.inputs, self._runs], self.attack_outputs, trigger_mode="multiple", **PRIVATE
        )
        self._stop.click(Runs.stop, self._runs, None, queue=False, **PRIVATE)
        self._close.click(self.close, self.inputs, self.close_outputs, **PRIVATE)
        self._forget.click(self.forget, None, [*self.close_outputs, self._fooling], queue=False, **PRIVATE)
        annotator = controls.components["annotator"]
        for event in (self._rule_box.expand, annotator.input):
            event(self._rule_of, annotator, self._rule, **PRIVATE)
        self.show_board = {
            "fn": self.board,
            "inputs": [annotator, self._shared.session, self._shared.class_code],
            "outputs": self._board,
        }
        self.after(self._try.click(self.run, self.inputs, self.outputs, **PRIVATE))
        annotator.input(**self.show_board, **PRIVATE)

    def after(self, run: gr.events.Dependency) -> None:
        """Let the leaderboard, and the memory of who it is, follow on a run."""
        run.then(None, self._shared.session, None, js=KEEP_SESSION_JS, **PRIVATE)
        run.then(**self.show_board, **PRIVATE)

    @staticmethod
    def _rule_of(name: str) -> str:
        from lab.preferences.annotators import ANNOTATORS

        return ANNOTATORS[name].source if name in ANNOTATORS else ""

    def board(self, annotator: str, session: str, class_code: str) -> list[list[str]]:
        """Return the leaderboard: of the class, or without one of the visitor alone."""
        if not class_code and not session:
            return leaderboard([], "")
        store = self._shared.services.store
        try:
            who = {"class_code": class_code} if class_code else {"session": session}
            return leaderboard(store.best_attempts(annotator, **who), session)
        except VisitorError as error:
            return [["", str(error), "", "", "", ""]]

    def run(self, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Judge the visitor's attempt and keep it for the leaderboard."""
        *values, session, class_code, added, fooling = values
        settings, more = self._controls.settings(*values)
        told, keep = [*notes, *more], [gr.skip()] * 4
        try:
            if not settings.attempt.strip():
                raise PreferenceError(EMPTY_ATTEMPT)

            def work(tell: Any) -> Any:
                learnt = self._shared.learner.learn(settings, session, class_code, added)
                return learnt, standings(learnt, [Completion("", settings.attempt)])[0]

            for news in wait_for(work, "Training the reward model …", FAILED):
                if not isinstance(news, Ready):
                    yield [message(news), *keep]
                    continue
                learnt, standing = news.value
                session = session or secrets.token_hex(16)
                self._shared.services.store.add_attempt(
                    session, settings.annotator, settings.attempt, standing.learned, standing.true, class_code
                )
                yield [
                    message(verdict(standing.gap)) + notes_html(told),
                    standing_html(standing, learnt.annotator.title),
                    self.board(settings.annotator, session, class_code),
                    remembered(fooling, settings.attempt) if standing.gap >= FOOLED else gr.skip(),
                    session,
                ]
        except VisitorError as error:
            yield [message(str(error), alert=True) + notes_html(told), *keep]

    def attack(self, *values: Any) -> Iterator[list[Any]]:
        """Attack the model, step by step."""
        *values, runs = values
        yield from runs.follow(
            self._attacking(*values), lambda update: [message("Stopped. What was found stays."), *update[1:]]
        )

    def _attacking(self, *values: Any) -> Iterator[list[Any]]:
        from lab.preferences.attack import attack
        from lab.preferences.breaking import deceiving_words, dull_text

        *values, session, class_code, added, fooling = values
        settings, notes = self._controls.settings(*values)
        keep = [gr.skip()] * 4
        try:
            learnt = None
            for news in wait_for(
                lambda tell: self._shared.learner.learn(settings, session, class_code, added),
                "Training the reward model …",
                FAILED,
            ):
                if isinstance(news, Ready):
                    learnt = news.value
                else:
                    yield [message(news), *keep]
            first = settings.attempt if settings.attempt.strip() else dull_text(learnt)
            words = deceiving_words(learnt, first)
            found = attack("", first, learnt.model.score, words, settings.budget, learnt.annotator.score)
            rewards, scores = learnt.shipped
            steps, learned, true = [], [], []
            while True:
                step = None
                for news in wait_for(lambda tell: next(found, None), "Trying words …", ATTACK_FAILED):
                    if isinstance(news, Ready):
                        step = news.value
                    else:
                        yield [message(news), *keep]
                if step is None:
                    break
                steps.append(step)
                learned.append(share_beaten(step.reward, rewards))
                true.append(share_beaten(step.true_score, scores))
                yield [
                    message(f"{step.number} of at most {settings.budget} words; {step.tried:,} texts tried …"),
                    attacked_html(first, step),
                    gr.update(value=attack_plot(steps, learned, true), visible=True),
                    gr.update(value=step_rows(steps, learned, true), visible=True),
                    gr.skip(),
                ]
            last = steps[-1]
            words_in = f"{last.number} word{'s' * (last.number != 1)}"
            end = message(
                f"Done: {words_in} moved the reward from {signed(steps[0].reward)} to {signed(last.reward)}. "
                + verdict(learned[-1] - true[-1])
            )
            known = remembered(fooling, last.text) if learned[-1] - true[-1] >= FOOLED else gr.skip()
            yield [end + notes_html(notes), *[gr.skip()] * 3, known]
        except VisitorError as error:
            yield [message(str(error), alert=True) + notes_html(notes), *keep]

    def close(self, *values: Any) -> Iterator[list[Any]]:
        """Add what fooled the model as rejected pairs, and train it once more."""
        from lab.preferences.breaking import close_hole

        *values, session, class_code, added, fooling = values
        settings, notes = self._controls.settings(*values)
        keep = [gr.skip()] * 4
        try:
            if not fooling:
                raise PreferenceError(NOTHING_TO_REJECT)
            work = wait_for(
                lambda tell: close_hole(self._shared.learner, settings, session, class_code, added, fooling),
                "Training the reward model once more …",
                FAILED,
            )
            for news in work:
                if not isinstance(news, Ready):
                    yield [message(news), *keep]
                    continue
                found = news.value
                yield [
                    message(f"{len(found.added):,} pairs added. All tools use the new model now.") + notes_html(notes),
                    closed_words(found),
                    gr.update(value=closed_plot(found), visible=True),
                    gr.update(value=closed_table(found), visible=True),
                    found.added,
                ]
        except VisitorError as error:
            yield [message(str(error), alert=True) + notes_html(notes), *keep]

    @staticmethod
    def forget() -> list[Any]:
        """Take the added pairs away."""
        hidden = [gr.update(visible=False), gr.update(visible=False)]
        return [message("Forgotten: the model learns from the rankings alone."), "", *hidden, (), ()]


def remembered(fooling: Sequence[str], text: str) -> tuple[str, ...]:
    """Return the newest texts that fooled the model, this one among them."""
    return tuple(dict.fromkeys([*fooling, text]))[-KEPT_TEXTS:]
