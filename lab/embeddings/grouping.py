"""How well given categories are told apart by where their points lie; and word overlap, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lab.embeddings.geometry import SAME, cosine_similarity, labels_of

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MOST_GROUPS = 100  # that k-means is asked for: its time grows with them, and its ten starts hold a processor


@dataclass(frozen=True)
class CategoryFigures:
    """How one category lies among the others.

    Attributes:
        silhouette: mean of its points', from -1 to 1 (Rousseeuw, 1987).
        neighbours: share of its points whose nearest other point is of the same category.
        nearest: the category whose centroid is nearest, empty if there is no other.
        cosine: of the two centroids, nan if there is no other.
    """

    category: str
    points: int
    silhouette: float
    neighbours: float
    nearest: str
    cosine: float


@dataclass(frozen=True)
class Grouping:
    """How well categories are told apart.

    Attributes:
        adjusted_rand_index: of k-means, told nothing but how many groups there are, with the categories: 1 is the
            same grouping, 0 is chance (Hubert and Arabie, 1985). None with more than ``MOST_GROUPS`` categories.
        silhouette: mean over all points, by cosine distance.
        neighbours: share of points whose nearest other point is of the same category.
    """

    adjusted_rand_index: float | None
    silhouette: float
    neighbours: float
    categories: tuple[CategoryFigures, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what :meth:`from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Return the grouping that was written."""
        return cls(**fields | {"categories": tuple(CategoryFigures(**one) for one in fields["categories"])})


def group(vectors: np.ndarray, categories: Sequence[str], seed: int = 0) -> Grouping | None:
    """Measure how well categories are told apart, or return None if there are no two with two points.

    Args:
        vectors: (points, width), not all the same.
        categories: of each point.
        seed: of the starts of k-means; the best of ten counts.
    """
    names = list(dict.fromkeys(categories))
    labels = labels_of(categories)
    sizes = np.bincount(labels)
    if len(names) < 2 or len(names) >= len(vectors) or np.abs(vectors - vectors[0]).max() < SAME:
        return None
    from sklearn.metrics import adjusted_rand_score, silhouette_samples

    # Cosine distance is read off from the dot product of unit vectors; a text without any word has no direction.
    similarities = cosine_similarity(vectors, vectors)
    distances = 1 - similarities
    np.fill_diagonal(distances, 0)
    silhouettes = silhouette_samples(distances, labels, metric="precomputed")
    np.fill_diagonal(similarities, -np.inf)
    # Among equals no neighbour is the nearest: each counts by its share.
    ties = similarities >= similarities.max(axis=1, keepdims=True) - SAME
    same = (ties & (labels[:, None] == labels[None])).sum(axis=1) / ties.sum(axis=1)
    centroids = np.stack([vectors[labels == n].mean(axis=0) for n in range(len(names))])
    between = cosine_similarity(centroids, centroids)
    np.fill_diagonal(between, -np.inf)
    rows = tuple(
        CategoryFigures(
            category=name,
            points=int(sizes[n]),
            silhouette=float(silhouettes[labels == n].mean()),
            neighbours=float(same[labels == n].mean()),
            nearest=names[int(between[n].argmax())],
            cosine=float(between[n].max()),
        )
        for n, name in enumerate(names)
    )
    few = len(names) <= MOST_GROUPS
    found = float(adjusted_rand_score(labels, k_means(vectors, len(names), seed))) if few else None
    return Grouping(found, float(silhouettes.mean()), float(same.mean()), rows)


def k_means(vectors: np.ndarray, groups: int, seed: int = 0) -> np.ndarray:
    """Return the number of each point's group, (points,): the best of ten starts (Lloyd, 1982)."""
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "openmp"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different points than groups
        return KMeans(groups, n_init=10, random_state=seed).fit_predict(vectors.astype(np.float64))


def tf_idf(texts: Sequence[str]) -> np.ndarray:
    """Return texts as weighted counts of their words, (texts, words), at unit length (Spärck Jones, 1972).

    Words that many of these texts share weigh little. A text without a word is all zeros.
    """
    return _counts(texts).toarray()


def word_overlap(texts: Sequence[str]) -> np.ndarray:
    """Return points that lie to each other as the rows of :func:`tf_idf` do, (texts, at most as many numbers).

    All inner products are the same, and with them cosines and distances; the axes mean nothing. Hundreds of long texts
    have hundreds of thousands of words: their counts would fill gigabytes, their inner products do not.
    """
    counts = _counts(texts)
    if counts.shape[1] <= counts.shape[0]:
        return counts.toarray()
    products = (counts @ counts.T).toarray()
    values, axes = np.linalg.eigh(products)
    points = axes * np.sqrt(values.clip(0))
    points[products.diagonal() == 0] = 0  # rounding would give a text without a word a direction
    return points


def _counts(texts: Sequence[str]) -> csr_matrix:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        return TfidfVectorizer(token_pattern=r"(?u)\b\w+\b").fit_transform(texts)
    except ValueError:  # not one word in all of them
        return csr_matrix((len(texts), 1))
