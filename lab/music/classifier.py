"""Folk song or chorale? A logistic classifier on the measures of a melody, small enough to explain each verdict.

The log-odds of "Bach" are a sum: the intercept and, for each measure, its weight times its standardised value. So a
page can show what spoke for which side. It judges what the measures see, which includes habits of notation (chorales
are written in quarters); the version that reads pitch only cannot be swayed by these, and errs more often.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import numpy as np

from lab.music.corpus import FOLDER, Collection, Split
from lab.music.measures import MEASURES, NAMES, corpus_values, measure
from lab.music.melody import Melody

FILE = "classifier.json"


class Kind(StrEnum):
    """Which measures a classifier reads."""

    ALL = "all"
    PITCH = "pitch"

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures, in the order of ``MEASURES``."""
        return tuple(one.name for one in MEASURES if self is Kind.ALL or one.pitch_only)


@dataclass(frozen=True, slots=True)
class Trial:
    """How well a classifier tells apart tunes that it was not fitted on.

    Attributes:
        auc: chance that of a chorale and a folk song, drawn at random, it holds the right one for more like Bach.
        low, high: 95 % confidence interval of it.
        folk, bach: number of tunes.
    """

    auc: float
    low: float
    high: float
    folk: int
    bach: int


@dataclass(frozen=True)
class Classifier:
    """A fitted classifier. Both collections counted equally in the fit, so its prior for Bach is a half.

    Attributes:
        measures: names of those that it reads.
        means, scales: with which they are standardised.
        weights: of the standardised measures; positive ones speak for Bach.
        intercept: log-odds of a melody with average measures.
        l2: strength of the regularisation, see :func:`loss`.
        folk, bach: number of tunes that it was fitted on.
        test: on the test tunes; None before it is tried.
    """

    kind: Kind
    measures: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    l2: float
    folk: int
    bach: int
    test: Trial | None = None

    def log_odds(self, melody: Melody) -> float:
        """Return log(P(Bach) / P(folk)), nats."""
        return self.intercept + sum(self.contributions(melody).values())

    def probability(self, melody: Melody) -> float:
        """Return P(Bach), 0 to 1, if folk songs and chorales are equally frequent."""
        return float(logistic(self.log_odds(melody)))

    def contributions(self, melody: Melody) -> dict[str, float]:
        """Return by how much each measure raises the log-odds of Bach over an average melody's, nats.

        A measure that the melody leaves open contributes 0, as if it were average.
        """
        found = measure(melody)
        values = standardised(np.array([[found[name] for name in self.measures]]), self.means, self.scales)[0]
        return dict(zip(self.measures, (values * self.weights).tolist(), strict=True))

    def scores(self, values: np.ndarray) -> np.ndarray:
        """Return the log-odds of many melodies.

        Args:
            values: all measures, as ``corpus_values`` returns them; shape (melodies, measures).

        Returns:
            Shape (melodies,).
        """
        columns = standardised(values[:, columns_of(self.measures)], self.means, self.scales)
        return columns @ np.array(self.weights) + self.intercept


def logistic(logits: np.ndarray | float) -> np.ndarray | float:
    """Return 1 / (1 + exp(-logits)) without overflow; SciPy's would take longer to import than all else here."""
    return np.exp(-np.logaddexp(0, np.negative(logits)))


def columns_of(measures: Sequence[str]) -> list[int]:
    """Return the columns of these measures in ``corpus_values``."""
    return [NAMES.index(name) for name in measures]


def standardised(values: np.ndarray, means: Sequence[float], scales: Sequence[float]) -> np.ndarray:
    """Return (value - mean) / scale for each column, 0 where the value is NaN; shape as ``values``."""
    return np.nan_to_num((values - np.array(means)) / np.array(scales), nan=0.0)


def class_weights(labels: np.ndarray) -> np.ndarray:
    """Return a weight for each row so that both classes weigh a half together.

    Raises:
        ValueError: if a class has no row.
    """
    positive = int(labels.sum())
    if not 0 < positive < len(labels):
        raise ValueError("both classes are needed")
    return np.where(labels == 1, 0.5 / positive, 0.5 / (len(labels) - positive))


def loss(
    parameters: np.ndarray, values: np.ndarray, labels: np.ndarray, shares: np.ndarray, l2: float
) -> tuple[float, np.ndarray]:
    """Return the weighted cross-entropy plus l2 / 2 · |weights|², and its gradient. The intercept goes unpunished.

    Args:
        parameters: weights, then the intercept; shape (measures + 1,).
        values: standardised, shape (rows, measures).
        labels: 1 for Bach, 0 for folk; shape (rows,).
        shares: how much each row counts, summing to 1; shape (rows,).

    Returns:
        Nats, and the gradient in the shape of ``parameters``.
    """
    weights, intercept = parameters[:-1], parameters[-1]
    logits = values @ weights + intercept
    signs = 2 * labels - 1
    cross_entropy = shares @ np.logaddexp(0, -signs * logits)
    errors = shares * (logistic(logits) - labels)
    gradient = np.append(values.T @ errors + l2 * weights, errors.sum())
    return float(cross_entropy + l2 / 2 * weights @ weights), gradient


