"""Figures of groupings against scikit-learn, and word overlap."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score

from lab.embeddings.grouping import Grouping, group, k_means, tf_idf


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
