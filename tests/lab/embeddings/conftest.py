"""An embedder whose model is a toy: what a text means is which of a few words it holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lab.embeddings import DIMENSIONS, Embedder


class ToyModel:
    """Stands in for a sentence model: hashes words to directions, and takes down what it was asked and by whom."""

    max_seq_length = 256

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[str] = set()

    def encode(self, texts: list[str], **arguments: object) -> np.ndarray:
        self.batches.append(list(texts))
        self.threads.add(threading.current_thread().name)
        rows = np.zeros((len(texts), DIMENSIONS), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in [*text.lower().split(), text]:
                row += np.random.default_rng([ord(c) for c in word] or [0]).normal(size=DIMENSIONS)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class ToyEmbedder(Embedder):
    """An embedder that loads a toy."""

    def __init__(self) -> None:
        super().__init__()
        self.toy = ToyModel()
        self.loads = 0

    def _load(self, name: str, folder: Path) -> None:
        if name in self._models:
            return
        self.loads += 1
        self._models[name] = self.toy


@pytest.fixture
def embedder() -> Iterator[ToyEmbedder]:
    """An embedder that knows nothing yet."""
    embedder = ToyEmbedder()
    yield embedder
    embedder.close()
