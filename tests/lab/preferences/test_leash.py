"""The optimal choice on a leash against brute force, and at both ends of β."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from lab.preferences.leash import divergence, leash, leash_curve, optimal, uniform

REWARDS = np.array([0.3, -1.2, 2.0, 0.9])
TRUE = np.array([1.0, 0.0, -1.0, 0.5])


@pytest.mark.parametrize("beta", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("reference", [uniform(4), np.array([0.5, 0.2, 0.05, 0.25])], ids=["uniform", "any"])
def test_as_brute_force(beta: float, reference: np.ndarray) -> None:
    def worth(logits: np.ndarray) -> float:
        p = np.exp(logits - logits.max())
        p /= p.sum()
        return -(p @ REWARDS - beta * divergence(p, reference))

    best = minimize(worth, np.zeros(4), tol=1e-12)
    found = leash(REWARDS, TRUE, beta, reference)
    assert found.reward - beta * found.kl == pytest.approx(-best.fun, abs=1e-6)
    brute = np.exp(best.x) / np.exp(best.x).sum()
    assert found.probabilities == pytest.approx(brute, abs=1e-3)
    by_hand = reference * np.exp(REWARDS / beta)
    assert found.probabilities == pytest.approx(by_hand / by_hand.sum())
    assert found.true_score == pytest.approx(found.probabilities @ TRUE)
    for _ in range(50):  # nothing near it is better
        other = np.random.default_rng().dirichlet(found.probabilities * 200 + 1e-3)
        assert other @ REWARDS - beta * divergence(other, reference) <= found.reward - beta * found.kl + 1e-9


def test_letting_go_puts_all_on_the_best() -> None:
    for beta in (0.0, 1e-300, 1e-6):
        found = leash(REWARDS, TRUE, beta)
        assert found.probabilities.tolist() == [0, 0, 1, 0]
        assert (found.reward, found.true_score) == (2.0, -1.0)
        assert found.kl == pytest.approx(np.log(4))
    assert optimal([1, 5, 5], 0).tolist() == [0, 0.5, 0.5]
    assert optimal([1, 5, 9], 0, np.array([0.5, 0.5, 0])).tolist() == [0, 1, 0]


def test_holding_tight_is_the_reference() -> None:
    for beta in (1e12, np.inf):
        found = leash(REWARDS, TRUE, beta)
        assert found.probabilities == pytest.approx(uniform(4), abs=1e-9)
        assert found.kl == pytest.approx(0, abs=1e-12)
    assert leash(REWARDS, TRUE, 1e12).kl >= 0


def test_large_rewards_do_not_overflow() -> None:
    with np.errstate(over="raise", invalid="raise"):
        assert optimal([1e6, 1e6 - 1, -1e6], 1.0) == pytest.approx([0.731, 0.269, 0], abs=1e-3)


def test_reward_and_kl_rise_as_beta_falls() -> None:
    generator = np.random.default_rng(0)
    pools = [(generator.normal(size=20), generator.normal(size=20)) for _ in range(3)]
    curve = leash_curve(pools, [10.0, 1.0, 0.1, 0.01, 0.0])
    for name in ("reward", "kl"):
        values = [getattr(point, name) for point in curve]
        assert values == sorted(values)
    assert curve[-1].reward == pytest.approx(np.mean([rewards.max() for rewards, _ in pools]))
    assert curve[1].true_score == pytest.approx(np.mean([leash(*pool, 1.0).true_score for pool in pools]))


@pytest.mark.parametrize("beta", [-1.0, np.nan])
def test_out_of_bounds(beta: float) -> None:
    with pytest.raises(ValueError, match="beta"):
        optimal(REWARDS, beta)
    with pytest.raises(ValueError, match="0 completions"):
        optimal([], 1.0)
