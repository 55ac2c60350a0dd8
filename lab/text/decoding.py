"""Decoding strategies side by side: the settings of the Decoding tab and what is run with them."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_validator

from lab.settings import Settings
from lab.text.rows import BeamStep, Distribution, Finished, Reason, Row, Step, Token
from lab.text.strategies import SAMPLERS, Kind, Strategy, strategies_from_text
from lab.text.vocabulary import MAX_PROMPT_CHARACTERS, readable

if TYPE_CHECKING:
    from lab.text.measures import Measures
    from lab.text.models import LanguageModel

MAX_COLUMNS = 6
DEFAULT_COLUMNS = "greedy;temperature(temperature=0.8);top_k(top_k=40);top_p(top_p=0.9)"
DEFAULT_PROMPT = "The old house had been empty for years, but that night there was a light in the window."
TOP = 50  # tokens of a distribution that are shown
# A strategy's number by itself, such as ``top_p=0.9`` in a link, is meant for the columns of that kind.
LOOSE_NUMBERS = ("temperature", "top_k", "top_p", "min_p", "typical_p")


class View(StrEnum):
    """The tools of the tab."""

    COMPARE = "compare"
    SAMPLER = "sampler"
    SAMPLES = "samples"
    BEAMS = "beams"


# The settings that each tool uses, beside the prompt and the model.
USED = {
    View.COMPARE: ("seed", "max_new_tokens", "columns", "column", "step", *LOOSE_NUMBERS),
    View.SAMPLER: ("seed", "picks", "columns", *LOOSE_NUMBERS),
    View.SAMPLES: ("seed", "max_new_tokens", "samples", "vary", "vary_from", "vary_to", "vary_points"),
    View.BEAMS: ("num_beams", "beam_steps", "length_penalty"),
}


class DecodingSettings(Settings):
    """All that a visitor of the Decoding tab can set."""

    view: View = View.COMPARE
    prompt: str = Field(DEFAULT_PROMPT, max_length=MAX_PROMPT_CHARACTERS)
    model: str = Field("", max_length=100)  # empty for the app's default
    seed: int = Field(8, ge=0, le=2**31 - 1)
    max_new_tokens: int = Field(60, ge=1, le=200)
    columns: str = Field(DEFAULT_COLUMNS, max_length=4000)
    # Which step of which column is looked into, both counted from 1; step 0 for none.
    column: int = Field(1, ge=1, le=MAX_COLUMNS)
    step: int = Field(0, ge=0, le=200)
    # The tokens picked by hand, as ids separated by dots.
    picks: str = Field("", max_length=8000, pattern=r"^(\d{1,7}(\.\d{1,7})*)?$")
    # Many samples: n per value of one number, over a range of it.
    samples: int = Field(8, ge=2, le=32)
    vary: Kind = Kind.TEMPERATURE
    # Wide enough for any of the numbers; each is clamped to its own bounds where it is varied.
    vary_from: float = Field(0.3, ge=0.0, le=1000.0)
    vary_to: float = Field(1.5, ge=0.0, le=1000.0)
    vary_points: int = Field(5, ge=2, le=8)
    # Beam search as a tree.
    num_beams: int = Field(3, ge=2, le=6)
    beam_steps: int = Field(6, ge=1, le=12)
    length_penalty: float = Field(1.0, ge=-2.0, le=2.0)

    @field_validator("vary")
    @classmethod
    def _samples(cls, kind: Kind) -> Kind:
        if kind not in SAMPLERS:
            raise ValueError("without dice all samples are the same")
        return kind

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """The strategies of the columns, at least one."""
        return strategies_from_text(self.columns)[0][:MAX_COLUMNS] or (Strategy(kind=Kind.GREEDY),)

    @property
    def picked(self) -> tuple[int, ...]:
        """The token ids picked by hand."""
        return tuple(int(token) for token in self.picks.split(".")) if self.picks else ()

    @classmethod
    def lenient(cls, values: Any) -> tuple[Self, list[str]]:
        """As :meth:`Settings.lenient`; also accepts a strategy's number by itself (``top_p=0.9``) for its columns."""
        values, about_link = cls.current(values)
        settings, notes = super().lenient(values)
        strategies, more = strategies_from_text(settings.columns)
        if len(strategies) > MAX_COLUMNS:
            more.append(f"There is room for {MAX_COLUMNS} columns; the rest is left out.")
        loose = {name: values[name] for name in LOOSE_NUMBERS if name in values}
        if loose:
            changed = []
            for strategy in strategies:
                own = {name: value for name, value in loose.items() if name == strategy.parameters[0]}
                strategy, even_more = Strategy.lenient(strategy.model_dump() | own)
                changed.append(strategy)
                more += even_more
            strategies = tuple(changed)
        columns = ";".join(strategy.to_text() for strategy in strategies[:MAX_COLUMNS]) or cls.default("columns")
        return settings.model_copy(update={"columns": columns}), about_link + notes + more

    @classmethod
    def notes_for(cls, view: View, values: Mapping[str, Any]) -> list[str]:
        """Return those of :meth:`lenient`'s notes that concern what a tool uses."""
        used = {"view", "prompt", "model", *USED[view]}
        values, notes = cls.current(values)
        return notes + cls.lenient({name: value for name, value in values.items() if name in used})[1]

    @classmethod
    def names_any(cls, query: Mapping[str, str]) -> bool:
        """As :meth:`Settings.names_any`; a strategy's number by itself is meant for them, too."""
        return super().names_any(query) or not query.keys().isdisjoint(LOOSE_NUMBERS)

    @classmethod
    def _clean(cls, name: str, raw: Any) -> tuple[Any, str | None]:
        """Mend a prompt that is too long or has halves of characters: the default would be somebody else's text."""
        if name == "prompt" and isinstance(raw, str):
            prompt, notes = readable(raw)
            return prompt, " ".join(notes) or None
        return super()._clean(name, raw)


