"""Measures of a melody in terms that musicians use: note values, intervals, scale, phrases.

Shares count notes or intervals, not time, so that what reads pitch only stays so. Note values are those written, in
quarters: a tune in 6/8 has other ones than the same tune notated in 6/4. A measure that a melody leaves open (which
intervals has a single note?) is NaN.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise

import numpy as np

from lab.music.corpus import Collection, Split, load_split
from lab.music.melody import TICKS_PER_QUARTER, Melody, Mode, Note
from lab.music.variants import intervals

# Semitones above the tonic. Minor has both forms of the sixth and seventh degree: G sharp is no stranger to A minor.
SCALES = {Mode.MAJOR: frozenset({0, 2, 4, 5, 7, 9, 11}), Mode.MINOR: frozenset({0, 2, 3, 5, 7, 8, 9, 10, 11})}
# First, third and fifth degree; in minor with the raised third (Picardy) in which many chorales' sopranos close.
STABLE = {Mode.MAJOR: frozenset({0, 4, 7}), Mode.MINOR: frozenset({0, 3, 4, 7})}
DOTTED = frozenset(3 << power for power in range(7))  # ticks: three halves of 2, 4, 8 ... are 3, 6, 12 ...


class Unit(StrEnum):
    """What a measure counts in."""

    SHARE = "share"  # 0 to 1
    FLAG = "yes or no"  # 1 or 0; its mean over many melodies is a share
    SEMITONES = "semitones"
    BITS = "bits"
    QUARTERS = "quarters"
    NOTES = "notes"


@dataclass(frozen=True, slots=True)
class Heard:
    """A melody taken apart once for all measures.

    Attributes:
        pitches, durations: of the notes, rests left out; durations in ticks.
        intervals: from note to note in semitones, across rests.
        degrees: of the notes, in semitones above the tonic, 0 to 11.
        phrases: those in which something sounds, with their rests.
    """

    melody: Melody
    pitches: list[int]
    durations: list[int]
    intervals: tuple[int, ...]
    degrees: list[int]
    phrases: list[tuple[Note, ...]]

    @classmethod
    def of(cls, melody: Melody) -> Heard:
        """Take a melody apart."""
        pitches = melody.pitches
        durations = [note.duration for note in melody.notes if note.pitch is not None]
        degrees = [(pitch - melody.mode.tonic) % 12 for pitch in pitches]
        return cls(melody, pitches, durations, intervals(melody), degrees, phrases(melody))

    def note_values(self, quarters: float) -> float:
        """Return the share of notes that last so many quarters."""
        return share(duration == quarters * TICKS_PER_QUARTER for duration in self.durations)

    def leaps(self, least: int, most: int) -> float:
        """Return the share of intervals of ``least`` to ``most`` semitones, up or down."""
        return share(least <= abs(step) <= most for step in self.intervals)


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure: what it is called, what it says, and how it is found.

    Attributes:
        name: key in what ``measure`` returns.
        title: short, for an axis or a row of a table.
        explanation: one sentence.
        pitch_only: whether it hangs on pitches and key only, not on rhythm, meter, rests or phrases.
        of: the function that finds it.
    """

    name: str
    title: str
    unit: Unit
    explanation: str
    pitch_only: bool
    of: Callable[[Heard], float]


def share(hits: Iterable[bool]) -> float:
    """Return the share of true ones, NaN if there is none at all."""
    found = list(hits)
    return sum(found) / len(found) if found else math.nan


def entropy(values: Sequence[int]) -> float:
    """Return Shannon's entropy of a sample in bits: 0 if all are equal, NaN if there is none."""
    if not values:
        return math.nan
    parts = [count / len(values) for count in Counter(values).values()]
    return max(0.0, -math.fsum(part * math.log2(part) for part in parts))


def phrases(melody: Melody) -> list[tuple[Note, ...]]:
    """Return the phrases with their rests; what follows the last sign is one too, what is silent throughout none."""
    found: list[list[Note]] = [[]]
    for note in melody.notes:
        found[-1].append(note)
        if note.phrase_end:
            found.append([])
    return [tuple(phrase) for phrase in found if any(note.pitch is not None for note in phrase)]


def phrase_length(heard: Heard) -> float:
    """Return the phrases' mean length in quarters; a rest belongs to the phrase whose sign follows it."""
    if not heard.phrases:
        return math.nan
    return sum(note.duration for phrase in heard.phrases for note in phrase) / len(heard.phrases) / TICKS_PER_QUARTER


def stable_ends(heard: Heard) -> float:
    """Return the share of phrases whose last note is the first, third or fifth degree of the key."""
    mode = heard.melody.mode
    last = ([note.pitch for note in phrase if note.pitch is not None][-1] for phrase in heard.phrases)
    return share((pitch - mode.tonic) % 12 in STABLE[mode] for pitch in last)


def notes_per_bar(heard: Heard) -> float:
    """Return the number of notes for each length of a bar."""
    melody = heard.melody
    return len(heard.pitches) * melody.meter.bar / melody.duration if melody.duration else math.nan


def pitch_range(heard: Heard) -> float:
    """Return the semitones from the lowest to the highest note."""
    return max(heard.pitches) - min(heard.pitches) if heard.pitches else math.nan


def mean_pitch(heard: Heard) -> float:
    """Return the mean pitch in semitones above the tonic nearest to the last note, whatever octave the melody is in.

    Around 0, the melody moves about its final (plagal, as theory calls it); around 5, above it (authentic).
    """
    if not heard.pitches:
        return math.nan
    above = heard.degrees[-1] - 12 * (heard.degrees[-1] > 6)  # of the last note over its nearest tonic
    return sum(heard.pitches) / len(heard.pitches) - (heard.pitches[-1] - above)


