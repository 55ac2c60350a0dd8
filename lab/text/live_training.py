"""Visitors' own trainings: one at a time, each in a process of its own, with a line before it.

:func:`train` is a generator of snapshots. Whoever closes it, because the visitor has left, gives the place up and ends
the process. Serving is not touched: the process comes last where the processor is wanted, and has its own memory.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import Field

from lab.errors import TuningError
from lab.text.line import Line, Place, Standing
from lab.text.training_pace import Pace, operations
from lab.text.training_samples import Sample, Samples
from lab.text.training_text import clean_text
from lab.text.training_worker import Message, Worker
from lab.text.tuning_settings import TuningSettings
from lab.text.vocabulary import readable

if TYPE_CHECKING:
    from lab.lora import Adapter
    from lab.text.models import LanguageModel

MAX_STEPS, MAX_SECONDS = 400, 900.0
POLL = 0.5  # seconds after which a snapshot comes even if nothing is new: a visitor who has left is noticed by it
SILENCE = 180.0  # seconds without a word after which a process counts as stuck
THREADS = 1  # the other core is for those who generate; with two, each step waits for the one that somebody else holds
LAST_SAMPLE = 10.0  # seconds that the last sample may take
EVALUATIONS = 6  # of the held-out loss in a training, beside the one before it

LOST = "The training process was ended from outside, perhaps because memory ran out. Other things go on working."
STUCK = "The training got stuck and was ended. Please try again, with fewer steps if need be."
LONG = f"After {MAX_SECONDS / 60:.0f} minutes the training was ended, so that others get their turn."
NO_PROCESS = "No training process could be started just now. Please try again in a moment."
FIRST = Standing(0, 0.0)
NO_FILES = "This model cannot be trained here: its files are not on this machine."
STOPPED_EARLY = "Stopped before it was your turn."
STOPPED = "Stopped before the loss on the held-out part had fallen, so there is no adapter yet."
NOTHING_GAINED = "The loss on the held-out part never fell, so there is no adapter. Try a smaller learning rate."


class LiveSettings(TuningSettings):
    """What a visitor can set about a training of their own; less may be asked for, since others wait."""

    steps: int = Field(60, ge=1, le=MAX_STEPS)


class Phase(StrEnum):
    """How far a training is."""

    WAITING = "waiting"
    STARTING = "starting"
    TRAINING = "training"
    DONE = "done"


class Wish(Protocol):
    """What a visitor may wish for in the middle: that it stops. Such as ``threading.Event``."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True)
class Snapshot:
    """A training at a moment. Losses in nats per token, by the step after which they were measured.

    Attributes:
        standing: in the line, while it waits.
        seconds_left: about, None while nobody knows.
        tokens: of the text.
        training_losses: step and loss of every step's batch.
        held_out_losses: step and loss on the part of the text that is held out, the first before training.
        best_step: 0 for the base.
        adapter: the best so far, None before there is one that is better than the base.
        samples: what base and adapter wrote after the prompt in the meantime.
        seconds: of computing.
        notes: on what was changed, or why it ended early.
    """

    phase: Phase
    settings: TuningSettings
    standing: Standing = FIRST
    seconds_left: float | None = None
    tokens: int = 0
    training_losses: tuple[tuple[int, float], ...] = ()
    held_out_losses: tuple[tuple[int, float], ...] = ()
    best_step: int = 0
    adapter: Adapter | None = None
    samples: tuple[Sample, ...] = ()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def step(self) -> int:
        """Steps done."""
        return self.training_losses[-1][0] if self.training_losses else 0

    @property
    def steps_per_second(self) -> float:
        """Of training and measuring together, 0 before the first step."""
        return self.step / self.seconds if self.seconds else 0.0


_line, _pace = Line(), Pace()


def the_line() -> Line:
    """Return the line that all visitors of the app share."""
    return _line


def estimate(model: LanguageModel, settings: TuningSettings, tokens: int) -> float:
    """Return about how many seconds a training takes once it is its turn."""
    return _pace.seconds(model, settings, tokens)


@dataclass(frozen=True)
class Prepared:
    """A text that can be trained on: token ids, and notes on what was changed."""

    tokens: tuple[int, ...]
    notes: tuple[str, ...] = field(default=())


def prepare(model: LanguageModel, text: object) -> Prepared:
    """Return a visitor's text as tokens.

    Raises:
        TuningError: if it is empty, too short, too large or no text.
    """
    from lab.text.tuning import split_tokens

    cleaned, notes = clean_text(text)
    tokens = model.vocabulary.encode(cleaned)
    split_tokens(tokens)  # raises if there are too few
    return Prepared(tokens, tuple(notes))


def with_evaluations(settings: LiveSettings) -> LiveSettings:
    """Return settings that measure often enough to draw a curve of it."""
    return settings.model_copy(update={"evaluate_every": max(1, math.ceil(settings.steps / EVALUATIONS))})


def check_rank(model: LanguageModel, settings: TuningSettings) -> None:
    """Raise TuningError where a change would be no smaller than the matrix beside which it stands."""
    for name, size in model.engine.adaptable().items():
        if name.endswith(settings.targets.modules) and settings.rank > min(size):
            raise TuningError(
                f"A rank of {settings.rank} is more than {name} of {size[0]} × {size[1]} has: at most {min(size)}."
            )


