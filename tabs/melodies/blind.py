"""The blind test: three clips, one real chorale, one real folk song, one machine. Which is which?"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.music.blind import TRUTHS, Clip, Truth, round_of
from lab.music.melody import Melody
from lab.music.performance import Manner, perform
from lab.music.voices import VOICES, Voice
from lab.preferences import Tally
from lab.preferences.statistics import wilson_interval
from tabs.melodies.cards import card, verdict
from tabs.melodies.render.cards import PLAYER_JS, cards, empty_cards
from tabs.page import PRIVATE, Services
from tabs.rendering import message
from tabs.visitor import FIND_SESSION_JS, KEEP_SESSION_JS, session_box, session_or_new
from tabs.waiting import wait_for

EXPERIMENT = "melodies"
CLIPS = 3
EMPTY = "Press New round: three melodies on one instrument. One is a chorale, one a folk song, one a machine's."
CHOICES = [(title, str(truth)) for truth, title in TRUTHS.items()]
FOOLED_COLUMNS = ["written by", "guesses", "taken for real", "95 % interval"]
MANNER = Manner()  # the same for all clips, so that only the melody tells


class BlindPanel:
    """A round of the test, the visitor's score, and what all visitors together were fooled by."""

    def __init__(self, services: Services) -> None:
        self._voices, self._store = services.voices, services.store
        with gr.Row(elem_classes="sd-actions"):
            self._new = gr.Button("New round", variant="primary", min_width=140, scale=0)
            self._check = gr.Button("Check my answers", min_width=140, scale=0, interactive=False)
            self._status = gr.HTML("", elem_classes="sd-status")
        self._board = gr.HTML(empty_cards(EMPTY), js_on_load=PLAYER_JS, elem_id="sd-blind")
        with gr.Row(visible=False) as self._guessing:
            self._guesses = [gr.Radio(CHOICES, label=f"Clip {n + 1} is", min_width=200) for n in range(CLIPS)]
        self._score = gr.Markdown("")
        with gr.Accordion("Which model fools people most?", open=False) as accordion:
            gr.Markdown("Guesses of all visitors of this app, without names. A model fools whoever takes it for real.")
            self._fooled = gr.Dataframe(headers=FOOLED_COLUMNS, interactive=False, label="Guesses about machines")
            self._of_class = gr.Dataframe(
                headers=FOOLED_COLUMNS, interactive=False, label="Those of your class", visible=False
            )
        self._clips = gr.State(())
        self._session = session_box(services)
        self._judged = gr.State(True)
        self._class_code = gr.State("") if services.class_code is None else services.class_code
        accordion.expand(self._tables, self._class_code, [self._fooled, self._of_class], **PRIVATE)

    def wire(self) -> None:
        """Connect the buttons."""
        self._new.click(
            self.start,
            None,
            [self._status, self._board, self._guessing, *self._guesses, self._clips, self._judged, self._check],
            **PRIVATE,
        )
        judged = self._check.click(
            self.judge,
            [self._session, self._clips, self._judged, self._class_code, *self._guesses],
            [
                self._status,
                self._board,
                self._score,
                self._judged,
                self._check,
                self._fooled,
                self._of_class,
                self._session,
            ],
            js=FIND_SESSION_JS,
            **PRIVATE,
        )
        judged.then(None, self._session, None, js=KEEP_SESSION_JS, **PRIVATE)

    def start(self) -> Iterator[list[Any]]:
        """Play a new round."""
        keep = [gr.skip()] * (CLIPS + 5)
        seed = secrets.randbelow(2**31)
        try:
            for news in wait_for(
                lambda tell: self._round(seed),
                "Choosing three melodies …",
                VisitorError("The clips could not be made."),
            ):
                if isinstance(news, str):
                    yield [message(news), *keep]
                    continue
                clips, board = news.value
                told = message("Listen to all three, then say what each is.")
                cleared = [gr.update(value=None) for _ in range(CLIPS)]  # Gradio empties each as it reads it
                yield [told, board, gr.update(visible=True), *cleared, clips, False, gr.update(interactive=True)]
        except VisitorError as error:
            yield [message(str(error), alert=True), *keep]

    def _round(self, seed: int) -> tuple[tuple[Clip, ...], str]:
        clips = tuple(round_of(self._voices, seed))
        return clips, cards([hidden_card(clip.melody, number) for number, clip in enumerate(clips, 1)])

    def judge(
        self, session: str, clips: Sequence[Clip], judged: bool, class_code: str, *guesses: str | None
    ) -> list[Any]:
        """Keep the guesses, for the visitor's class if there is one, and show the answers and the score."""
        keep = [gr.skip()] * 7
        session = session_or_new(session)
        if judged or not clips:
            return [message("Press New round for three more."), *keep]
        if not all(guess in set(Truth) for guess in guesses):
            return [message("Say of each clip what it is, please.", alert=True), *keep]
        try:
            given = [(_kept_of(clip), str(clip.truth), str(guess)) for clip, guess in zip(clips, guesses, strict=True)]
            self._store.add_guesses(session, EXPERIMENT, given, class_code)
            told = self._told(session)
        except VisitorError as error:
            return [message(str(error), alert=True), *keep]
        shown = [
            open_card(clip, guess, number) for number, (clip, guess) in enumerate(zip(clips, guesses, strict=True), 1)
        ]
        right = sum(clip.truth == guess for clip, guess in zip(clips, guesses, strict=True))
        return [
            message(f"{right} of {CLIPS} right."),
            cards(shown),
            told,
            True,
            gr.update(interactive=False),
            *self._tables(class_code),
            session,
        ]

    def _told(self, session: str) -> str:
        guesses = self._store.guesses(experiment=EXPERIMENT, session=session)
        right = sum(guess.truth == guess.answer for guess in guesses)
        low, high = wilson_interval(right, len(guesses))
        return (
            f"**Your score:** {right} of {len(guesses)} right, {right / len(guesses):.0%} "
            f"(95 % interval {low:.0%} to {high:.0%}). Guessing blindly gives 33 %."
        )

    def _tables(self, class_code: str) -> list[Any]:
        mine = gr.update(value=self.fooled(class_code), visible=True) if class_code else gr.update(visible=False)
        return [self.fooled(), mine]

    def fooled(self, class_code: str | None = None) -> list[list[str]]:
        """Return for each machine how often it was taken for a real tune, by a class or, without one, by anybody."""
        rows = []
        try:
            tallies = self._store.count_guesses(experiment=EXPERIMENT, class_code=class_code, by_model=True)
        except VisitorError as error:
            return [[str(error), "", "", ""]]
        for voice, taken, total in fooled_counts(tallies):
            low, high = wilson_interval(taken, total)
            rows.append([VOICES[voice].title, str(total), f"{taken / total:.0%}", f"{low:.0%} to {high:.0%}"])
        return rows or [["nobody has guessed yet", "", "", ""]]