def turns(heard: Heard) -> float:
    """Return in what share of places between two moves the direction changes; repeated notes are passed over."""
    moves = [step for step in heard.intervals if step]
    return share((before > 0) != (after > 0) for before, after in pairwise(moves))


def final_tonic(heard: Heard) -> float:
    """Return 1 if the last note is the tonic, else 0."""
    return float(heard.degrees[-1] == 0) if heard.degrees else math.nan


def diatonic(heard: Heard) -> float:
    """Return the share of notes on the scale of the key, see ``SCALES``."""
    return share(degree in SCALES[heard.melody.mode] for degree in heard.degrees)


# fmt: off
MEASURES: tuple[Measure, ...] = (
    Measure("quarters", "Quarter notes", Unit.SHARE, "Share of notes that last a quarter.",
            False, lambda heard: heard.note_values(1)),
    Measure("eighths", "Eighth notes", Unit.SHARE, "Share of notes that last an eighth.",
            False, lambda heard: heard.note_values(1 / 2)),
    Measure("halves", "Half notes", Unit.SHARE, "Share of notes that last a half.",
            False, lambda heard: heard.note_values(2)),
    Measure("dotted", "Dotted notes", Unit.SHARE, "Share of notes with one dot, of whatever value.",
            False, lambda heard: share(duration in DOTTED for duration in heard.durations)),
    Measure("short", "Sixteenths or shorter", Unit.SHARE, "Share of notes that last a sixteenth at most.",
            False, lambda heard: share(4 * duration <= TICKS_PER_QUARTER for duration in heard.durations)),
    Measure("duration_entropy", "Variety of note values", Unit.BITS,
            "Entropy of the note values: 0 if all notes are equally long, 1 for two values that are equally frequent.",
            False, lambda heard: entropy(heard.durations)),
    Measure("notes_per_bar", "Notes per bar", Unit.NOTES, "Mean number of notes in the length of a bar.",
            False, notes_per_bar),
    Measure("pickup", "Pickup", Unit.FLAG, "Whether it starts before the first bar line.",
            False, lambda heard: float(heard.melody.pickup > 0)),
    Measure("phrase_length", "Length of phrases", Unit.QUARTERS, "Mean length of the phrases in quarters, with rests.",
            False, phrase_length),
    Measure("stable_ends", "Phrases end on 1, 3 or 5", Unit.SHARE,
            "Share of phrases that end on the first, third or fifth degree of the key.",
            False, stable_ends),
    Measure("repeated", "Repeated notes", Unit.SHARE, "Share of intervals that repeat the note.",
            True, lambda heard: heard.leaps(0, 0)),
    Measure("steps", "Steps", Unit.SHARE, "Share of intervals that are a second: one or two semitones, up or down.",
            True, lambda heard: heard.leaps(1, 2)),
    Measure("thirds", "Thirds", Unit.SHARE, "Share of intervals that are a third: three or four semitones.",
            True, lambda heard: heard.leaps(3, 4)),
    Measure("leaps", "Leaps", Unit.SHARE, "Share of intervals that are a fourth or wider: five semitones and more.",
            True, lambda heard: heard.leaps(5, 127)),
    Measure("turns", "Changes of direction", Unit.SHARE,
            "How often a move up is followed by one down or the other way round, repeated notes passed over.",
            True, turns),
    Measure("range", "Range", Unit.SEMITONES, "Semitones from the lowest to the highest note.",
            True, pitch_range),
    Measure("mean_pitch", "Mean pitch over the tonic", Unit.SEMITONES,
            "Mean pitch in semitones above the tonic that is nearest to the last note.",
            True, mean_pitch),
    Measure("diatonic", "Notes of the scale", Unit.SHARE,
            "Share of notes on the scale of the key; in minor with both forms of the sixth and seventh degree.",
            True, diatonic),
    Measure("final_tonic", "Ends on the tonic", Unit.FLAG, "Whether the last note is the tonic.",
            True, final_tonic),
    Measure("pitch_entropy", "Variety of pitches", Unit.BITS,
            "Entropy of the pitch classes: 0 for a single one, at most 3.58 if all twelve are equally frequent.",
            True, lambda heard: entropy(heard.degrees)),
)
# fmt: on
NAMES: tuple[str, ...] = tuple(one.name for one in MEASURES)


def measure(melody: Melody) -> dict[str, float]:
    """Return all measures by name, in the order of ``MEASURES``; NaN where the melody leaves one open."""
    heard = Heard.of(melody)
    return {one.name: float(one.of(heard)) for one in MEASURES}


@dataclass(frozen=True, slots=True)
class Spread:
    """How a measure is distributed over the tunes of a collection: mean, quartiles, and over how many tunes."""

    mean: float
    lower: float
    median: float
    upper: float
    tunes: int


@cache
def corpus_values(collection: Collection, split: Split) -> np.ndarray:
    """Return the measures of all tunes of a split, in their order; read-only, shape (tunes, measures)."""
    rows = [tuple(measure(tune.melody).values()) for tune in load_split(collection, split)]
    values = np.array(rows, dtype=float).reshape(len(rows), len(MEASURES))
    values.flags.writeable = False  # all callers share it
    return values


@cache
def corpus_measures(collection: Collection, split: Split) -> dict[str, Spread]:
    """Return each measure's mean and quartiles over the tunes of a split, each tune counted once however long it is.

    The first call for the folk songs' training split takes seconds; each later one nothing.
    """
    found = {}
    for name, column in zip(NAMES, corpus_values(collection, split).T, strict=True):
        known = column[~np.isnan(column)]
        lower, median, upper = np.quantile(known, (0.25, 0.5, 0.75)).tolist()
        found[name] = Spread(float(known.mean()), lower, median, upper, len(known))
    return found
