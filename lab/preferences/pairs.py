"""Rankings become pairs: of each two completions that are not tied, the one that was preferred and the other one.

A ranking of k completions without ties gives k (k - 1) / 2 pairs, as in Ouyang et al., Training language models to
follow instructions with human feedback (2022). Nothing is made consistent: who prefers a to b, b to c and c to a gets
three pairs, and the reward model has to live with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from lab.preferences import Ranking

MAX_PAIRS = 10_000  # more change nothing that could be seen, but take their time


class Completion(NamedTuple):
    """What was written, and after what."""

    prompt: str
    text: str


@dataclass(frozen=True)
class Ranked:
    """An annotator's ranks of completions of one prompt: 1 is best, equal ranks are ties."""

    prompt: str
    texts: tuple[str, ...]
    ranks: tuple[int, ...]
    annotator: str = ""

    @classmethod
    def of(cls, ranking: Ranking) -> Self:
        """Return what the store keeps, without its time and class; the annotator is the session."""
        texts = tuple(item.completion for item in ranking.items)
        return cls(ranking.prompt, texts, ranking.ranks, ranking.session)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of completions, each completion kept once.

    Attributes:
        completions: all that occur in a pair.
        chosen, rejected: row of ``completions`` for each pair, (pairs,), int.
        groups: number of the prompt for each pair, (pairs,), int. What is learned on some prompts is judged on others:
            pairs of one prompt share their texts, so to split them would be to peek.
        rankings: number of rankings that were read.
        tied: pairs that gave nothing, since their ranks or their texts are the same.
        repeated: rankings passed over since the same annotator gave exactly the same before.
        left_out: pairs beyond ``MAX_PAIRS``.
    """

    completions: tuple[Completion, ...]
    chosen: np.ndarray
    rejected: np.ndarray
    groups: np.ndarray
    rankings: int = 0
    tied: int = 0
    repeated: int = 0
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def prompts(self) -> int:
        """Number of prompts that have a pair."""
        return len(np.unique(self.groups))

    def rows(self, rows: np.ndarray) -> Self:
        """Return some of the pairs; the completions stay as they are. ``rows``: numbers or a mask."""
        return type(self)(self.completions, self.chosen[rows], self.rejected[rows], self.groups[rows])

    def texts(self) -> list[tuple[str, str, str]]:
        """Return prompt, chosen and rejected text of each pair."""
        both = zip(self.chosen, self.rejected, strict=True)
        return [(self.completions[a].prompt, self.completions[a].text, self.completions[b].text) for a, b in both]


def pairs_of(rankings: Iterable[Ranked | Ranking], limit: int = MAX_PAIRS, seed: int = 0) -> Pairs:
    """Return the pairs of rankings, in their order.

    Beyond ``limit`` a sample is drawn, the same for the same seed. A ranking that one annotator gives twice counts
    once: a double click is no second opinion. The same order from two annotators counts twice.
    """
    numbers: dict[Completion, int] = {}
    prompts: dict[str, int] = {}
    seen: set[Ranked] = set()
    found: list[tuple[int, int, int]] = []
    read = tied = repeated = 0
    for given in rankings:
        ranking = Ranked.of(given) if isinstance(given, Ranking) else given
        read += 1
        if ranking in seen:
            repeated += 1
            continue
        seen.add(ranking)
        group = prompts.setdefault(ranking.prompt, len(prompts))
        ranked = list(zip(ranking.ranks, ranking.texts, strict=True))
        for place, (rank, text) in enumerate(ranked):
            for other_rank, other in ranked[place + 1 :]:
                if rank == other_rank or text == other:
                    tied += 1
                    continue
                better, worse = (text, other) if rank < other_rank else (other, text)
                chosen, rejected = (
                    numbers.setdefault(Completion(ranking.prompt, one), len(numbers)) for one in (better, worse)
                )
                found.append((chosen, rejected, group))
    table = np.array(found, dtype=np.int64).reshape(-1, 3)
    left_out = max(len(table) - limit, 0)
    completions = tuple(numbers)
    if left_out:
        table = table[np.sort(np.random.default_rng(seed).choice(len(table), limit, replace=False))]
        used, renumbered = np.unique(table[:, :2], return_inverse=True)  # each costs an embedding
        completions = tuple(completions[number] for number in used)
        table[:, :2] = renumbered.reshape(-1, 2)
    chosen, rejected, groups = table.T
    return Pairs(completions, chosen, rejected, groups, read, tied, repeated, left_out)


def split_groups(groups: np.ndarray, folds: int, seed: int = 0) -> np.ndarray:
    """Deal whole groups to folds of about equal size, large ones first; return the fold of each pair, (pairs,).

    Args:
        groups: number of the group of each pair, (pairs,).
        folds: no more than there are groups, or some stay empty.
    """
    names, rows, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    fold_of, filled = np.zeros(len(names), np.int64), np.zeros(folds)
    for group in order:
        fold_of[group] = np.argmin(filled)
        filled[fold_of[group]] += sizes[group]
    return fold_of[rows]


def with_rejected(pairs: Pairs, preferred: Completion, rejected: Sequence[Completion]) -> Pairs:
    """Return the pairs and, for each rejected completion, one more in which it loses to the preferred one.

    This is how a hole is closed: texts that fool the reward model are shown to it as what not to like.
    """
    numbers = {completion: number for number, completion in enumerate(pairs.completions)}
    for completion in (preferred, *rejected):
        numbers.setdefault(completion, len(numbers))
    group = int(pairs.groups.max(initial=-1)) + 1
    more = np.array([numbers[completion] for completion in rejected], dtype=np.int64)
    return Pairs(
        tuple(numbers),
        np.append(pairs.chosen, np.full(len(more), numbers[preferred])),
        np.append(pairs.rejected, more),
        np.append(pairs.groups, np.full(len(more), group)),
        pairs.rankings,
        pairs.tied,
        pairs.repeated,
        pairs.left_out,
    )
