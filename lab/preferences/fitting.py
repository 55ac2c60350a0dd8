"""From pairs to a reward model: regularisation chosen by cross-validation, judged on pairs that were left out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from lab.preferences import PreferenceError
from lab.preferences.bradley_terry import Embed, Features, RewardModel, softplus, solve
from lab.preferences.heads import Head, HeadKind, head_of
from lab.preferences.judging import Accuracy, Judgement, accuracy, judge
from lab.preferences.pairs import Pairs, split_groups

FOLDS = 5
STRENGTHS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)  # of the L2 regularisation, strong to weak
ROUGH = 1e-3  # gradient at which a fit of cross-validation ends: which strength is best, it tells as well
DEFAULT_L2 = 0.3  # when there is only one prompt, so that nothing can be left out


@dataclass(frozen=True)
class Trial:
    """A strength of regularisation and what it came to on the pairs left out: mean loss in nats, share in order."""

    l2: float
    loss: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Fit:
    """A reward model and how it came about.

    Attributes:
        losses: mean loss of the training pairs, nats, before each iteration of the solver and at the end.
        accuracy: share of the training pairs in order.
        trials: of cross-validation, strong to weak, until the loss on the pairs left out rose; empty with a single
            prompt.
        held_out: each pair judged by a model fitted without its prompt; None with a single prompt. The strength was
            chosen by the same pairs, so with few of them this is a little too kind.
        seconds: from features to model, cross-validation included; ``solver_seconds`` are those of the last fit.
    """

    model: RewardModel
    losses: tuple[float, ...]
    accuracy: float
    trials: tuple[Trial, ...]
    held_out: Judgement | None
    seconds: float
    solver_seconds: float

    @property
    def parameters(self) -> int:
        """Number of weights that were trained."""
        return self.model.head.size


def fit(
    pairs: Pairs,
    embed: Embed,
    head: HeadKind = HeadKind.LINEAR,
    features: Features = Features.BOTH,
    l2: float | None = None,
    seed: int = 0,
) -> Fit:
    """Fit a reward model.

    Args:
        embed: the frozen embedder, as ``Embedder.embed`` or ``Pool.embed``.
        l2: strength of the regularisation; None to choose it by cross-validation over prompts.
        seed: of the folds and of the MLP's start.

    Raises:
        PreferenceError: if there is no pair.
        ModelUnavailable: if the embedder cannot be loaded.
    """
    if not len(pairs):
        raise PreferenceError(
            "There is no pair to learn from. Rank at least two different completions, not all of them tied."
        )
    values = features.of(pairs.completions, embed)
    network = head_of(head, values.shape[1])
    import_module("scipy.optimize")  # the solver's: what it takes to load is not to be timed
    start = time.perf_counter()
    trials: tuple[Trial, ...] = ()
    held_out = None
    if pairs.prompts > 1:
        strengths = STRENGTHS if l2 is None else (l2,)
        trials, margins = cross_validate(network, values, pairs, strengths, seed)
        l2 = min(trials, key=lambda trial: trial.loss).l2
        held_out = judge(margins, pairs.groups)
    elif l2 is None:
        l2 = DEFAULT_L2
    before = time.perf_counter()
    solution = solve(network, values, pairs.chosen, pairs.rejected, l2, seed=seed)
    now = time.perf_counter()
    rewards = network.rewards(solution.parameters, values)
    model = RewardModel(network, features, solution.parameters, l2, float(rewards.mean()), embed)
    share = accuracy(rewards[pairs.chosen] - rewards[pairs.rejected], pairs.groups).share
    return Fit(model, solution.losses, share, trials, held_out, now - start, now - before)


def cross_validate(
    head: Head, values: np.ndarray, pairs: Pairs, strengths: Sequence[float] = STRENGTHS, seed: int = 0
) -> tuple[tuple[Trial, ...], np.ndarray]:
    """Try strengths of regularisation on prompts left out, from strong to weak, until it gets worse.

    Args:
        values: features of the pairs' completions, (completions, features).
        pairs: of at least two prompts.

    Returns:
        The trials, and for the best of them the margin of each pair by a model fitted without its prompt, (pairs,).
    """
    folds = min(FOLDS, pairs.prompts)
    fold_of = split_groups(pairs.groups, folds, seed)
    warm: list[np.ndarray | None] = [None] * folds  # from where the stronger regularisation ended it is not far
    trials: list[Trial] = []
    best = np.zeros(len(pairs))
    for l2 in strengths:
        margins = np.zeros(len(pairs))
        for fold in range(folds):
            left_out = fold_of == fold
            kept = pairs.rows(~left_out)
            warm[fold] = solve(head, values, kept.chosen, kept.rejected, l2, warm[fold], seed, ROUGH).parameters
            rewards = head.rewards(warm[fold], values)
            margins[left_out] = rewards[pairs.chosen[left_out]] - rewards[pairs.rejected[left_out]]
        trials.append(Trial(l2, float(softplus(-margins).mean()), accuracy(margins, pairs.groups).share))
        if len(trials) > 1 and trials[-1].loss >= trials[-2].loss:
            break
        best = margins
    return tuple(trials), best


@dataclass(frozen=True)
class CurvePoint:
    """How well a model does that learned from so many pairs of so many prompts."""

    prompts: int
    pairs: int
    l2: float
    train_accuracy: float
    held_out: Accuracy


def learning_curve(
    pairs: Pairs,
    held_out: Pairs,
    embed: Embed,
    head: HeadKind = HeadKind.LINEAR,
    features: Features = Features.BOTH,
    points: int = 6,
    seed: int = 0,
) -> Iterator[CurvePoint]:
    """Yield points of a learning curve, few pairs to all, prompts joining in an order that the seed draws.

    Args:
        held_out: pairs of other prompts, by which all points are judged.
        points: at most so many; their numbers of prompts grow by about equal ratios.

    Raises:
        PreferenceError: if there is no pair on either side.
    """
    if not len(pairs) or not len(held_out):
        raise PreferenceError("A learning curve needs pairs to learn from and other pairs to judge by.")
    names = np.random.default_rng(seed).permutation(np.unique(pairs.groups))
    sizes = np.unique(np.geomspace(min(2, len(names)), len(names), points).round().astype(int))
    for size in sizes:
        part = pairs.rows(np.isin(pairs.groups, names[:size]))
        fitted = fit(part, embed, head, features, seed=seed)
        right = accuracy(fitted.model.margins(held_out), held_out.groups)
        yield CurvePoint(int(size), len(part), fitted.model.l2, fitted.accuracy, right)


def split_pairs(pairs: Pairs, share: float = 0.25, seed: int = 0) -> tuple[Pairs, Pairs]:
    """Return pairs to learn from and pairs of other prompts to judge by, about ``share`` of the prompts.

    With fewer than two prompts the second part is empty.
    """
    names = np.random.default_rng(seed).permutation(np.unique(pairs.groups))
    aside = names[: max(1, round(share * len(names)))] if len(names) > 1 else names[:0]
    left_out = np.isin(pairs.groups, aside)
    return pairs.rows(~left_out), pairs.rows(left_out)
