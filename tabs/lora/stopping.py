"""A wish of the visitor's that what runs comes to its end, so that what there is so far is kept."""

from __future__ import annotations

import threading


class Stop:
    """A visitor's wish that the training under way stops. To be kept in a ``gr.State``."""

    def __init__(self) -> None:
        self._event: threading.Event | None = None

    def anew(self) -> threading.Event:
        """Return the wish of a new run, which is not there yet."""
        self._event = threading.Event()
        return self._event

    def wish(self) -> None:
        """Let the newest run stop."""
        if self._event is not None:
            self._event.set()
