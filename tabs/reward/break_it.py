"""Break it: texts that a reward model likes and the true rule does not, by hand or by machine, and closing the hole."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.preferences import MAX_COMPLETION, PreferenceError
from lab.preferences.pairs import Completion
from lab.preferences.settings import RewardSettings
from lab.preferences.standing import standings
from tabs.page import PRIVATE
from tabs.rendering import message, notes_html
from tabs.reward.attack import AttackPanel
from tabs.reward.fooled import of_annotator, remembered, with_annotator
from tabs.reward.render.break_it import (
    BOARD_COLUMNS,
    CLOSED_COLUMNS,
    FOOLED,
    closed_plot,
    closed_table,
    closed_words,
    leaderboard,
    verdict,
)
from tabs.reward.render.score import standing_html
from tabs.reward.shared import Controls, Shared
from tabs.runs import Runs, one_at_a_time
from tabs.visitor import KEEP_SESSION_JS, session_or_new
from tabs.waiting import Ready, wait_for

INTRODUCTION = """
The model has seen a few hundred rankings; the rule behind them it can only guess. **Write a text that the reward model
likes and the true rule does not.** Words that merely keep good company will often do.
"""
KEPT_WORDS = "What is tried is kept without a name. In a class its members can read it."
EMPTY_ATTEMPT = "There is no text yet. Write one that the model might fall for."
NOTHING_TO_REJECT = "No text has fooled this annotator’s model yet. Try one, or let the machine attack."
COLUMN_WIDTHS = ["70px", "110px", "110px", "150px", "190px", "580px"]
CLOSED_WIDTHS = ["540px", "140px", "100px", "140px", "100px", "190px"]
IN_USE = "All tools use the new model now, while this annotator is chosen."
FAILED = VisitorError("The reward model could not be trained.")


class BreakPanel:
    """An attempt, the leaderboard, the attack, and retraining; texts and pairs each with the annotator they are of."""

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
            info=f"Up to {MAX_COMPLETION:,} characters. {KEPT_WORDS}",
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
        self._fooling = gr.State(())  # texts that fooled the model, as shared.added: see tabs.reward.fooled
        self._attack = AttackPanel(shared)
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
        self._runs, self._closing = gr.State(Runs()), gr.State(Runs())
        self.controls = {"attempt": attempt} | self._attack.controls
        self.outputs = [self.status, self._standing, self._board, self._fooling, shared.session]
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
        given = [*controls.all, *self._shared.inputs, self._fooling]
        self.inputs = [*given, self._runs]
        self._attack.wire(controls)
        closing = [*given, self._attack.found, self._closing]
        self._close.click(self.close, closing, self.close_outputs, trigger_mode="multiple", **PRIVATE)
        runs = [self._closing, self._attack.runs, self._runs]
        forgotten = [*self.close_outputs, self._attack.status, self._fooling, self._attack.found]
        self._forget.click(self.forget, runs, forgotten, queue=False, **PRIVATE)
        annotator = controls.components["annotator"]
        for event in (self._rule_box.expand, annotator.input):
            event(self._rule_of, annotator, self._rule, trigger_mode="always_last", **PRIVATE)
        self.show_board = {
            "fn": self.board,
            "inputs": [annotator, self._shared.session, self._shared.class_code],
            "outputs": self._board,
        }
        self.after(self._try.click(self.run, self.inputs, self.outputs, trigger_mode="multiple", **PRIVATE))
        annotator.input(**self.show_board, trigger_mode="always_last", **PRIVATE)

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

    @one_at_a_time
    def run(self, *values: Any, notes: Sequence[str] = ()) -> Generator[list[Any], None, None]:
        """Judge the visitor's attempt and keep it for the leaderboard."""
        *values, session, class_code, added, fooling = values
        settings, more = self._controls.settings(*values)
        told, keep = [*notes, *more], [gr.skip()] * 4
        try:
            if not settings.attempt.strip():
                raise PreferenceError(EMPTY_ATTEMPT)

            def work(tell: Any) -> Any:
                learnt = self._shared.learn(settings, session, class_code, added)
                return learnt, standings(learnt, [Completion("", settings.attempt)])[0]

            for news in wait_for(work, "Training the reward model …", FAILED):
                if not isinstance(news, Ready):
                    yield [message(news), *keep]
                    continue
                learnt, standing = news.value
                session = session_or_new(session)
                self._shared.services.store.add_attempt(
                    session, settings.annotator, settings.attempt, standing.learned, standing.true, class_code
                )
                yield [
                    message(verdict(standing.gap)) + notes_html(told),
                    standing_html(standing, learnt.annotator.title),
                    self.board(settings.annotator, session, class_code),
                    remembered(fooling, settings.annotator, settings.attempt) if standing.gap >= FOOLED else gr.skip(),
                    session,
                ]
        except VisitorError as error:
            yield [message(str(error), alert=True) + notes_html(told), *keep]

    @one_at_a_time
    def close(self, *values: Any) -> Generator[list[Any], None, None]:
        """Add what fooled the model as rejected pairs, and train it once more."""
        from lab.preferences.breaking import close_hole

        *values, session, class_code, added, fooling, found = values
        settings, notes = self._controls.settings(*values)
        keep = [gr.skip()] * 4
        try:
            annotator = settings.annotator
            texts = tuple(dict.fromkeys([*of_annotator(fooling, annotator), *of_annotator(found, annotator)]))
            pairs = of_annotator(added, annotator)
            if not texts:
                raise PreferenceError(NOTHING_TO_REJECT)
            work = wait_for(
                lambda tell: close_hole(self._shared.learner, settings, session, class_code, pairs, texts),
                "Training the reward model once more …",
                FAILED,
            )
            for news in work:
                if not isinstance(news, Ready):
                    yield [message(news), *keep]
                    continue
                closed = news.value
                yield [
                    message(f"{len(closed.added):,} pairs added. {IN_USE}") + notes_html(notes),
                    closed_words(closed),
                    gr.update(value=closed_plot(closed), visible=True),
                    gr.update(value=closed_table(closed), visible=True),
                    with_annotator(added, annotator, closed.added),
                ]
        except VisitorError as error:
            yield [message(str(error), alert=True) + notes_html(notes), *keep]

    @staticmethod
    def forget(*under_way: Runs) -> list[Any]:
        """Take the added pairs away, and what is under way to find more."""
        for runs in under_way:
            runs.drop()
        hidden = [gr.update(visible=False), gr.update(visible=False)]
        return [message("Forgotten: the model learns from the rankings alone."), "", *hidden, (), "", (), ()]
