"""A pool made of words, whose embeddings a reward model can learn from: no language model, no encoder."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from lab.preferences.pool import Pool, PoolItem, PoolPrompt

WIDTH = 384
WORDS = (
    "happy",
    "joy",
    "smile",
    "dead",
    "grief",
    "pale",
    "table",
    "road",
    "house",
    "green",
    "stone",
    "“thou”",
    "window",
)
TRAIN, HELD_OUT = 12, 3  # prompts
FEW, MANY = 8, 64  # completions of each


def embed(texts: Sequence[str]) -> np.ndarray:
    """Return the sum of a direction for each word, of unit length, (texts, 384)."""
    rows = []
    for text in texts:
        words = [zlib.crc32(word.strip(" .").encode()) for word in text.split()]
        row = sum((np.random.default_rng(word).standard_normal(WIDTH) for word in words), np.zeros(WIDTH))
        rows.append(row / max(float(np.linalg.norm(row)), 1e-9))
    return np.array(rows, dtype=np.float32).reshape(len(rows), WIDTH)


def made_pool(more: Sequence[str] = ()) -> Pool:
    """Return the pool; ``more`` are further completions of the first held-out prompt."""
    dice = np.random.default_rng(3)

    def text(seed: int) -> str:
        return " " + " ".join(dice.choice(WORDS, 6)) + f" {seed}."

    prompts = []
    for number in range(TRAIN + HELD_OUT):
        held_out = number >= TRAIN
        texts = [text(1000 * number + seed) for seed in range(MANY if held_out else FEW)]
        if number == TRAIN:
            texts[: len(more)] = more
        items = tuple(PoolItem(one, "", 0.9, seed) for seed, one in enumerate(texts))
        prompts.append(PoolPrompt(f"Prompt {number}", held_out, items))
    return Pool(
        tuple(prompts),
        embed([prompt.prompt for prompt in prompts]),
        embed([item.text for prompt in prompts for item in prompt.items]),
    )
