"""How far annotators agree: Kendall's tau between two of them, Krippendorff's alpha over all.

M. G. Kendall, The treatment of ties in ranking problems, Biometrika 33 (1945); K. Krippendorff, Computing
Krippendorff's alpha-reliability (2011).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.preferences import Ranking
from lab.preferences.pairs import Ranked


@dataclass(frozen=True)
class Agreement:
    """How far annotators agree on what several of them have ranked.

    Attributes:
        tau: mean of Kendall's tau-b over all two annotators of one set of completions, 1 for the same order, -1 for the
            reverse, 0 for no relation; NaN if no two can be compared.
        alpha: Krippendorff's ordinal alpha, 1 for agreement, 0 for what chance would give; NaN without two ranks of one
            completion, or if all ranks are equal.
        annotators: who ranked at least one shared set.
        sets: sets of completions that at least two annotators ranked.
        comparisons: of two annotators each, behind ``tau``.
    """

    tau: float
    alpha: float
    annotators: int
    sets: int
    comparisons: int


def agreement(rankings: Sequence[Ranked | Ranking]) -> Agreement:
    """Return how far annotators agree; of one who ranked the same completions several times the last order counts."""
    shared = _shared(rankings)
    sums = [_taus(np.array(list(by.values()))) for by in shared]
    total, comparisons = sum(one for one, _ in sums), sum(count for _, count in sums)
    everyone = {annotator for by in shared for annotator in by}
    tau = total / comparisons if comparisons else float("nan")
    return Agreement(tau, _alpha(_counts(shared)), len(everyone), len(shared), comparisons)


def alpha(rankings: Sequence[Ranked | Ranking]) -> float:
    """Return Krippendorff's alpha of :func:`agreement` alone."""
    return _alpha(_counts(_shared(rankings)))


def _shared(rankings: Sequence[Ranked | Ranking]) -> list[dict[str, tuple[int, ...]]]:
    """Return for each set of completions that several ranked the ranks that each annotator gave."""
    sets: dict[tuple[str, tuple[str, ...]], dict[str, tuple[int, ...]]] = defaultdict(dict)
    for given in rankings:
        ranking = Ranked.of(given) if isinstance(given, Ranking) else given
        order = sorted(range(len(ranking.texts)), key=lambda place: ranking.texts[place])  # shown in whatever order
        texts = tuple(ranking.texts[place] for place in order)
        sets[ranking.prompt, texts][ranking.annotator] = dense(tuple(ranking.ranks[place] for place in order))
    return [by for by in sets.values() if len(by) > 1]


def _taus(ranks: np.ndarray) -> tuple[float, int]:
    """Return the sum of Kendall's tau-b over all two of some annotators, and of how many; who ties all is left out.

    Tau is the cosine of the signs of all differences. The sum of the inner products of all two unit vectors follows
    from their sum, so that a class of hundreds takes no longer than its rankings are many.

    Args:
        ranks: (annotators, completions).
    """
    signs = np.sign(ranks[:, :, None] - ranks[:, None, :]).reshape(len(ranks), -1).astype(float)
    lengths = np.linalg.norm(signs, axis=1)
    units = signs[lengths > 0] / lengths[lengths > 0, None]
    whole = units.sum(axis=0)
    return float(whole @ whole - len(units)) / 2, len(units) * (len(units) - 1) // 2


def _counts(shared: Sequence[dict[str, tuple[int, ...]]]) -> np.ndarray:
    """Return how often each completion of all sets got each rank, (ranks, completions)."""
    values = np.arange(1, 1 + max((max(ranks) for by in shared for ranks in by.values()), default=0))
    tables = [np.array(list(by.values())) for by in shared]
    found = [(table == values[:, None, None]).sum(axis=1) for table in tables]  # each (ranks, completions of a set)
    return np.concatenate(found, axis=1) if found else np.zeros((0, 0), int)


def dense(ranks: Sequence[int]) -> tuple[int, ...]:
    """Return ranks without gaps: 1, 2, 3 … in the same order, ties kept."""
    return tuple((np.unique(ranks, return_inverse=True)[1] + 1).tolist())


def kendall_tau_b(a: Sequence[float], b: Sequence[float]) -> float:
    """Return Kendall's tau-b of two lists of ranks of the same things, -1 to 1; NaN if either ties everything."""
    signs = [np.sign(np.subtract.outer(ranks, ranks)) for ranks in (np.asarray(a, float), np.asarray(b, float))]
    untied = np.sqrt(np.prod([np.abs(sign).sum() for sign in signs]))
    return float((signs[0] * signs[1]).sum() / untied) if untied else float("nan")


def krippendorff_alpha(table: np.ndarray) -> float:
    """Return Krippendorff's alpha for ordinal values: 1 - observed / expected disagreement.

    Args:
        table: value that each annotator gave each unit, (annotators, units), NaN where there is none. Units with fewer
            than two values are left out.

    Returns:
        NaN if there is nothing to compare, or if all values are the same.
    """
    values = np.unique(table[~np.isnan(table)])
    return _alpha(np.array([(table == value).sum(axis=0) for value in values]).reshape(len(values), table.shape[1]))


def _alpha(counts: np.ndarray) -> float:
    """Return Krippendorff's alpha from how often each unit has each value, (values in ascending order, units)."""
    counts = counts[:, counts.sum(axis=0) > 1].astype(float)
    counts = counts[counts.sum(axis=1) > 0]
    if len(counts) < 2:
        return float("nan")
    sizes = counts.sum(axis=0)
    # Coincidences: pairs of values within a unit, each unit weighing as many values as it has.
    shares = counts / (sizes - 1)
    coincidences = shares @ counts.T - np.diag(shares.sum(axis=1))
    totals = coincidences.sum(axis=1)
    # Two ranks are as far apart as there are values between them, half of those at the ends counted.
    middles = np.cumsum(totals) - totals / 2
    distances = np.subtract.outer(middles, middles) ** 2
    expected = (np.outer(totals, totals) * distances).sum() / (totals.sum() - 1)
    return float(1 - (coincidences * distances).sum() / expected)
