"""What the frozen embedder knows of each word before it reads the sentence: its input vectors, averaged over a text.

A sentence embedding says what a text is about, and has forgotten much of how it is written: which words exactly, how
many full stops, whether somebody speaks. The average of the input vectors is the other way round: it knows nothing of
order or sense, but every word and every mark leaves its trace. It has as many numbers, and costs a look-up only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

TABLE = "embeddings.word_embeddings.weight"
# An average of many directions is short; this makes it about as long as a sentence embedding, which has length 1, so
# that one strength of regularisation means much the same for both.
SCALE = 5.0


def average_words(texts: Sequence[str]) -> np.ndarray:
    """Return the mean input vector of the word pieces and marks of each text, (texts, 384), float32, times ``SCALE``.

    A text without any becomes zero. Of a long text all is read, while the embedder stops after 256 word pieces. Halves
    of characters, which no tokenizer reads, count as question marks, as for the embedder.

    Raises:
        ModelUnavailable: if the embedder is not installed.
    """
    tokenizer, table = _loaded()
    rows = np.zeros((len(texts), table.shape[1]), np.float32)
    texts = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    for row, encoded in zip(rows, tokenizer.encode_batch(texts, add_special_tokens=False), strict=True):
        if encoded.ids:
            row[:] = table[encoded.ids].mean(axis=0) * SCALE
    return rows


@cache
def _loaded() -> tuple[Any, np.ndarray]:
    """Return the tokenizer and the table of input vectors, (word pieces, 384)."""
    from safetensors import safe_open
    from tokenizers import Tokenizer

    from lab.embeddings.model import package_folder

    folder = package_folder()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    with safe_open(folder / "model.safetensors", framework="np") as weights:
        return tokenizer, weights.get_tensor(TABLE)
