"""What is asked for by many at the same moment is made once, and kept while there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Once(Generic[Result]):
    """Results by key. Who asks for what is being made waits for that. Safe to use from several threads.

    Args:
        room: that the results may take together; those longest not asked for go first, one stays whatever it takes.
        size: what a result takes; without it each counts 1.
    """

    def __init__(self, room: float, size: Callable[[Result], float] = lambda _: 1) -> None:
        self.room = room
        self._size = size
        self._futures: OrderedDict[Hashable, Future[Result]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """Return the result of a key. What ``make`` raises, all get who have waited for it, and nothing is kept."""
        with self._lock:
            future = self._futures.get(key)
            begins = future is None
            if future is None:
                future = self._futures[key] = Future()
            self._futures.move_to_end(key)
        if not begins:
            return future.result()
        try:
            future.set_result(make())
        except BaseException as error:
            with self._lock:
                if self._futures.get(key) is future:
                    del self._futures[key]
            future.set_exception(error)
            raise
        with self._lock:
            self._make_room()
        return future.result()

    def _make_room(self) -> None:
        made = {key: future for key, future in self._futures.items() if future.done()}
        taken = sum(self._size(future.result()) for future in made.values())
        for key, future in list(made.items())[:-1]:
            if taken <= self.room:
                return
            taken -= self._size(future.result())
            del self._futures[key]

    def results(self) -> list[Result]:
        """Return what is kept, that which was longest not asked for first."""
        with self._lock:
            return [future.result() for future in self._futures.values() if future.done()]

    def clear(self) -> None:
        """Keep nothing of what was made so far."""
        with self._lock:
            self._futures.clear()
