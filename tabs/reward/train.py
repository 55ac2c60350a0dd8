"""Train: rankings become a reward model in a blink, and what can be said of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.preferences.report import Report, report
from lab.preferences.settings import RewardSettings, View
from tabs.asking import add_examples
from tabs.page import PRIVATE
from tabs.rendering import message, notes_html
from tabs.reward.panels import LEARNS, add_plot, follow, show_when_ready, wire_stories
from tabs.reward.render.train import measures, taste, train_notes, train_status
from tabs.reward.render.train_plots import (
    CALIBRATION_COLUMNS,
    CURVE_COLUMNS,
    TRIAL_COLUMNS,
    calibration_plot,
    calibration_table,
    curve_plot,
    curve_table,
    trial_plot,
    trial_table,
)
from tabs.reward.shared import Controls, Shared
from tabs.runs import Runs
from tabs.waiting import wait_for

log = logging.getLogger(__name__)

EMPTY = '<p class="sd-empty">Press Train: rankings become pairs, and pairs become a reward model.</p>'
EXPLAINED = {
    "curve": "**Learning curve.** Each point is a model that learned from so many pairs, drawn at random by prompt. "
    "Held-out pairs are of prompts that it has not seen. On average no model is right more often than the annotator "
    "follows its own rule. Asked again, it agrees with itself less often than that: both answers waver.",
    "calibration": "**Calibration.** A reward difference of *d* says: the chosen text wins with probability "
    "1 / (1 + e⁻ᵈ). On the dashed line the model is right as often as it says. Below, it is too sure of itself.",
    "trials": "**Regularisation.** With few pairs, many weights can follow any whim. L2 pulls them towards zero; "
    "how hard, is tried out on prompts left out, from strong to weak, until it gets worse. The large point was chosen.",
}
STORIES = (
    ("Ten rankings only", {"source": "annotator", "annotator": "dialogue", "rankings": 10}),
    ("A noisy annotator", {"source": "annotator", "annotator": "noisy", "rankings": 300}),
    ("Sentence lengths, from embeddings", {"annotator": "short-sentences", "rankings": 300, "features": "completion"}),
    ("The same, from words", {"annotator": "short-sentences", "rankings": 300, "features": "words"}),
)


class TrainPanel:
    """The button and all that is shown of the model."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.controls: dict[str, Any] = {}
        self._stories = add_examples(STORIES)
        with gr.Row(elem_classes="sd-actions"):
            self.button = gr.Button("Train", variant="primary", min_width=120, scale=0, elem_id="sd-reward-train-go")
            self._stop = gr.Button("Stop", min_width=90, scale=0)
            self._status = gr.HTML("", elem_classes="sd-status")
        self.board = gr.HTML(EMPTY, elem_id="sd-reward-train-board")
        # In the page from the start: what is sent to parts that are only being made gets lost.
        with gr.Column(visible="hidden") as self._details:
            self._curve, self._curve_table = add_plot(EXPLAINED["curve"], CURVE_COLUMNS, "Learning curve")
            self._calibration, self._bins = add_plot(EXPLAINED["calibration"], CALIBRATION_COLUMNS, "Calibration")
            self._trials, self._trial_table = add_plot(EXPLAINED["trials"], TRIAL_COLUMNS, "Cross-validation")
            self._taste = gr.HTML("", elem_id="sd-reward-train-taste")
            with gr.Accordion("The annotator's rule, as code", open=False):
                self._rule = gr.Code(language="python", interactive=False, show_label=False)
        self._runs = gr.State(Runs())
        shared.services.warm_ups.append(self._warm)

    @property
    def outputs(self) -> list[Any]:
        """Components that a run sets."""
        return [
            self._status,
            self.board,
            self._details,
            self._curve,
            self._curve_table,
            self._calibration,
            self._bins,
            self._trials,
            self._trial_table,
            self._taste,
            self._rule,
        ]

    def wire(self, controls: Controls) -> None:
        """Connect buttons; once a model is shown, another choice above the tools trains another."""
        self._controls = controls
        self.inputs = [*controls.all, *self._shared.inputs, self._runs]
        self.button.click(self.run, self.inputs, self.outputs, trigger_mode="multiple", **PRIVATE)
        self._stop.click(Runs.stop, self._runs, None, queue=False, **PRIVATE)
        follow(controls, self, View.TRAIN, LEARNS)
        wire_stories(self._stories, controls, self, View.TRAIN)

    def run(self, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Train; the measures first, then the learning curve as it grows."""
        *values, session, class_code, added, runs = values
        settings, more = self._controls.settings(*values)
        updates = self._train(settings, (session, class_code, added), [*notes, *more])
        yield from runs.follow(updates, lambda update: [message("Stopped. What was drawn stays."), *update[1:]])

    def _train(self, settings: RewardSettings, whose: tuple[Any, ...], notes: list[str]) -> Iterator[list[Any]]:
        reports: list[Iterator[Report]] = []
        said = ""

        def work() -> Report:
            reports.append(report(self._shared.learn(settings, *whose)))
            return next(reports[0])

        def shown(found: Report) -> list[Any]:
            nonlocal said
            said = message(train_status(found)) + notes_html([*notes, *train_notes(found)])
            return [said, *self._measured(found)]

        yield from show_when_ready(work, shown, len(self.outputs), notes)
        if said:
            yield from self._grow(reports[0], said)

    def _grow(self, reports: Iterator[Report], said: str) -> Iterator[list[Any]]:
        """Draw the learning curve point by point; the status tells of slow ones, and in the end says what it said."""
        keep = [gr.skip()] * (len(self.outputs) - 1)
        failure = VisitorError("The learning curve could not be drawn.")
        try:
            while True:
                for news in wait_for(lambda tell: next(reports, None), "Drawing the learning curve …", failure):
                    if isinstance(news, str):
                        yield [message(news), *keep]
                        continue
                    if news.value is None:
                        yield [said, *keep]
                        return
                    drawn = [curve_plot(news.value), curve_table(news.value)]
                    yield [gr.skip()] * 3 + drawn + [gr.skip()] * 6
        except VisitorError as error:
            yield [said + message(str(error), alert=True), *keep]

    def _warm(self) -> None:
        try:
            for found in report(self._shared.learner.learn(RewardSettings())):
                curve_plot(found)
        except (VisitorError, OSError) as error:
            log.warning("the reward tab is not warm: %s", error)

    @staticmethod
    def _measured(found: Report) -> list[Any]:
        """Return what is shown beside the status before the learning curve is drawn."""
        return [
            measures(found),
            gr.update(visible=True),
            gr.update(value=None),
            [],
            calibration_plot(found),
            calibration_table(found),
            trial_plot(found),
            trial_table(found),
            taste(found),
            found.learnt.annotator.source,
        ]
