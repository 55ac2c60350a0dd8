"""The lists that ship: as many as promised, each with a card, and what was computed of them is of them."""

from __future__ import annotations

import numpy as np
import pytest

from lab.embeddings import DIMENSIONS, concepts
from lab.embeddings.concepts import (
    all_entries,
    answers,
    load_analogies,
    load_lists,
    load_map,
    load_odd,
    load_pairs,
    load_senses,
    load_vectors,
    shipped_texts,
)


def test_lists() -> None:
    lists = load_lists()
    entries = [entry for one in lists for entry in one.entries]
    assert len(lists) >= 16
    assert len(entries) >= 200
    assert len(set(entries)) == len(entries)
    assert {one.family for one in lists} == set(concepts.FAMILIES)
    assert {one.form for one in lists} == {"words", "phrases", "sentences"}
    for one in lists:
        assert set(one.card) == {"about", "limits", "source"}
        assert all(one.card.values()), one.slug
    assert {"bass", "key", "note", "pitch", "scale", "march"} <= set(load_senses())
    ambiguous = next(one for one in lists if one.slug == concepts.AMBIGUOUS)
    assert set(load_senses()) <= set(ambiguous.entries)


def test_the_card_speaks_of_every_list() -> None:
    card = (concepts.FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(one.title in card and one.card["about"] in card for one in load_lists())
    assert f"{load_map().grouping.adjusted_rand_index:.2f}" in card


def test_what_was_computed_is_of_these_texts() -> None:
    vectors = load_vectors()
    assert vectors.shape == (len(shipped_texts()), DIMENSIONS)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    whole = load_map()
    count = len(all_entries()[0])
    for (_, dimensions), projection in whole.projections.items():
        assert projection.points.shape == (count, dimensions)
        assert np.isfinite(projection.points).all()
    slugs = {one.slug for one in load_lists()} - {concepts.AMBIGUOUS}
    assert {row.category for row in whole.grouping.categories} == slugs
    assert whole.grouping.adjusted_rand_index > whole.overlap.adjusted_rand_index


def test_the_map_is_what_would_be_computed_now() -> None:
    from lab.embeddings.geometry import pca

    rows = {text: row for row, text in enumerate(shipped_texts())}
    entries = load_vectors()[[rows[entry] for entry in all_entries()[0]]]
    shipped = load_map().projections["pca", 3]
    assert np.allclose(pca(entries, 3).points, shipped.points, atol=1e-4)
    assert pca(entries, 3).variance_explained == pytest.approx(shipped.variance_explained, abs=1e-5)


def test_lists_that_have_changed_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    load_vectors.cache_clear()
    monkeypatch.setattr(concepts, "shipped_texts", lambda: ("another",))
    with pytest.raises(ValueError, match="have changed"):
        load_vectors()
    load_map.cache_clear()
    with pytest.raises(ValueError, match="have changed"):
        load_map()


def test_sentences_hold_their_word() -> None:
    for word, senses in load_senses().items():
        assert len(senses) == 2
        for sense in senses:
            assert all(word in sentence.lower() for sentence in sense.sentences), word


def test_pairs_and_examples() -> None:
    kinds = {kind.kind for kind in load_pairs()}
    assert {"Negation", "Numbers", "Word order"} <= kinds
    shared_none = next(kind for kind in load_pairs() if "no word" in kind.kind)
    for a, b in shared_none.pairs:
        assert not set(a.lower().strip(".").split()) & set(b.lower().strip(".").split()), (a, b)
    assert len(load_analogies()) >= 10
    assert all(expected in answers() for *_, expected in load_analogies())
    assert all(len(words) == 4 for words in load_odd())
