"""Texts that fooled a reward model, and pairs made of them: each belongs to the annotator by whose rule it was judged.

What is kept of a visitor is a sequence of (annotator, what belongs to it). Of another annotator's model nothing of it
is true, so that each learns from its own alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

KEPT_TEXTS = 8  # that fooled the model of an annotator, the newest

Kept = Sequence[tuple[str, Any]]


def of_annotator(kept: Kept, annotator: str) -> tuple[Any, ...]:
    """Return what belongs to an annotator, oldest first."""
    return tuple(one for name, one in kept if name == annotator)


def with_annotator(kept: Kept, annotator: str, own: Iterable[Any]) -> tuple[tuple[str, Any], ...]:
    """Return what is kept, with this instead of what belonged to an annotator before."""
    others = (entry for entry in kept if entry[0] != annotator)
    return (*others, *((annotator, one) for one in own))


def remembered(fooling: Kept, annotator: str, text: str) -> tuple[tuple[str, str], ...]:
    """Return the newest texts that fooled the model of each annotator, this one among them."""
    texts = dict.fromkeys([*of_annotator(fooling, annotator), text])
    return with_annotator(fooling, annotator, tuple(texts)[-KEPT_TEXTS:])
