"""The visitor as the sampler: a text built token by token, and how surprising each choice was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import PromptError
from lab.text.decoding import Inspection, inspect
from lab.text.rows import Finished, Row, Token
from lab.text.strategies import Kind, Strategy

if TYPE_CHECKING:
    from lab.text.models import LanguageModel

CHOICES = 20


@dataclass(frozen=True)
class Pick:
    """A token picked by hand. ``bits`` is its surprise, -log2 of its probability."""

    id: int
    piece: str
    rank: int
    bits: float


@dataclass(frozen=True)
class Game:
    """A text under way: what was picked, and what can be picked next (most probable first).

    ``left_out`` is how many picks at the end the model's context has no room for.
    """

    prompt_ids: tuple[int, ...]
    prompt: str
    picks: tuple[Pick, ...]
    next: Inspection
    left_out: int = 0

    @property
    def bits(self) -> float:
        """Surprise of all picks together."""
        return math.fsum(pick.bits for pick in self.picks)


def play(model: LanguageModel, prompt: Sequence[int], picked: Sequence[int]) -> Game:
    """Return the state of the game after the picked tokens.

    Raises:
        PromptError: if a picked token does not exist.
        EngineError: if the engine cannot serve.
    """
    prompt = tuple(prompt)
    _check(model, picked)
    picked, left_out = tuple(picked)[: model.context - 2], max(0, len(picked) - (model.context - 2))
    prompt = prompt[-(model.context - 1 - len(picked)) :]
    scored = score(model, prompt, picked)
    pieces = model.vocabulary.pieces(picked)
    picks = tuple(
        Pick(token.id, piece, token.rank, -token.log_probability / math.log(2))
        for piece, token in zip(pieces, scored, strict=True)
    )
    upcoming = inspect(model, (*prompt, *picked), Strategy(kind=Kind.TEMPERATURE), top=CHOICES)
    return Game(prompt, model.vocabulary.text(prompt), picks, upcoming, left_out)


def _check(model: LanguageModel, picked: Sequence[int]) -> None:
    if not all(0 <= token < len(model.vocabulary) for token in picked):
        raise PromptError(
            "One of the picked tokens does not exist in this model: they were picked with another one. "
            "Start again from the prompt."
        )


def score(model: LanguageModel, prompt: Sequence[int], text: Sequence[int]) -> tuple[Token, ...]:
    """Return each token of a text that exists with its probability after what stands before it.

    Raises:
        EngineError: if the engine cannot serve.
    """
    if not text:
        return ()
    row = Row(tuple(prompt), max_new_tokens=len(text), forced=tuple(text))
    return next(event.tokens for event in model.engine.submit([row]) if isinstance(event, Finished))


def continue_from(
    model: LanguageModel, prompt: Sequence[int], picked: Sequence[int], strategy: Strategy, seed: int, length: int
) -> tuple[int, ...]:
    """Let a strategy go on from the picked tokens and return the token ids that it adds.

    Raises:
        PromptError: if a picked token does not exist.
        EngineError: if the engine cannot serve.
    """
    _check(model, picked)
    ids = (*prompt, *picked)[-(model.context - length) :]
    for event in model.engine.submit([Row(tuple(ids), strategy, seed, length)]):
        if isinstance(event, Finished):
            return tuple(token.id for token in event.tokens)
    return ()
