"""A line in which people wait for what only one may have at a time, with a place that each of them can see."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from lab.errors import VisitorError

LONGEST = 20


@dataclass(frozen=True)
class Standing:
    """Where somebody stands: how many are ahead, and in about how many seconds it is their turn."""

    ahead: int
    seconds: float


class Line:
    """First come, first served. Safe to use from several threads.

    Args:
        longest: so many may stand in it, the one whose turn it is included.
    """

    def __init__(self, longest: int = LONGEST) -> None:
        self._places: list[Place] = []
        self._longest = longest
        self._moved = threading.Condition()

    def __len__(self) -> int:
        return len(self._places)

    def enter(self, seconds: float) -> Place:
        """Return a place at the end of the line, to be used as a context, at whose end it is given up.

        Args:
            seconds: that the turn will take, about.

        Raises:
            VisitorError: if the line is full.
        """
        with self._moved:
            if len(self._places) >= self._longest:
                raise VisitorError(f"{self._longest} people train or wait already. Please try again in a few minutes.")
            place = Place(self, seconds)
            self._places.append(place)
            return place


class Place:
    """A place in a line. ``seconds_left`` may be set anew while it is this one's turn."""

    def __init__(self, line: Line, seconds: float) -> None:
        self._line = line
        self.seconds_left = seconds

    def standing(self) -> Standing:
        """Return where this place is now."""
        with self._line._moved:
            before = self._line._places[: self._line._places.index(self)]
            return Standing(len(before), sum(place.seconds_left for place in before))

    def wait(self, timeout: float) -> bool:
        """Wait some seconds at most; tell whether it is this one's turn."""
        with self._line._moved:
            return self._line._moved.wait_for(lambda: self._line._places[0] is self, timeout)

    def leave(self) -> None:
        """Give the place up; doing so twice is no harm."""
        with self._line._moved:
            if self in self._line._places:
                self._line._places.remove(self)
                self._line._moved.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
