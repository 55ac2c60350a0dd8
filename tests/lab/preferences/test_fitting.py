"""A reward model from pairs: what cross-validation chooses, what is left out, how the curve rises."""

from __future__ import annotations

import numpy as np
import pytest

from lab.preferences import PreferenceError
from lab.preferences.bradley_terry import Features, solve
from lab.preferences.fitting import DEFAULT_L2, STRENGTHS, cross_validate, fit, learning_curve, split_pairs
from lab.preferences.heads import HeadKind, Linear
from lab.preferences.pairs import Pairs, Ranked, pairs_of
from tests.lab.preferences.conftest import TASTE, WIDTH, embed, made_pairs


def test_a_linear_taste_is_found() -> None:
    fitted = fit(made_pairs(60), embed, features=Features.COMPLETION)
    weights = fitted.model.parameters
    assert weights @ TASTE / np.linalg.norm(weights) / np.linalg.norm(TASTE) > 0.95
    assert fitted.parameters == WIDTH
    unseen = made_pairs(40, seed=9)
    assert np.mean(fitted.model.margins(unseen) > 0) > 0.9
    assert fitted.held_out.accuracy.low <= np.mean(fitted.model.margins(unseen) > 0) + 0.03
    assert fitted.held_out.accuracy.share < fitted.accuracy
    assert fitted.model.score(made_pairs(60).completions).mean() == pytest.approx(0, abs=1e-9)


def test_noise_asks_for_more_regularisation() -> None:
    clean, noisy = (fit(made_pairs(40, noise=noise), embed) for noise in (0.0, 3.0))
    assert clean.model.l2 < noisy.model.l2
    assert noisy.held_out.accuracy.share < clean.held_out.accuracy.share
    for fitted in (clean, noisy):
        losses = [trial.loss for trial in fitted.trials]
        assert fitted.model.l2 == fitted.trials[int(np.argmin(losses))].l2
        assert fitted.held_out.loss == pytest.approx(min(losses))
        assert [trial.l2 for trial in fitted.trials] == list(STRENGTHS[: len(losses)])


def test_pairs_are_judged_without_their_prompt() -> None:
    pairs = made_pairs(3)
    trials, margins = cross_validate(Linear(WIDTH), Features.COMPLETION.of(pairs.completions, embed), pairs, (0.5,))
    assert [trial.l2 for trial in trials] == [0.5]
    values = Features.COMPLETION.of(pairs.completions, embed)
    for group in range(3):
        out = pairs.groups == group
        weights = solve(Linear(WIDTH), values, pairs.chosen[~out], pairs.rejected[~out], 0.5).parameters
        expected = values[pairs.chosen[out]] @ weights - values[pairs.rejected[out]] @ weights
        assert margins[out] == pytest.approx(expected, abs=0.01)


def test_labels_that_mean_nothing_teach_nothing() -> None:
    generator = np.random.default_rng(0)
    pairs = made_pairs(60)
    flip = generator.random(len(pairs)) < 0.5
    chosen, rejected = (
        np.where(flip, a, b) for a, b in ((pairs.chosen, pairs.rejected), (pairs.rejected, pairs.chosen))
    )
    fitted = fit(Pairs(pairs.completions, chosen, rejected, pairs.groups), embed)
    assert fitted.model.l2 == STRENGTHS[0]
    assert fitted.held_out.accuracy.low < 0.5 < fitted.held_out.accuracy.high


def test_one_prompt_has_nothing_to_leave_out() -> None:
    fitted = fit(made_pairs(1), embed)
    assert (fitted.held_out, fitted.trials, fitted.model.l2) == (None, (), DEFAULT_L2)
    assert fitted.accuracy == 1.0
    assert fit(made_pairs(1), embed, l2=2.0).model.l2 == 2.0
    assert fit(made_pairs(2), embed, l2=2.0).held_out is not None


@pytest.mark.parametrize("ranking", [Ranked("p", ("a",), (1,)), Ranked("p", ("a", "b", "c"), (1, 1, 1))])
def test_without_a_pair(ranking: Ranked) -> None:
    with pytest.raises(PreferenceError, match="no pair to learn from"):
        fit(pairs_of([ranking]), embed)


def test_a_cycle_gives_equal_rewards() -> None:
    cycle = pairs_of([Ranked("p", two, (1, 2)) for two in (("a", "b"), ("b", "c"), ("c", "a"))])
    assert np.abs(fit(cycle, embed).model.margins(cycle)).max() < 1e-3


def test_an_mlp_learns_what_a_linear_head_cannot() -> None:
    generator = np.random.default_rng(0)

    def some_but_not_much(texts: list[str]) -> np.ndarray:
        return -np.abs(embed(texts)[:, 0])  # best in the middle, bad at both ends

    rankings = []
    for prompt in range(60):
        texts = [f"{prompt}/{number}" for number in generator.integers(1000, size=4)]
        ranks = (-some_but_not_much(texts)).argsort().argsort() + 1
        rankings.append(Ranked(str(prompt), tuple(texts), tuple(ranks.tolist())))
    pairs = pairs_of(rankings)
    linear, mlp = (fit(pairs, embed, kind, Features.COMPLETION, l2=0.1) for kind in HeadKind)
    assert mlp.accuracy > 0.95 > 0.7 > linear.accuracy
    assert mlp.parameters == (WIDTH + 2) * 16
    again = fit(pairs, embed, HeadKind.MLP, Features.COMPLETION, l2=0.1)
    assert np.array_equal(mlp.model.parameters, again.model.parameters)


def test_the_learning_curve_rises() -> None:
    points = list(learning_curve(made_pairs(60), made_pairs(40, seed=9), embed))
    assert [point.prompts for point in points] == [2, 4, 8, 15, 30, 60]
    assert points[-1].pairs == 360
    assert points[0].held_out.share < 0.8 < 0.9 < points[-1].held_out.share
    assert all(point.held_out.pairs == 240 for point in points)
    with pytest.raises(PreferenceError):
        next(learning_curve(made_pairs(2), pairs_of([]), embed))


def test_prompts_are_split_whole() -> None:
    pairs = made_pairs(20)
    learn, judge = split_pairs(pairs)
    assert (learn.prompts, judge.prompts) == (15, 5)
    assert not set(learn.groups) & set(judge.groups)
    alone = made_pairs(1)
    assert [len(part) for part in split_pairs(alone)] == [len(alone), 0]
