"""Decoding strategies: what they are called, which numbers they have, and the warpers that carry them out.

A strategy is a chain: a penalty on repetition, then the temperature, then a truncation that cuts the unlikely tail.
The chain is made of transformers' own logits processors, in the order in which ``generate`` applies them, so that what
is shown here is what everybody else's code does. With one exception: top-p is cut by ``cut_top_p`` in
``lab.text.choosing``, which gives what ``TopPLogitsWarper`` gives, to the last bit, in a tenth of the time.

References: top-k (Fan et al., 2018), top-p (Holtzman et al., 2020), locally typical sampling (Meister et al., 2023),
min-p (Nguyen et al., 2024), repetition penalty (Keskar et al., 2019).

This module is imported by the pages before torch is, so transformers is imported where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field

from lab.settings import Settings, number_text

if TYPE_CHECKING:
    from transformers import LogitsProcessor


class Kind(StrEnum):
    """The strategies, by the names they have in transformers."""

    GREEDY = "greedy"
    TEMPERATURE = "temperature"
    TOP_K = "top_k"
    TOP_P = "top_p"
    MIN_P = "min_p"
    TYPICAL = "typical"
    BEAM = "beam"


TITLES = {
    Kind.GREEDY: "Greedy",
    Kind.TEMPERATURE: "Temperature",
    Kind.TOP_K: "Top-k",
    Kind.TOP_P: "Top-p",
    Kind.MIN_P: "Min-p",
    Kind.TYPICAL: "Typical",
    Kind.BEAM: "Beam search",
}

EXPLANATIONS = {
    Kind.GREEDY: "Always the most probable token. No dice, so the seed changes nothing.",
    Kind.TEMPERATURE: "Divide the logits by the temperature, then draw. Below 1 sharpens, above 1 flattens.",
    Kind.TOP_K: "Keep the k most probable tokens, then draw from them.",
    Kind.TOP_P: "Keep the fewest tokens whose probabilities add up to p, then draw from them.",
    Kind.MIN_P: "Keep tokens at least min_p times as probable as the most probable one, then draw.",
    Kind.TYPICAL: "Keep tokens whose surprise is closest to the expected one, up to a mass of typical_p, then draw.",
    Kind.BEAM: "Follow several continuations at once and keep those with the highest total log-probability. No dice.",
}

# The number that gives each strategy its name; greedy has none.
MAIN_PARAMETER = {
    Kind.TEMPERATURE: "temperature",
    Kind.TOP_K: "top_k",
    Kind.TOP_P: "top_p",
    Kind.MIN_P: "min_p",
    Kind.TYPICAL: "typical_p",
    Kind.BEAM: "num_beams",
}

SAMPLERS = frozenset(Kind) - {Kind.GREEDY, Kind.BEAM}


class Strategy(Settings):
    """One strategy with its numbers. Numbers that the kind does not use are ignored and left out of its text form."""

    kind: Kind = Kind.TOP_P
    temperature: float = Field(1.0, ge=0.05, le=5.0)
    top_k: int = Field(40, ge=1, le=1000)
    top_p: float = Field(0.9, ge=0.01, le=1.0)
    min_p: float = Field(0.05, ge=0.0, le=1.0)
    typical_p: float = Field(0.9, ge=0.05, le=1.0)
    num_beams: int = Field(4, ge=2, le=8)
    length_penalty: float = Field(1.0, ge=-2.0, le=2.0)
    repetition_penalty: float = Field(1.0, ge=0.5, le=3.0)

    @property
    def samples(self) -> bool:
        """Whether the strategy rolls dice, so that the seed matters."""
        return self.kind in SAMPLERS

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the numbers that this kind uses, the one that names it first."""
        names = [MAIN_PARAMETER[self.kind]] if self.kind in MAIN_PARAMETER else []
        if self.samples and "temperature" not in names:
            names.append("temperature")
        if self.kind is Kind.BEAM:
            names.append("length_penalty")
        return (*names, "repetition_penalty")

    @property
    def penalised(self) -> bool:
        """Whether a penalty that this kind uses does anything."""
        return any(getattr(self, name) != 1.0 for name in self.parameters if name.endswith("_penalty"))

    @property
    def label(self) -> str:
        """A short title with every number that differs from doing nothing, such as ``Top-p 0.9 · temperature 0.7``."""
        main = MAIN_PARAMETER.get(self.kind)
        parts = [f"{TITLES[self.kind]} {getattr(self, main):g}" if main else TITLES[self.kind]]
        neutral = {"temperature": 1.0, "length_penalty": 1.0, "repetition_penalty": 1.0}
        parts += [
            f"{name.replace('_', ' ')} {getattr(self, name):g}"
            for name in self.parameters
            if name != main and getattr(self, name) != neutral[name]
        ]
        return " · ".join(parts)

    def to_text(self) -> str:
        """Return the strategy as it stands in a link, such as ``top_p(top_p=0.9,temperature=0.7)``."""
        changed = [
            f"{name}={number_text(getattr(self, name))}"
            for name in self.parameters
            if name == MAIN_PARAMETER.get(self.kind) or getattr(self, name) != self.default(name)
        ]
        return f"{self.kind}({','.join(changed)})" if changed else str(self.kind)

    @classmethod
    def from_text(cls, text: str) -> tuple[Self | None, list[str]]:
        """Read what :meth:`to_text` wrote, clamping numbers; None (and a note) if the kind is unknown.

        An argument that the kind does not have, or one without a name, is left out with a note.
        """
        match = re.fullmatch(r"\s*([a-z_]{1,20})\s*(?:\(([^()]{0,300})\))?\s*", text)
        if match is None or match[1] not in set(Kind):
            return None, [f"Unknown strategy {text[:40]!r}; known are {', '.join(Kind)}."]
        known = cls(kind=match[1]).parameters
        values, unknown = {"kind": match[1]}, []
        for argument in filter(None, map(str.strip, (match[2] or "").split(","))):
            name, sign, value = map(str.strip, argument.partition("="))
            if sign and name in known:
                values[name] = value
            else:
                unknown.append(f"{match[1]} takes {', '.join(known)}: {argument[:40]!r} is left out.")
        strategy, notes = cls.lenient(values)
        return strategy, [*unknown, *notes]

    def canonical(self) -> Self:
        """Return an equal strategy with unused numbers at their defaults, so that equal behaviour compares equal."""
        return type(self)(kind=self.kind, **{name: getattr(self, name) for name in self.parameters})


