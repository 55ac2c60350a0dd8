"""What can be said of a reward model that has learned: how well it does, what could be reached, what it likes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from lab.preferences.pairs import Completion, Pairs, Ranked, pairs_of

if TYPE_CHECKING:
    from lab.preferences.annotators import Annotator
    from lab.preferences.fitting import CurvePoint
    from lab.preferences.judging import Accuracy
    from lab.preferences.learning import Learnt

CHANCE = 0.5  # accuracy of a coin
EXTREMES = 5  # texts shown from either end
ROUNDS = 10  # rankings for each held-out prompt, to judge by
JUDGING_SEED, AGAIN_SEED = 1_000_000, 2_000_000  # no ranking to learn from has one of these
POINTS = 6  # of a learning curve


@dataclass(frozen=True)
class Consistency:
    """How far an annotator's answers can be foretold.

    Attributes:
        again: share of pairs that got the same answer when the same two texts came up again, or None if none did.
        asked: number of pairs behind it.
        rule: share of the annotator's answers that its own rule, without noise, gives as well: the most that any
            model can reach on average; None where people ranked, whose rule nobody knows.
    """

    again: float | None
    asked: int
    rule: float | None = None


@dataclass(frozen=True)
class Judged:
    """A completion with its learned reward and its score by the true rule."""

    completion: Completion
    reward: float
    true_score: float


@dataclass(frozen=True, eq=False)
class Report:
    """What is shown of a reward model.

    Attributes:
        frozen: parameters of the encoder, none of which was trained.
        consistency: of those who ranked.
        contradicting: number of pairs that stand in circles, such as A over B, B over C, C over A: no rewards agree
            with all of them.
        by_rule: agreement with the true rule, without noise, on the pool's held-out prompts; None if the rule finds
            no difference between any two texts there.
        highest, lowest: completions of the pool's held-out prompts, the most extreme first.
        curve: points of the learning curve so far.
        judged_by: in words, the pairs by which the curve is judged; empty if there are too few for one.
    """

    learnt: Learnt
    frozen: int
    consistency: Consistency
    contradicting: int
    by_rule: Accuracy | None
    highest: tuple[Judged, ...]
    lowest: tuple[Judged, ...]
    curve: tuple[CurvePoint, ...] = ()
    judged_by: str = ""


def report(learnt: Learnt) -> Iterator[Report]:
    """Yield what can be said at once, then again with each point of the learning curve."""
    from lab.preferences.fitting import learning_curve

    answers = () if learnt.people or learnt.added else held_out_answers(learnt)
    judged = judge_pool(learnt)
    found = Report(
        learnt,
        encoder_parameters(),
        consistency_of(learnt.annotator, answers) if answers else consistency_of_people(learnt.pairs),
        in_circles(learnt.pairs),
        agreement_with_rule(learnt),
        tuple(judged[:EXTREMES]),
        tuple(judged[::-1][:EXTREMES]),
    )
    yield found
    learn, judge, words = curve_pairs(learnt, answers)
    if not len(learn) or not len(judge):
        return
    found = replace(found, judged_by=words)
    model, head = learnt.model, learnt.settings.head
    for point in learning_curve(learn, judge, model.embed, head, model.features, points=POINTS):
        found = replace(found, curve=(*found.curve, point))
        yield found


def held_out_answers(learnt: Learnt) -> list[Ranked]:
    """Return the annotator's rankings of some completions of the held-out prompts."""
    from lab.preferences.annotators import simulate

    prompts = learnt.pool.held_out
    return simulate(learnt.annotator, prompts, ROUNDS * len(prompts), seed=JUDGING_SEED)


