"""Score: the model's order beside the visitor's, and any text scored, sentence by sentence."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.preferences import MAX_COMPLETION, PreferenceError
from lab.preferences.pairs import Completion
from lab.preferences.settings import RewardSettings
from lab.preferences.standing import compare_order, standings
from tabs.page import PRIVATE
from tabs.rendering import message, notes_html
from tabs.reward.render.rank import order_in_words, short
from tabs.reward.render.score import (
    COMPARED_COLUMNS,
    EFFECT_COLUMNS,
    compared_html,
    compared_table,
    effect_table,
    effects_html,
    standing_html,
)
from tabs.reward.shared import Controls, Shared
from tabs.runs import Runs, one_at_a_time
from tabs.waiting import Ready, wait_for

LAST = 0  # the choice that stands for the last ranking
NONE_YET = "You have not ranked anything yet: rank a few completions first, then see here whether the model agrees."
EMPTY_TEXT = "There is no text to score. Write a few sentences first."
FAILED = VisitorError("The reward model could not be trained.")


class ScorePanel:
    """A ranking compared, and a text scored."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        gr.Markdown("#### Your order and the model's")
        with gr.Row(elem_classes="sd-actions"):
            self.ranking = gr.Dropdown([("my last ranking", LAST)], value=LAST, label="Ranking", min_width=260)
            self._compare = gr.Button("Compare", variant="primary", min_width=120, scale=0)
            self.compared_status = gr.HTML("", elem_classes="sd-status")
        self._compared = gr.HTML(f'<p class="sd-empty">{NONE_YET}</p>', elem_id="sd-reward-compared")
        self._table = gr.Dataframe(
            headers=COMPARED_COLUMNS, interactive=False, visible=False, label="The same as a table", show_search="none"
        )
        gr.Markdown("#### Any text")
        self.text = gr.Textbox(
            RewardSettings.default("text"),
            label="A text of your own",
            lines=4,
            max_lines=12,
            info=f"Up to {MAX_COMPLETION:,} characters. The reward model sees only the text, not its prompt.",
            elem_id="sd-reward-own",
        )
        with gr.Row(elem_classes="sd-actions"):
            self._score = gr.Button("Score this text", variant="primary", min_width=150, scale=0)
            self.status = gr.HTML("", elem_classes="sd-status")
        self._standing = gr.HTML("", elem_id="sd-reward-standing")
        with gr.Row():
            self._effects = gr.HTML("", elem_id="sd-reward-effects", min_width=320)
            self._effect_table = gr.Dataframe(
                headers=EFFECT_COLUMNS,
                column_widths=["64%", "36%"],
                interactive=False,
                wrap=True,
                visible=False,
                label="Leave one sentence out",
                show_search="none",
                min_width=320,
            )
        self._runs, self._comparing = gr.State(Runs()), gr.State(Runs())
        self.controls = {"text": self.text}
        self.outputs = [self.status, self._standing, self._effects, self._effect_table]
        self.compare_outputs = [self.compared_status, self._compared, self._table]

    def wire(self, controls: Controls) -> None:
        """Connect buttons."""
        self._controls = controls
        learnt_from = [*controls.all, *self._shared.inputs]
        self.inputs = [*learnt_from, self._runs]
        self.compare_inputs = [*learnt_from, self.ranking, self._comparing]
        for happens in (self._score.click, self.text.submit):
            happens(self.run, self.inputs, self.outputs, trigger_mode="multiple", **PRIVATE)
        self._compare.click(self.compare, self.compare_inputs, self.compare_outputs, trigger_mode="multiple", **PRIVATE)
        self.ranking.input(
            self.compare, self.compare_inputs, self.compare_outputs, trigger_mode="always_last", **PRIVATE
        )

    def offer(self, session: str) -> Any:
        """Return the visitor's rankings as choices, the last one chosen."""
        try:
            kept = self._kept(session)[-100:]
        except VisitorError:
            return gr.skip()
        named = [(f"{order_in_words(one.ranks)} · {short(one.prompt, 50)}", one.id) for one in reversed(kept)]
        return gr.update(choices=[("my last ranking", LAST), *named], value=LAST)

    def _kept(self, session: str) -> list[Any]:
        return self._shared.services.store.rankings(session=session) if session else []

    @one_at_a_time
    def compare(self, *values: Any) -> Generator[list[Any], None, None]:
        """Show a ranking beside the model's order."""
        *values, session, class_code, added, number = values
        settings, notes = self._controls.settings(*values)
        keep = [gr.skip(), gr.skip()]
        try:
            kept = self._kept(session)
            chosen = next((one for one in kept if one.id == number), kept[-1] if kept else None)
            if chosen is None:
                raise PreferenceError(NONE_YET)
            work = wait_for(
                lambda tell: compare_order(self._shared.learn(settings, session, class_code, added), chosen),
                "Training the reward model …",
                FAILED,
            )
            for news in work:
                if not isinstance(news, Ready):
                    yield [message(news), *keep]
                else:
                    found = news.value
                    table = gr.update(value=compared_table(found), visible=True)
                    yield [message("") + notes_html(notes), compared_html(found), table]
        except VisitorError as error:
            yield [message(str(error), alert=True), *keep]

    @one_at_a_time
    def run(self, *values: Any, notes: Sequence[str] = ()) -> Generator[list[Any], None, None]:
        """Score the visitor's text."""
        from lab.preferences.explain import explain

        *values, session, class_code, added = values
        settings, more = self._controls.settings(*values)
        told, keep = [*notes, *more], [gr.skip()] * 3
        try:
            if not settings.text.strip():
                raise PreferenceError(EMPTY_TEXT)
            completion = Completion("", settings.text)

            def work(tell: Any) -> Any:
                learnt = self._shared.learn(settings, session, class_code, added)
                return (
                    learnt,
                    standings(learnt, [completion])[0],
                    explain("", settings.text, learnt.model.score).effects,
                )

            for news in wait_for(work, "Training the reward model …", FAILED):
                if not isinstance(news, Ready):
                    yield [message(news), *keep]
                    continue
                learnt, standing, effects = news.value
                yield [
                    message("Scored.") + notes_html([*told, *learnt.notes]),
                    standing_html(standing, learnt.annotator.title),
                    effects_html(effects),
                    gr.update(value=effect_table(effects), visible=True),
                ]
        except VisitorError as error:
            yield [message(str(error), alert=True) + notes_html(told), *keep]
