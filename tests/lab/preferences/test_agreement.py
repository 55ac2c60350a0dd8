"""Kendall's tau-b against scipy, Krippendorff's alpha against published examples."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kendalltau

from lab.preferences.agreement import agreement, alpha, dense, kendall_tau_b, krippendorff_alpha
from lab.preferences.pairs import Ranked

NAN = float("nan")


def test_tau_as_scipy() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        a, b = generator.integers(1, 5, size=(2, 6))
        if len(set(a)) > 1 and len(set(b)) > 1:
            assert kendall_tau_b(a, b) == pytest.approx(kendalltau(a, b).statistic)
    assert kendall_tau_b((1, 2, 3), (1, 2, 3)) == 1
    assert kendall_tau_b((1, 2, 3), (3, 2, 1)) == -1
    assert np.isnan(kendall_tau_b((1, 1, 1), (1, 2, 3)))


def test_alpha_as_published() -> None:
    # Krippendorff (2011), section C/D: four observers, twelve units, missing values; ordinal alpha 0.815.
    table = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
            [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
        ]
    )
    assert krippendorff_alpha(table) == pytest.approx(0.815, abs=0.0005)


def test_alpha_by_brute_force() -> None:
    generator = np.random.default_rng(1)
    table = generator.integers(1, 5, size=(4, 15)).astype(float)
    table[generator.random(table.shape) < 0.3] = NAN
    units = [column[~np.isnan(column)] for column in table.T]
    units = [unit for unit in units if len(unit) > 1]
    everything = np.concatenate(units)
    count = {value: (everything == value).sum() for value in np.unique(everything)}

    def distance(a: float, b: float) -> float:
        low, high = min(a, b), max(a, b)
        between = sum(n for value, n in count.items() if low <= value <= high)
        return (between - (count[a] + count[b]) / 2) ** 2

    observed = sum(
        distance(a, b) / (len(unit) - 1)
        for unit in units
        for i, a in enumerate(unit)
        for j, b in enumerate(unit)
        if i != j
    )
    expected = sum(distance(a, b) for i, a in enumerate(everything) for j, b in enumerate(everything) if i != j)
    n = len(everything)
    assert krippendorff_alpha(table) == pytest.approx(1 - (observed / n) / (expected / n / (n - 1)))


def test_alpha_at_its_ends() -> None:
    assert krippendorff_alpha(np.array([[1, 2, 3], [1, 2, 3.0]])) == 1
    assert krippendorff_alpha(np.array([[1, 2, 3], [3, 2, 1.0]])) < 0
    for nothing in ([[1, 1], [1, 1]], [[1, NAN], [NAN, 2]], [[1, 2]]):
        assert np.isnan(krippendorff_alpha(np.array(nothing, dtype=float)))
    assert np.isnan(krippendorff_alpha(np.zeros((0, 0))))


def test_ranks_without_gaps() -> None:
    assert dense((5, 2, 5, 9)) == (2, 1, 2, 3)


def test_only_what_several_ranked_counts() -> None:
    texts = ("a", "b", "c")
    found = agreement(
        [
            Ranked("p", texts, (1, 2, 3), "ann"),
            Ranked("p", ("c", "b", "a"), (3, 2, 1), "bob"),  # the same order, shown the other way round
            Ranked("p", texts, (3, 2, 1), "eve"),
            Ranked("q", texts, (1, 2, 3), "ann"),
            Ranked("q", ("a", "b", "d"), (1, 2, 3), "bob"),
        ]
    )
    assert (found.annotators, found.sets, found.comparisons) == (3, 1, 3)
    assert found.tau == pytest.approx((1 - 1 - 1) / 3)
    table = np.array([[1, 2, 3], [1, 2, 3], [3, 2, 1.0]])
    assert found.alpha == pytest.approx(krippendorff_alpha(table))


def test_an_annotator_s_last_word_counts() -> None:
    texts = ("a", "b")
    rankings = [Ranked("p", texts, ranks, who) for who, ranks in (("ann", (1, 2)), ("bob", (2, 1)), ("bob", (1, 2)))]
    assert agreement(rankings).tau == pytest.approx(1)
    alone = agreement(rankings[:1])
    assert (alone.annotators, alone.sets, alone.comparisons) == (0, 0, 0)
    assert np.isnan(alone.tau)
    assert np.isnan(alone.alpha)
    tied = agreement([Ranked("p", texts, (1, 1), who) for who in "ab"])
    assert (tied.sets, tied.comparisons) == (1, 0)


def test_a_class_agrees_as_all_two_of_its_members_do() -> None:
    generator = np.random.default_rng(4)
    rankings = []
    for prompt, people in (("p", 7), ("q", 12), ("r", 1)):
        for number in range(people):
            ranks = tuple(generator.integers(1, 4, size=5).tolist()) if number else (2,) * 5  # one ties everything
            rankings.append(Ranked(prompt, tuple("abcde"), ranks, f"{number}"))
    taus = [
        kendall_tau_b(one.ranks, other.ranks)
        for one, other in combinations(rankings, 2)
        if one.prompt == other.prompt and not np.isnan(kendall_tau_b(one.ranks, other.ranks))
    ]
    found = agreement(rankings)
    assert found.comparisons == len(taus)
    assert found.tau == pytest.approx(np.mean(taus))
    table = np.full((12, 10), NAN)
    for one in rankings[:19]:
        start = 0 if one.prompt == "p" else 5
        table[int(one.annotator), start : start + 5] = dense(one.ranks)
    assert alpha(rankings) == found.alpha == pytest.approx(krippendorff_alpha(table))


def test_a_large_class_is_compared_without_looking_at_all_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand who rank one set are two million pairs: at some ten microseconds each the page would stand still."""
    monkeypatch.setattr("lab.preferences.agreement.kendall_tau_b", None)
    rankings = [Ranked("p", tuple("abcd"), (1, 2, 3, 4), f"{number}") for number in range(2000)]
    found = agreement(rankings)
    assert found.comparisons == 1_999_000
    assert found.tau == pytest.approx(1)
