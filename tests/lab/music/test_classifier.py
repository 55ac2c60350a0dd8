"""The classifier: its fit against what is known in closed form, its AUC against all pairs, and the one that ships."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import check_grad

from lab.music.classifier import (
    Classifier,
    Kind,
    auc,
    auc_interval,
    class_weights,
    fit,
    load_classifier,
    loss,
    predict,
    save_classifiers,
    split_scores,
    standardised,
    train,
)
from lab.music.corpus import Collection, Split, load_split
from lab.music.measures import MEASURES, corpus_values, measure
from lab.music.melody import Melody, Meter, Mode, Note
from training.melody_classifier import FOLDS, cluster_numbers, folds_of

KINDS = pytest.mark.parametrize("kind", list(Kind))


def some_rows(seed: int, rows: int = 40, columns: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Values and labels of two classes of unequal size that overlap."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(rows) < rows // 4).astype(int)
    return generator.normal(size=(rows, columns)) + 0.8 * labels[:, None], labels


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_gradient_against_finite_differences(l2: float) -> None:
    values, labels = some_rows(0)
    shares = class_weights(labels)
    for seed in range(5):
        at = np.random.default_rng(seed).normal(size=4)
        error = check_grad(
            lambda x: loss(x, values, labels, shares, l2)[0], lambda x: loss(x, values, labels, shares, l2)[1], at
        )
        assert error < 1e-6


def test_loss_by_hand() -> None:
    values, labels = np.array([[1.0], [-2.0]]), np.array([1, 0])
    found, _ = loss(np.array([0.5, 0.25]), values, labels, np.array([0.5, 0.5]), l2=0.4)
    assert found == pytest.approx((math.log(1 + math.exp(-0.75)) + math.log(1 + math.exp(-0.75))) / 2 + 0.2 * 0.25)


def test_fit_of_a_single_flag_has_a_closed_form() -> None:
    """Nine of ten positives have the flag, one of four negatives: the odds are those of the rates, not the counts."""
    values = np.array([[1.0]] * 9 + [[0.0]] * 1 + [[1.0]] * 5 + [[0.0]] * 15)
    labels = np.array([1] * 10 + [0] * 20)
    weights, intercept = fit(values, labels, l2=0.0)
    assert intercept == pytest.approx(math.log(0.1 / 0.75), abs=1e-5)
    assert weights[0] == pytest.approx(math.log(0.9 / 0.25) - math.log(0.1 / 0.75), abs=1e-5)
    assert predict(np.array([[1.0], [0.0]]), weights, intercept) == pytest.approx([0.9 / 1.15, 0.1 / 0.85], abs=1e-5)


def test_fit_is_the_least_on_a_grid() -> None:
    values, labels = some_rows(1, columns=1)
    shares, l2 = class_weights(labels), 0.05
    weights, intercept = fit(values, labels, l2)
    grid = product(np.linspace(-3, 3, 61), np.linspace(-3, 3, 61))
    best = min(grid, key=lambda at: loss(np.array(at), values, labels, shares, l2)[0])
    assert (weights[0], intercept) == pytest.approx(best, abs=0.08)


def test_fit_weighs_the_classes_the_same() -> None:
    values, labels = some_rows(2)
    often = np.concatenate([values, *[values[labels == 0]] * 6])
    weights, intercept = fit(often, np.concatenate([labels, np.zeros(len(often) - len(labels), int)]), l2=0.01)
    expected, expected_intercept = fit(values, labels, l2=0.01)
    assert weights == pytest.approx(expected, abs=1e-5) and intercept == pytest.approx(expected_intercept, abs=1e-5)


def test_regularisation_shrinks() -> None:
    values, labels = some_rows(3)
    sizes = [np.linalg.norm(fit(values, labels, l2)[0]) for l2 in (0.001, 0.1, 10.0)]
    assert sizes[0] > sizes[1] > sizes[2]
    weights, intercept = fit(values, labels, 1e6)
    assert np.abs(weights).max() < 1e-5 and intercept == pytest.approx(0, abs=1e-5)  # a guess, and a fair one


def test_both_classes_are_needed() -> None:
    with pytest.raises(ValueError, match="both classes"):
        fit(np.zeros((3, 1)), np.ones(3, int), 0.1)


def test_what_is_open_counts_as_average() -> None:
    found = standardised(np.array([[1.0, math.nan], [3.0, 8.0]]), (2.0, 4.0), (0.5, 2.0))
    assert found.tolist() == [[-2.0, 0.0], [2.0, 2.0]]


def test_train_standardises_with_equal_classes_and_without_what_is_open() -> None:
    folk = np.tile(np.arange(4.0)[:, None], (2, len(MEASURES)))  # mean 1.5
    bach = np.full((2, len(MEASURES)), 5.5)
    bach[0, 0] = math.nan
    classifier = train(Kind.ALL, folk, bach, 0.1)
    assert classifier.means[1] == pytest.approx(3.5)
    assert classifier.scales[1] == pytest.approx(math.sqrt((1.25 + 4 + 4) / 2), abs=1e-6)
    assert classifier.means[0] == pytest.approx((0.5 * 1.5 + 0.25 * 5.5) / 0.75, abs=1e-6)
    assert (classifier.folk, classifier.bach, classifier.test) == (8, 2, None)


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    for seed in range(20):
        generator = np.random.default_rng(seed)
        positive, negative = generator.integers(2, 9, 13) / 2, generator.integers(0, 7, 29) / 2  # with ties
        pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
        assert auc(positive, negative) == pytest.approx(sum(pairs) / len(pairs))
    assert auc(np.array([2.0]), np.array([1.0])) == 1 and auc(np.ones(3), np.ones(2)) == 0.5


def test_interval_of_the_auc() -> None:
    generator = np.random.default_rng(0)
    positive, negative = generator.normal(1.2, 1, 60), generator.normal(0, 1, 90)
    alone = (np.arange(60), np.arange(90))
    low, high = auc_interval(positive, negative, alone)
    area = auc(positive, negative)
    assert low < area < high
    # Hanley & McNeil's standard error (1982), another way to much the same
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    error = math.sqrt((area * (1 - area) + 59 * (q1 - area**2) + 89 * (q2 - area**2)) / (60 * 90))
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert auc_interval(positive, negative, alone) == (low, high)  # its seed is fixed


def test_interval_takes_variants_together() -> None:
    generator = np.random.default_rng(1)
    positive, negative = generator.normal(1, 1, 20), generator.normal(0, 1, 20)
    low, high = auc_interval(positive, negative, (np.arange(20), np.arange(20)))
    copies = auc_interval(np.repeat(positive, 5), np.repeat(negative, 5), (np.arange(100) // 5,) * 2)
    assert copies == pytest.approx((low, high), abs=0.02)  # five copies of each are no new evidence
    naive = auc_interval(np.repeat(positive, 5), np.repeat(negative, 5), (np.arange(100),) * 2)
    assert naive[1] - naive[0] < 0.7 * (high - low)


def test_folds_keep_clusters_together() -> None:
    clusters = cluster_numbers(Collection.BACH, Split.TRAIN)
    folds = folds_of(clusters, FOLDS)
    for number in np.unique(clusters):
        assert len(set(folds[clusters == number].tolist())) == 1
    sizes = np.bincount(folds)
    assert len(sizes) == FOLDS and sizes.max() - sizes.min() <= 2


def test_kinds() -> None:
    assert set(Kind.PITCH.measures) < set(Kind.ALL.measures) == {one.name for one in MEASURES}
    assert not {"quarters", "pickup", "phrase_length", "notes_per_bar", "stable_ends"} & set(Kind.PITCH.measures)


@KINDS
def test_the_shipped_one_reproduces_its_figures(kind: Kind) -> None:
    classifier = load_classifier(kind)
    assert classifier.kind is kind and classifier.measures == kind.measures
    bach, folk = split_scores(classifier, Split.TEST)
    test = classifier.test
    assert test is not None and (len(bach), len(folk)) == (test.bach, test.folk)
    assert auc(bach, folk) == pytest.approx(test.auc, abs=1e-6)
    clusters = tuple(cluster_numbers(collection, Split.TEST) for collection in (Collection.BACH, Collection.FOLK))
    assert auc_interval(bach, folk, clusters) == pytest.approx((test.low, test.high), abs=1e-5)
    assert test.auc > {Kind.ALL: 0.96, Kind.PITCH: 0.91}[kind]


@KINDS
def test_the_shipped_one_comes_from_the_shipped_tunes(kind: Kind) -> None:
    shipped = load_classifier(kind)
    values = (corpus_values(collection, Split.TRAIN) for collection in (Collection.FOLK, Collection.BACH))
    again = train(kind, *values, shipped.l2)
    assert (again.folk, again.bach) == (shipped.folk, shipped.bach)
    assert again.weights == pytest.approx(shipped.weights, abs=1e-3)
    assert again.means == pytest.approx(shipped.means, abs=1e-5)


@KINDS
def test_contributions_explain_the_verdict(kind: Kind) -> None:
    classifier = load_classifier(kind)
    for collection in Collection:
        tunes = load_split(collection, Split.TEST)[:10]
        scores = classifier.scores(corpus_values(collection, Split.TEST))
        for tune, score in zip(tunes, scores, strict=False):
            parts = classifier.contributions(tune.melody)
            assert tuple(parts) == kind.measures
            assert classifier.log_odds(tune.melody) == pytest.approx(score)
            odds = math.exp(classifier.intercept + sum(parts.values()))
            assert classifier.probability(tune.melody) == pytest.approx(odds / (1 + odds))


def test_contribution_by_hand() -> None:
    classifier = Classifier(Kind.ALL, ("range", "steps"), (10.0, 0.5), (4.0, 0.2), (-0.5, 2.0), 0.25, 0.1, 1, 1)
    melody = Melody((Note(60, 8), Note(62, 8), Note(74, 8)), Meter(4, 4), Mode.MAJOR)  # range 14, one step of two
    assert classifier.contributions(melody) == pytest.approx({"range": -0.5, "steps": 0.0})
    assert classifier.probability(melody) == pytest.approx(1 / (1 + math.exp(0.25)))


@KINDS
@pytest.mark.parametrize("notes", [(), (Note(None, 32),), (Note(64, 8),), (Note(64, 8),) * 3])
def test_melodies_of_little_have_a_probability(kind: Kind, notes: tuple[Note, ...]) -> None:
    melody = Melody(notes, Meter(4, 4), Mode.MAJOR)
    classifier = load_classifier(kind)
    assert 0 < classifier.probability(melody) < 1
    open_ones = [name for name, value in measure(melody).items() if math.isnan(value)]
    assert all(classifier.contributions(melody).get(name, 0.0) == 0 for name in open_ones)


def test_the_one_for_pitch_does_not_hear_rhythm() -> None:
    melody = load_split(Collection.BACH, Split.TEST)[0].melody
    other = replace(
        melody, notes=tuple(replace(note, duration=4) for note in melody.notes), meter=Meter(6, 8), pickup=0
    )
    pitch, everything = load_classifier(Kind.PITCH), load_classifier(Kind.ALL)
    assert pitch.probability(other) == pytest.approx(pitch.probability(melody))
    assert everything.probability(other) < everything.probability(melody)


def test_saved_and_loaded(tmp_path: Path) -> None:
    kept = [load_classifier(kind) for kind in Kind]
    untried = replace(kept[0], test=None)
    save_classifiers([untried, kept[1]], tmp_path)
    assert [load_classifier(kind, tmp_path) for kind in Kind] == [untried, kept[1]]
    with pytest.raises(OSError):
        load_classifier(Kind.ALL, tmp_path / "nowhere")
