"""Best-of-n against simulation: what is chosen, and how far that is from the pool."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.preferences.best_of_n import best_of_n, best_of_n_curve, chances, draw, kl_of_best_of_n
from lab.preferences.leash import leash


@pytest.fixture
def pool() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.normal(size=40), generator.normal(size=40)


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_expectations_as_simulated(pool: tuple[np.ndarray, np.ndarray], n: int) -> None:
    rewards, true_scores = pool
    found = best_of_n(rewards, true_scores, n)
    generator = np.random.default_rng(1)
    drawn = generator.permuted(np.tile(np.arange(40), (20_000, 1)), axis=1)[:, :n]
    best = drawn[np.arange(len(drawn)), rewards[drawn].argmax(axis=1)]
    assert found.reward == pytest.approx(rewards[best].mean(), abs=0.03)
    assert found.true_score == pytest.approx(true_scores[best].mean(), abs=0.03)
    assert found.probabilities == pytest.approx(np.bincount(best, minlength=40) / len(best), abs=0.012)
    assert found.probabilities.sum() == pytest.approx(1)


def test_at_both_ends(pool: tuple[np.ndarray, np.ndarray]) -> None:
    rewards, true_scores = pool
    assert best_of_n(rewards, true_scores, 1).reward == pytest.approx(rewards.mean())
    assert best_of_n(rewards, true_scores, 40).reward == pytest.approx(rewards.max())
    assert best_of_n(rewards, true_scores, 40).true_score == pytest.approx(true_scores[rewards.argmax()])


def test_ties_share() -> None:
    assert chances([1, 1, 1, 1], 3) == pytest.approx([0.25] * 4)
    assert chances([0, 5, 5], 2) == pytest.approx([0, 0.5, 0.5])
    assert chances([0, 0, 5], 2) == pytest.approx([1 / 6, 1 / 6, 2 / 3])


@pytest.mark.parametrize("n", [1, 2, 5, 16, 64])
def test_kl_as_simulated(n: int) -> None:
    # Of a continuous reward the best of n has the density n F^(n-1): KL is the mean of the log of that, F uniform.
    generator = np.random.default_rng(n)
    highest = generator.random((100_000, n)).max(axis=1)
    simulated = np.mean(math.log(n) + (n - 1) * np.log(highest))
    assert kl_of_best_of_n(n) == pytest.approx(simulated, abs=0.015)


@pytest.mark.parametrize("n", [2, 8, 32])
def test_kl_of_the_pool_comes_near(n: int) -> None:
    # Drawn from thousands, it hardly matters that nothing is put back; with ties the bound is not reached.
    found = chances(np.random.default_rng(0).normal(size=4000), n)
    chosen = found[found > 0]
    assert (chosen * np.log(chosen * 4000)).sum() == pytest.approx(kl_of_best_of_n(n), abs=0.02)
    tied = chances(np.random.default_rng(0).integers(0, 3, size=4000), n)
    chosen = tied[tied > 0]
    assert (chosen * np.log(chosen * 4000)).sum() < kl_of_best_of_n(n) - 0.02


@pytest.mark.parametrize(("n", "kl"), [(1, 0.0), (8, 1.262), (64, math.log(64))])
def test_kl_of_a_small_pool_is_exact(n: int, kl: float) -> None:
    """What is not put back moves the choice further than texts written anew: the best of all 64 is certain."""
    rewards = np.random.default_rng(0).normal(size=64)
    found = best_of_n(rewards, rewards, n)
    assert found.kl == pytest.approx(kl, abs=0.001)
    assert found.kl >= kl_of_best_of_n(n)
    certain = best_of_n(np.zeros(64), rewards, n)  # of equal rewards none is preferred
    assert certain.kl == pytest.approx(0, abs=1e-9)
    (mean,) = best_of_n_curve([(rewards, rewards), (np.zeros(64), rewards)], [n])
    assert mean.kl == pytest.approx(found.kl / 2, abs=1e-9)


@pytest.mark.parametrize("n", [2, 8, 32, 64])
def test_no_choice_beats_the_optimal_policy(n: int) -> None:
    rewards = np.random.default_rng(0).normal(size=64)
    best = best_of_n(rewards, rewards, n)
    for beta in (0.01, 0.1, 0.3, 1.0, 3.0):
        held = leash(rewards, rewards, beta)
        assert best.reward - beta * best.kl <= held.reward - beta * held.kl + 1e-9


def test_curves_average_over_prompts(pool: tuple[np.ndarray, np.ndarray]) -> None:
    rewards, true_scores = pool
    curve = best_of_n_curve([(rewards, true_scores), (rewards + 1, -true_scores)], (1, 4, 40))
    assert [point.n for point in curve] == [1, 4, 40]
    assert [point.reward for point in curve] == sorted(point.reward for point in curve)
    assert curve[1].reward == pytest.approx(best_of_n(rewards, true_scores, 4).reward + 0.5)
    assert curve[2].true_score == pytest.approx(0)


def test_a_draw_goes_on_from_the_smaller_one(pool: tuple[np.ndarray, np.ndarray]) -> None:
    rewards, _ = pool
    before: list[int] = []
    for n in (1, 3, 10, 40):
        best, drawn = draw(rewards, n, seed=5)
        assert drawn[: len(before)] == before
        assert rewards[best] == max(rewards[drawn])
        assert len(set(drawn)) == n
        before = drawn
    assert draw(rewards, 3, 5) == draw(rewards, 3, 5)


@pytest.mark.parametrize("n", [0, 41])
def test_out_of_bounds(pool: tuple[np.ndarray, np.ndarray], n: int) -> None:
    with pytest.raises(ValueError, match="best of"):
        chances(pool[0], n)
    with pytest.raises(ValueError, match="best of"):
        draw(pool[0], n, 0)
    with pytest.raises(ValueError, match="best of"):
        kl_of_best_of_n(0)
