"""Where a text stands: how many of the shipped completions it beats, by the learned reward and by the true rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lab.preferences import Ranking
from lab.preferences.pairs import Completion

if TYPE_CHECKING:
    from lab.preferences.learning import Learnt


@dataclass(frozen=True)
class Standing:
    """A text's learned reward and true score, and the share of the shipped completions that it beats by either.

    ``learned`` and ``true`` are in percent, a tie counting half: so two things of different units compare.
    """

    completion: Completion
    reward: float
    true_score: float
    learned: float
    true: float

    @property
    def gap(self) -> float:
        """By how many percentage points the model overrates the text."""
        return self.learned - self.true


@dataclass(frozen=True)
class Compared:
    """A ranking beside the model's order.

    Attributes:
        standings: of the ranking's items, in their order.
        model_ranks: from 1, the item of the highest reward.
        disagreements: pairs of items' numbers, the visitor's better one first, that the model orders the other way.
        pairs: number of pairs that the visitor did not tie.
    """

    ranking: Ranking
    standings: tuple[Standing, ...]
    model_ranks: tuple[int, ...]
    disagreements: tuple[tuple[int, int], ...]
    pairs: int


def standings(learnt: Learnt, completions: Sequence[Completion]) -> list[Standing]:
    """Return where texts stand among the completions of the pool's held-out prompts.

    Raises:
        ModelUnavailable: if the embedder cannot be loaded.
    """
    rewards, scores = learnt.shipped
    mine = learnt.model.score(completions) if completions else np.zeros(0)
    true = learnt.annotator.scores([one.text for one in completions])
    return [
        Standing(one, float(reward), float(score), share_beaten(reward, rewards), share_beaten(score, scores))
        for one, reward, score in zip(completions, mine, true, strict=True)
    ]


def share_beaten(value: float, others: np.ndarray) -> float:
    """Return the share of others, in percent, that a value exceeds; equal ones count half."""
    return float(100 * ((others < value).mean() + (others == value).mean() / 2)) if len(others) else 50.0


def compare_order(learnt: Learnt, ranking: Ranking) -> Compared:
    """Return a ranking beside the model's order of the same completions."""
    found = standings(learnt, [Completion(ranking.prompt, item.completion) for item in ranking.items])
    rewards = [one.reward for one in found]
    better = [(a, b) for a in range(len(found)) for b in range(len(found)) if ranking.ranks[a] < ranking.ranks[b]]
    return Compared(
        ranking,
        tuple(found),
        tuple(1 + sum(other > reward for other in rewards) for reward in rewards),
        tuple((a, b) for a, b in better if rewards[a] < rewards[b]),
        len(better),
    )
