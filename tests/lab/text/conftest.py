"""Tiny language models, and the two ways to run a row: transformers' ``generate`` and the engine.

The models compute in double precision. A sum taken in another order, as in a batch of another size, then differs in
the sixteenth digit instead of the seventh, so that "token for token equal" does not hang on a near tie.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from lab.text import models
from lab.text.engine import Engine
from lab.text.models import BUILT_IN, Models
from lab.text.rows import Event, Finished, Row
from lab.text.strategies import Kind, Strategy, generate_arguments
from lab.text.stream import Stream

GREEDY = Strategy(kind=Kind.GREEDY)
DICE = Strategy(kind=Kind.TEMPERATURE)
BEAM = Strategy(kind=Kind.BEAM, num_beams=3)
PROMPTS = [(5,), (6, 7, 8, 9), (11, 3, 3, 40, 11, 3, 3), tuple(range(1, 31))]
END_OF_TEXT = 0
CONTEXT = 64
PATIENCE = 60.0  # seconds until a test that waits gives up; no test needs a hundredth of it


def tiny_gpt2(
    vocabulary: int = 97,
    *,
    seed: int = 0,
    end_bias: float = 0.0,
    spread: float = 0.3,
    dtype: torch.dtype = torch.float64,
) -> GPT2LMHeadModel:
    """Return a random GPT-2 with peaked distributions.

    Args:
        vocabulary: its size.
        seed: of the weights.
        end_bias: how much more often than by chance it ends the text: moves the last layer norm towards that token.
        spread: standard deviation of the weights; the usual 0.02 gives nearly flat distributions.
        dtype: of the weights.
    """
    generator_state = torch.get_rng_state()
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=vocabulary,
        n_positions=CONTEXT,
        n_embd=32,
        n_layer=2,
        n_head=4,
        bos_token_id=END_OF_TEXT,
        eos_token_id=END_OF_TEXT,
        initializer_range=spread,
    )
    model = GPT2LMHeadModel(config).eval().to(dtype)
    with torch.no_grad():
        model.transformer.ln_f.bias += end_bias * model.transformer.wte.weight[END_OF_TEXT]
    torch.set_rng_state(generator_state)
    return model


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Operations on tiny tensors gain nothing from a second thread, and other test processes want the core."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model() -> GPT2LMHeadModel:
    return tiny_gpt2()


@pytest.fixture(scope="session")
def ending_model() -> GPT2LMHeadModel:
    """A model of another odd vocabulary that ends most texts within a dozen tokens."""
    return tiny_gpt2(53, seed=1, end_bias=0.6)


@pytest.fixture
def engine(model: GPT2LMHeadModel) -> Iterator[Engine]:
    engine = Engine(model)
    yield engine
    engine.close()


@pytest.fixture
def ending_engine(ending_model: GPT2LMHeadModel) -> Iterator[Engine]:
    engine = Engine(ending_model)
    yield engine
    engine.close()


def reference(model: GPT2LMHeadModel, row: Row) -> list[int]:
    """Return what ``generate`` writes for a row."""
    prompt = torch.tensor([row.prompt])
    torch.manual_seed(row.seed)
    written = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=row.max_new_tokens,
        pad_token_id=END_OF_TEXT,
        **generate_arguments(row.strategy),
    )
    return written[0, len(row.prompt) :].tolist()


def read(stream: Stream) -> list[Event]:
    """Return all events of a stream, giving up with an error rather than waiting for ever."""
    deadline = time.monotonic() + PATIENCE
    events: list[Event] = []
    while (more := stream.drain(timeout=1.0)) is not None:
        events += more
        assert time.monotonic() < deadline, "the stream does not end"
    return events


def written(events: Sequence[Event]) -> dict[int, list[int]]:
    """Return the token ids of each finished row."""
    return {event.row: [token.id for token in event.tokens] for event in events if isinstance(event, Finished)}


def run_alone(engine: Engine, row: Row) -> list[int]:
    """Return what the engine writes for a row that is alone in it."""
    return written(read(engine.submit([row])))[0]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.001)


class Gate:
    """Holds an engine before a forward step, so that a test decides what happens between two steps."""

    def __init__(self) -> None:
        self.steps = 0  # that were let through
        self._permits = threading.Semaphore(0)
        self._open = False
        self._held = threading.Event()

    def pass_through(self) -> None:
        self._held.set()
        if not self._open:
            assert self._permits.acquire(timeout=PATIENCE)
        self._held.clear()
        self.steps += 1

    def wait_held(self) -> None:
        """Return once the engine stands before the gate."""
        assert self._held.wait(PATIENCE)

    def open(self) -> None:
        self._open = True
        self._permits.release()


@contextmanager
def gated(engine: Engine, before_step: Callable[[], None] = lambda: None) -> Iterator[Gate]:
    """Put a gate before the engine's steps; ``before_step`` is called in the owner thread after each passage."""
    gate, step = Gate(), engine._forward.step

    def gated_step(tokens: torch.Tensor, *mix: object) -> torch.Tensor:
        gate.pass_through()
        before_step()
        return step(tokens, *mix)

    engine._forward.step = gated_step
    try:
        yield gate
    finally:
        gate.open()
        engine._forward.step = step


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A folder with a tiny model that a test may spoil."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "copied-gpt2"))


@pytest.fixture
def assets(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny model in the place of the built-in one."""
    shutil.copytree(tiny_folder, tmp_path / "assets" / BUILT_IN)
    monkeypatch.setattr(models, "ASSETS", tmp_path / "assets")
    return tmp_path / "assets"


@pytest.fixture
def make_models(assets: Path) -> Iterator[Callable[..., Models]]:
    """Makes Models whose engines are closed at the end."""
    made: list[Models] = []

    def make(*arguments: object) -> Models:
        made.append(Models(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def no_thread_is_left_behind() -> Iterator[None]:
    """After each test, and its engines' close(), there are as many engine threads as before."""
    before = engine_threads()
    yield
    wait_until(lambda: engine_threads() == before)


def engine_threads() -> int:
    return sum(thread.name == "decoding-engine" for thread in threading.enumerate())


def count_prefills(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which every prefill from now on adds the number of its rows."""
    prefill, rows = engine._forward.prefill, []

    def counted(prompts: list[tuple[int, ...]], copies: list[int], *mix: object) -> torch.Tensor:
        rows.append(sum(copies))
        return prefill(prompts, copies, *mix)

    monkeypatch.setattr(engine._forward, "prefill", counted)
    return rows
