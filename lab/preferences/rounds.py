"""Fresh completions of a prompt, to be ranked: a visitor's own, or those that a whole class gets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from lab.preferences import Item
from lab.preferences.pool import finished as ended
from lab.preferences.settings import RewardSettings
from lab.text.decoding import ResultCache
from lab.text.rows import Finished, Row, Step
from lab.text.strategies import Kind, Strategy

if TYPE_CHECKING:
    from lab.text.models import LanguageModel

PROMPTS = (
    "The old house had been empty for years, but that night",
    "“You should not have come,” said the captain,",
    "When the children reached the river, they saw",
    "My dear sister, you will hardly believe what",
    "The letter lay on the table, and nobody",
    "It was the first warm day of the year, and",
    "The stranger at the inn spoke to no one until",
    "In the middle of the market there stood",
    "She opened the box, and inside it",
    "The dog would not go any further, for",
    "At supper my uncle told us how",
    "The storm had passed, and on the beach",
)


@dataclass(frozen=True)
class Round:
    """Completions of a prompt, as far as they have come.

    Attributes:
        items: each completion with model and adapter.
        number: of the class's round, from 1; 0 for a round of the visitor's own.
        notes: what was changed on the way.
    """

    prompt: str
    items: tuple[Item, ...]
    number: int = 0
    notes: tuple[str, ...] = ()
    done: bool = False

    @property
    def key(self) -> str:
        """A short name of just these texts."""
        texts = "\0".join((self.prompt, *(item.completion for item in self.items)))
        return sha256(texts.encode("utf-8", "replace")).hexdigest()[:16]


def class_settings(class_code: str, number: int) -> RewardSettings:
    """Return what a class's round is written with: whoever opens it gets the same prompt and the same completions.

    Args:
        number: of the round, from 1.
    """
    drawn = int.from_bytes(sha256(f"{class_code}\n{number}".encode()).digest()[:4], "big")
    first = sha256(class_code.encode()).digest()[0]  # so that classes do not all begin with the same prompt
    return RewardSettings(prompt=PROMPTS[(first + number) % len(PROMPTS)], seed=drawn % 2**31)


_finished = ResultCache(256)  # of many classes; only texts
_first = threading.Lock()


def write_round(
    model: LanguageModel,
    settings: RewardSettings,
    adapters: Sequence[str] = (),
    number: int = 0,
    interval: float = 0.1,
) -> Iterator[Round]:
    """Yield completions as they grow, in one batch; the last round yielded is done, without texts that came out twice.

    Closing the generator frees the rows.

    Args:
        adapters: names of adapters that the engine has; they and the model itself take turns, if settings are mixed.
        number: of the class's round, 0 for none.
        interval: least seconds between two results.

    Raises:
        PromptError: if there is nothing to continue.
        EngineError: if the engine cannot serve.
    """
    writers = [None, *adapters] if settings.mixed else [None]
    length = min(settings.max_new_tokens, model.context - 1)
    prompt, notes = model.vocabulary.encode_prompt(settings.prompt, model.context - length)
    strategy = Strategy(kind=Kind.TOP_P, top_p=settings.top_p, temperature=settings.temperature)
    rows = [
        Row(prompt, strategy, (settings.seed + n) % 2**31, length, adapter=writers[n % len(writers)])
        for n in range(settings.completions)
    ]
    key = (model.name, id(model.engine), tuple(rows))
    items = [Item("", model.name, row.adapter or "") for row in rows]
    found = _finished.get(key)
    if found is not None:
        yield replace(found, number=number, notes=(*notes, *found.notes))
        return
    yield Round(settings.prompt, tuple(items), number, tuple(notes))
    tokens: list[list[int]] = [[] for _ in rows]
    stream = model.engine.submit(rows)
    left = len(rows)
    try:
        while left:
            started = time.monotonic()
            events = stream.drain(timeout=1.0)
            if events is None:
                break
            for event in events:
                if isinstance(event, Step):
                    tokens[event.row].append(event.token.id)
                left -= isinstance(event, Finished)
            for n, written in enumerate(tokens):
                items[n] = replace(items[n], completion="".join(model.vocabulary.pieces(written)))
            if left:
                yield Round(settings.prompt, tuple(items), number, tuple(notes))
                time.sleep(max(0.0, interval - (time.monotonic() - started)))
    finally:
        stream.cancel()
    finished = _without_repeats(Round(settings.prompt, tuple(items), number, (), True))
    with _first:  # of thirty who started at once the first to finish says what all have
        finished = _finished.get(key) or finished
        _finished.put(key, finished)
    yield replace(finished, number=number, notes=(*notes, *finished.notes))


def _without_repeats(found: Round) -> Round:
    """End each text with its last whole sentence, if it has one, and keep one of those that are the same."""
    kept: dict[str, Item] = {}
    for item in found.items:
        text = ended(item.completion)
        if text.strip():
            kept.setdefault(text, replace(item, completion=text))
    missing = len(found.items) - len(kept)
    note = f"{missing} came out empty or the same as another, and were left out." if missing else ""
    return replace(found, items=tuple(kept.values()), notes=(note,) if note else ())
