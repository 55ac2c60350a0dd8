"""Of the runs on one board only the newest writes, and one that is stopped writes the last word."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import Any

import gradio as gr
import pytest

from tabs.runs import Runs
from tests.lab.text.conftest import wait_until

PATIENCE = 30.0
NOTHING = [gr.skip(), gr.skip()]


class Source:
    """Updates that come when a test lets them, and that know when they are no longer wanted."""

    def __init__(self, name: str, count: int) -> None:
        self._names = [f"{name}{n}" for n in range(count)]
        self._permits = threading.Semaphore(0)
        self.asked = threading.Semaphore(0)
        self.closed = False

    def let(self, count: int = 1) -> None:
        for _ in range(count):
            self._permits.release()

    def updates(self) -> Generator[list[Any], None, None]:
        try:
            for name in self._names:
                self.asked.release()
                assert self._permits.acquire(timeout=PATIENCE)
                yield [name, "board"]
        finally:
            self.closed = True


def stopped(update: list[Any]) -> list[Any]:
    return ["stopped", *update[1:]]


def reading(updates: Iterator[list[Any]]) -> tuple[list[list[Any]], threading.Thread]:
    """Read updates in a thread of their own, as Gradio does."""
    seen: list[list[Any]] = []
    thread = threading.Thread(target=lambda: seen.extend(updates), daemon=True)
    thread.start()
    return seen, thread


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run waits for the one before as long as it takes, so that nothing here hangs on the clock."""
    monkeypatch.setattr("tabs.runs.PATIENCE", PATIENCE)


def test_a_run_alone() -> None:
    source = Source("a", 3)
    source.let(3)
    assert [update[0] for update in Runs().follow(source.updates(), stopped)] == ["a0", "a1", "a2"]
    assert source.closed


def test_a_stopped_run_writes_the_last_word() -> None:
    runs, source = Runs(), Source("a", 9)
    source.let(9)
    updates = runs.follow(source.updates(), stopped)
    assert next(updates) == ["a0", "board"]
    runs.stop()
    assert list(updates) == [["stopped", "board"]]
    assert source.closed
    runs.stop()  # once more does no harm, and the next run is not stopped
    again = Source("b", 1)
    again.let()
    assert list(runs.follow(again.updates(), stopped)) == [["b0", "board"]]


def test_stopping_where_nothing_runs() -> None:
    Runs().stop()
    Runs().drop()


def test_a_run_that_is_dropped_says_nothing_any_more() -> None:
    runs, source = Runs(), Source("a", 9)
    source.let(9)
    updates = runs.follow(source.updates())
    assert next(updates) == ["a0", "board"]
    runs.drop()
    assert list(updates) == [NOTHING]
    assert source.closed


@pytest.mark.parametrize("written", [0, 2])
def test_a_run_that_is_overtaken_says_nothing_any_more(written: int) -> None:
    """Its end reaches the page after the new run has begun, and what it said last is sent again with it."""
    runs, first, second = Runs(), Source("a", 9), Source("b", 2)
    first.let(written)
    seen_of_first, first_thread = reading(runs.follow(first.updates(), stopped))
    for _ in range(written + 1):
        assert first.asked.acquire(timeout=PATIENCE)
    before = runs._newest
    second.let(2)
    seen_of_second, second_thread = reading(runs.follow(second.updates(), stopped))
    wait_until(lambda: runs._newest is not before)
    assert seen_of_second == []  # it waits for the first one
    first.let()
    for thread in (first_thread, second_thread):
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert seen_of_first == [*([f"a{n}", "board"] for n in range(written)), NOTHING]
    assert seen_of_second == [["b0", "board"], ["b1", "board"]]
    assert first.closed


def test_a_run_that_fails_lets_the_next_one_begin() -> None:
    def failing() -> Generator[list[Any], None, None]:
        yield ["a0", "board"]
        raise RuntimeError("no more")

    runs = Runs()
    with pytest.raises(RuntimeError):
        list(runs.follow(failing(), stopped))
    source = Source("b", 1)
    source.let()
    assert list(runs.follow(source.updates(), stopped)) == [["b0", "board"]]