def _kept_of(clip: Clip) -> str:
    """Return what is kept of a clip, as JSON: the model that wrote it, if one did, and its source."""
    return json.dumps({"model": clip.source if clip.truth is Truth.MACHINE else "", "id": clip.source})


def fooled_counts(tallies: Sequence[Tally]) -> list[tuple[Voice, int, int]]:
    """Return each machine voice with how many guesses took it for real and how many there were, the best first."""
    counts: dict[Voice, list[int]] = {}
    for tally in tallies:
        if tally.truth == Truth.MACHINE and tally.model in set(Voice):
            entry = counts.setdefault(Voice(tally.model), [0, 0])
            entry[0] += tally.count * (tally.answer != Truth.MACHINE)
            entry[1] += tally.count
    found = [(voice, taken, total) for voice, (taken, total) in counts.items()]
    return sorted(found, key=lambda row: (-row[1] / row[2], -row[2]))


def hidden_card(melody: Melody, number: int) -> Any:
    """Return a card with nothing to see but the player."""
    performance = perform(melody, MANNER, title=f"Clip {number}", prefix=f"b{number}")
    full = card(
        performance,
        key=f"b{number}",
        title=f"Clip {number}",
        role="real",
        subtitle="Chorale, folk song or machine?",
        facts=[],
    )
    return replace(full, svg="", notes=(), downloads={})


def open_card(clip: Clip, guess: str, number: int) -> Any:
    """Return the card of a clip that was judged, with everything about it."""
    performance = perform(clip.melody, MANNER, title=f"Clip {number}", prefix=f"b{number}")
    right = clip.truth == guess
    said = TRUTHS[Truth(guess)].lower()
    return card(
        performance,
        key=f"b{number}",
        title=f"Clip {number}: {TRUTHS[clip.truth]}" + (" ✓" if right else " ✗"),
        role="changed" if clip.truth is Truth.MACHINE else "real",
        subtitle=clip.about,
        facts=[("You said", said + (", right" if right else ", wrong")), ("Sounds like Bach", verdict(clip.melody))],
    )
