"""Best of n: draw n completions, keep the one with the highest reward. What that gives on average, exactly.

The more one draws, the further the choice moves from the pool, of which all are as probable: by a KL divergence that
is computed exactly, as the leash's is, so that the two compare. Where the learned reward goes on rising while the true
one falls, the choice has begun to exploit the reward model's errors: Gao, Schulman and Hilton, Scaling laws for reward
model overoptimization (2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.preferences.leash import divergence, uniform

MAX_N = 64


@dataclass(frozen=True, eq=False)
class BestOfN:
    """What best-of-n gives on average over all draws of n different completions of a pool.

    Attributes:
        kl: of ``probabilities`` from equal shares over the pool, nats.
        reward: expected learned reward of the one chosen.
        true_score: expected score of the one chosen by another measure.
        probabilities: that each completion is the one chosen, (completions,).
    """

    n: int
    kl: float
    reward: float
    true_score: float
    probabilities: np.ndarray


def kl_of_best_of_n(n: int) -> float:
    """Return log n - (n - 1) / n, nats: how far the best of n texts that a model writes anew is from the model.

    That is its KL divergence if no two rewards are the same, and a bound for it with ties (Stiennon et al., 2020).
    It is none for :func:`chances`, whose n are different ones of a pool: that moves further.

    Raises:
        ValueError: if n is less than 1.
    """
    if n < 1:
        raise ValueError(f"best of {n} is no choice")
    return math.log(n) - (n - 1) / n


def chances(rewards: Sequence[float], n: int) -> np.ndarray:
    """Return the probability that each completion has the highest reward of n drawn without putting back, (pool,).

    The one with k others below it is chosen if all the n - 1 others that are drawn are among these k:
    C(k, n - 1) / C(pool, n). Equal rewards share their chances.

    Raises:
        ValueError: if n is less than 1 or greater than the pool.
    """
    values = np.asarray(rewards, dtype=float)
    if not 1 <= n <= len(values):
        raise ValueError(f"best of {n} cannot be drawn from {len(values)} completions")
    whole = math.comb(len(values), n)
    by_place = np.array([math.comb(below, n - 1) / whole for below in range(len(values))])
    _, tied, sizes = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    shares = np.add.reduceat(by_place, ends - sizes) / sizes
    return shares[tied]


def best_of_n(rewards: Sequence[float], true_scores: Sequence[float], n: int) -> BestOfN:
    """Return what best-of-n gives on average.

    Args:
        rewards: by which is chosen, (completions,).
        true_scores: by which the choice is judged, (completions,).

    Raises:
        ValueError: if n is less than 1 or greater than the number of completions.
    """
    found = chances(rewards, n)
    return BestOfN(n, divergence(found, uniform(len(found))), float(found @ rewards), float(found @ true_scores), found)


def best_of_n_curve(
    pools: Sequence[tuple[Sequence[float], Sequence[float]]], ns: Sequence[int] = tuple(range(1, MAX_N + 1))
) -> list[BestOfN]:
    """Return best-of-n for each n, averaged over the pools of several prompts; ``probabilities`` stay empty.

    Args:
        pools: rewards and true scores of the completions of each prompt.

    Raises:
        ValueError: if an n is less than 1 or greater than the smallest pool.
    """
    curve = []
    for n in ns:
        found = [best_of_n(rewards, true_scores, n) for rewards, true_scores in pools]
        means = (float(np.mean([getattr(one, name) for one in found])) for name in ("kl", "reward", "true_score"))
        curve.append(BestOfN(n, *means, np.zeros(0)))
    return curve


def draw(rewards: Sequence[float], n: int, seed: int) -> tuple[int, list[int]]:
    """Draw n different completions; return the number of the best and those of all, in the order of the draw.

    A greater n with the same seed draws the same and then some more, so that the best one never gets worse.

    Raises:
        ValueError: if n is less than 1 or greater than the pool.
    """
    if not 1 <= n <= len(rewards):
        raise ValueError(f"best of {n} cannot be drawn from {len(rewards)} completions")
    drawn = np.random.default_rng(seed).permutation(len(rewards))[:n].tolist()
    return max(drawn, key=lambda number: rewards[number]), drawn
