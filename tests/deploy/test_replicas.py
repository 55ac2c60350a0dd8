"""Rows that replicas run come back as if they had been run here."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

import pytest

from deploy.replicas import ReplicatedEngine
from lab.errors import EngineError
from lab.lora import Adapter
from lab.text.engine import Engine
from lab.text.rows import Event, Finished, Row
from lab.text.strategies import Kind, Strategy
from lab.text.stream import Stream
from tests.lab.text.conftest import PATIENCE, tiny_gpt2
from tests.lab.text.test_adapters import random_adapter

DICE = Strategy(kind=Kind.TEMPERATURE)


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    return random_adapter(tiny_gpt2(), 1)


@pytest.fixture(scope="module")
def here(adapter: Adapter) -> Iterator[Engine]:
    engine = Engine(tiny_gpt2())
    engine.add_adapter("own", adapter)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def there() -> Iterator[Engine]:
    engine = Engine(tiny_gpt2())
    yield engine
    engine.close()


class Replica:
    """Runs rows on another engine, as deploy.ray_serve does."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.streams: list[Stream] = []
        self.closed = threading.Event()

    def __call__(self, rows: Sequence[Row], adapters: Mapping[str, Adapter]) -> Iterator[Sequence[Event]]:
        for name, adapter in adapters.items():
            self.engine.add_adapter(name, adapter)
        stream = self.engine.submit(rows)
        self.streams.append(stream)
        try:
            while (events := stream.drain()) is not None:
                yield events
        finally:
            stream.cancel()
            self.closed.set()


def rows(adapter: str | None = None, length: int = 12) -> list[Row]:
    return [Row((5, 6, 7), DICE, seed=seed, max_new_tokens=length, adapter=adapter) for seed in range(3)]


def texts(stream: Stream) -> dict[int, list[int]]:
    return {e.row: [token.id for token in e.tokens] for e in stream if isinstance(e, Finished)}


@pytest.mark.parametrize("worn", [None, "own"])
def test_rows_come_back_as_if_run_here(here: Engine, there: Engine, worn: str | None) -> None:
    away = ReplicatedEngine(here, Replica(there))
    assert texts(away.submit(rows(worn))) == texts(here.submit(rows(worn)))


def test_what_only_reads_is_asked_here(here: Engine, there: Engine, adapter: Adapter) -> None:
    away = ReplicatedEngine(here, Replica(there))
    assert (away.context, away.vocabulary_size, away.adapter("own")) == (here.context, here.vocabulary_size, adapter)
    assert away.network is here.network


def test_bad_rows_are_refused_before_they_travel(here: Engine, there: Engine) -> None:
    replica = Replica(there)
    with pytest.raises(ValueError, match="at least one token"):
        ReplicatedEngine(here, replica).submit([Row(())])
    with pytest.raises(ValueError, match="not there any more"):
        ReplicatedEngine(here, replica).submit(rows("unknown"))
    assert not replica.streams


def test_cancelling_frees_the_rows_there(here: Engine, there: Engine) -> None:
    replica = Replica(there)
    stream = ReplicatedEngine(here, replica).submit(rows(length=50))
    assert stream.drain() is not None
    stream.cancel()
    assert replica.closed.wait(PATIENCE)
    assert replica.streams[0].cancelled


def test_a_replica_that_fails_is_told_and_the_next_call_works(here: Engine, there: Engine) -> None:
    good = Replica(there)
    failures = iter([True, False])

    def flaky(rows: Sequence[Row], adapters: Mapping[str, Adapter]) -> Iterator[Sequence[Event]]:
        if next(failures):
            raise ConnectionError("gone")
        yield from good(rows, adapters)

    away = ReplicatedEngine(here, flaky)
    with pytest.raises(EngineError, match="cannot be reached"):
        texts(away.submit(rows()))
    assert texts(away.submit(rows())) == texts(here.submit(rows()))
