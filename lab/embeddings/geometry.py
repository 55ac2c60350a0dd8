"""What can be done with embeddings: similarity, projections to a plane or a room, neighbours, odd one out and more.

Vectors are rows; where not said otherwise they need not have unit length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.errors import VisitorError

PERPLEXITY = 15.0
TSNE_POINTS = 6  # fewest; below that it shows nothing but chance
SAME = 1e-6  # distance below which points count as one: what the order of additions leaves


class NoProjection(VisitorError, ValueError):
    """Points of which no map can be made."""


@dataclass(frozen=True)
class Projection:
    """Points on a map.

    Attributes:
        points: (points, dimensions).
        variance_explained: share of each axis, empty where the method knows of none.
    """

    points: np.ndarray
    variance_explained: tuple[float, ...] = ()


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors at unit length; one of no length stays as it is."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(norms == 0, 1, norms)


def cosine_similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cosine of every row of ``a`` with every row of ``b``, (rows of a, rows of b), from -1 to 1."""
    return np.clip(unit(a) @ unit(b).T, -1.0, 1.0)


def pca(vectors: np.ndarray, dimensions: int) -> Projection:
    """Project onto the directions in which the points differ most (Pearson, 1901).

    Each axis points where its largest loading is positive, so that the same points give the same map.

    Args:
        vectors: (points, width), at least two different ones.

    Raises:
        NoProjection: if there are too few.
    """
    _check(vectors)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)  # axes: (min(points, width), width)
    axes, sizes = axes[:dimensions], sizes**2
    strongest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), strongest])[:, None]
    points = np.zeros((len(vectors), dimensions))
    points[:, : len(axes)] = centred @ axes.T
    shares = np.zeros(dimensions)
    shares[: len(axes)] = sizes[: len(axes)] / sizes.sum()
    return Projection(points, tuple(float(share) for share in shares))


def tsne(vectors: np.ndarray, dimensions: int, perplexity: float = PERPLEXITY) -> Projection:
    """Lay points out so that neighbours stay neighbours; distances between groups mean little (van der Maaten, 2008).

    It starts from the PCA and throws no dice. The perplexity is lowered where there are few points.

    Raises:
        NoProjection: if there are fewer than six points, or all are the same.
    """
    _check(vectors)
    if len(vectors) < TSNE_POINTS:
        raise NoProjection(f"t-SNE needs at least {TSNE_POINTS} points, here are {len(vectors)}. Please choose PCA.")
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    start = pca(vectors, dimensions).points
    start = start / start[:, 0].std() * 1e-4  # as scikit-learn scales it
    method = TSNE(
        dimensions,
        perplexity=min(perplexity, (len(vectors) - 1) / 3),
        init=start.astype(np.float32),
        random_state=0,
        n_jobs=1,
    )
    with threadpool_limits(1, "openmp"):  # of this thread only
        return Projection(method.fit_transform(vectors.astype(np.float64)).astype(np.float64))


def _check(vectors: np.ndarray) -> None:
    if len(vectors) == 0:
        raise NoProjection("There is nothing to draw. Choose a list, or write some lines.")
    if len(vectors) == 1:
        raise NoProjection("One point alone makes no map: there is nothing to be near to. Add another line.")
    if np.abs(vectors - vectors[0]).max() < SAME:
        raise NoProjection(f"All {len(vectors)} points are the same, so there is no direction in which they differ.")


def nearest(query: np.ndarray, vectors: np.ndarray, count: int) -> list[tuple[int, float]]:
    """Return rows of ``vectors`` with their cosine to a query (width,), nearest first, ties in their order."""
    similarities = cosine_similarity(query[None], vectors)[0]
    order = np.argsort(-similarities, kind="stable")[:count]
    return [(int(row), float(similarities[row])) for row in order]


def odd_one_out(vectors: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the row that is least like the others, and each row's mean cosine to all others, (rows,).

    Raises:
        VisitorError: if there are fewer than three.
    """
    if len(vectors) < 3:
        raise VisitorError("To find the odd one out takes at least three.")
    similarities = cosine_similarity(vectors, vectors)
    means = (similarities.sum(axis=1) - similarities.diagonal()) / (len(vectors) - 1)
    return int(means.argmin()), means


def analogy(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the direction of a - b + c, (width,): what is to c as a is to b (Mikolov and others, 2013)."""
    return unit(unit(a) - unit(b) + unit(c))


@dataclass(frozen=True)
class Axis:
    """A direction from one pole to another. Positions on it are -1 at the first pole and 1 at the second.

    Attributes:
        direction: of unit length, (width,).
        middle: half-way between the poles, (width,).
        half: half of the distance between them.
    """

    direction: np.ndarray
    middle: np.ndarray
    half: float

    def positions(self, vectors: np.ndarray) -> np.ndarray:
        """Return where rows lie on the axis, (rows,)."""
        return (vectors - self.middle) @ self.direction / self.half


def axis_between(first: np.ndarray, second: np.ndarray) -> Axis:
    """Return the axis from the mean of some vectors to the mean of others, both (rows, width).

    Raises:
        VisitorError: if the two means are the same.
    """
    start, end = first.mean(axis=0), second.mean(axis=0)
    length = float(np.linalg.norm(end - start))
    if length < SAME:
        raise VisitorError("The two poles are the same, so there is no axis between them.")
    return Axis((end - start) / length, (start + end) / 2, length / 2)


def labels_of(names: Sequence[str]) -> np.ndarray:
    """Return names as whole numbers in the order in which they first occur, (names,)."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=int)
