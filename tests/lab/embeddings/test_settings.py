"""Settings: a link says it all, and nothing in it makes a visitor's page fail."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from lab.embeddings.concepts import load_lists
from lab.embeddings.settings import EmbeddingSettings, Method, View


def from_link(query: str) -> tuple[EmbeddingSettings, list[str]]:
    return EmbeddingSettings.lenient(dict(parse_qsl(query, keep_blank_values=True)))


def test_a_link_says_it_all() -> None:
    settings = EmbeddingSettings(
        view=View.AXIS,
        method=Method.PCA,
        dimensions=3,
        lists="weather,instruments",
        own="a, b\n“ü” & 猫,\t%",
        word="key",
        pole_a="x",
        layer=0,
        made='[["Decoding","greedy","He said: \\"no\\""]]',
    )
    assert from_link(settings.to_query()) == (settings, [])
    assert set(settings.chosen_lists) == {"weather", "instruments"}
    assert EmbeddingSettings().chosen_lists == tuple(one.slug for one in load_lists())
    assert EmbeddingSettings(lists="none").chosen_lists == ()


@pytest.mark.parametrize("query", ["view=nope", "method=umap", "dimensions=x", "layer=x", "lists=nope"])
def test_what_is_unknown_becomes_the_default_with_a_note(query: str) -> None:
    settings, (note,) = from_link(query)
    assert settings == EmbeddingSettings()
    assert note.startswith(query.partition("=")[0])


def test_what_is_too_long_is_cut_with_a_note() -> None:
    settings, (note,) = EmbeddingSettings.lenient({"odd": "x" * 30_000})
    assert len(settings.odd) == 20_000
    assert note == "odd: 30,000 characters are too many; the first 20,000 are used."
    settings, notes = EmbeddingSettings.lenient({"own": "x" * 100_000, "dimensions": 9})
    assert len(settings.own) == 100_000
    assert settings.dimensions == 3
    assert len(notes) == 1
