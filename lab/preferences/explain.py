"""What a score rests on: the effect of each sentence, found by leaving it out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lab.preferences.pairs import Completion

MAX_SENTENCES = 40  # each costs an embedding
# The end of a sentence, but not the dot of a title or of an initial.
END = re.compile(r"(?<!\bMr)(?<!\bMrs)(?<!\bDr)(?<!\bSt)(?<!\b[A-Z])(?<![.!?…])[.!?…]+[”’\")]*\s+|\n+")

Reward = Callable[[Sequence[Completion]], np.ndarray]  # as RewardModel.score


@dataclass(frozen=True)
class Effect:
    """A sentence, and by how much the reward of the text is higher with it than without."""

    text: str
    effect: float


@dataclass(frozen=True)
class Explanation:
    """A text's reward and its sentences' effects. Joined, the sentences are the text; the effects need not add up."""

    reward: float
    effects: tuple[Effect, ...]


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, with the space that follows each; joined they are the text.

    Beyond ``MAX_SENTENCES`` the rest is one piece.
    """
    starts = [0, *(match.end() for match in END.finditer(text) if match.end() < len(text))][:MAX_SENTENCES]
    pieces = [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
    return [piece for piece in pieces if piece]


def explain(prompt: str, text: str, reward: Reward) -> Explanation:
    """Return the reward of a text and the effect of each of its sentences.

    Of a single sentence the effect is measured against an empty text.

    Raises:
        ModelUnavailable: if the embedder cannot be loaded.
    """
    parts = sentences(text)
    without = ["".join([*parts[:n], *parts[n + 1 :]]) for n in range(len(parts))]
    whole, *others = reward([Completion(prompt, one) for one in (text, *without)]).tolist()
    return Explanation(whole, tuple(Effect(part, whole - left) for part, left in zip(parts, others, strict=True)))
