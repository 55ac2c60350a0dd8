"""Base and adapters side by side: the settings of the LoRA tab, and texts of one prompt and seed in several outfits.

All columns are rows of one batch on one frozen model (see :class:`lab.lora.Mix`). When the texts are there, each is
scored again as rows of forced tokens: under the base, and the base's own text under every outfit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from lab.errors import VisitorError
from lab.settings import Settings
from lab.text.decoding import CLASS, ResultCache
from lab.text.outfits import BASE, Outfit, outfits_from_text, outfits_to_text
from lab.text.rows import BeamStep, Finished, Reason, Row, Step, Token
from lab.text.scoring import scoring
from lab.text.strategies import Kind, Strategy
from lab.text.vocabulary import MAX_PROMPT_CHARACTERS, readable

if TYPE_CHECKING:
    from lab.text.measures import Measures
    from lab.text.models import LanguageModel
    from lab.text.stream import Stream

MAX_COLUMNS = 9
STYLE = "shakespeare"  # of the words that are counted in every text
DEFAULT_PROMPT = "The king looked at his daughter and said:"
DEFAULT_ADAPTERS = "shakespeare=1;fairy-tales=1;shakespeare=0.5+fairy-tales=0.5"
DEFAULT_STRATEGY = "top_p(top_p=0.9,temperature=0.8)"
DEFAULT_LAYER = "transformer.h.0.mlp.c_fc"
GREEDY = Strategy(kind=Kind.GREEDY)


class View(StrEnum):
    """The tools of the tab."""

    TOGGLE = "toggle"
    TRAIN = "train"
    WAYS = "ways"
    INSIDE = "inside"


class AdaptSettings(Settings):
    """All that a visitor can set when texts are written and adapters looked into."""

    view: View = View.TOGGLE
    prompt: str = Field(DEFAULT_PROMPT, max_length=MAX_PROMPT_CHARACTERS)
    model: str = Field("", max_length=100)  # empty for the app's default
    seed: int = Field(13, ge=0, le=2**31 - 1)
    max_new_tokens: int = Field(60, ge=1, le=200)
    strategy: str = Field(DEFAULT_STRATEGY, max_length=400)
    adapters: str = Field(DEFAULT_ADAPTERS, max_length=2000)
    # Which step of which column is looked into, both counted from 1; step 0 for none.
    column: int = Field(2, ge=1, le=MAX_COLUMNS)
    step: int = Field(0, ge=0, le=200)
    # Inside: an adapter (empty for the first), a layer, and a layer to calculate with.
    adapter: str = Field("", max_length=80)
    layer: str = Field(DEFAULT_LAYER, max_length=80)
    calc_inputs: int = Field(512, ge=1, le=100_000)
    calc_outputs: int = Field(64, ge=1, le=100_000)
    calc_rank: int = Field(8, ge=1, le=100_000)

    @property
    def chosen_strategy(self) -> Strategy:
        """How each next token is chosen, in all columns."""
        return Strategy.from_text(self.strategy)[0] or Strategy(kind=Kind.TOP_P)

    @property
    def outfits(self) -> tuple[Outfit, ...]:
        """What the columns wear; the first is the base."""
        return (BASE, *outfits_from_text(self.adapters)[0])[:MAX_COLUMNS]

    @classmethod
    def _clean(cls, name: str, raw: Any) -> tuple[Any, str | None]:
        if not isinstance(raw, str):
            return super()._clean(name, raw)
        match name:
            case "prompt":
                raw, notes = readable(raw)
            case "strategy":
                strategy, notes = Strategy.from_text(raw[:400])
                raw = strategy.to_text() if strategy else cls.default("strategy")
            case "adapters":
                outfits, notes = outfits_from_text(raw[:2000])
                if len(outfits) >= MAX_COLUMNS:
                    notes.append(
                        f"There is room for {MAX_COLUMNS} columns, one of them the base; the rest is left out."
                    )
                raw = outfits_to_text(outfits[: MAX_COLUMNS - 1])
            case _:
                return super()._clean(name, raw)
        return raw, " ".join(notes) or None


@dataclass(frozen=True)
class Column:
    """One outfit's text, as far as it has come.

    Attributes:
        under: for each outfit under which the text was scored, each token's log-probability in nats.
        style_share: share of its words that Shakespeare has and the prose corpus lacks.
    """

    outfit: Outfit
    tokens: tuple[Token, ...] = ()
    pieces: tuple[str, ...] = ()
    reason: Reason | None = None
    measures: Measures | None = None
    under: Mapping[Outfit, tuple[float, ...]] = field(default_factory=dict)
    style_share: float | None = None

    @property
    def text(self) -> str:
        """The continuation as text."""
        return "".join(self.pieces)

    @property
    def gains(self) -> tuple[float, ...]:
        """For each token by how much the outfit changed its log-probability; nothing before the text is scored."""
        own, base = self.under.get(self.outfit), self.under.get(BASE)
        if self.outfit.is_base or own is None or base is None:
            return ()
        return tuple(mine - theirs for mine, theirs in zip(own, base, strict=True))

    def perplexity(self, outfit: Outfit) -> float | None:
        """Return the text's perplexity under an outfit, None if it was not scored so."""
        scores = self.under.get(outfit)
        return math.exp(min(-math.fsum(scores) / len(scores), 700.0)) if scores else None


