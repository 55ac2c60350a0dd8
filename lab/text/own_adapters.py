"""Adapters that belong to one visitor: under names that nobody else can know, and gone some time after the visitor.

A phone that is locked loses its connection just as a page that is closed does, and may be back in a minute. So what
belongs to somebody who has left is kept for a while, but gives way at once to those who are here.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import VisitorError
from lab.text.training_samples import unguessable_name

if TYPE_CHECKING:
    from lab.lora import Adapter
    from lab.text.models import LanguageModel

MOST = 3  # of one visitor; the oldest goes
MAX_NUMBERS = 250_000_000  # in the adapters of all visitors together: a gigabyte
REMEMBERED = 10_000  # visitors who have left for good

FULL = "Too many people keep an adapter here right now. Please try again in a few minutes."
LEFT = "The connection was lost for too long, and the adapter with it. Please reload the page and try again."


@dataclass(frozen=True)
class Own:
    """An adapter of a visitor's, in the engine of its model under ``name``.

    Attributes:
        packed: the zip to be downloaded, called ``file_name``.
    """

    name: str
    title: str
    model: LanguageModel
    adapter: Adapter
    packed: bytes
    file_name: str


class OwnAdapters:
    """Keeps what visitors have trained or uploaded, by their session. Safe to use from several threads.

    Args:
        grace: seconds for which it is kept once a visitor has left. Whoever saves or adds something after that is back,
            and has as long again.
        clock: tells the seconds.
    """

    def __init__(self, grace: float = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._grace = grace
        self._clock = clock
        self._kept: dict[str, list[Own]] = {}
        self._away: OrderedDict[str, float] = OrderedDict()  # who has left, and when they were last heard of
        self._left: OrderedDict[str, None] = OrderedDict()  # for good
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def add(
        self, session: str, model: LanguageModel, adapter: Adapter, title: str, packed: bytes, file_name: str
    ) -> Own:
        """Let the visitor of a session wear an adapter.

        Raises:
            VisitorError: if all visitors together keep too much, or this one has left for good.
            ValueError: if it does not fit the model.
        """
        own = Own(unguessable_name(), title, model, adapter, packed, file_name)
        with self._lock:
            self._expire()
            if not session or session in self._left:
                raise VisitorError(LEFT)
            self._heard_of(session)
            self._make_room(adapter.parameters, session)
            model.engine.add_adapter(own.name, adapter)
            kept = self._kept.setdefault(session, [])
            kept.append(own)
            while len(kept) > MOST:
                _remove(kept.pop(0))
            self._see_to_it()  # who had nothing when the connection was lost has something now
        return own

    def of(self, session: str) -> tuple[Own, ...]:
        """Return a visitor's adapters, the oldest first."""
        with self._lock:
            self._expire()
            self._heard_of(session)
            return tuple(self._kept.get(session, ()))

    def leave(self, session: str) -> None:
        """Note that a visitor's connection has ended: after the time of grace all of theirs goes."""
        with self._lock:
            self._away[session] = self._clock()
            self._away.move_to_end(session)
            self._expire()
            self._see_to_it()

    def _see_to_it(self) -> None:
        """Have a look when the next one's time is over, unless somebody does so already or there is nothing to take."""
        due = [since + self._grace for session, since in self._away.items() if session in self._kept]
        if due and self._timer is None:
            self._timer = threading.Timer(max(due[0] - self._clock(), 1), self._time_is_over)
            self._timer.daemon = True
            self._timer.start()

    def _time_is_over(self) -> None:
        with self._lock:
            self._timer = None
            self._expire()
            self._see_to_it()

    def _expire(self) -> None:
        due = self._clock() - self._grace
        while self._away and next(iter(self._away.values())) <= due:
            self._forget(next(iter(self._away)))

    def _heard_of(self, session: str) -> None:
        if session in self._away:
            self._away[session] = self._clock()
            self._away.move_to_end(session)

    def _make_room(self, numbers: int, session: str) -> None:
        """Forget those who are away the longest until so many more numbers fit, if that is of any use."""
        mine = self._kept.get(session, [])
        goes = _numbers(mine[: len(mine) + 1 - MOST])  # the visitor's own oldest one gives way anyhow
        too_many = _numbers(own for kept in self._kept.values() for own in kept) + numbers - goes - MAX_NUMBERS
        away = [one for one in self._away if one in self._kept and one != session]
        if too_many > sum(_numbers(self._kept[one]) for one in away):
            raise VisitorError(FULL)
        for one in away:
            if too_many <= 0:
                return
            too_many -= _numbers(self._kept[one])
            self._forget(one)

    def _forget(self, session: str) -> None:
        del self._away[session]
        for own in self._kept.pop(session, ()):
            _remove(own)
        self._left[session] = None
        while len(self._left) > REMEMBERED:
            self._left.popitem(last=False)


def _numbers(kept: Iterable[Own]) -> int:
    return sum(own.adapter.parameters for own in kept)


def _remove(own: Own) -> None:
    own.model.engine.remove_adapter(own.name)
