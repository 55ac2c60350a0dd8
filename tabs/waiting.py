"""Waiting for something slow with something to see: it runs in a thread of its own, the page is told about it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from lab.errors import VisitorError

T = TypeVar("T")
Tell = Callable[[str], None]

QUIET = 1.0  # seconds without news after which the page is told how long it has been


@dataclass(frozen=True)
class Ready(Generic[T]):
    """What was waited for."""

    value: T


def wait_for(work: Callable[[Tell], T], message: str, failure: VisitorError) -> Iterator[str | Ready[T]]:
    """Do something in the background; yield what is going on, with the seconds so far, and last what came of it.

    Closing the generator leaves the work going: the next visitor will want its outcome too.

    Args:
        work: is called once, with a function that it may tell in plain words what is going on.
        message: what is going on before it tells anything.
        failure: raised instead of an error that has no words for visitors itself.

    Raises:
        VisitorError: if the work fails.
    """
    outcome: queue.SimpleQueue[str | Ready[T] | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put(Ready(work(outcome.put)))
        except Exception as error:  # it is raised again in the visitor's thread
            outcome.put(error)

    threading.Thread(target=run, name="waited-for", daemon=True).start()
    started = time.monotonic()
    while True:
        try:
            news = outcome.get(timeout=QUIET)
        except queue.Empty:
            news = message
        if isinstance(news, VisitorError):
            raise news
        if isinstance(news, Exception):
            raise failure from news
        if isinstance(news, Ready):
            yield news
            return
        message = news
        yield f"{message} ({time.monotonic() - started:.0f} s)"
