"""The embedder: lazy, cached, owned by one thread; the weights that ship are the official ones."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import numpy as np
import pytest

from lab.embeddings import BUILT_IN, DIMENSIONS, Embedder, model
from lab.embeddings.concepts import load_vectors, shipped_texts
from lab.errors import ModelUnavailable
from lab.source import ROOT
from tests.lab.embeddings.conftest import ToyEmbedder

OFFICIAL = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
OTHER = "sentence-transformers/all-mpnet-base-v2"


def test_the_weights_are_the_official_ones() -> None:
    weights = model.package_folder() / "model.safetensors"
    assert sha256(weights.read_bytes()).hexdigest() == OFFICIAL


def test_importing_and_making_an_embedder_imports_nothing_heavy() -> None:
    code = (
        "import sys; from lab.embeddings import Embedder; import lab.embeddings.comparing, lab.embeddings.tunes; "
        "embedder = Embedder(); assert not embedder.is_loaded(); print(*sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "sentence_transformers", "sklearn", "scipy"} & set(shown.stdout.split())


def test_embeddings_are_of_unit_length_and_in_order(embedder: ToyEmbedder) -> None:
    rows = embedder.embed(["b", "a", "b"])
    assert rows.shape == (3, DIMENSIONS)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.array_equal(rows[0], rows[2])
    assert not np.array_equal(rows[0], rows[1])
    assert embedder.embed([]).shape == (0, DIMENSIONS)


def test_no_text_is_computed_twice(embedder: ToyEmbedder) -> None:
    first = embedder.embed(["a", "b", "a"])
    again = embedder.embed(["b", "c"])
    assert [text for batch in embedder.toy.batches for text in batch] == ["a", "b", "c"]
    assert np.array_equal(first[1], again[0])
    assert embedder.loads == 1


def test_the_cache_is_bounded_and_forgets_what_was_longest_not_asked_for(
    embedder: ToyEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "CACHED_TEXTS", 2)
    embedder.embed(["a", "b"])
    embedder.embed(["a"])
    embedder.embed(["c"])
    embedder.toy.batches.clear()
    embedder.embed(["a", "c"])
    assert embedder.toy.batches == []
    embedder.embed(["b"])
    assert embedder.toy.batches == [["b"]]
    assert len(embedder.embed([str(n) for n in range(70)])) == 70  # more than are kept


def test_what_was_computed_beforehand_needs_no_model(embedder: ToyEmbedder) -> None:
    row = np.eye(1, DIMENSIONS, dtype=np.float32)
    embedder.remember(["known"], row)
    assert np.array_equal(embedder.embed(["known"]), row)
    assert embedder.loads == 0
    assert not embedder.is_loaded()


def test_one_thread_owns_the_model_whoever_asks(embedder: ToyEmbedder) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: embedder.embed([f"text {n % 5}", "same"]), range(40)))
    assert embedder.toy.threads == {"embedder_0"}
    assert embedder.loads == 1
    for n, rows in enumerate(found):
        assert np.array_equal(rows, embedder.embed([f"text {n % 5}", "same"]))


def test_long_work_is_told_and_comes_in_parts(embedder: ToyEmbedder) -> None:
    told: list[str] = []
    embedder.embed([f"text {n}" for n in range(70)], progress=told.append)
    assert [len(batch) for batch in embedder.toy.batches] == [32, 32, 6]
    assert told[-2:] == ["Embedding, 32 of 70 texts …", "Embedding, 64 of 70 texts …"]


def test_models_do_not_share_a_cache(embedder: ToyEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "download", lambda name, progress: model.package_folder())
    embedder.embed(["a"])
    embedder.embed(["a"], OTHER)
    assert embedder.toy.batches == [["a"], ["a"]]
    assert embedder.is_loaded(OTHER)


def test_a_model_that_cannot_be_had_is_told_and_the_built_in_one_goes_on(
    embedder: ToyEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(**arguments: object) -> str:
        raise LocalEntryNotFoundError("no network in tests")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(ModelUnavailable, match=r"cannot be reached from here. The built-in model goes on working"):
        embedder.embed(["a"], OTHER)
    with pytest.raises(ModelUnavailable, match="There is no model named 'nope'"):
        embedder.embed(["a"], "nope")
    assert embedder.embed(["a"]).shape == (1, DIMENSIONS)


def test_without_its_package_the_built_in_model_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "PACKAGE", "no_such_package_here")
    with pytest.raises(ModelUnavailable, match="not installed"):
        Embedder().embed(["a"])


def test_the_real_model_gives_what_ships_with_one_thread_whatever_others_set() -> None:
    import torch

    embedder = Embedder(threads=1)
    texts = shipped_texts()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)  # as an engine does for a crowd
        rows = embedder.embed([texts[0], texts[200]])
        assert embedder._owner.submit(torch.get_num_threads).result() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    shipped = load_vectors()
    assert np.allclose(rows, shipped[[0, 200]], atol=1e-4)
    assert np.array_equal(embedder.embed([texts[0]])[0], rows[0])
    assert embedder.is_loaded(BUILT_IN)
    embedder.close()
