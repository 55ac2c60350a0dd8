"""Morphing: what happens to a melody, and to melodies in general, while the LoRA's strength is turned up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lab.music.classifier import Kind, load_classifier
from lab.music.composing import MelodySettings, Piece, write_all
from lab.music.measures import measure
from lab.music.voices import Voice, Voices

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
SEEDS = 12  # melodies at each strength for the averages


@dataclass(frozen=True)
class Morph:
    """Melodies at each strength.

    Attributes:
        pieces: one per strength, all from the settings' own seed.
        means: name of a measure, or ``bach`` for the classifier's probability → its mean over all melodies at each
            strength so far.
        done: share of the melodies for the means that are written, 0 to 1.
    """

    strengths: tuple[float, ...]
    pieces: tuple[Piece, ...]
    means: dict[str, tuple[float, ...]] = field(default_factory=dict)
    done: float = 0.0


def morph(voices: Voices, settings: MelodySettings) -> Iterator[Morph]:
    """Yield the melodies of the settings' seed at once, then the means as more and more seeds come in.

    Raises:
        OpeningError: if the opening cannot be used.
        VisitorError: if the model cannot be loaded or failed.
    """
    pieces = tuple(write_all(voices, settings, [(Voice.LORA, strength, None) for strength in STRENGTHS]))
    yield Morph(STRENGTHS, pieces)
    gathered: list[list[Piece]] = [[piece] for piece in pieces]
    half = SEEDS // 2
    for first in (1, half):
        seeds = range(first, half if first == 1 else SEEDS)
        # Other seeds next to the visitor's own; what they are does not matter, only that they stay the same.
        wishes = [(Voice.LORA, strength, (settings.seed + seed) % 2**31) for strength in STRENGTHS for seed in seeds]
        written = iter(write_all(voices, settings, wishes))
        for group in gathered:
            group += [next(written) for _ in seeds]
        yield Morph(STRENGTHS, pieces, means_of(gathered), len(gathered[0]) / SEEDS)


def means_of(groups: Sequence[Sequence[Piece]]) -> dict[str, tuple[float, ...]]:
    """Return for each measure, and for the classifier's probability of Bach, the mean of each group."""
    classifier = load_classifier(Kind.ALL)
    tables = [[measure(piece.melody) for piece in group] for group in groups]
    means = {name: tuple(mean([table[name] for table in group]) for group in tables) for name in tables[0][0]}
    means["bach"] = tuple(sum(classifier.probability(p.melody) for p in group) / len(group) for group in groups)
    return means


def mean(values: Sequence[float]) -> float:
    """Return the mean of the values that are known, NaN if none is."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
