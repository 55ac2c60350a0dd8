"""Which melodies are variants of one another, whatever their key and rhythm.

A song lives in many versions. If one version is trained on and another is held out, the held-out loss flatters the
model; so versions are found and kept on one side. Two melodies count as variants if they share a good part of their
runs of intervals; clusters are what such pairs connect.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from lab.music.melody import Melody

FOLK_RUN, FOLK_CONTAINMENT = 6, 0.5
BACH_RUN, BACH_CONTAINMENT = 5, 0.4


def intervals(melody: Melody) -> tuple[int, ...]:
    """Return the steps from note to note in semitones, rests left out."""
    pitches = melody.pitches
    return tuple(b - a for a, b in pairwise(pitches))


def runs(melody: Melody, length: int) -> set[tuple[int, ...]]:
    """Return all runs of so many intervals; a melody too short for one has a single run of what it has."""
    steps = intervals(melody)
    return {steps[i : i + length] for i in range(max(1, len(steps) - length + 1))}


def variant_pairs(melodies: Sequence[Melody], length: int, containment: float) -> np.ndarray:
    """Return the pairs (i, j), i < j, of melodies that share at least that part of the smaller one's runs.

    Returns:
        Shape (pairs, 2), int.
    """
    from scipy.sparse import csr_matrix, triu

    numbers: dict[tuple[int, ...], int] = {}
    rows, columns = [], []
    for row, melody in enumerate(melodies):
        for run in runs(melody, length):
            rows.append(row)
            columns.append(numbers.setdefault(run, len(numbers)))
    shape = (len(melodies), max(len(numbers), 1))
    has = csr_matrix((np.ones(len(rows), np.int32), (rows, columns)), shape=shape)  # (melodies, runs), 0 or 1
    shared = triu(has @ has.T, k=1).tocoo()
    sizes = np.asarray(has.sum(axis=1)).ravel()
    smaller = np.minimum(sizes[shared.row], sizes[shared.col])
    close = shared.data >= containment * smaller
    return np.stack([shared.row[close], shared.col[close]], axis=1)


def clusters(count: int, pairs: np.ndarray) -> np.ndarray:
    """Return each melody's cluster, numbered from 0 in order of first appearance; shape (count,)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(pairs), np.int8)
    graph = coo_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]
