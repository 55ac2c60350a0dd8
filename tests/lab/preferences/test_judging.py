"""Accuracy with its interval, and calibration."""

from __future__ import annotations

import numpy as np
import pytest

from lab.preferences.bradley_terry import sigmoid
from lab.preferences.judging import accuracy, calibration, judge
from lab.preferences.statistics import wilson_interval


def test_one_pair_per_prompt_gives_wilson_s_interval() -> None:
    margins = np.where(np.arange(100) < 80, 1.0, -1.0)
    found = accuracy(margins, np.arange(100))
    assert (found.share, found.pairs) == (0.8, 100)
    assert (found.low, found.high) == pytest.approx(wilson_interval(80, 100), abs=0.003)


def test_pairs_of_one_prompt_count_for_less() -> None:
    # Ten prompts whose ten pairs are all right or all wrong: worth ten pairs, not a hundred.
    margins = np.repeat(np.where(np.arange(10) < 8, 1.0, -1.0), 10)
    found = accuracy(margins, np.repeat(np.arange(10), 10))
    assert (found.low, found.high) == pytest.approx(wilson_interval(8, 10))
    mixed = accuracy(margins, np.tile(np.arange(10), 10))
    assert (mixed.low, mixed.high) == pytest.approx(wilson_interval(80, 100))


def test_prompts_with_most_of_the_pairs_are_not_worth_all_prompts() -> None:
    """Two prompts of 180 pairs, one all right and one all wrong, are worth two pairs; eight of one pair add little."""
    sizes = [180, 180, *[1] * 8]
    margins = np.repeat([1.0, -1.0, *[1.0, -1.0] * 4], sizes)
    found = accuracy(margins, np.repeat(np.arange(10), sizes))
    assert found.share == 0.5
    assert (found.low, found.high) == pytest.approx(wilson_interval(1, 2))
    certain = accuracy(np.ones(368), np.repeat(np.arange(10), sizes))  # no variance to go by
    assert (certain.low, certain.high) == pytest.approx(wilson_interval(2, 2))


def test_intervals_hold_what_they_promise() -> None:
    generator = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        chances = generator.beta(8, 2, size=30)  # prompts differ in how easy they are
        hits = generator.random((30, 6)) < chances[:, None]
        found = accuracy(np.where(hits, 1.0, -1.0).ravel(), np.repeat(np.arange(30), 6))
        inside.append(found.low <= 0.8 <= found.high)
    assert 0.92 <= np.mean(inside) <= 0.98


def test_extremes() -> None:
    for margin, share in ((1.0, 1.0), (-1.0, 0.0), (0.0, 0.5)):
        found = accuracy(np.full(12, margin), np.repeat([0, 1], 6))
        assert found.share == share
        assert 0 <= found.low <= share <= found.high <= 1
        assert found.high - found.low > 0.3
    with pytest.raises(ValueError, match="no pair"):
        accuracy(np.zeros(0), np.zeros(0, int))


def test_calibration_by_hand() -> None:
    margins = np.log([1.5, 1.5, 1 / 1.5, 4, 1 / 4])  # sure by 0.6, 0.6, 0.6, 0.8, 0.8
    found = calibration(margins, bins=2)
    assert [one.pairs for one in found.bins] == [3, 2]
    assert [one.confidence for one in found.bins] == pytest.approx([0.6, 0.8])
    assert [one.accuracy for one in found.bins] == pytest.approx([2 / 3, 0.5])
    assert found.error == pytest.approx(3 / 5 * (2 / 3 - 0.6) + 2 / 5 * 0.3)


def test_true_probabilities_are_calibrated_and_exaggerated_ones_are_not() -> None:
    generator = np.random.default_rng(0)
    margins = generator.normal(0, 2, 20_000)
    margins *= np.where(generator.random(20_000) < sigmoid(np.abs(margins)), 1, -1) * np.sign(margins)
    assert calibration(margins).error < 0.01
    assert calibration(3 * margins).error > 0.1
    found = judge(margins, np.arange(20_000))
    assert found.loss == pytest.approx(np.log1p(np.exp(-margins)).mean())
    empty = calibration(np.full(3, 50.0))
    assert [one.pairs for one in empty.bins] == [0, 0, 0, 0, 3]
    assert np.isnan(empty.bins[0].accuracy)
