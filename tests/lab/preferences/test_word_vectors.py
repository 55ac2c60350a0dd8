"""The average of the encoder's input vectors."""

from __future__ import annotations

import numpy as np
import pytest

from lab.embeddings.model import DIMENSIONS
from lab.preferences.word_vectors import SCALE, average_words


def test_words_are_averaged_whatever_their_order() -> None:
    one, other, alone, none = average_words(["a dog bit a man", "a man bit a dog", "dog", ""])
    assert one == pytest.approx(other, abs=1e-6)
    assert np.linalg.norm(one - alone) > 0.1 * SCALE
    assert alone.shape == (DIMENSIONS,) and not none.any()


def test_halves_of_characters_count_as_question_marks() -> None:
    """As programs can send them; the embedder reads the same."""
    half, question = average_words(["a\ud800b", "a?b"])
    assert np.array_equal(half, question) and half.any()
