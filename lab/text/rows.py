"""What goes into the decoding engine and what comes out of it: rows, tokens, distributions, events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from lab.text.strategies import Kind, Strategy

if TYPE_CHECKING:
    import torch


class Progress(Protocol):
    """Where in a text that keeps to rules a row has come to."""

    def allowed(self) -> torch.Tensor:
        """Return which tokens may come next, shape (vocabulary,), bool; at least one."""

    def advance(self, token: int) -> None:
        """Take in the token that was chosen."""


class Rules(Protocol):
    """What a row's text must keep to; tokens that would break it are masked before the strategy sees them.

    Rules can be hashed, and equal ones allow the same.
    """

    def start(self, ids: Sequence[int]) -> Progress:
        """Return the state after a prompt. Raises ValueError for a prompt to which the rules do not apply."""


@dataclass(frozen=True)
class Row:
    """One continuation to be written.

    Attributes:
        prompt: token ids, at least one.
        strategy: how each next token is chosen.
        seed: of the row's own random generator; the same seed rolls the same dice whoever else is served.
        max_new_tokens: length of the continuation; it is shorter if the model ends the text.
        top: how many of the most probable tokens to report at each step, 0 for no distribution.
        include: token ids to report beside them.
        forced: tokens that are taken as they come, so that a text that exists is scored; the strategy goes on after
            them. Beam search takes none.
        adapter: name of the adapter to apply, None for the base model.
        strength: factor on the adapter's change, 1 for the change as it was trained.
        blended: names of further adapters with their strengths, whose changes are added.
        rules: what the text must keep to, None for nothing. Beam search takes none.
    """

    prompt: tuple[int, ...]
    strategy: Strategy = field(default_factory=lambda: Strategy(kind=Kind.GREEDY))
    seed: int = 0
    max_new_tokens: int = 40
    top: int = 0
    include: tuple[int, ...] = ()
    forced: tuple[int, ...] = ()
    adapter: str | None = None
    strength: float = 1.0
    blended: tuple[tuple[str, float], ...] = ()
    rules: Rules | None = None

    @property
    def wishes(self) -> tuple[tuple[str, float], ...]:
        """All adapters that the row wears, each with its strength; none for the base model."""
        first = () if self.adapter is None else ((self.adapter, self.strength),)
        return first + self.blended

    @property
    def width(self) -> int:
        """Number of sequences that the row occupies in the batch."""
        return self.strategy.num_beams if self.strategy.kind is Kind.BEAM else 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that could come next, with its probability at each stage of the strategy's chain.

    ``raw`` is the model's own; ``tempered`` after repetition penalty and temperature; ``final`` after truncation and
    renormalisation, 0 if the token was cut.
    """

    id: int
    raw: float
    tempered: float
    final: float


@dataclass(frozen=True, slots=True)
class Distribution:
    """The top of a step's distribution, most probable after temperature first, and how much survived the truncation.

    Attributes:
        kept_mass: share of the tempered distribution that was kept.
        cumulative: pairs of n and the mass of the n most probable tokens of the tempered distribution, at about equal
            ratios from 1 to the whole vocabulary.
    """

    candidates: tuple[Candidate, ...]
    kept_tokens: int
    kept_mass: float
    vocabulary_size: int
    cumulative: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Token:
    """A chosen token.

    Attributes:
        id: token id.
        log_probability: under the raw model, in nats.
        strategy_probability: under the distribution it was drawn from; 1 where nothing is drawn (greedy, beam search).
        rank: place in the raw model's order, 1 for the most probable.
        entropy: of the raw distribution at this step, in nats.
        distribution: if the row asked for it.
    """

    id: int
    log_probability: float
    strategy_probability: float
    rank: int
    entropy: float
    distribution: Distribution | None = None


@dataclass(frozen=True, slots=True)
class BeamCandidate:
    """A continuation that beam search weighed: beam ``parent`` of the step before, extended by a token.

    ``beam`` is its place among the beams that go on, None if it was dropped; ``ended`` if it completes a text.
    """

    parent: int
    token: Token
    score: float
    beam: int | None
    ended: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A row has a new token."""

    row: int
    token: Token


@dataclass(frozen=True, slots=True)
class BeamStep:
    """A row under beam search has new beams; ``best`` is the leading one, which may differ from the last step's."""

    row: int
    best: tuple[Token, ...]
    candidates: tuple[BeamCandidate, ...]


class Reason(StrEnum):
    """Why a row ended."""

    LENGTH = "length"
    END_OF_TEXT = "end of text"


@dataclass(frozen=True, slots=True)
class Finished:
    """A row has ended. ``seconds`` run from its first token's computation to its last."""

    row: int
    tokens: tuple[Token, ...]
    reason: Reason
    seconds: float


Event = Step | BeamStep | Finished
