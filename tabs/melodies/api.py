"""What programs can call: ``melody``. Arguments are checked like a link's: clamped, with notes."""

from __future__ import annotations

import base64
import logging
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.music.classifier import Kind, load_classifier
from lab.music.composing import DEFAULT_OPENING, DEFAULT_VOICES, MelodySettings, Piece, compose
from lab.music.measures import measure
from lab.music.melody import TICKS_PER_QUARTER
from lab.music.performance import perform
from lab.music.plagiarism import closest
from tabs.melodies.controls import manner_of
from tabs.page import Services

log = logging.getLogger(__name__)


def add_api(services: Services) -> None:
    """Add the API name to the page under construction."""

    def melody(
        opening: str = DEFAULT_OPENING,
        meter: str = "4/4",
        mode: str = "major",
        phrases: int = 4,
        temperature: float = 1.0,
        top_p: float = 0.95,
        seed: int = 24,
        mask: bool = True,
        voices: str = DEFAULT_VOICES,
        strength: float = 1.0,
        instrument: str = "Church organ",
        tempo: int = 96,
        transpose: int = 0,
        cadence: bool = True,
        originality: bool = True,
    ) -> dict[str, Any]:
        """Continue an opening with several voices.

        opening is ABC notation in eighths, in C major or A minor; voices are separated by commas: folk, header,
        last-block, lora, full, scratch. mask forbids what would break a bar, cadence an end on another note than the
        tonic, originality a run of 12 intervals that a training tune has. Returns for each its notes (pitch as MIDI
        number, start and duration in quarters), measures, files (MIDI and WAV in base64, MusicXML as text), of which
        the WAV has the first four minutes; and notes on changed arguments.
        """
        given = locals()
        settings, notes = MelodySettings.lenient(
            {name: given[name] for name in MelodySettings.model_fields if name in given}
        )
        try:
            pieces = compose(services.voices, settings)
            return {
                "settings": settings.model_dump(mode="json"),
                "notes": notes,
                "melodies": [described(piece, settings) for piece in pieces],
            }
        except VisitorError as error:
            raise gr.Error(str(error), print_exception=False) from error
        except Exception as error:  # the trace is for us, the caller gets words
            log.exception("melodies could not be written")
            raise gr.Error("The melodies could not be written.", print_exception=False) from error

    gr.api(melody, api_name="melody")


def described(piece: Piece, settings: MelodySettings) -> dict[str, Any]:
    """Return a piece as JSON."""
    performance = perform(piece.melody, manner_of(settings), title=str(piece.voice), prefix="score")
    found = closest(piece.melody, skip=piece.given_pitches)
    measures = {name: None if value != value else value for name, value in measure(piece.melody).items()}
    return {
        "voice": str(piece.voice),
        "strength": piece.strength,
        "meter": str(piece.melody.meter),
        "mode": str(piece.melody.mode),
        "notes": [
            {
                "pitch": note.pitch,
                "start": start / TICKS_PER_QUARTER,
                "duration": note.duration / TICKS_PER_QUARTER,
                "phrase_end": note.phrase_end,
                "opening": place < piece.given,
            }
            for place, (start, note) in enumerate(performance.melody.onsets())
        ],
        "complete_bars": piece.written.complete_bars,
        "bars": len(piece.written.bars),
        "mean_log_probability": piece.mean_log_probability,
        "probability_of_bach": {str(kind): load_classifier(kind).probability(piece.melody) for kind in Kind},
        "longest_copied_run": {"intervals": found.length, "tune": found.tune.title if found.tune else None},
        "measures": measures,
        "midi": base64.b64encode(performance.midi).decode(),
        "wav": base64.b64encode(performance.wav).decode(),
        "musicxml": performance.score.musicxml,
    }
