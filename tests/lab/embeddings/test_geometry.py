"""Geometry against scikit-learn and against vectors made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity as reference_cosine

from lab.embeddings.geometry import (
    NoProjection,
    analogy,
    axis_between,
    cosine_similarity,
    nearest,
    odd_one_out,
    pca,
    tsne,
    unit,
)
from lab.errors import VisitorError


@pytest.fixture
def cloud() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, 12)) * np.arange(1, 13)


def test_cosine_is_that_of_scikit_learn(cloud: np.ndarray) -> None:
    assert np.allclose(cosine_similarity(cloud[:5], cloud), reference_cosine(cloud[:5], cloud))
    assert cosine_similarity(np.zeros((1, 3)), np.ones((1, 3)))[0, 0] == 0


@pytest.mark.parametrize("dimensions", [2, 3])
def test_pca_is_that_of_scikit_learn(cloud: np.ndarray, dimensions: int) -> None:
    reference = PCA(dimensions, svd_solver="full")
    expected, found = reference.fit_transform(cloud), pca(cloud, dimensions)
    assert np.allclose(found.points, expected)  # with the same signs
    assert np.allclose(found.variance_explained, reference.explained_variance_ratio_)


def test_pca_keeps_sign_and_follows_the_order_of_points(cloud: np.ndarray) -> None:
    found, order = pca(cloud, 2).points, np.random.default_rng(1).permutation(40)
    assert np.array_equal(pca(cloud.copy(), 2).points, found)
    assert np.allclose(pca(cloud[order], 2).points, found[order])
    assert np.allclose(pca(cloud + 1e-9, 2).points, found)


def test_pca_of_two_points_fills_what_is_missing_with_zeros() -> None:
    found = pca(np.array([[0.0, 0.0], [3.0, 4.0]]), 3)
    assert np.allclose(np.abs(found.points[:, 0]), 2.5)
    assert np.allclose(found.points[:, 2], 0)
    assert found.variance_explained == pytest.approx((1, 0, 0))


def test_tsne_gives_the_same_map_again_and_keeps_neighbours() -> None:
    rng = np.random.default_rng(2)
    groups = np.concatenate([rng.normal(size=(10, 8)) * 0.1 + 3 * np.eye(8)[n] for n in range(3)])
    found = tsne(groups, 2, perplexity=5)
    assert np.array_equal(tsne(groups.copy(), 2, perplexity=5).points, found.points)
    assert found.variance_explained == ()
    distances = np.linalg.norm(found.points[:, None] - found.points[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (distances.argmin(axis=1) // 10 == np.arange(30) // 10).all()


@pytest.mark.parametrize("project", [pca, tsne])
@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((0, 4)), "nothing to draw"),
        (np.ones((1, 4)), "One point alone makes no map"),
        (np.ones((7, 4)), "All 7 points are the same"),
        (np.ones((7, 4)) + 1e-9 * np.eye(7, 4), "All 7 points are the same"),
    ],
)
def test_no_map_of_what_has_none(project: object, points: np.ndarray, message: str) -> None:
    with pytest.raises(NoProjection, match=message):
        project(points, 2)  # type: ignore[operator]


def test_tsne_needs_some_points(cloud: np.ndarray) -> None:
    with pytest.raises(NoProjection, match="at least 6 points, here are 5"):
        tsne(cloud[:5], 2)
    assert tsne(cloud[:6], 2).points.shape == (6, 2)


def test_nearest_first_and_ties_in_their_order() -> None:
    rows = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 0.0]])
    found = nearest(np.array([1.0, 0.0]), rows, 3)
    assert [row for row, _ in found] == [1, 3, 2]
    assert found[2][1] == pytest.approx(np.sqrt(0.5))


def test_odd_one_out_of_vectors_made_by_hand() -> None:
    odd, means = odd_one_out(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [1.0, -0.1]]))
    assert odd == 2
    assert means[2] == pytest.approx((0 + 0.1 / np.sqrt(1.01) - 0.1 / np.sqrt(1.01)) / 3)
    with pytest.raises(VisitorError, match="at least three"):
        odd_one_out(np.eye(2))


def test_an_analogy_of_vectors_made_by_hand() -> None:
    """Royal and female are directions here, so king - man + woman is queen exactly."""
    man, woman, royal = np.eye(3)
    king, queen = man + royal, woman + royal
    found = analogy(unit(king), unit(man) / np.sqrt(2), unit(woman) / np.sqrt(2))
    assert np.linalg.norm(found) == pytest.approx(1)
    ranked = nearest(found, np.stack([man, royal, queen, woman]), 4)
    assert ranked[0][0] == 2


def test_an_axis_of_vectors_made_by_hand() -> None:
    axis = axis_between(np.array([[0.0, 0.0], [0.0, 2.0]]), np.array([[4.0, 1.0]]))
    assert np.allclose(axis.direction, [1, 0])
    assert np.allclose(axis.positions(np.array([[0.0, 9.0], [2.0, 0.0], [4.0, 1.0], [6.0, 1.0]])), [-1, 0, 1, 2])
    with pytest.raises(VisitorError, match="The two poles are the same"):
        axis_between(np.eye(2), np.eye(2)[::-1])
