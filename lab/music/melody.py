"""A melody: notes and rests in ticks, under one meter, in one key.

    tick   = a thirty-second note
    pickup = the ticks before the first bar line, 0 if the melody starts on it

Melodies are kept in C major or A minor; ``transposition`` leads back to the key of the source. So a model need not
learn everything twelve times, and melodies of all keys can be compared note by note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

TICKS_PER_QUARTER = 8
TICKS_PER_WHOLE = 32
LOWEST_PITCH, HIGHEST_PITCH = 36, 96  # MIDI numbers; what no voice or whistle reaches is no melody of ours
CENTER_PITCH = 69  # a melody's mean pitch is brought within a tritone of this A


class Mode(StrEnum):
    """Major or minor, told by the third above the tonic."""

    MAJOR = "major"
    MINOR = "minor"

    @property
    def tonic(self) -> int:
        """Pitch class of the tonic to which melodies are brought: C in major, A in minor."""
        return 0 if self is Mode.MAJOR else 9


@dataclass(frozen=True, slots=True, order=True)
class Meter:
    """A time signature."""

    beats: int
    unit: int

    @property
    def bar(self) -> int:
        """Length of a bar in ticks."""
        return self.beats * TICKS_PER_WHOLE // self.unit

    @property
    def beat(self) -> int:
        """Length of what is felt as a beat, in ticks: three units where the meter is compound, else one."""
        unit = TICKS_PER_WHOLE // self.unit
        return 3 * unit if self.beats % 3 == 0 and self.beats > 3 else unit

    def __str__(self) -> str:
        return f"{self.beats}/{self.unit}"

    @classmethod
    def parse(cls, text: str) -> Meter:
        """Read a time signature such as ``3/4``.

        Raises:
            ValueError: if it is none, or its unit is not a power of two up to 32.
        """
        beats, slash, unit = text.strip().partition("/")
        if not (slash and beats.isdecimal() and unit.isdecimal()):
            raise ValueError(f"{text[:20]!r} is not a time signature")
        if int(unit) not in (1, 2, 4, 8, 16, 32) or not 1 <= int(beats) <= 32:
            raise ValueError(f"{text[:20]!r} is not a time signature that can be used here")
        return cls(int(beats), int(unit))


@dataclass(frozen=True, slots=True)
class Note:
    """A note, or a rest if ``pitch`` is None.

    Attributes:
        pitch: MIDI number, 60 for middle C.
        duration: in ticks.
        phrase_end: whether a phrase ends with it (a line of the song, a fermata).
    """

    pitch: int | None
    duration: int
    phrase_end: bool = False


@dataclass(frozen=True, slots=True)
class Melody:
    """Notes under a meter. Sounding pitch in the source's key = pitch + transposition."""

    notes: tuple[Note, ...]
    meter: Meter
    mode: Mode
    pickup: int = 0
    transposition: int = 0

    @property
    def duration(self) -> int:
        """Length in ticks."""
        return sum(note.duration for note in self.notes)

    @property
    def pitches(self) -> list[int]:
        """Pitches of the notes, rests left out."""
        return [note.pitch for note in self.notes if note.pitch is not None]

    def onsets(self) -> Iterator[tuple[int, Note]]:
        """Yield each note and rest with the tick at which it starts."""
        tick = 0
        for note in self.notes:
            yield tick, note
            tick += note.duration

    def position(self, tick: int) -> int:
        """Return how many ticks after its bar line a tick lies; the pickup counts as the end of a bar."""
        return (tick - self.pickup) % self.meter.bar

    def bar_lengths(self) -> list[int]:
        """Return the ticks in each bar, the pickup first if there is one."""
        bar, left = self.meter.bar, self.duration
        lengths = [min(self.pickup, left)] if self.pickup else []
        left -= sum(lengths)
        while left > 0:
            lengths.append(min(bar, left))
            left -= lengths[-1]
        return lengths

    @property
    def complete(self) -> bool:
        """Whether the last bar is full, or makes a full one together with the pickup."""
        last = (self.duration - self.pickup) % self.meter.bar
        return last == 0 or last + self.pickup == self.meter.bar

    def shifted(self, semitones: int) -> Melody:
        """Return the melody with all pitches moved; the transposition moves against them, the source stays."""
        notes = tuple(n if n.pitch is None else replace(n, pitch=n.pitch + semitones) for n in self.notes)
        return replace(self, notes=notes, transposition=self.transposition - semitones)

    def sounding(self, transposition: int | None = None) -> Melody:
        """Return it in the source's key, or that many semitones above C major or A minor."""
        return self.shifted(self.transposition if transposition is None else transposition)


def mode_of(notes: Sequence[Note], tonic: int) -> Mode:
    """Tell the mode from the thirds above the tonic (a pitch class), by how long each sounds; major if there is none.

    Key signatures cannot be trusted with this: many collections write minor tunes with a major signature.
    """
    length = [0] * 12
    for note in notes:
        if note.pitch is not None:
            length[(note.pitch - tonic) % 12] += note.duration
    return Mode.MINOR if length[3] > length[4] else Mode.MAJOR


def normalized(notes: Sequence[Note], meter: Meter, tonic: int, pickup: int, mode: Mode | None = None) -> Melody:
    """Return a melody in C major or A minor, in the octave nearest to all others, from notes in any key.

    Args:
        notes: at sounding pitch, at least one of them not a rest.
        tonic: pitch class, 0 for C.
        pickup: in ticks.
        mode: told by the third if not given.

    Raises:
        ValueError: if no note sounds.
    """
    pitches = [note.pitch for note in notes if note.pitch is not None]
    if not pitches:
        raise ValueError("a melody needs at least one note")
    mode = mode or mode_of(notes, tonic)
    shift = (mode.tonic - tonic) % 12
    octaves = round((CENTER_PITCH - sum(pitches) / len(pitches) - shift) / 12)
    return Melody(tuple(notes), meter, mode, pickup).shifted(shift + 12 * octaves)