def strategies_from_text(text: str) -> tuple[tuple[Strategy, ...], list[str]]:
    """Read strategies separated by semicolons; unknown ones are dropped with a note."""
    found, notes = [], []
    for part in text[:4000].split(";"):
        if part.strip():
            strategy, more = Strategy.from_text(part)
            notes += more
            found += [strategy] if strategy else []
    return tuple(found), notes


def penalties(strategy: Strategy) -> list[LogitsProcessor]:
    """Return the processors that look at the text so far."""
    from transformers import RepetitionPenaltyLogitsProcessor

    if strategy.repetition_penalty == 1.0:
        return []
    return [RepetitionPenaltyLogitsProcessor(strategy.repetition_penalty)]


def tempering(strategy: Strategy) -> list[LogitsProcessor]:
    """Return the processor that sharpens or flattens."""
    from transformers import TemperatureLogitsWarper

    if not strategy.samples or strategy.temperature == 1.0:
        return []
    return [TemperatureLogitsWarper(strategy.temperature)]


def truncation(strategy: Strategy, vocabulary_size: int) -> list[LogitsProcessor]:
    """Return the processor that cuts the tail (its scores become -inf); k is capped at the vocabulary."""
    from transformers import MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper, TypicalLogitsWarper

    match strategy.kind:
        case Kind.TOP_K:
            return [TopKLogitsWarper(min(strategy.top_k, vocabulary_size))]
        case Kind.TOP_P if strategy.top_p < 1.0:
            return [TopPLogitsWarper(strategy.top_p)]
        case Kind.MIN_P:
            return [MinPLogitsWarper(strategy.min_p)]
        case Kind.TYPICAL if strategy.typical_p < 1.0:
            return [TypicalLogitsWarper(strategy.typical_p)]
        case _:
            return []


def generate_arguments(strategy: Strategy) -> Mapping[str, Any]:
    """Return the arguments with which transformers' ``generate`` does the same, for comparison and for the reader."""
    arguments: dict[str, Any] = {"do_sample": strategy.samples, "num_beams": 1}
    if strategy.samples:
        arguments |= {"temperature": strategy.temperature, "top_k": 0}
    if strategy.kind is Kind.BEAM:
        arguments |= {"num_beams": strategy.num_beams, "length_penalty": strategy.length_penalty}
    elif strategy.kind in MAIN_PARAMETER:
        name = MAIN_PARAMETER[strategy.kind]
        arguments[name] = getattr(strategy, name)
    if strategy.repetition_penalty != 1.0:
        arguments["repetition_penalty"] = strategy.repetition_penalty
    return arguments