@dataclass(frozen=True)
class Column:
    """One strategy's continuation, as far as it has come."""

    strategy: Strategy
    tokens: tuple[Token, ...] = ()
    pieces: tuple[str, ...] = ()
    reason: Reason | None = None
    measures: Measures | None = None

    @property
    def text(self) -> str:
        """The continuation as text."""
        return "".join(self.pieces)

    @property
    def leaves_greedy(self) -> int | None:
        """Index of the first token that is not the most probable one; None as long as the column follows greedy."""
        return next((n for n, token in enumerate(self.tokens) if token.rank > 1), None)


@dataclass(frozen=True)
class Comparison:
    """The columns side by side; ``prompt_ids`` is what the model read, ``notes`` what was changed on the way."""

    settings: DecodingSettings
    prompt_ids: tuple[int, ...]
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    done: bool = False


CLASS = 32  # results kept, about what a class looks at: what is not there any more is made anew in a second


@dataclass
class ResultCache:
    """The last finished results by key: who opens a link that others have opened before finds its texts at once."""

    size: int = CLASS
    _entries: OrderedDict = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: object) -> Any:
        """Return a result or None."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: object, result: object) -> None:
        """Keep a result; the oldest goes when there are too many."""
        with self._lock:
            self._entries[key] = result
            self._entries.move_to_end(key)
            while len(self._entries) > self.size:
                self._entries.popitem(last=False)


_finished = ResultCache()


def compare(model: LanguageModel, settings: DecodingSettings, interval: float = 0.1) -> Iterator[Comparison]:
    """Run the columns in one batch and yield how far they have come; the last one yielded is done.

    Closing the generator frees the rows.

    Args:
        interval: least seconds between two results.

    Raises:
        PromptError: if there is nothing to continue.
        EngineError: if the engine cannot serve.
    """
    from lab.text.measures import measure

    room = max(model.context - settings.max_new_tokens, 1)
    length = min(settings.max_new_tokens, model.context - 1)
    prompt, notes = model.vocabulary.encode_prompt(settings.prompt, room)
    strategies = settings.strategies
    key = (model.name, id(model.engine), prompt, strategies, settings.seed, length)
    cached = _finished.get(key)
    if cached is not None:
        yield replace(cached, settings=settings, notes=tuple(notes))
        return

    columns = [Column(strategy) for strategy in strategies]

    def result(done: bool = False) -> Comparison:
        return Comparison(settings, prompt, tuple(columns), tuple(notes), done)

    yield result()
    rows = [Row(prompt, strategy, settings.seed, length) for strategy in strategies]
    stream = model.engine.submit(rows)
    try:
        while True:
            started = time.monotonic()
            events = stream.drain(timeout=1.0)
            if events is None:
                break
            for event in events:
                column = columns[event.row]
                match event:
                    case Step(token=token):
                        column = replace(column, tokens=(*column.tokens, token))
                    case BeamStep(best=best):
                        column = replace(column, tokens=best)
                    case Finished(tokens=tokens, reason=reason, seconds=seconds):
                        column = replace(column, tokens=tokens, reason=reason, measures=measure(tokens, seconds))
                columns[event.row] = column
            for place, column in enumerate(columns):
                columns[place] = replace(column, pieces=tuple(model.vocabulary.pieces([t.id for t in column.tokens])))
            if all(column.reason for column in columns):
                break
            yield result()
            time.sleep(max(0.0, interval - (time.monotonic() - started)))
    finally:
        stream.cancel()
    finished = result(done=True)
    _finished.put(key, finished)
    yield finished


@dataclass(frozen=True)
class Inspection:
    """A step looked into: what could have come there, and what was chosen.

    ``chosen`` is None when nothing was chosen yet. ``token_labels`` gives each candidate as a table shows it.
    """

    strategy: Strategy
    chosen: int | None
    distribution: Distribution
    entropy: float
    token_labels: tuple[str, ...]


def inspect(
    model: LanguageModel,
    ids: Sequence[int],
    strategy: Strategy,
    chosen: int | None = None,
    top: int = TOP,
) -> Inspection:
    """Return the distribution of the token after ``ids`` at each stage of a strategy.

    Args:
        ids: prompt and text so far; its end is used if it exceeds the context.
        chosen: the token that was chosen there, reported even if it is not among the top.

    Raises:
        EngineError: if the engine cannot serve.
    """
    # Beam search has no distribution of its own: what is seen of a step is the model's, before any penalty, which it
    # lays on log-probabilities and not on logits.
    seen_as = Strategy(kind=Kind.GREEDY) if strategy.kind is Kind.BEAM else strategy
    ids = tuple(ids)[-(model.context - 1) :]
    include = () if chosen is None else (chosen,)
    stream = model.engine.submit([Row(ids, seen_as, max_new_tokens=1, top=top, include=include)])
    token = next(event.token for event in stream if isinstance(event, Step))
    table = token.distribution
    if chosen is None:
        # The row chose a token of its own, which nobody asked for and which may lie beyond the top.
        table = replace(table, candidates=table.candidates[:top])
    labels = tuple(model.vocabulary.label(candidate.id) for candidate in table.candidates)
    return Inspection(strategy, chosen, table, token.entropy, labels)
