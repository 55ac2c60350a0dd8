"""Melodies on a map: by a tiny model, and what ships; no test depends on what the trained model says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from lab.embeddings.settings import Method
from lab.embeddings.tunes import (
    REAL,
    header_features,
    interval_histograms,
    load_tune_map,
    mean_hidden_states,
    separation,
    share_near_bach,
    tune_facts,
)
from lab.music.corpus import Collection, Split, load_split, load_vocabulary
from tests.lab.music.conftest import LAYERS, WIDTH, tiny_melody_model

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    return tiny_melody_model(0).eval()


def test_the_mean_of_hidden_states_leaves_the_header_out(model: GPT2LMHeadModel) -> None:
    import torch

    tunes = load_split(Collection.BACH, Split.TEST)[:3]
    sequences = [load_vocabulary().encode(tune.tokens) for tune in tunes]
    layers = mean_hidden_states(model, sequences)
    assert [layer.shape for layer in layers] == [(3, WIDTH)] * (LAYERS + 1)
    with torch.no_grad():
        states = model(torch.tensor([sequences[1]]), output_hidden_states=True).hidden_states
    for layer, state in zip(layers, states, strict=True):
        assert np.allclose(layer[1], state[0, 3:].mean(dim=0), atol=1e-5)


def test_histograms_of_intervals() -> None:
    tunes = [tune.melody for tune in load_split(Collection.BACH, Split.TEST)[:5]]
    rows = interval_histograms(tunes)
    assert rows.shape == (5, 25)
    assert np.allclose(rows.sum(axis=1), 1)
    steps = np.diff(tunes[0].pitches)
    assert rows[0, 12] == pytest.approx(np.mean(steps == 0))
    assert np.array_equal(interval_histograms([tunes[0].shifted(3)])[0], rows[0])


def test_separation_of_what_lies_apart_and_of_noise() -> None:
    rng = np.random.default_rng(0)
    is_bach = np.arange(80) % 2 == 0
    groups = [str(n // 2) + str(n % 2) for n in range(80)]
    noise = rng.normal(size=(80, 10))
    clear = separation(noise + 4 * np.outer(is_bach, np.ones(10)), is_bach, groups)
    assert clear.auc > 0.99
    assert clear.neighbours == 1
    blind = separation(noise, is_bach, groups)
    assert 0.25 < blind.auc < 0.75
    assert abs(blind.silhouette) < 0.1


def test_headers_and_neighbours() -> None:
    rows = header_features([("major", "4/4"), ("minor", "4/4")])
    assert rows.tolist() == [[1, 1, 0], [1, 0, 1]]
    near = share_near_bach(
        np.array([[1.0, 0], [-1, 0], [-1, 0.1], [1, 0.1]]), ["folk", "bach", "machine-x", "machine-x"]
    )
    assert near == {"machine-x": 0.5}


def test_the_map_that_ships_can_be_shown_and_heard() -> None:
    found = load_tune_map()
    points, layers = tune_facts()
    assert points == found.points
    assert layers == len(found.layers) == len(found.embeddings) == len(found.tsne)
    kinds = {point.kind for point in points}
    assert kinds >= {*REAL, "machine-folk", "machine-lora"}
    for kind in kinds:
        melody = next(point for point in points if point.kind == kind).melody
        assert len(melody.pitches) > 3
    for method in Method:
        assert found.projection(layers - 1, method).points.shape == (len(points), 2)
    other, cosine = found.nearest(0, 0)
    assert other != 0
    assert -1 <= cosine <= 1
    for one in (*found.layers, found.intervals, found.header):
        assert 0 <= one.auc <= 1
