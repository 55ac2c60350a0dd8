"""A melody made audible and visible: sound, score, files, and when which note sounds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from lab.music.melody import TICKS_PER_QUARTER, Melody
from lab.music.midi import INSTRUMENTS, to_midi
from lab.music.score import Score, engrave
from lab.music.sound import render, to_wav

SCORE_WIDTH = 480  # pixels at which lines are broken: about the width of a card, on a phone as well


@dataclass(frozen=True)
class Manner:
    """How a melody is played. None of it changes the melody.

    Attributes:
        tempo: quarter notes per minute.
        transpose: semitones above C major or A minor.
        synthesizer: one of those that ``lab.music.sound.synthesizers`` names.
    """

    instrument: str = next(iter(INSTRUMENTS))
    tempo: int = 96
    transpose: int = 0
    synthesizer: str = "symusic"


@dataclass(frozen=True)
class Performance:
    """What a page needs to play and show a melody; times are in seconds, one pair of start and duration per note."""

    melody: Melody
    wav: bytes
    midi: bytes
    score: Score
    times: tuple[tuple[float, float], ...]
    seconds: float


@lru_cache(maxsize=24)  # some 80 MB: thirty people who open one link want the same sounds
def perform(melody: Melody, manner: Manner, *, title: str, prefix: str) -> Performance:
    """Play and engrave a melody.

    Args:
        melody: in C major or A minor.
        prefix: of the ids in the score's picture; scores on one page need different ones.

    Raises:
        VisitorError: if the synthesizer is not available.
    """
    sounding = melody.shifted(manner.transpose)
    tonic = (melody.mode.tonic + manner.transpose) % 12
    program = INSTRUMENTS[manner.instrument]
    sound = render(sounding, tempo=manner.tempo, program=program, synthesizer=manner.synthesizer)
    return Performance(
        melody=sounding,
        wav=to_wav(sound),
        midi=to_midi(sounding, tempo=manner.tempo, program=program),
        score=engrave(sounding, title=title, tonic=tonic, prefix=prefix, width=SCORE_WIDTH),
        times=note_times(melody, manner.tempo),
        seconds=sound.seconds,
    )


def note_times(melody: Melody, tempo: float) -> tuple[tuple[float, float], ...]:
    """Return start and duration of each note and rest in seconds, at a tempo in quarter notes per minute."""
    tick = 60 / tempo / TICKS_PER_QUARTER
    return tuple((start * tick, note.duration * tick) for start, note in melody.onsets())
