"""Figures of groupings against scikit-learn, and word overlap."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score

from lab.embeddings.grouping import MOST_GROUPS, Grouping, group, k_means, tf_idf, word_overlap


def groups_of(spread: float) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(3)
    rows = np.concatenate([rng.normal(size=(12, 6)) * spread + np.eye(6)[n] for n in range(3)])
    return rows, ["a"] * 12 + ["b"] * 12 + ["c"] * 12


def test_what_lies_apart_is_found() -> None:
    found = group(*groups_of(0.02))
    assert found is not None
    assert found.adjusted_rand_index == 1
    assert found.neighbours == 1
    assert found.silhouette > 0.9
    assert [row.points for row in found.categories] == [12, 12, 12]
    assert all(row.nearest != row.category for row in found.categories)


def test_figures_are_those_of_scikit_learn() -> None:
    rows, names = groups_of(0.5)
    found = group(rows, names)
    assert found is not None
    assert found.silhouette == pytest.approx(silhouette_score(rows, names, metric="cosine"))
    assert found.adjusted_rand_index == pytest.approx(adjusted_rand_score(names, k_means(rows, 3)))
    weighted = sum(row.silhouette * row.points for row in found.categories) / 36
    assert weighted == pytest.approx(found.silhouette)
    assert 0 < found.neighbours < 1
    assert Grouping.from_json(found.to_json()) == found


def test_the_same_points_give_the_same_groups() -> None:
    rows, _ = groups_of(0.6)
    assert np.array_equal(k_means(rows, 3), k_means(rows.copy(), 3))


def test_nothing_to_tell_apart() -> None:
    rows, names = groups_of(0.1)
    assert group(rows, ["a"] * 36) is None
    assert group(rows[:3], ["a", "b", "c"]) is None
    assert group(np.ones((4, 3)), ["a", "a", "b", "b"]) is None
    lone = group(rows[:14], [*names[:13], "z"])
    assert lone is not None
    assert lone.categories[-1].points == 1


def test_texts_without_a_common_word_are_no_neighbours_of_anyone() -> None:
    found = group(tf_idf(["violin", "cello", "rain", "snow"]), ["a", "a", "b", "b"])
    assert found is not None
    assert found.neighbours == pytest.approx(1 / 3)  # all others are equally far: by chance
    assert abs(found.silhouette) < 1e-9


def test_word_overlap() -> None:
    rows = tf_idf(["The dog bit the man.", "the man bit the dog", "rain", "—", "猫"])
    assert rows[0] @ rows[1] == pytest.approx(1)
    assert rows[0] @ rows[2] == 0
    assert not rows[3].any()
    assert rows[4] @ rows[4] == pytest.approx(1)
    assert not tf_idf(["?", "!"]).any()


def test_word_overlap_in_few_numbers_lies_as_the_words_do() -> None:
    """With more words than texts there is one number for each text; what lies where, and k-means, stays the same."""
    chance = np.random.default_rng(2)
    texts = [" ".join(f"{row % 3}w{n}" for n in chance.integers(0, 40, 20 + row)) for row in range(24)] + ["—", "!"]
    rows, points = tf_idf(texts), word_overlap(texts)
    assert rows.shape[1] > points.shape[1] == len(texts)
    assert np.allclose(points @ points.T, rows @ rows.T, atol=1e-12)
    assert not points[-2:].any()
    assert adjusted_rand_score(k_means(points, 3), k_means(rows, 3)) == 1
    by_points, by_rows = (group(found, ["a", "b", "c"] * 8 + ["d", "d"]) for found in (points, rows))
    assert by_points is not None and by_rows is not None
    assert by_points.silhouette == pytest.approx(by_rows.silhouette)
    assert by_points.neighbours == pytest.approx(by_rows.neighbours)
    few = ["a b", "b", "a", "a b b"]
    assert np.array_equal(word_overlap(few), tf_idf(few))


def test_many_long_texts_take_little_memory() -> None:
    letters = np.random.default_rng(5).integers(ord("a"), ord("z") + 1, (500, 2000))
    letters[:, ::20] = ord(" ")  # some fifty thousand different words: their counts would fill 200 MB
    texts = ["".join(map(chr, row)) for row in letters]
    tracemalloc.start()
    points = word_overlap(texts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert points.shape == (500, 500)
    assert peak < 100e6


def test_k_means_is_not_asked_for_hundreds_of_groups() -> None:
    rows = np.random.default_rng(1).normal(size=(2 * MOST_GROUPS + 2, 3))
    names = [str(n // 2) for n in range(len(rows))]
    most, beyond = group(rows[:-2], names[:-2]), group(rows, names)
    assert most is not None and most.adjusted_rand_index is not None
    assert beyond is not None and beyond.adjusted_rand_index is None
    assert len(beyond.categories) == MOST_GROUPS + 1
    assert -1 <= beyond.silhouette <= 1