@dataclass(frozen=True)
class Adaptation:
    """The columns side by side; the first is the base. ``titles`` are those of the adapters by name."""

    settings: AdaptSettings
    prompt_ids: tuple[int, ...]
    columns: tuple[Column, ...]
    titles: Mapping[str, str]
    notes: tuple[str, ...] = ()
    done: bool = False

    def parting(self, column: Column) -> int | None:
        """Return the index of a column's first token that is not the base's; None as long as it follows the base."""
        base = self.columns[0].tokens
        pairs = zip(column.tokens, base, strict=False)
        first = next((n for n, (mine, theirs) in enumerate(pairs) if mine.id != theirs.id), None)
        return len(base) if first is None and self.columns[0].reason and len(column.tokens) > len(base) else first


_written = ResultCache(MAX_COLUMNS * CLASS)
_scored = ResultCache(2 * (MAX_COLUMNS - 1) * CLASS)  # each text under the base and the base's under each outfit


def row_of(outfit: Outfit, prompt: Sequence[int], **arguments: Any) -> Row:
    """Return the row by which the engine writes in an outfit."""
    first, *rest = outfit.parts or ((None, 1.0),)
    return Row(tuple(prompt), adapter=first[0], strength=first[1], blended=tuple(rest), **arguments)


def known_outfits(
    settings: AdaptSettings, model: LanguageModel, titles: Mapping[str, str]
) -> tuple[tuple[Outfit, ...], list[str]]:
    """Return the settings' outfits whose adapters are there, and notes on the others.

    The default ones are left out without a word where the model has no such adapters.
    """
    found, notes = [], []
    for outfit in settings.outfits:
        missing = [name for name in outfit.names if name not in titles]
        if not missing:
            found.append(outfit)
        elif settings.adapters != AdaptSettings.default("adapters"):
            notes.append(f"There is no adapter named {missing[0][:40]!r} for {model.title}; it is left out.")
    return tuple(found), list(dict.fromkeys(notes))