def curve_pairs(learnt: Learnt, answers: Sequence[Ranked]) -> tuple[Pairs, Pairs, str]:
    """Return pairs to learn from, pairs of other prompts to judge by, and what these are in words.

    Args:
        answers: a simulated annotator's on the held-out prompts. Without any, people's pairs are judged by people's:
            a quarter of their prompts is laid aside.
    """
    from lab.preferences.fitting import split_pairs

    if answers:
        judge = pairs_of(answers)
        return learnt.pairs, judge, f"{len(judge):,} pairs of {judge.prompts} prompts that are kept for judging"
    learn, judge = split_pairs(learnt.pairs)
    return learn, judge, f"{len(judge):,} pairs of {judge.prompts} prompts, a quarter of all, laid aside beforehand"


def consistency_of(annotator: Annotator, answers: Sequence[Ranked]) -> Consistency:
    """Return how often an annotator answers the same when asked again, and how often it follows its own rule."""
    from lab.preferences.annotators import ceiling

    same = asked = 0
    for number, answer in enumerate(answers):
        # Another seed than that of any first answer.
        again = annotator.rank(answer.prompt, answer.texts, AGAIN_SEED + number)
        for a, b in combinations(range(len(again)), 2):
            first, second = answer.ranks[b] - answer.ranks[a], again[b] - again[a]
            if first and second:
                asked += 1
                same += (first > 0) == (second > 0)
    pairs = pairs_of(answers)
    return Consistency(same / asked if asked else None, asked, ceiling(annotator, pairs) if len(pairs) else None)


def consistency_of_people(pairs: Pairs) -> Consistency:
    """Return how often two answers about the same two texts were the same, whoever gave them."""
    couples: dict[tuple[int, int], list[int]] = {}
    for chosen, rejected in zip(pairs.chosen.tolist(), pairs.rejected.tolist(), strict=True):
        first = min(chosen, rejected)
        couples.setdefault((first, max(chosen, rejected)), [0, 0])[chosen != first] += 1
    asked = sum(comb(left + right, 2) for left, right in couples.values())
    same = sum(comb(left, 2) + comb(right, 2) for left, right in couples.values())
    return Consistency(same / asked if asked else None, asked)


def in_circles(pairs: Pairs) -> int:
    """Return the number of pairs whose chosen completion is also, over others perhaps, worse than the rejected one."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    count = len(pairs.completions)
    edges = csr_array((np.ones(len(pairs)), (pairs.chosen, pairs.rejected)), shape=(count, count))
    _, part = connected_components(edges, connection="strong")
    return int((part[pairs.chosen] == part[pairs.rejected]).sum())


def judge_pool(learnt: Learnt) -> list[Judged]:
    """Return the completions of the held-out prompts with both scores, highest reward first, each text once."""
    completions = [one for prompt in learnt.pool.held_out for one in prompt.completions]
    found: dict[str, Judged] = {}
    for completion, reward, true_score in zip(completions, *learnt.shipped, strict=True):
        found.setdefault(completion.text, Judged(completion, float(reward), float(true_score)))
    return sorted(found.values(), key=lambda one: (-one.reward, one.completion))


def agreement_with_rule(learnt: Learnt) -> Accuracy | None:
    """Return how often the model orders two completions of a held-out prompt as the true rule does, noise or not."""
    from lab.preferences.annotators import simulate
    from lab.preferences.judging import accuracy

    prompts, sure = learnt.pool.held_out, replace(learnt.annotator, noise=0.0)
    pairs = pairs_of(simulate(sure, prompts, ROUNDS * len(prompts), seed=JUDGING_SEED))
    return accuracy(learnt.model.margins(pairs), pairs.groups) if len(pairs) else None


@cache
def encoder_parameters() -> int:
    """Return the number of the frozen encoder's parameters, read from the head of its file of weights.

    Raises:
        ModelUnavailable: if its package is not installed.
    """
    from safetensors import safe_open

    from lab.embeddings.model import package_folder

    with safe_open(package_folder() / "model.safetensors", framework="numpy") as weights:
        names = [name for name in weights.keys() if not name.endswith("position_ids")]  # noqa: SIM118
        return sum(int(np.prod(weights.get_slice(name).get_shape())) for name in names)
