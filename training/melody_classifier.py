"""Fit the classifiers that tell folk songs from chorales, and write them to assets/melodies/classifier.json.

    python -m training.melody_classifier --out assets/melodies

Takes seconds. The regularisation is chosen by cross-validation within the training tunes, variants of a tune in one
fold; the test tunes are scored once, at the end.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lab.music.classifier import (
    Classifier,
    Kind,
    Trial,
    auc,
    auc_interval,
    save_classifiers,
    split_scores,
    train,
)
from lab.music.corpus import Collection, Split, load_split
from lab.music.measures import corpus_values

FOLDS = 5
STRENGTHS = (1e-5, 3e-5, 1e-4, 3e-4, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # of the L2 regularisation


def cluster_numbers(collection: Collection, split: Split) -> np.ndarray:
    """Return the cluster of each tune of a split, shape (tunes,)."""
    return np.array([tune.cluster for tune in load_split(collection, split)])


def folds_of(clusters: np.ndarray, folds: int, seed: int = 0) -> np.ndarray:
    """Deal clusters to folds, each the next one to the smallest fold, large ones first.

    Args:
        clusters: cluster of each tune, shape (tunes,).

    Returns:
        The fold of each tune, shape (tunes,).
    """
    numbers, rows, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(numbers))
    order = order[np.argsort(-sizes[order], kind="stable")]
    dealt, filled = np.zeros(len(numbers), int), np.zeros(folds, int)
    for cluster in order:
        dealt[cluster] = np.argmin(filled)
        filled[dealt[cluster]] += sizes[cluster]
    return dealt[rows]


def cross_validate(
    kind: Kind, values: Sequence[np.ndarray], folds: Sequence[np.ndarray], l2: float
) -> tuple[float, float]:
    """Fit on all folds but one, score that one, and return mean cross-entropy and mean AUC over the folds.

    Args:
        values: measures of the folk songs and of the chorales, each of shape (tunes, measures).
        folds: fold of each of them, each of shape (tunes,).

    Returns:
        Nats with both collections counting the same (log 2 = 0.69 is a guess), and the AUC.
    """
    losses, areas = [], []
    for fold in range(FOLDS):
        classifier = train(kind, *(rows[of != fold] for rows, of in zip(values, folds, strict=True)), l2)
        folk, bach = (classifier.scores(rows[of == fold]) for rows, of in zip(values, folds, strict=True))
        losses.append((np.logaddexp(0, folk).mean() + np.logaddexp(0, -bach).mean()) / 2)
        areas.append(auc(bach, folk))
    return float(np.mean(losses)), float(np.mean(areas))


def try_out(classifier: Classifier) -> Classifier:
    """Return the classifier with its figures on the test tunes."""
    bach, folk = split_scores(classifier, Split.TEST)
    clusters = tuple(cluster_numbers(collection, Split.TEST) for collection in (Collection.BACH, Collection.FOLK))
    figures = (round(figure, 6) for figure in (auc(bach, folk), *auc_interval(bach, folk, clusters)))
    return replace(classifier, test=Trial(*figures, len(folk), len(bach)))


def build(out: Path) -> None:
    """Choose the regularisation, fit and write both classifiers, and print how good they are."""
    values = [corpus_values(collection, Split.TRAIN) for collection in (Collection.FOLK, Collection.BACH)]
    folds = [folds_of(cluster_numbers(c, Split.TRAIN), FOLDS) for c in (Collection.FOLK, Collection.BACH)]
    made = []
    for kind in Kind:
        print(f"{kind}: {len(kind.measures)} measures, {len(values[0])} folk songs and {len(values[1])} chorales")
        tried = {l2: cross_validate(kind, values, folds, l2) for l2 in STRENGTHS}
        for l2, (cross_entropy, area) in tried.items():
            print(f"  l2 {l2:7.5f}: {cross_entropy:.4f} nats, AUC {area:.4f} in {FOLDS} folds of clusters")
        best = min(tried, key=lambda l2: tried[l2][0])
        classifier = try_out(train(kind, *values, best))
        for name, weight in sorted(zip(classifier.measures, classifier.weights, strict=True), key=lambda x: -abs(x[1])):
            print(f"    {name:17} {weight:+.2f}")
        made.append(classifier)
    out.mkdir(parents=True, exist_ok=True)
    save_classifiers(made, out)
    print("reads   l2      AUC on test tunes (95 % interval)   folk songs   chorales")
    for one in made:
        test = one.test
        area = f"{test.auc:.3f} ({test.low:.3f} to {test.high:.3f})"
        print(f"{one.kind:6}  {one.l2:.4f}  {area:34} {test.folk:10} {test.bach:10}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    build(parser.parse_args().out)