def fit(values: np.ndarray, labels: np.ndarray, l2: float) -> tuple[np.ndarray, float]:
    """Fit a logistic regression in which both classes weigh the same, by L-BFGS (Liu & Nocedal, 1989).

    Args:
        values: standardised, shape (rows, measures).
        labels: 1 or 0, shape (rows,).
        l2: needs to be positive if a plane separates the classes, else there is no minimum.

    Returns:
        Weights of shape (measures,), and the intercept.
    """
    from scipy.optimize import minimize

    start = np.zeros(values.shape[1] + 1)
    options = {"maxiter": 2000, "ftol": 1e-14, "gtol": 1e-9}
    result = minimize(
        loss, start, args=(values, labels, class_weights(labels), l2), jac=True, method="L-BFGS-B", options=options
    )
    return result.x[:-1], float(result.x[-1])


def predict(values: np.ndarray, weights: np.ndarray, intercept: float) -> np.ndarray:
    """Return P(label 1) of rows of standardised measures, shape (rows,)."""
    return logistic(values @ weights + intercept)


def train(kind: Kind, folk: np.ndarray, bach: np.ndarray, l2: float) -> Classifier:
    """Standardise and fit.

    Means and scales count both collections equally, too: 0 is half-way between them.

    Args:
        folk, bach: all measures of the tunes, as ``corpus_values`` returns them; shape (tunes, measures).
    """
    values = np.concatenate([folk, bach])[:, columns_of(kind.measures)]
    labels = np.repeat([0, 1], [len(folk), len(bach)])
    shares = class_weights(labels)[:, None] * ~np.isnan(values)
    shares /= shares.sum(axis=0)
    known = np.nan_to_num(values)
    means = (shares * known).sum(axis=0)
    scales = np.sqrt((shares * (known - means) ** 2).sum(axis=0))
    scales[scales == 0] = 1.0  # a measure that never varies says nothing
    weights, intercept = fit(standardised(values, means, scales), labels, l2)
    numbers = (tuple(np.round(column, 6).tolist()) for column in (means, scales, weights))
    return Classifier(kind, kind.measures, *numbers, round(intercept, 6), l2, len(folk), len(bach))


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the area under the ROC curve: P(a positive scores higher than a negative), ties counting half.

    It is U / (positives · negatives) of Mann & Whitney (1947); sorting spares the comparison of all pairs.

    Args:
        positive, negative: scores, each of shape (its number,), neither empty.
    """
    ordered = np.sort(negative)
    below, not_above = (np.searchsorted(ordered, positive, side) for side in ("left", "right"))
    return float((below + not_above).sum() / (2 * len(positive) * len(negative)))


def auc_interval(
    positive: np.ndarray,
    negative: np.ndarray,
    clusters: tuple[np.ndarray, np.ndarray],
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return a 95 % confidence interval of the AUC by the bootstrap (Efron, 1979; percentiles), drawing clusters.

    Variants of a tune score alike; drawn one by one they would pretend to be more evidence than they are.

    Args:
        positive, negative: scores.
        clusters: cluster of each positive and of each negative, as integers of the same shapes.
    """
    generator = np.random.default_rng(seed)
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)  # (positive, negative)
    counts = []
    for numbers in clusters:
        _, rows = np.unique(numbers, return_inverse=True)
        total = int(rows.max()) + 1
        drawn = generator.multinomial(total, np.full(total, 1 / total), size=draws)  # (draws, clusters)
        counts.append(drawn[:, rows].astype(float))  # how often each score was drawn
    drawn_wins = ((counts[0] @ wins) * counts[1]).sum(axis=1)
    areas = drawn_wins / (counts[0].sum(axis=1) * counts[1].sum(axis=1))
    low, high = np.quantile(areas, (0.025, 0.975)).tolist()
    return low, high


def split_scores(classifier: Classifier, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-odds of a split's chorales, shape (chorales,), and of its folk songs, shape (songs,)."""
    bach, folk = (
        classifier.scores(corpus_values(collection, split)) for collection in (Collection.BACH, Collection.FOLK)
    )
    return bach, folk


def save_classifiers(classifiers: Sequence[Classifier], folder: Path) -> None:
    """Write classifiers of different kinds as one JSON file."""
    found = {one.kind: asdict(one) for one in classifiers}
    (folder / FILE).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


@cache
def load_classifier(kind: Kind, folder: Path = FOLDER) -> Classifier:
    """Return a classifier that ``training/melody_classifier.py`` fitted. Raises OSError if the file is missing."""
    fields = json.loads((folder / FILE).read_text(encoding="utf-8"))[kind]
    for name in ("measures", "means", "scales", "weights"):
        fields[name] = tuple(fields[name])
    test = fields.pop("test")
    fields["kind"] = Kind(fields["kind"])
    return Classifier(**fields, test=Trial(**test) if test else None)
