"""A row in the engine's batch, and all who read it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

from lab.lora import Adapter
from lab.text.beam import BeamSearch
from lab.text.choosing import Choice
from lab.text.rows import BeamCandidate, BeamStep, Event, Finished, Progress, Reason, Row, Step, Token
from lab.text.stream import Stream

Worn = tuple[tuple[Adapter, float], ...]  # adapters with their strengths


@dataclass(eq=False)
class Running:
    """A row in line or in the batch, where it occupies ``row.width`` slots of the cache.

    Attributes:
        readers: streams in which its events are read, each with the row's place in that stream. Thirty who follow one
            link read the same row.
        choice: what choosing its next token needs; ``beam`` instead, if it is a beam search.
        progress: where in its rules it has come to, if it has any.
        key: equal for rows that write the same.
        tokens: chosen so far.
        events: what happened so far, for those who join later.
        started: when its first token was begun, by ``time.perf_counter``.
    """

    row: Row
    readers: list[tuple[Stream, int]]
    choice: Choice
    beam: BeamSearch | None
    progress: Progress | None
    worn: Worn
    key: Hashable
    tokens: list[Token] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    started: float = 0.0

    @property
    def wanted(self) -> bool:
        """Whether anybody still reads it."""
        return any(not stream.cancelled for stream, _ in self.readers)

    def forget_the_gone(self) -> None:
        """Say nothing more to those who have cancelled."""
        self.readers = [(stream, index) for stream, index in self.readers if not stream.cancelled]

    def take_in(self, other: Running) -> None:
        """Let the readers of an equal row that has not begun read this one; they are told what happened so far."""
        self.readers += other.readers
        for stream, index in other.readers:
            for event in self.events:
                stream.add(replace(event, row=index))

    def has_chosen(self, token: Token) -> None:
        """Take in the next token, and tell it."""
        self.tokens.append(token)
        self.choice.ids.append(token.id)
        if self.progress is not None:
            self.progress.advance(token.id)
        self._tell(Step(0, token))

    def has_weighed(self, best: tuple[Token, ...], candidates: tuple[BeamCandidate, ...]) -> None:
        """Tell a step of beam search."""
        self._tell(BeamStep(0, best, candidates))

    def has_ended(self, tokens: Sequence[Token], reason: Reason, seconds: float) -> None:
        """Tell the end."""
        self._tell(Finished(0, tuple(tokens), reason, seconds))

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        for stream, index in self.readers:
            stream.add(replace(event, row=index) if index else event)


def identity(worn: Worn) -> Hashable:
    """Return what is equal for the same adapters, which are told apart by themselves and not by their numbers."""
    return tuple((id(adapter), strength) for adapter, strength in worn)


def key_of(row: Row, worn: Worn) -> Hashable:
    """Return what is equal for rows that write the same text and report the same of it.

    Raises:
        TypeError: for a row that cannot be hashed, such as one with lists in it.
    """
    strategy = row.strategy.canonical()
    seed = row.seed if strategy.samples else 0
    rest = (row.max_new_tokens, row.top, row.include, row.forced, row.rules)
    key = row.prompt, strategy, seed, rest, identity(worn)
    hash(key)  # here, where who has asked is told, and not in the engine's thread
    return key