def train(
    model: LanguageModel, text: object, settings: LiveSettings, stop: Wish, *, prompt: str = "", line: Line = _line
) -> Iterator[Snapshot]:
    """Train an adapter on a text; yield snapshots, at least twice a second, the last of phase DONE.

    Args:
        stop: once it is set, the training ends with the best so far.
        prompt: that samples go on from; none are written without one.
        line: where to wait.

    Raises:
        TuningError: if text or settings do not do, if nothing was gained, or if the process died before something was.
        VisitorError: if too many people wait.
    """
    settings = with_evaluations(settings)
    check_rank(model, settings)
    prepared = prepare(model, text)
    now = Snapshot(Phase.WAITING, settings, tokens=len(prepared.tokens), notes=prepared.notes)
    seconds = estimate(model, settings, now.tokens)
    start = model.vocabulary.encode(readable(prompt)[0])
    with line.enter(seconds) as place, Samples(model, start, settings.seed) as samples:
        for standing in wait(place, stop):
            yield replace(now, standing=standing, seconds_left=standing.seconds + seconds)
        if stop.is_set():
            raise TuningError(STOPPED_EARLY)
        yield (now := replace(now, phase=Phase.STARTING, seconds_left=seconds))
        samples.ask(0, None)
        with started(model, prepared.tokens, [settings]) as worker:
            for event in events(worker, stop):
                match event:
                    case str():
                        now = replace(now, notes=(*now.notes, event))
                    case ({"kind": "step"} as message, payload):
                        now = _after_step(now, message, payload)
                        place.seconds_left = now.seconds_left or place.seconds_left
                        if now.adapter is not None and now.best_step == now.step and payload:
                            samples.ask(now.step, now.adapter)
                samples.collect()
                yield (now := replace(now, samples=samples.written))
        place.leave()  # the others need not wait for the last sample
        until = time.monotonic() + LAST_SAMPLE
        while samples.collect() and time.monotonic() < until:
            time.sleep(POLL / 5)
            yield (now := replace(now, samples=samples.written))
    if now.step == settings.steps:
        _pace.learn(operations(model, settings, now.tokens), now.seconds)
    if now.adapter is None:
        raise TuningError(" ".join(now.notes[len(prepared.notes) :]) or (STOPPED if stop.is_set() else NOTHING_GAINED))
    yield replace(now, phase=Phase.DONE, samples=samples.written, seconds_left=0.0)


def wait(place: Place, stop: Wish) -> Iterator[Standing]:
    """Yield where one stands, at least twice a second, until it is one's turn or one does not want it any more."""
    while not (place.wait(POLL) or stop.is_set()):
        yield place.standing()


def started(
    model: LanguageModel, tokens: Sequence[int], runs: Sequence[TuningSettings], *, forgetting: bool = False
) -> Worker:
    """Return a process that trains.

    Raises:
        TuningError: if there are no files that it could start from, or the machine lets no process start.
    """
    if model.folder is None or not model.folder.is_dir():
        raise TuningError(NO_FILES)
    values = [run.model_dump(mode="json") for run in runs]
    try:
        return Worker(model.folder, tokens, values, threads=THREADS, forgetting=forgetting)
    except OSError as error:
        raise TuningError(NO_PROCESS) from error


def events(worker: Worker, stop: Wish) -> Iterator[Message | str | None]:
    """Yield what a training process says; None twice a second in between; and last, in words, why it ended early.

    A visitor's wish to stop is no reason that needs words.
    """
    begun = heard = time.monotonic()
    while not stop.is_set():
        try:
            found = worker.message(POLL)
        except TimeoutError:
            now = time.monotonic()
            if now - heard > SILENCE:
                yield STUCK
                return
            if now - begun > MAX_SECONDS:
                yield LONG
                return
            yield None
            continue
        heard = time.monotonic()
        if found is None:
            yield LOST
            return
        match found[0]["kind"]:
            case "done":
                return
            case "failed":
                yield str(found[0]["message"])
                return
            case _:
                yield found
        if heard - begun > MAX_SECONDS:
            yield LONG
            return


def _after_step(now: Snapshot, message: dict[str, Any], payload: bytes) -> Snapshot:
    step, training, held_out = message["step"], message["training_loss"], message["held_out_loss"]
    changes: dict[str, Any] = {"phase": Phase.TRAINING, "seconds": message["seconds"]}
    if training is not None:
        changes["training_losses"] = (*now.training_losses, (step, training))
    if held_out is not None and math.isfinite(held_out):
        changes["held_out_losses"] = (*now.held_out_losses, (step, held_out))
    if payload and step > 0:
        changes |= {"best_step": step, "adapter": read_adapter(message["config"], payload)}
    now = replace(now, **changes)
    return replace(now, seconds_left=(now.settings.steps - now.step) / now.steps_per_second) if now.step else now


def read_adapter(config: dict[str, Any], payload: bytes) -> Adapter:
    """Return the adapter that a training process has sent."""
    from safetensors.torch import load

    from lab.lora import from_peft

    return from_peft(config, load(payload), "the trained adapter")
