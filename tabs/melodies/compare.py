"""Compare: one opening and seed, several voices side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.music.composing import MelodySettings, Piece, compose
from lab.music.voices import VOICES
from tabs.melodies.cards import piece_card
from tabs.melodies.controls import Controls, manner_of
from tabs.melodies.render.cards import PLAYER_JS, cards, empty_cards
from tabs.melodies.render.figures import MEASURE_COLUMNS, measure_plot, measure_table
from tabs.page import PRIVATE, Services
from tabs.rendering import message, notes_html
from tabs.runs import Runs
from tabs.waiting import wait_for

EMPTY = "Choose an opening and press Compose: every voice goes on from it, with the same seed."


class ComparePanel:
    """The controls and results of comparing voices."""

    def __init__(self, services: Services) -> None:
        self._voices = services.voices
        with gr.Row(elem_classes="sd-actions"):
            self.button = gr.Button("Compose", variant="primary", min_width=140, scale=0)
            self._stop = gr.Button("Stop", min_width=90, scale=0)
            self._status = gr.HTML("", elem_classes="sd-status")
        self._board = gr.HTML(empty_cards(EMPTY), js_on_load=PLAYER_JS, elem_id="sd-melodies")
        self._pieces = gr.State(())
        self._runs = gr.State(Runs())
        with gr.Accordion("What moved: measures against the two real collections", open=True):
            self._plot = gr.Plot(show_label=False, visible=False)
            self._table = gr.Dataframe(
                headers=MEASURE_COLUMNS, interactive=False, wrap=True, visible=False, label="Measures"
            )

    @property
    def outputs(self) -> list[Any]:
        """Components that a run sets."""
        return [self._status, self._board, self._pieces, self._plot, self._table]

    def wire(self, controls: Controls) -> list[Any]:
        """Connect buttons; return the inputs of :meth:`run`."""
        self._controls = controls
        self.inputs = [*controls.all, self._runs]
        run = {"fn": self.run, "inputs": self.inputs, "outputs": self.outputs}
        self.button.click(**run, trigger_mode="multiple", **PRIVATE)
        self._stop.click(lambda runs: runs.stop(), self._runs, None, queue=False, **PRIVATE)
        for component in controls.manner:
            component.input(  # not "release": the keyboard moves sliders, too
                self.play_again,
                [*controls.all, self._pieces, self._runs],
                [self._status, self._board],
                trigger_mode="always_last",
                **PRIVATE,
            )
        return self.inputs

    def run(self, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Compose and show one card after the other."""
        *values, runs = values
        settings, more = self._controls.settings(*values)
        runs.latest = settings
        yield from runs.follow(self._compose(settings, [*notes, *more], runs), self._stopped)

    @staticmethod
    def _stopped(update: list[Any]) -> list[Any]:
        _, board, pieces, *figures = update
        if isinstance(pieces, tuple):  # else nothing is shown yet, and what was before stays
            figures = measured(pieces)
        return [message("Stopped."), board, pieces, *figures]

    def _compose(self, settings: MelodySettings, notes: list[str], runs: Runs) -> Iterator[list[Any]]:
        keep = [gr.skip()] * 4
        try:
            pieces: list[Piece] = []
            composing = wait_for(
                lambda tell: compose(self._voices, settings),
                "Composing …",
                VisitorError("The melodies could not be written."),
            )
            for news in composing:
                if isinstance(news, str):
                    yield [message(news), *keep]
                else:
                    pieces = news.value
            made = cards([])
            for number in range(1, len(pieces) + 1):
                # All of them again: the visitor may have changed how they are played. What is as it was is kept.
                made = cards([piece_card(piece, manner_of(runs.latest), "c") for piece in pieces[:number]])
                if number < len(pieces):
                    words = f"Engraving and playing, {number} of {len(pieces)} …"
                    yield [message(words), made, tuple(pieces[:number]), *keep[2:]]
            yield [self._told(pieces, notes), made, tuple(pieces), *measured(pieces)]
        except VisitorError as error:
            yield [message(str(error), alert=True), *keep]

    @staticmethod
    def _told(pieces: list[Piece], notes: list[str]) -> str:
        count = sum(len(piece.melody.pitches) - piece.given_pitches for piece in pieces)
        return message(f"{len(pieces)} melodies, {count} notes written.") + notes_html(notes)

    def play_again(self, *values: Any) -> list[Any]:
        """Play the same melodies in another manner."""
        *values, pieces, runs = values
        settings, _ = self._controls.settings(*values)
        runs.latest = settings
        if not pieces:
            return [gr.skip(), gr.skip()]
        try:
            made = [piece_card(piece, manner_of(settings), "c") for piece in pieces]
        except VisitorError as error:
            return [message(str(error), alert=True), gr.skip()]
        return [message("The same melodies, played anew."), cards(made)]


def measured(pieces: Sequence[Piece]) -> list[Any]:
    """Return plot and table of the pieces' measures."""
    headers = [*MEASURE_COLUMNS, *titles(pieces)]
    return [
        gr.update(value=measure_plot(pieces), visible=True),
        gr.update(value=measure_table(pieces), headers=headers, visible=True),
    ]


def titles(pieces: Sequence[Piece]) -> list[str]:
    """Return the pieces' titles."""
    return [VOICES[piece.voice].title for piece in pieces]
