"""What programs can call: ``embed`` and ``similarity``. Arguments are checked as the page's are: cut, with notes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from lab.embeddings.comparing import compare_pairs
from lab.embeddings.settings import EmbeddingSettings
from lab.embeddings.texts import MAX_CHARACTERS, MAX_LINES, about_scripts, cut
from lab.errors import VisitorError
from tabs.embeddings.tool import model_of
from tabs.page import Services


def add_api(services: Services) -> None:
    """Add the API names to the page under construction."""

    def embed(texts: list[str], model: str = "") -> dict[str, Any]:
        """Return the embedding of each text, of unit length.

        texts are at most 500; of each, 2,000 characters are read, and of them the model takes 256 tokens. Returns
        the model's name, the number of dimensions, one list of numbers for each text, and notes on what was changed.
        """
        settings, notes = EmbeddingSettings.lenient({"model": model})
        return _answer(lambda: _embed(services, texts, model_of(settings), notes))

    def similarity(first: str, second: str, model: str = "") -> dict[str, Any]:
        """Return how alike two texts are: the cosine of their embeddings, and of their word counts (TF-IDF)."""
        settings, notes = EmbeddingSettings.lenient({"model": model})
        return _answer(lambda: _similarity(services, first, second, model_of(settings), notes))

    gr.api(embed, api_name="embed")
    gr.api(similarity, api_name="similarity")


def _answer(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return run()
    except VisitorError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _embed(services: Services, texts: Any, model: str, notes: list[str]) -> dict[str, Any]:
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise VisitorError("texts must be a list of at least one string.")
    if len(texts) > MAX_LINES:
        raise VisitorError(f"There are {len(texts):,} texts; at most {MAX_LINES} can be embedded at once.")
    for number, text in enumerate(texts, 1):
        if len(text) > MAX_CHARACTERS:
            notes = [*notes, f"Text {number}: only the first {MAX_CHARACTERS:,} characters are read."]
    vectors = services.embedder.embed([text[:MAX_CHARACTERS] for text in texts], model)
    return {
        "model": model,
        "dimensions": vectors.shape[1],
        "embeddings": vectors.tolist(),
        "notes": [*notes, *about_scripts(texts)],
    }


def _similarity(services: Services, first: Any, second: Any, model: str, notes: list[str]) -> dict[str, Any]:
    if not all(isinstance(text, str) and text.strip() for text in (first, second)):
        raise VisitorError("first and second must both have some text.")
    (a, about_a), (b, about_b) = cut(first, "The first text"), cut(second, "The second text")
    (pair,) = compare_pairs(services.embedder, [(a, b)], model)
    return {
        "model": model,
        "cosine": pair.cosine,
        "word_overlap": pair.overlap,
        "notes": [*notes, *about_a, *about_b, *about_scripts([a, b])],
    }
