"""The leash: the best choice that does not stray too far, over a pool in which it can be computed exactly.

Of all distributions the one with the greatest

    E[reward] - β KL(π ‖ π_ref)     is     π*(y) ∝ π_ref(y) exp(reward(y) / β)

(see Korbak et al., 2022, and Rafailov et al., Direct preference optimization, 2023, whose equation 4 it is). β → 0 lets
go: all on the highest reward, the reward model's errors included. β → ∞ is the reference itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Leash:
    """The optimal distribution over a pool for one β.

    Attributes:
        reward: expected learned reward.
        true_score: expected score by another measure.
        kl: from the reference, nats.
        probabilities: of each completion, (completions,).
    """

    beta: float
    reward: float
    true_score: float
    kl: float
    probabilities: np.ndarray


def uniform(count: int) -> np.ndarray:
    """Return equal shares: the reference when the completions of a pool are samples of it, (count,)."""
    return np.full(count, 1 / count)


def optimal(rewards: Sequence[float], beta: float, reference: np.ndarray | None = None) -> np.ndarray:
    """Return π*, (completions,), in a form that neither overflows for a small β nor loses digits for a large one.

    Args:
        rewards: (completions,), at least one.
        beta: 0 and infinity are the limits.
        reference: π_ref, (completions,), summing to 1; None for equal shares.

    Raises:
        ValueError: if there is no completion, or β is negative or not a number.
    """
    values = np.asarray(rewards, dtype=float)
    if not len(values) or not beta >= 0:
        raise ValueError(f"{len(values)} completions and a beta of {beta}: at least one, and 0 or more, are needed")
    reference = uniform(len(values)) if reference is None else np.asarray(reference, dtype=float)
    possible = reference > 0
    below = values - values[possible].max()  # at most 0 where it matters
    with np.errstate(divide="ignore", invalid="ignore"):
        exponents = np.where(below == 0, 0.0, below / beta)
    weights = np.where(possible, reference * np.exp(np.where(possible, exponents, 0.0)), 0.0)
    return weights / weights.sum()


def divergence(probabilities: np.ndarray, reference: np.ndarray) -> float:
    """Return KL(probabilities ‖ reference), nats; 0 · log 0 = 0."""
    some = probabilities > 0
    return float(max(probabilities[some] @ np.log(probabilities[some] / reference[some]), 0.0))


def leash(
    rewards: Sequence[float], true_scores: Sequence[float], beta: float, reference: np.ndarray | None = None
) -> Leash:
    """Return the optimal distribution and what it comes to.

    Args:
        rewards: which it is after, (completions,).
        true_scores: by which it is judged, (completions,).
        beta, reference: see :func:`optimal`.

    Raises:
        ValueError: as :func:`optimal`.
    """
    found = optimal(rewards, beta, reference)
    kl = divergence(found, uniform(len(found)) if reference is None else np.asarray(reference, dtype=float))
    return Leash(float(beta), float(found @ rewards), float(found @ true_scores), kl, found)


def leash_curve(pools: Sequence[tuple[Sequence[float], Sequence[float]]], betas: Sequence[float]) -> list[Leash]:
    """Return what each β comes to, averaged over the pools of several prompts; ``probabilities`` stay empty.

    Args:
        pools: rewards and true scores of the completions of each prompt.
    """
    curve = []
    for beta in betas:
        found = [leash(rewards, true_scores, beta) for rewards, true_scores in pools]
        means = (float(np.mean([getattr(one, name) for one in found])) for name in ("reward", "true_score", "kl"))
        curve.append(Leash(float(beta), *means, np.zeros(0)))
    return curve
