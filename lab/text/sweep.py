"""Many samples per setting: quality against diversity over a range of one number.

Quality is the mean log-probability under the raw model; diversity is distinct-2 over all samples of a setting, and
self-BLEU, which is low where samples differ. No setting has both: that is the trade-off which decoding is about
(Caccia et al., 2020; Hashimoto et al., 2019).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.settings import Bounds
from lab.text.decoding import DecodingSettings
from lab.text.measures import distinct_over, self_bleu
from lab.text.rows import Finished, Row, Token
from lab.text.strategies import MAIN_PARAMETER, Kind, Strategy

if TYPE_CHECKING:
    from lab.text.models import LanguageModel

MAX_SAMPLE_TOKENS = 60  # up to 8 settings of 32 samples: longer texts would keep everybody else waiting


# Over which range each number shows the trade-off best.
USUAL_RANGES = {
    Kind.TEMPERATURE: Bounds(0.3, 1.5),
    Kind.TOP_K: Bounds(1, 100),
    Kind.TOP_P: Bounds(0.2, 1.0),
    Kind.MIN_P: Bounds(0.01, 0.5),
    Kind.TYPICAL: Bounds(0.2, 1.0),
}


@dataclass(frozen=True)
class Point:
    """One setting: its samples and what they measure, averaged over all of them."""

    strategy: Strategy
    value: float
    texts: tuple[str, ...]
    log_probabilities: tuple[float, ...]  # mean per token of each sample
    mean_log_probability: float
    distinct_2: float
    self_bleu: float


@dataclass(frozen=True)
class Sweep:
    """The settings finished so far; ``share_done`` counts samples, from 0 to 1."""

    points: tuple[Point, ...]
    share_done: float
    notes: tuple[str, ...] = ()


def values_of(settings: DecodingSettings) -> tuple[str, list[float]]:
    """Return the name of the number that is varied and its values, in bounds and rising."""
    name = MAIN_PARAMETER[settings.vary]
    low, high = Strategy.bounds(name)
    whole = Strategy.model_fields[name].annotation is int
    first, last = sorted(min(max(end, low), high) for end in (settings.vary_from, settings.vary_to))
    steps = settings.vary_points - 1
    values = [first + (last - first) * n / steps for n in range(settings.vary_points)]
    return name, sorted({float(round(value)) if whole else round(value, 4) for value in values})


def sweep(model: LanguageModel, settings: DecodingSettings) -> Iterator[Sweep]:
    """Draw ``samples`` texts at each value in one batch and yield the settings as they finish.

    Sample n uses seed + n at every value. Closing the generator frees the rows.

    Raises:
        PromptError: if there is nothing to continue.
        EngineError: if the engine cannot serve.
    """
    length = min(settings.max_new_tokens, MAX_SAMPLE_TOKENS, model.context - 1)
    prompt, notes = model.vocabulary.encode_prompt(settings.prompt, model.context - length)
    if settings.max_new_tokens > length:
        notes.append(f"Samples are {length} tokens long here.")
    name, values = values_of(settings)
    strategies = [Strategy(kind=settings.vary, **{name: int(v) if name == "top_k" else v}) for v in values]
    rows = [
        Row(prompt, strategy, (settings.seed + n) % 2**31, length)
        for strategy in strategies
        for n in range(settings.samples)
    ]
    yield Sweep((), 0.0, tuple(notes))
    done: dict[int, tuple[Token, ...]] = {}
    points: dict[int, Point] = {}
    stream = model.engine.submit(rows)
    progress = 0
    try:
        while (events := stream.drain(timeout=1.0)) is not None:
            progress += len(events)
            done |= {event.row: event.tokens for event in events if isinstance(event, Finished)}
            for place, strategy in enumerate(strategies):
                samples = range(place * settings.samples, (place + 1) * settings.samples)
                if place not in points and all(row in done for row in samples):
                    points[place] = _point(model, strategy, values[place], [done[row] for row in samples])
            finished = len(points) == len(strategies)
            share = 1.0 if finished else min(progress / (len(rows) * (length + 1)), 0.99)
            yield Sweep(tuple(points[place] for place in sorted(points)), share, tuple(notes))
            if finished:
                break
    finally:
        stream.cancel()


def _point(model: LanguageModel, strategy: Strategy, value: float, samples: list[tuple[Token, ...]]) -> Point:
    ids = [[token.id for token in tokens] for tokens in samples]
    texts = tuple(model.vocabulary.text(sample) for sample in ids)
    means = [math.fsum(token.log_probability for token in tokens) / len(tokens) for tokens in samples]
    every = [token.log_probability for tokens in samples for token in tokens]
    return Point(
        strategy=strategy,
        value=value,
        texts=texts,
        log_probabilities=tuple(means),
        mean_log_probability=math.fsum(every) / len(every),
        distinct_2=distinct_over(ids, 2),
        self_bleu=self_bleu(texts),
    )
