"""Adapters that belong to one visitor: under names that nobody else can know, and gone when the visitor is."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import VisitorError
from lab.text.training_samples import unguessable_name

if TYPE_CHECKING:
    from lab.lora import Adapter
    from lab.text.models import LanguageModel

MOST = 3  # of one visitor; the oldest goes
MAX_NUMBERS = 250_000_000  # in the adapters of all visitors together: a gigabyte
REMEMBERED = 10_000  # visitors who have left

FULL = "Too many people keep an adapter here right now. Please try again in a few minutes."
LEFT = "The connection was lost in between, and the adapter with it. Please reload the page and try again."


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
    """Keeps what visitors have trained or uploaded, by their session. Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Own]] = {}
        self._left: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def add(
        self, session: str, model: LanguageModel, adapter: Adapter, title: str, packed: bytes, file_name: str
    ) -> Own:
        """Let the visitor of a session wear an adapter.

        Raises:
            VisitorError: if all visitors together keep too much, or this one has left.
            ValueError: if it does not fit the model.
        """
        own = Own(unguessable_name(), title, model, adapter, packed, file_name)
        with self._lock:
            if not session or session in self._left:
                raise VisitorError(LEFT)
            numbers = sum(one.adapter.parameters for kept in self._kept.values() for one in kept)
            if numbers + adapter.parameters > MAX_NUMBERS:
                raise VisitorError(FULL)
            model.engine.add_adapter(own.name, adapter)
            kept = self._kept.setdefault(session, [])
            kept.append(own)
            while len(kept) > MOST:
                _remove(kept.pop(0))
        return own

    def of(self, session: str) -> tuple[Own, ...]:
        """Return a visitor's adapters, the oldest first."""
        return tuple(self._kept.get(session, ()))

    def forget(self, session: str) -> None:
        """Take a visitor's adapters away, and whatever may still come for them."""
        with self._lock:
            for own in self._kept.pop(session, ()):
                _remove(own)
            self._left[session] = None
            while len(self._left) > REMEMBERED:
                self._left.popitem(last=False)


def _remove(own: Own) -> None:
    own.model.engine.remove_adapter(own.name)
