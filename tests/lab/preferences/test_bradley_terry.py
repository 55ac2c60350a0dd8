"""Bradley-Terry against closed forms, against choix, and its gradients against differences."""

from __future__ import annotations

import choix
import numpy as np
import pytest
from scipy.optimize import brentq

from lab.preferences.bradley_terry import Features, RewardModel, pair_loss, sigmoid, solve
from lab.preferences.heads import MLP, Head, Linear
from lab.preferences.pairs import Completion
from tests.lab.preferences.conftest import WIDTH, embed, made_pairs


def columns(data: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.array(data).T)


def test_two_items_have_a_closed_form() -> None:
    # a beats b 7 times, b beats a 3 times; one number r = reward(a) - reward(b), hardly regularised: σ(r) = 0.7.
    chosen, rejected = columns([(0, 1)] * 7 + [(1, 0)] * 3)
    found = solve(Linear(2), np.eye(2), chosen, rejected, 1e-8, tolerance=1e-10).parameters
    assert found[0] - found[1] == pytest.approx(np.log(7 / 3), abs=1e-5)
    assert found.sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("l2", [10.0, 0.1, 0.001])
def test_separable_pairs_are_held_by_the_regularisation(l2: float) -> None:
    # One pair with features ±1/2: the weight w solves l2 · w = σ(-w).
    features = np.array([[0.5], [-0.5]])
    found = solve(Linear(1), features, np.array([0]), np.array([1]), l2, tolerance=1e-10).parameters
    assert found[0] == pytest.approx(brentq(lambda w: l2 * w - sigmoid(-w), 0, 100), abs=1e-5)


@pytest.mark.parametrize("l2", [0.02, 1.0])
def test_as_choix(l2: float) -> None:
    generator = np.random.default_rng(3)
    strengths = generator.standard_normal(12)
    data = choix.generate_pairwise(strengths, n_comparisons=400)
    chosen, rejected = columns(data)
    found = solve(Linear(12), np.eye(12), chosen, rejected, l2, tolerance=1e-9).parameters
    expected = choix.opt_pairwise(12, data, alpha=l2 / 2, tol=1e-10)  # choix punishes alpha · |w|², not half of it
    assert found == pytest.approx(expected - expected.mean(), abs=1e-5)


def test_as_choix_with_a_cycle() -> None:
    data = [(0, 1), (1, 2), (2, 0)]
    chosen, rejected = columns(data)
    assert solve(Linear(3), np.eye(3), chosen, rejected, 0.1).parameters == pytest.approx(np.zeros(3), abs=1e-6)


def test_one_hot_features_agree_with_any_other_basis() -> None:
    generator = np.random.default_rng(0)
    basis = np.linalg.qr(generator.standard_normal((6, 6)))[0]
    chosen, rejected = columns(choix.generate_pairwise(np.arange(6.0), n_comparisons=60))
    plain, turned = (solve(Linear(6), f, chosen, rejected, 0.5, tolerance=1e-9).parameters for f in (np.eye(6), basis))
    assert basis @ turned == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize("head", [Linear(5), MLP(5, 3)], ids=["linear", "mlp"])
def test_gradients(head: Head) -> None:
    generator = np.random.default_rng(2)
    features = generator.standard_normal((7, 5))
    chosen, rejected = columns([(0, 1), (0, 2), (3, 4), (5, 6), (6, 0), (0, 1)])
    parameters = generator.standard_normal(head.size)

    def loss(at: np.ndarray) -> float:
        return pair_loss(head.rewards(at, features), chosen, rejected)[0]

    of_rewards = pair_loss(head.rewards(parameters, features), chosen, rejected)[1]
    found = head.gradient(parameters, features, of_rewards)
    steps = 1e-6 * np.eye(head.size)
    expected = [(loss(parameters + step) - loss(parameters - step)) / 2e-6 for step in steps]
    assert found == pytest.approx(np.array(expected), abs=1e-8)
    assert np.abs(found).max() > 0.01


def test_losses_fall_from_a_guess() -> None:
    pairs = made_pairs(20)
    values = Features.COMPLETION.of(pairs.completions, embed)
    for head in (Linear(WIDTH), MLP(WIDTH)):
        losses = solve(head, values, pairs.chosen, pairs.rejected, 0.1).losses
        assert len(losses) > 3
        assert losses[-1] < 0.4 < losses[0]
    assert solve(Linear(WIDTH), values, pairs.chosen, pairs.rejected, 0.1).losses[0] == pytest.approx(np.log(2))


def test_huge_margins_do_not_overflow() -> None:
    with np.errstate(over="raise", invalid="raise"):
        loss, gradient = pair_loss(np.array([1e5, -1e5]), np.array([1, 0]), np.array([0, 1]))
    assert loss == pytest.approx(1e5)
    assert gradient == pytest.approx([0.5, -0.5])


def test_nothing_to_solve() -> None:
    empty = np.zeros(0, int)
    with pytest.raises(ValueError, match="0 pairs"):
        solve(Linear(2), np.eye(2), empty, empty, 1.0)
    with pytest.raises(ValueError, match="l2 of 0"):
        solve(Linear(2), np.eye(2), np.array([0]), np.array([1]), 0)


def test_features_with_the_prompt() -> None:
    completions = [Completion("p", "a"), Completion("q", "a"), Completion("q", "b")]
    values = Features.WITH_PROMPT.of(completions, embed)
    assert values.shape == (3, 2 * WIDTH)
    assert np.array_equal(values[0, :WIDTH], values[1, :WIDTH])
    expected = embed(["a"])[0] * embed(["q"])[0] * np.sqrt(WIDTH)
    assert values[1, WIDTH:] == pytest.approx(expected, rel=1e-6)
    assert Features.COMPLETION.of(completions, embed).shape == (3, WIDTH)
    both = Features.BOTH.of(completions, embed)
    apart = [features.of(completions, embed) for features in (Features.COMPLETION, Features.WORDS)]
    assert np.array_equal(both, np.concatenate(apart, axis=1))


def test_a_model_scores_texts_and_pairs() -> None:
    pairs = made_pairs(4)
    weights = np.arange(WIDTH, dtype=float)
    model = RewardModel(Linear(WIDTH), Features.COMPLETION, weights, 1.0, 0.25, embed)
    expected = embed([completion.text for completion in pairs.completions]) @ weights - 0.25
    assert model.score(pairs.completions) == pytest.approx(expected)
    assert model.margins(pairs) == pytest.approx(expected[pairs.chosen] - expected[pairs.rejected])
    with pytest.raises(ValueError, match="no embedder"):
        RewardModel(Linear(2), Features.COMPLETION, weights[:2], 1.0).score(pairs.completions)


def test_words_see_what_is_written_and_not_where() -> None:
    texts = ["The king, the queen", "queen the king the,", "The king. The queen", "", "the " * 600]
    a, b, c, nothing, much = Features.WORDS.of([Completion("p", text) for text in texts], embed)
    assert a == pytest.approx(b, abs=1e-6)
    assert np.abs(a - c).max() > 0.01
    assert not nothing.any()
    assert much == pytest.approx(Features.WORDS.of([Completion("q", "the")], embed)[0], abs=1e-5)
    assert 0.3 < np.linalg.norm(a) < 5
