"""The rows that wait for their place in the engine's batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence

from lab.errors import EngineError
from lab.text.running import Running

MAX_WAITING_ROWS = 4096


class Waiting:
    """First come first served; equal rows wait as one. Whoever uses it holds the engine's lock."""

    def __init__(self) -> None:
        self._line: deque[Running] = deque()
        self._by_key: dict[Hashable, Running] = {}  # all of the line
        self._arrived: list[Running] = []  # of the line, since it was last looked whom they equal

    def __len__(self) -> int:
        return len(self._line)

    def put(self, entries: Sequence[Running]) -> None:
        """Put rows at the end of the line; the readers of one that equals one in it wait for that.

        Raises:
            EngineError: if too many rows wait already; none of these does then.
        """
        new = {entry.key: entry for entry in entries if entry.key not in self._by_key}
        if len(self._line) + len(new) > MAX_WAITING_ROWS:
            raise EngineError("Too many people are generating right now. Please try again in a moment.")
        self._by_key |= new
        self._line.extend(new.values())
        self._arrived.extend(new.values())
        for entry in entries:
            if self._by_key[entry.key] is not entry:
                self._by_key[entry.key].take_in(entry)

    def join(self, under_way: Sequence[Running]) -> None:
        """Let those that have arrived, and equal a row under way, be read from that, wherever in the line they are."""
        arrived, self._arrived = self._arrived, []
        running = {entry.key: entry for entry in under_way} if arrived else {}
        for entry in arrived:
            if entry.key in running:
                self._line.remove(entry)
                del self._by_key[entry.key]
                running[entry.key].take_in(entry)

    def first(self) -> Running | None:
        """Return whose turn it is; those that nobody reads any more are gone then."""
        while self._line and not self._line[0].wanted:
            self.take()
        return self._line[0] if self._line else None

    def take(self) -> Running:
        """Take the first out of the line."""
        entry = self._line.popleft()
        del self._by_key[entry.key]
        return entry

    def clear(self) -> list[Running]:
        """Take all out of the line."""
        entries = list(self._line)
        self._line.clear()
        self._by_key.clear()
        self._arrived.clear()
        return entries
