"""The pool: written and read, its embeddings those of its texts, and what ships is what the card says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lab.preferences.pool import FOLDER, PoolItem, PoolPrompt, finished, load_pool, save_pool
from tests.lab.preferences.conftest import embed

PROMPTS = (
    PoolPrompt("Once", False, (PoolItem(" upon a time", "", 0.9, 1), PoolItem(" more.", "shakespeare", 1.25, 2))),
    PoolPrompt("“Go,”", True, (PoolItem(" said\n\u2028“ß”\r", "", 0.9, 3),)),
)


def wide(texts: list[str]) -> np.ndarray:
    """Directions of 384 numbers, where the tests of the other files do with fewer."""
    rows = np.zeros((len(texts), 384), np.float32)
    rows[:, :24] = embed(texts)
    return rows


def test_what_is_written_is_read(tmp_path: Path) -> None:
    save_pool(tmp_path, PROMPTS, wide)
    pool = load_pool(tmp_path)
    assert pool.prompts == PROMPTS
    assert load_pool(tmp_path) is pool
    assert (pool.train, pool.held_out) == (PROMPTS[:1], PROMPTS[1:])
    texts = [" more.", "Once", " said\n\u2028“ß”\r", " more."]
    assert pool.embed(texts) == pytest.approx(wide(texts), abs=1e-3)
    assert np.linalg.norm(pool.embed(texts), axis=1) == pytest.approx(np.ones(4), abs=1e-6)
    assert pool.embed([]).shape == (0, 384)
    with pytest.raises(KeyError):
        pool.embed(["elsewhere"])


def test_other_texts_are_asked_for_once(tmp_path: Path) -> None:
    save_pool(tmp_path, PROMPTS, wide)
    asked: list[list[str]] = []

    def embedder(texts: list[str]) -> np.ndarray:
        asked.append(list(texts))
        return wide(texts)

    both = load_pool(tmp_path).embed_with(embedder)
    texts = ["new", " more.", "newer", "Once"]
    assert both(texts) == pytest.approx(wide(texts), abs=1e-3)
    assert both([" more."]).shape == (1, 384)
    assert both([]).shape == (0, 384)
    assert asked == [["new", "newer"]]


def test_texts_end_where_a_sentence_does() -> None:
    assert finished(" He came. “Go!” And th") == " He came. “Go!”"
    assert finished("He came. And then nothing at all that") == "He came. And then nothing at all that"
    assert finished("No end \n") == "No end"
    assert finished("It cost 3.50 then. It") == "It cost 3.50 then."


def test_the_shipped_pool() -> None:
    pool = load_pool()
    assert len(pool.prompts) >= 200
    assert len({prompt.prompt for prompt in pool.prompts}) == len(pool.prompts)
    assert min(len(prompt.items) for prompt in pool.train) >= 6
    assert len(pool.held_out) >= 24
    for prompt in pool.prompts:
        assert len(set(prompt.texts)) == len(prompt.texts)
        assert all(text.strip() for text in prompt.texts)
    assert pool.item_vectors.shape == (sum(len(prompt.items) for prompt in pool.prompts), 384)
    assert pool.prompt_vectors.shape == (len(pool.prompts), 384)
    assert all(file.stat().st_size < 9_000_000 for file in FOLDER.iterdir())
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 12_000_000
    assert f"{len(pool.item_vectors):,} completions" in (FOLDER / "README.md").read_text(encoding="utf-8")
    json.loads((FOLDER / "pool.jsonl").read_text(encoding="utf-8").split("\n")[0])


@pytest.mark.timeout(300)  # it loads the embedder, which takes seconds, or minutes where others compute
def test_the_shipped_embeddings_are_those_of_the_texts() -> None:
    from lab.embeddings import Embedder

    pool = load_pool()
    texts = [pool.prompts[3].prompt, pool.held_out[0].texts[5], pool.train[-1].texts[-1]]
    assert (pool.embed(texts) * Embedder().embed(texts)).sum(axis=1) == pytest.approx(np.ones(3), abs=1e-4)
