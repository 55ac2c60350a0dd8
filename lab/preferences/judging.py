"""How good a reward model is on pairs that it has not seen: accuracy with its interval, loss, calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.preferences.bradley_terry import sigmoid, softplus
from lab.preferences.statistics import wilson_interval

BINS = 5


@dataclass(frozen=True)
class Accuracy:
    """Share of pairs that a model orders as the annotator did, an equal reward counting half.

    ``low`` and ``high`` bound the 95 % interval; see :func:`accuracy`.
    """

    share: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Bin:
    """Pairs for whose order a model was about equally sure: between ``low`` and ``high``.

    ``confidence`` is the mean probability that it gave to its own order, ``accuracy`` the share in which that was the
    annotator's; both NaN for an empty bin.
    """

    low: float
    high: float
    confidence: float
    accuracy: float
    pairs: int


@dataclass(frozen=True)
class Calibration:
    """Bins of confidence, and the expected calibration error: how far accuracy and confidence lie apart, on average.

    Guo et al., On calibration of modern neural networks (2017).
    """

    bins: tuple[Bin, ...]
    error: float


@dataclass(frozen=True)
class Judgement:
    """What margins on unseen pairs say: accuracy, mean loss in nats (a guess has 0.693), and calibration."""

    accuracy: Accuracy
    loss: float
    calibration: Calibration


def judge(margins: np.ndarray, groups: np.ndarray) -> Judgement:
    """Return all measures of margins, reward(chosen) - reward(rejected); ``groups`` as in ``Pairs``.

    Raises:
        ValueError: if there is no pair.
    """
    return Judgement(accuracy(margins, groups), float(softplus(-margins).mean()), calibration(margins))


def accuracy(margins: np.ndarray, groups: np.ndarray) -> Accuracy:
    """Return the accuracy with Wilson's 95 % interval for as many pairs as these are worth.

    Pairs of one prompt share texts, so a hundred of them say less than a hundred pairs of as many prompts. They count
    as the number of independent pairs that would have the same variance as the mean over prompts has (Kish's design
    effect, 1965). That is at most the number of pairs, N, and at least N² / Σ m², where a prompt has m of them: what
    they are worth if a prompt's pairs are all right or all wrong together. Prompts of equal size are then worth as
    many pairs as there are prompts, and less if some have most of the pairs.

    Args:
        margins: (pairs,), positive where the model agrees with the annotator.
        groups: number of the prompt for each pair, (pairs,).

    Raises:
        ValueError: if there is no pair.
    """
    if not len(margins):
        raise ValueError("there is no pair to judge by")
    hits = np.where(margins == 0, 0.5, margins > 0)
    share = float(hits.mean())
    _, rows = np.unique(groups, return_inverse=True)
    prompts = int(rows.max()) + 1
    worth = least = len(hits) ** 2 / float((np.bincount(rows) ** 2).sum())
    if prompts > 1:
        off = np.bincount(rows, hits - share)  # of each prompt's hits from what was expected
        variance = prompts / (prompts - 1) * float(off @ off) / len(hits) ** 2
        if variance > 0:
            worth = min(max(share * (1 - share) / variance, least), len(hits))
    trials = max(1, round(worth))
    low, high = wilson_interval(round(share * trials), trials)
    return Accuracy(share, min(low, share), max(high, share), len(margins))


def calibration(margins: np.ndarray, bins: int = BINS) -> Calibration:
    """Return how sure a model was of its own order, from 0.5 to 1 in bins of equal width, and how often it was right.

    Raises:
        ValueError: if there is no pair.
    """
    if not len(margins):
        raise ValueError("there is no pair to judge by")
    confidence = sigmoid(np.abs(margins))
    hits = np.where(margins == 0, 0.5, margins > 0)
    edges = np.linspace(0.5, 1, bins + 1)
    of = np.clip(np.digitize(confidence, edges[1:-1]), 0, bins - 1)
    found, error = [], 0.0
    for number in range(bins):
        inside = of == number
        count = int(inside.sum())
        sure, right = (float(v[inside].mean()) if count else float("nan") for v in (confidence, hits))
        found.append(Bin(float(edges[number]), float(edges[number + 1]), sure, right, count))
        if count:
            error += count / len(margins) * abs(sure - right)
    return Calibration(tuple(found), error)
