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


@dataclass(frozen=True)
class Ready(Generic[T]):
    """What was waited for."""

    value: T


def wait_for(work: Callable[[], T], message: str, failure: str) -> Iterator[str | Ready[T]]:
    """Do something in the background; yield the message with the seconds so far, about once a second, and last it.

    Closing the generator leaves the work going: the next visitor will want its outcome too.

    Args:
        work: is called once.
        failure: what to tell a visitor of an error that has no words for visitors itself.

    Raises:
        VisitorError: if the work fails.
    """
    outcome: queue.SimpleQueue[Ready[T] | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put(Ready(work()))
        except Exception as error:  # it is raised again in the visitor's thread
            outcome.put(error)

    threading.Thread(target=run, name="waited-for", daemon=True).start()
    started = time.monotonic()
    while True:
        try:
            news = outcome.get(timeout=0.3 if time.monotonic() - started < 0.3 else 1.0)
        except queue.Empty:
            yield f"{message} ({time.monotonic() - started:.0f} s)"
            continue
        if isinstance(news, VisitorError):
            raise news
        if isinstance(news, Exception):
            raise VisitorError(failure) from news
        yield news
        return
