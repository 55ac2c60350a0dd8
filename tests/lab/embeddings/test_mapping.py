"""Maps of lists and lines, and words with two senses."""

from __future__ import annotations

import numpy as np
import pytest

from lab.embeddings.concepts import load_lists, load_map, load_senses
from lab.embeddings.geometry import NoProjection
from lab.embeddings.mapping import draw_map, draw_senses
from lab.embeddings.settings import Method
from lab.embeddings.texts import OWN, Line
from lab.errors import VisitorError
from tests.lab.embeddings.conftest import ToyEmbedder

ALL = tuple(one.slug for one in load_lists())


def test_the_first_map_needs_no_model(embedder: ToyEmbedder) -> None:
    found = draw_map(embedder, ALL)
    assert embedder.loads == 0
    assert len(found.points) == len(found.nearest) == len(found.projection.points)
    assert np.array_equal(found.projection.points, load_map().projections["tsne", 2].points)
    assert found.grouping is not None
    assert found.grouping.categories[0].category in {one.title for one in load_lists()}
    number, cosine = found.nearest[0]
    assert number != 0
    assert 0 < cosine < 1


def test_own_lines_join_a_list_by_its_title(embedder: ToyEmbedder) -> None:
    lines = [Line("kazoo", "instruments"), Line("my thing", "things"), Line("loose", OWN)]
    found = draw_map(embedder, ("instruments", "weather"), lines, method=Method.PCA, dimensions=3)
    assert [point.category for point in found.points[-3:]] == ["Instruments", "things", OWN]
    assert {point.family for point in found.points} == {"music", "everyday", "own"}
    assert found.projection.points.shape == (len(found.points), 3)
    assert len(found.projection.variance_explained) == 3
    assert found.grouping is not None
    sizes = {row.category: row.points for row in found.grouping.categories}
    assert sizes == {"Instruments": 17, "Weather": 14, "things": 1}  # what has no category has no part in the figures
    assert [text for batch in embedder.toy.batches for text in batch] == ["kazoo", "loose", "my thing"]


def test_what_cannot_be_drawn_is_told(embedder: ToyEmbedder) -> None:
    with pytest.raises(NoProjection, match="nothing to draw"):
        draw_map(embedder, ())
    with pytest.raises(NoProjection, match="One point alone"):
        draw_map(embedder, (), [Line("a", "x")])
    with pytest.raises(NoProjection, match="All 2 points are the same"):
        draw_map(embedder, (), [Line("a", "x"), Line("a", "y")], method=Method.PCA)
    with pytest.raises(NoProjection, match="Please choose PCA"):
        draw_map(embedder, (), [Line("a", "x"), Line("b", "y")])
    two = draw_map(embedder, (), [Line("a", "x"), Line("b", "y")], method=Method.PCA)
    assert two.grouping is None


def test_the_same_lines_give_the_same_map(embedder: ToyEmbedder) -> None:
    lines = [Line("kazoo", "a"), Line("banjo", "b")]
    maps = [draw_map(embedder, ("instruments",), lines, method=method) for method in (Method.TSNE, Method.TSNE)]
    assert np.array_equal(maps[0].projection.points, maps[1].projection.points)


def test_sentences_move_a_word_towards_their_sense(embedder: ToyEmbedder) -> None:
    found = draw_senses(embedder, "bass", ["A bass swam by."])
    assert embedder.loads == 1  # for the visitor's sentence alone
    assert found.texts[0].text == "bass"
    assert found.texts[-1].own
    assert len(found.projection.points) == len(found.texts) + len(found.kin)
    instrument, fish = load_senses()["bass"]
    for text in found.texts:
        if text.sense:
            lean = np.argmax(text.cosines)
            assert (instrument, fish)[lean].sense == text.sense, text.text
    with pytest.raises(VisitorError, match="There is no word 'kazoo'"):
        draw_senses(embedder, "kazoo")
