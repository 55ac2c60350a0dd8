"""Samples while an adapter is trained: the engine that serves everybody writes them, wearing what was learnt so far."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lab.errors import EngineError
from lab.text.rows import Finished, Row
from lab.text.strategies import Kind, Strategy

if TYPE_CHECKING:
    from lab.lora import Adapter
    from lab.text.models import LanguageModel
    from lab.text.stream import Stream

SAMPLE_TOKENS = 40
DICE = Strategy(kind=Kind.TOP_P, top_p=0.9, temperature=0.8)


@dataclass(frozen=True)
class Sample:
    """What the adapter of a step has written after the prompt, the base for step 0."""

    step: int
    text: str


def unguessable_name() -> str:
    """Return a name for an adapter in an engine that nobody but its owner can know."""
    return f"own-{secrets.token_urlsafe(16)}"


class Samples:
    """Asks for samples, and collects them as they come. To be used as a context, which takes its adapters away again.

    Args:
        prompt: token ids; every sample goes on from them, with the same seed.
    """

    def __init__(self, model: LanguageModel, prompt: Sequence[int], seed: int) -> None:
        self._engine, self._vocabulary = model.engine, model.vocabulary
        room = model.context - SAMPLE_TOKENS
        self._prompt = tuple(prompt[-room:]) if room > 0 else ()
        self._seed = seed
        self._name = unguessable_name()
        self._under_way: list[tuple[int, Stream]] = []
        self._written: list[Sample] = []

    @property
    def written(self) -> tuple[Sample, ...]:
        """The samples so far, in the order of their steps."""
        return tuple(sorted(self._written, key=lambda sample: sample.step))

    def ask(self, step: int, adapter: Adapter | None) -> None:
        """Have a sample written, by the base if there is no adapter. It never holds a training up."""
        if not self._prompt:
            return
        if adapter is not None:
            self._engine.add_adapter(self._name, adapter)  # rows under way go on with the one before
        worn = None if adapter is None else self._name
        row = Row(self._prompt, DICE, self._seed, max_new_tokens=SAMPLE_TOKENS, adapter=worn)
        try:
            self._under_way.append((step, self._engine.submit([row])))
        except EngineError:  # a crowd: the next step will have its sample
            return

    def collect(self) -> bool:
        """Take in what has been written since; tell whether some is still being written."""
        for step, stream in list(self._under_way):
            try:
                events = stream.drain(timeout=0)
            except EngineError:
                events = None
            if events is None:
                self._under_way.remove((step, stream))
                continue
            for event in events:
                if isinstance(event, Finished):
                    text = self._vocabulary.text(token.id for token in event.tokens)
                    self._written.append(Sample(step, text))
        return bool(self._under_way)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, stream in self._under_way:
            stream.cancel()
        self._engine.remove_adapter(self._name)
