"""Similarity, search, odd one out, analogies, axes: by embeddings that ship, and by a toy."""

from __future__ import annotations

import numpy as np
import pytest

from lab.embeddings.comparing import (
    compare_all,
    compare_pairs,
    find_odd,
    lay_out,
    odd_examples,
    probe,
    search,
    solve,
    solve_examples,
)
from lab.errors import VisitorError
from tests.lab.embeddings.conftest import ToyEmbedder


def test_what_pre_training_adds_and_where_it_fails(embedder: ToyEmbedder) -> None:
    means = {
        kind.kind: (np.mean([p.cosine for p in pairs]), np.mean([p.overlap for p in pairs]))
        for kind, pairs in probe(embedder)
    }
    assert embedder.loads == 0
    meaning, overlap = means["Same meaning, no word shared"]
    assert overlap == 0
    assert meaning > 0.5 > means["Nothing in common"][0]
    for kind in ("Negation", "Word order", "Opposites that share nearly all words"):
        assert means[kind][0] > meaning, kind  # the failure that the page speaks of


def test_a_pair(embedder: ToyEmbedder) -> None:
    same, other = compare_pairs(embedder, [("My Text", "My Text"), ("one", "two")])
    assert same.cosine == pytest.approx(1, abs=1e-5)
    assert same.overlap == pytest.approx(1)
    assert other.overlap == 0
    assert abs(other.cosine) < 0.5


def test_a_pair_has_the_same_figures_alone_and_among_those_that_ship(embedder: ToyEmbedder) -> None:
    """Counted twice where the examples are compared, their words would seem less rare there than for a visitor."""
    for _, pairs in probe(embedder):
        alone, twice, _ = compare_pairs(embedder, [(pairs[0].first, pairs[0].second)] * 2 + [("Hello", "there")])
        assert alone == twice
        (only,) = compare_pairs(embedder, [(pairs[0].first, pairs[0].second)])
        assert only.overlap == pytest.approx(pairs[0].overlap, abs=1e-9)


def test_a_list_each_with_each(embedder: ToyEmbedder) -> None:
    found = compare_all(embedder, ["violin", "cello", "a new one"])
    assert found.cosine.shape == found.overlap.shape == (3, 3)
    assert np.allclose(found.cosine, found.cosine.T)
    assert np.allclose(found.cosine.diagonal(), 1, atol=1e-5)
    with pytest.raises(VisitorError, match="at least two"):
        compare_all(embedder, ["one"])


def test_search(embedder: ToyEmbedder) -> None:
    hits = search(embedder, "who repairs my teeth?")
    assert hits[0].text == "dentist"
    assert hits[0].category == "Professions"
    assert hits[0].overlap == 0
    assert [hit.cosine for hit in hits] == sorted((hit.cosine for hit in hits), reverse=True)
    with pytest.raises(VisitorError, match="what you are looking for"):
        search(embedder, "")


def test_odd_one_out(embedder: ToyEmbedder) -> None:
    found = find_odd(embedder, ["rain", "snow", "Tuesday", "fog"])
    assert found.items[found.odd] == "Tuesday"
    assert len(found.means) == 4
    with pytest.raises(VisitorError, match="at least three"):
        find_odd(embedder, ["rain", "snow"])
    right = [one.odd == len(one.items) - 1 for one in odd_examples(embedder)]
    assert np.mean(right) > 0.5


def test_analogies_hits_and_misses(embedder: ToyEmbedder) -> None:
    solved = {one.words: one for one in solve_examples(embedder)}
    queen = solved["king", "man", "woman"]
    assert queen.rank == 1
    assert queen.answers[0][0] == "queen"
    assert queen.given_nearest == "king"  # what leaving a, b and c out hides
    assert any(one.rank and one.rank > 1 for one in solved.values())  # misses are shown
    assert embedder.loads == 0
    for one in solved.values():
        assert not {word for word, _ in one.answers} & set(one.words)
    with pytest.raises(VisitorError, match="takes three words"):
        solve(embedder, ["king", "man"])


def test_an_axis(embedder: ToyEmbedder) -> None:
    found = lay_out(embedder, ["rain", "violin", "snow"], ["violin"], ["rain"])
    assert found.texts[0] == "violin"
    assert found.texts[-1] == "rain"
    assert found.positions[0] == pytest.approx(-1, abs=1e-4)
    assert found.positions[-1] == pytest.approx(1, abs=1e-4)
    assert list(found.positions) == sorted(found.positions)
    assert found.poles[0][0] == ("violin", pytest.approx(-1, abs=1e-4))
    for texts, first, second, message in (
        ([], ["a"], ["b"], "nothing to lay out"),
        (["x"], [], ["b"], "at least one word"),
        (["x"], ["a"], ["a"], "poles are the same"),
    ):
        with pytest.raises(VisitorError, match=message):
            lay_out(embedder, texts, first, second)
