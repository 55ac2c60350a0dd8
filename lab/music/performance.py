"""A melody made audible and visible: sound, score, files, and when which note sounds."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lab.music.melody import TICKS_PER_QUARTER, Melody
from lab.music.midi import INSTRUMENTS, to_midi
from lab.music.score import Score, engrave
from lab.music.sound import render, to_wav
from lab.once import Once

SCORE_WIDTH = 480  # pixels at which lines are broken: about the width of a card, on a phone as well
MAX_SECONDS = 240  # that are played: 21 MB from symusic; a tune of the test takes half a minute
KEPT_BYTES = 80_000_000  # of performances, so that thirty people who open one link wait once for its sounds


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
    """What a page needs to play and show a melody.

    Attributes:
        wav: the sound of at most ``MAX_SECONDS`` of it, and ``seconds`` its length; all else is of the whole melody.
        times: in seconds, one pair of start and duration per note.
    """

    melody: Melody
    wav: bytes
    midi: bytes
    score: Score
    times: tuple[tuple[float, float], ...]
    seconds: float

    @property
    def breaks_off(self) -> bool:
        """Whether the melody goes on after its sound ends."""
        return bool(self.times) and sum(self.times[-1]) > MAX_SECONDS + 1e-6

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return len(self.wav) + len(self.midi) + len(self.score.svg) + len(self.score.musicxml)


_kept: Once[Performance] = Once(KEPT_BYTES, lambda performance: performance.size)


def perform(melody: Melody, manner: Manner, *, title: str, prefix: str) -> Performance:
    """Play and engrave a melody; what was asked for lately is there at once.

    Args:
        melody: in C major or A minor.
        prefix: of the ids in the score's picture; scores on one page need different ones.

    Raises:
        VisitorError: if the synthesizer is not available.
    """
    return _kept.get((melody, manner, title, prefix), lambda: _performed(melody, manner, title, prefix))


def forget() -> None:
    """Keep none of the performances so far."""
    _kept.clear()


def _performed(melody: Melody, manner: Manner, title: str, prefix: str) -> Performance:
    sounding = melody.shifted(manner.transpose)
    tonic = (melody.mode.tonic + manner.transpose) % 12
    program = INSTRUMENTS[manner.instrument]
    sound = render(
        beginning(sounding, manner.tempo), tempo=manner.tempo, program=program, synthesizer=manner.synthesizer
    )
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


def beginning(melody: Melody, tempo: float) -> Melody:
    """Return what of a melody sounds within ``MAX_SECONDS``, its last note shortened to that; mostly all of it."""
    limit = int(MAX_SECONDS * tempo / 60 * TICKS_PER_QUARTER)
    if melody.duration <= limit:
        return melody
    heard = [(start, note) for start, note in melody.onsets() if start < limit]
    return replace(melody, notes=tuple(replace(note, duration=min(note.duration, limit - at)) for at, note in heard))