def adapt(
    model: LanguageModel, settings: AdaptSettings, titles: Mapping[str, str], interval: float = 0.1
) -> Iterator[Adaptation]:
    """Write all columns in one batch and yield how far they have come; the last one yielded is done, with its scores.

    A column that was written before is there at once. Closing the generator frees the rows.

    Args:
        titles: of the adapters that may be worn, by name; the engine has them all.
        interval: least seconds between two results.

    Raises:
        PromptError: if there is nothing to continue.
        EngineError: if the engine cannot serve.
    """
    room = max(model.context - settings.max_new_tokens, 1)
    length = min(settings.max_new_tokens, model.context - 1)
    prompt, notes = model.vocabulary.encode_prompt(settings.prompt, room)
    outfits, more = known_outfits(settings, model, titles)
    strategy = settings.chosen_strategy.canonical()
    key = (model.name, id(model.engine), prompt, strategy, settings.seed if strategy.samples else 0, length)

    columns = [_written.get((*key, outfit)) or Column(outfit) for outfit in outfits]
    told = tuple(dict.fromkeys([*notes, *more]))

    def result(done: bool = False) -> Adaptation:
        return Adaptation(settings, prompt, tuple(columns), titles, told, done)

    yield result()
    places = [place for place, column in enumerate(columns) if column.reason is None]
    rows = [
        row_of(outfits[place], prompt, strategy=strategy, seed=settings.seed, max_new_tokens=length) for place in places
    ]
    for growing in _grown(model, rows, [columns[place] for place in places], interval):
        for place, column in zip(places, growing, strict=True):
            columns[place] = column
            if column.reason is not None:
                _written.put((*key, column.outfit), column)
        yield result()
    for scored in _with_scores(model, prompt, key, columns):
        if scored is None:
            yield result()
        else:
            columns[:] = scored
    yield result(done=True)


def _grown(
    model: LanguageModel, rows: Sequence[Row], columns: Sequence[Column], interval: float
) -> Iterator[list[Column]]:
    """Yield the columns as they grow, the last time with all of them at their ends."""
    from lab.text.measures import measure

    if not rows:
        return
    growing = list(columns)
    stream = model.engine.submit(rows)
    try:
        while not all(column.reason for column in growing):
            started = time.monotonic()
            for event in _events(stream):
                column = growing[event.row]
                match event:
                    case Step(token=token):
                        column = replace(column, tokens=(*column.tokens, token))
                    case BeamStep(best=best):
                        column = replace(column, tokens=best)
                    case Finished(tokens=tokens, reason=reason, seconds=seconds):
                        scores = {column.outfit: tuple(token.log_probability for token in tokens)}
                        figures = measure(tokens, seconds)
                        column = replace(column, tokens=tokens, reason=reason, measures=figures, under=scores)
                growing[event.row] = column
            for place, column in enumerate(growing):
                pieces = model.vocabulary.pieces([token.id for token in column.tokens])
                words = _style_share("".join(pieces)) if column.reason else None
                growing[place] = replace(column, pieces=tuple(pieces), style_share=words)
            yield list(growing)
            time.sleep(max(0.0, interval - (time.monotonic() - started)))
    finally:
        stream.cancel()


def _style_share(text: str) -> float | None:
    """Return the share of words that are the style's, None where its word list does not ship."""
    from lab.text.lexicon import style_share, styles_with_words

    return style_share(text, STYLE) if STYLE in styles_with_words() else None


def _events(stream: Stream) -> list[Any]:
    events = stream.drain(timeout=1.0)
    if events is None:
        raise VisitorError("The model stopped before the text was done. Please try again.")
    return events


def _with_scores(
    model: LanguageModel, prompt: tuple[int, ...], key: tuple[Any, ...], columns: Sequence[Column]
) -> Iterator[list[Column] | None]:
    """Yield the columns scored, each text under the base and the base's under every outfit; None while it lasts."""
    wanted = [(place, BASE) for place, column in enumerate(columns) if not column.outfit.is_base]
    wanted += [(0, column.outfit) for column in columns if not column.outfit.is_base]
    found = {(place, outfit): _scored.get((*key, columns[place].outfit, outfit)) for place, outfit in wanted}
    missing = [at for at, scores in found.items() if scores is None]
    texts = [tuple(token.id for token in columns[place].tokens) for place, _ in missing]
    rows = [
        row_of(outfit, prompt, strategy=GREEDY, max_new_tokens=len(text), forced=text)
        for (_, outfit), text in zip(missing, texts, strict=True)
    ]
    for scores in scoring(model, rows):
        if scores is None:
            yield None
            continue
        for at, one in zip(missing, scores, strict=True):
            place, outfit = at
            found[at] = one
            _scored.put((*key, columns[place].outfit, outfit), one)
    under = [dict(column.under) for column in columns]
    for (place, outfit), scores in found.items():
        under[place][outfit] = scores
    yield [replace(column, under=scores) for column, scores in zip(columns, under, strict=True)]
