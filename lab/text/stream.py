"""The stream through which a visitor reads what becomes of the rows of one submission."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence

from lab.errors import EngineError
from lab.text.rows import Event, Finished, Row


class Stream:
    """Events of the rows of one submission; those of each row in the order in which they happened."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = tuple(rows)
        self.cancelled = False
        self._events: queue.SimpleQueue[list[Event] | EngineError | None] = queue.SimpleQueue()
        self._pending: list[Event] = []
        self._left = len(self.rows)
        self._over = not self.rows
        self._error: EngineError | None = None

    def drain(self, timeout: float | None = None) -> list[Event] | None:
        """Return the events that have come, waiting for the first; None at the end, an empty list after a timeout.

        Args:
            timeout: seconds to wait, None for as long as it takes.

        Raises:
            EngineError: if the engine failed on these rows.
        """
        events: list[Event] = []
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        while not self._over:
            try:
                arrived = self._events.get(block=not events, timeout=timeout)
            except queue.Empty:
                return events
            if isinstance(arrived, EngineError):
                self._over = True
                if not events:
                    raise arrived
                self._error = arrived  # the next call raises it: first what came before
            elif arrived is None:
                self._over = True
            else:
                events += arrived
        return events or None

    def cancel(self) -> None:
        """Read no further: rows that nobody else reads leave at the next step, and this stream comes to its end."""
        self.cancelled = True
        self._events.put(None)

    def __iter__(self) -> Iterator[Event]:
        """Yield events until the end; leaving the loop early cancels."""
        try:
            while (events := self.drain()) is not None:
                yield from events
        finally:
            self.cancel()

    # What follows is the owner thread's alone.

    def add(self, event: Event) -> None:
        """Put an event of the step under way with the others."""
        self._pending.append(event)

    def hand_out(self) -> None:
        """Give the reader all events of a step at once: to wake it for each would hold up the owner thread."""
        self._events.put(self._pending)
        self._left -= sum(isinstance(event, Finished) for event in self._pending)
        if not self._left:
            self._events.put(None)
        self._pending = []

    def fail(self, error: EngineError) -> None:
        """End the stream with an error."""
        self.cancelled = True  # its rows that still wait have no reader any more
        self._events.put(error)
