"""Embeddings without an embedder, and annotators who see nothing else."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from lab.preferences.pairs import Pairs, Ranked, pairs_of

WIDTH = 24


def embed(texts: Sequence[str]) -> np.ndarray:
    """Return a direction for each text, (texts, 24), always the same one."""
    seeds = [zlib.crc32(text.encode()) for text in texts]
    vectors = [np.random.default_rng(seed).standard_normal(WIDTH) for seed in seeds]
    return np.array([v / np.linalg.norm(v) for v in vectors], dtype=np.float32).reshape(-1, WIDTH)


TASTE = np.random.default_rng(1).standard_normal(WIDTH) * 4


def made_pairs(prompts: int, texts: int = 4, noise: float = 0.0, seed: int = 0) -> Pairs:
    """Return pairs of an annotator whose reward is linear in the embedding, with Gumbel noise on top."""
    generator = np.random.default_rng(seed)
    rankings = []
    for prompt in range(prompts):
        written = tuple(f"{seed}/{prompt}/{number}" for number in range(texts))
        scores = embed(written) @ TASTE + noise * generator.gumbel(size=texts)
        ranks = (-scores).argsort().argsort() + 1
        rankings.append(Ranked(f"{seed}/{prompt}", written, tuple(int(rank) for rank in ranks)))
    return pairs_of(rankings)


@pytest.fixture
def embedder() -> Callable[[Sequence[str]], np.ndarray]:
    return embed
