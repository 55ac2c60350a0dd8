"""The ways to adapt, compared on a visitor's own text: few steps each, through the same line as other trainings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import Field

from lab.errors import TuningError
from lab.settings import Settings
from lab.text.adapters import ADAPTERS
from lab.text.line import Line, Standing
from lab.text.live_training import (
    FIRST,
    STOPPED_EARLY,
    Phase,
    Wish,
    check_rank,
    estimate,
    events,
    prepare,
    started,
    the_line,
    wait,
)
from lab.text.tuning_settings import Method, TuningSettings

if TYPE_CHECKING:
    from lab.text.models import LanguageModel

METHODS = ADAPTERS / "methods.json"
VIRTUAL_TOKENS = 16
# Where no table says what trials have found for the model.
LEARNING_RATES = {Method.FULL: 1e-3, Method.LAST_BLOCK: 3e-3, Method.LORA: 6e-3, Method.PROMPT: 0.1}
NOTHING_CHOSEN = "No way is chosen. Choose at least one to compare."


@dataclass(frozen=True)
class Way:
    """One way to adapt a model."""

    name: str
    title: str
    method: Method
    rank: int = 1


WAYS = {
    way.name: way
    for way in (
        Way("full", "Full fine-tuning", Method.FULL),
        Way("last-block", "Last block", Method.LAST_BLOCK),
        *(Way(f"lora-{rank}", f"LoRA, r = {rank}", Method.LORA, rank) for rank in (1, 2, 4, 8, 16)),
        Way("prompt", f"Prompt tuning, {VIRTUAL_TOKENS} vectors", Method.PROMPT),
    )
}


class WaysSettings(Settings):
    """What can be set about a comparison."""

    ways: str = Field("last-block,lora-4,prompt", max_length=200)  # names, separated by commas
    way_steps: int = Field(15, ge=1, le=60)

    @property
    def chosen(self) -> tuple[Way, ...]:
        """The ways that are compared, in their order."""
        names = {name.strip() for name in self.ways.split(",")}
        return tuple(way for name, way in WAYS.items() if name in names)


@dataclass(frozen=True)
class WayResult:
    """What one way gave. Losses in nats per token.

    Attributes:
        seconds: of training and measuring.
        file_bytes: of what was trained, half precision.
        held_out_before: loss of the base on the held-out part of the text.
        forgetting: KL divergence from the base, per token, on texts that the base writes by itself.
    """

    way: Way
    parameters: int
    share: float
    seconds: float
    file_bytes: int
    held_out_before: float
    held_out_after: float
    forgetting: float


@dataclass(frozen=True)
class WaysSnapshot:
    """A comparison at a moment; ``current`` is the way that trains, with its step."""

    phase: Phase
    ways: tuple[Way, ...]
    steps: int
    standing: Standing = FIRST
    seconds_left: float | None = None
    current: int = 0
    step: int = 0
    results: tuple[WayResult, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """How much of the work is done, 0 to 1."""
        return (self.current * self.steps + self.step) / (len(self.ways) * self.steps)


def settings_of(
    way: Way, steps: int, model: LanguageModel, learning_rates: Mapping[Method, float] = LEARNING_RATES
) -> TuningSettings:
    """Return the settings of a way's training; all read windows that leave room for prompt tuning's vectors."""
    return TuningSettings(
        method=way.method,
        rank=way.rank,
        alpha=2 * way.rank,
        virtual_tokens=VIRTUAL_TOKENS,
        learning_rate=learning_rates.get(way.method, LEARNING_RATES[way.method]),
        steps=steps,
        context=max(8, min(256, model.context) - VIRTUAL_TOKENS),
        evaluate_every=steps,
    )


def compare_ways(
    model: LanguageModel,
    text: object,
    settings: WaysSettings,
    stop: Wish,
    *,
    learning_rates: Mapping[Method, float] = LEARNING_RATES,
    line: Line | None = None,
) -> Iterator[WaysSnapshot]:
    """Train in each of the chosen ways on a text; yield snapshots as ``train`` does.

    Raises:
        TuningError: if text or choice do not do, or if it ends before one way is done.
        VisitorError: if too many people wait.
    """
    ways = settings.chosen
    if not ways:
        raise TuningError(NOTHING_CHOSEN)
    runs = [settings_of(way, settings.way_steps, model, learning_rates) for way in ways]
    for run in runs:
        if run.method is Method.LORA:
            check_rank(model, run)
    prepared = prepare(model, text)
    now = WaysSnapshot(Phase.WAITING, ways, settings.way_steps, notes=prepared.notes)
    times = [estimate(model, run, len(prepared.tokens)) for run in runs]
    with (the_line() if line is None else line).enter(sum(times)) as place:
        for standing in wait(place, stop):
            yield replace(now, standing=standing, seconds_left=standing.seconds + sum(times))
        if stop.is_set():
            raise TuningError(STOPPED_EARLY)
        yield (now := replace(now, phase=Phase.STARTING, seconds_left=sum(times)))
        with started(model, prepared.tokens, runs, forgetting=True) as worker:
            for event in events(worker, stop):
                match event:
                    case str():
                        now = replace(now, notes=(*now.notes, event))
                    case ({"kind": "step"} as message, _):
                        now = replace(now, phase=Phase.TRAINING, current=message["run"], step=message["step"])
                        place.seconds_left = sum(times) * (1 - now.share)
                        now = replace(now, seconds_left=place.seconds_left)
                    case ({"kind": "finished"} as message, _):
                        result = _result(ways[message["run"]], message, model)
                        now = replace(now, results=(*now.results, result))
                yield now
    if not now.results:
        raise TuningError(" ".join(now.notes[len(prepared.notes) :]) or "Stopped before the first way was done.")
    yield replace(now, phase=Phase.DONE, seconds_left=0.0)


def _result(way: Way, message: Mapping[str, Any], model: LanguageModel) -> WayResult:
    return WayResult(
        way,
        message["parameters"],
        message["parameters"] / model.parameters,
        message["seconds"],
        message["file_bytes"],
        message["held_out_before"],
        message["held_out_loss"],
        message["forgetting"],
    )


@cache
def measured_ways() -> Mapping[str, Any] | None:
    """Return what ``training/adaptation_methods.py`` has measured, None if it is not there."""
    try:
        return json.loads(METHODS.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def measured_rates(model: str) -> dict[Method, float]:
    """Return the learning rates that trials have found for a model, usual ones for others."""
    table = measured_ways()
    if table is None or table["base"]["name"] != model:
        return dict(LEARNING_RATES)
    return LEARNING_RATES | {Method(run["method"]): run["learning_rate"] for run in table["runs"]}


def way_of(method: str, rank: int | None) -> Way | None:
    """Return the way with a method and a rank, None if there is none such."""
    ways = (way for way in WAYS.values() if way.method == method and (rank is None or way.rank == rank))
    return next(ways, None)
