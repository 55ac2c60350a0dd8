"""One run at a time: of the runs that a visitor has started on a board, only the newest may write on it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

import gradio as gr

Update = list[Any]

PATIENCE = 3.0  # seconds to wait for the run before to notice that its time is over


class _Run:
    def __init__(self) -> None:
        self.stopped = False
        self.over = threading.Event()


class Runs:
    """The runs on one board. To be kept in a ``gr.State``, so that every visitor has their own.

    Gradio's ``cancels`` would not do: it knows of a button's own runs only, and what a cancelled run has yielded just
    before may reach the page after the message that it was cancelled. Here a stopped run itself writes the last word.
    """

    def __init__(self) -> None:
        self._newest: _Run | None = None
        self.latest: Any = None  # what the controls say by now, where a tool keeps it here: a run may have begun before

    def follow(
        self, updates: Generator[Update, None, None], last: Callable[[Update], Update] = lambda update: update
    ) -> Iterator[Update]:
        """Yield a run's updates until another run takes over.

        Args:
            updates: it is closed in the end, which frees what the run occupies.
            last: makes the last update of a stopped run from the one that would have come; by default it is that one.
        """
        before, mine = self._newest, _Run()
        self._newest = mine
        if before is not None:
            before.over.wait(PATIENCE)  # else its last update might come after the first one of this run
        try:
            with closing(updates):
                for update in updates:
                    if self._newest is not mine:
                        # Gradio sends a run's last update once more when it is over, and empties all if there was none.
                        yield [gr.skip()] * len(update)
                        return
                    if mine.stopped:
                        yield last(update)
                        return
                    yield update
        finally:
            mine.over.set()

    def drop(self) -> None:
        """Let the newest run end without a last word: what it would show is not wanted any more."""
        self._newest = None

    def stop(self) -> None:
        """Let the newest run end with its next update."""
        if self._newest is not None:
            self._newest.stopped = True


def one_at_a_time(run: Callable[..., Generator[Update, None, None]]) -> Callable[..., Iterator[Update]]:
    """Make a panel's generator of updates follow the visitor's runs, which come behind all its other values."""

    @functools.wraps(run)
    def followed(panel: Any, *values: Any, **options: Any) -> Iterator[Update]:
        *values, runs = values
        yield from runs.follow(run(panel, *values, **options))

    return followed
