"""Morph: the strength of the LoRA from nothing to twice its own, at the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.music.composing import MelodySettings, Piece
from lab.music.morph import STRENGTHS, Morph, morph
from tabs.melodies.cards import piece_card
from tabs.melodies.controls import Controls, manner_of
from tabs.melodies.render.cards import PLAYER_JS, cards, empty_cards
from tabs.melodies.render.figures import MORPHED, morph_plot, morph_table
from tabs.page import PRIVATE, Services
from tabs.rendering import message, notes_html, progress
from tabs.runs import Runs
from tabs.waiting import wait_for

EMPTY = "Press Morph: one melody for each strength, from the same opening and seed. Then move the slider and listen."


class MorphPanel:
    """The slider over the LoRA's strength and what it shows."""

    def __init__(self, services: Services) -> None:
        self._voices = services.voices
        gr.Markdown(
            "The LoRA's change is added to a frozen model, so it can be added in part, or too much. "
            "Strength 0 is the folk model, 1 is the change as it was trained."
        )
        self.strength = gr.Slider(
            STRENGTHS[0],
            STRENGTHS[-1],
            value=MelodySettings.default("strength"),
            step=0.25,
            label="Strength of the LoRA",
        )
        with gr.Row(elem_classes="sd-actions"):
            self.button = gr.Button("Morph", variant="primary", min_width=140, scale=0)
            self._stop = gr.Button("Stop", min_width=90, scale=0)
            self._status = gr.HTML("", elem_classes="sd-status")
        with gr.Row(elem_classes="sd-morph-pair"):
            self._board = gr.HTML(empty_cards(EMPTY), js_on_load=PLAYER_JS, elem_id="sd-morph")
            self._plot = gr.Plot(show_label=False, visible=False)
        self._result = gr.State(None)
        self._runs = gr.State(Runs())
        with gr.Accordion("The same as a table", open=False):
            self._table = gr.Dataframe(headers=["strength", *MORPHED.values()], interactive=False, label="Means")

    @property
    def outputs(self) -> list[Any]:
        """Components that a run sets."""
        return [self._status, self._board, self._result, self._plot, self._table]

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, the slider, and what says how the melody is played."""
        self._controls = controls
        self.inputs = [*controls.all, self._runs]
        self.button.click(self.run, self.inputs, self.outputs, trigger_mode="multiple", **PRIVATE)
        self._stop.click(lambda runs: runs.stop(), self._runs, None, queue=False, **PRIVATE)
        # "input", not "release": the keyboard moves sliders, too.
        for component in (self.strength, *controls.manner):
            component.input(
                self._listen,
                [*controls.all, self._result, self._runs],
                [self._status, self._board, self._plot],
                trigger_mode="always_last",
                **PRIVATE,
            )

    def run(self, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Write melodies at all strengths; the visitor's own first, the means as they come."""
        *values, runs = values
        settings, more = self._controls.settings(*values)
        runs.latest = settings
        yield from runs.follow(
            self._morph(settings, [*notes, *more], runs), lambda update: [message("Stopped."), *update[1:]]
        )

    def _morph(self, settings: MelodySettings, notes: list[str], runs: Runs) -> Iterator[list[Any]]:
        keep = [gr.skip()] * 4
        try:
            steps = morph(self._voices, settings)
            for number in range(3):
                for news in wait_for(
                    lambda tell: next(steps), "Composing …", VisitorError("The melodies could not be written.")
                ):
                    if isinstance(news, str):
                        yield [message(news) if not number else gr.skip(), *keep]
                        continue
                    result, now = news.value, runs.latest
                    board = self._card(result, now) if not number else gr.skip()
                    figure = gr.skip()
                    table = gr.skip()
                    if result.means:
                        figure = gr.update(value=morph_plot(result, now.strength), visible=True)
                        table = morph_table(result)
                    yield [progress(result.done, notes if result.done == 1 else ()), board, result, figure, table]
        except VisitorError as error:
            yield [message(str(error), alert=True) + notes_html(notes), *keep]

    def _listen(self, *values: Any) -> list[Any]:
        """Show the melody at the strength that the slider shows, played as the controls say."""
        *values, result, runs = values
        settings, _ = self._controls.settings(*values)
        runs.latest = settings
        if not isinstance(result, Morph):
            return [gr.skip()] * 3
        try:
            board = self._card(result, settings)
        except VisitorError as error:
            return [message(str(error), alert=True), gr.skip(), gr.skip()]
        figure = gr.update(value=morph_plot(result, settings.strength)) if result.means else gr.skip()
        return [gr.skip(), board, figure]

    @staticmethod
    def _card(result: Morph, settings: MelodySettings) -> str:
        return cards([piece_card(piece_at(result, settings.strength), manner_of(settings), "m")])


def piece_at(result: Morph, strength: float) -> Piece:
    """Return the piece whose strength is nearest."""
    place = min(range(len(result.strengths)), key=lambda n: abs(result.strengths[n] - strength))
    return result.pieces[place]
