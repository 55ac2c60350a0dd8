"""An engine whose rows are run by replicas elsewhere, and everything else here."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from lab.errors import EngineError
from lab.lora import Adapter
from lab.text.engine import Engine
from lab.text.models import LanguageModel
from lab.text.rows import Event, Row
from lab.text.stream import Stream

log = logging.getLogger(__name__)

Replica = Callable[[Sequence[Row], Mapping[str, Adapter]], Generator[Sequence[Event], None, None]]


class ReplicatedEngine:
    """Looks like an engine, which it keeps for all that only reads; rows go to replicas.

    Args:
        engine: the local one: it checks rows, knows the adapters and lends the network.
        replica: runs rows on whichever replica is free, and yields their events step by step; closing it cancels. It is
            given the adapters that rows name.
    """

    def __init__(self, engine: Engine, replica: Replica) -> None:
        self._engine = engine
        self._replica = replica

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def submit(self, rows: Sequence[Row]) -> Stream:
        """As :meth:`lab.text.engine.Engine.submit`."""
        for row in rows:
            self._engine.check(row)
        adapters = {name: self._engine.adapter(name) for row in rows for name, _ in row.wishes}
        stream = Stream(rows)
        threading.Thread(target=self._follow, args=[stream, adapters], name="replica", daemon=True).start()
        return stream

    def _follow(self, stream: Stream, adapters: Mapping[str, Adapter]) -> None:
        try:
            with closing(self._replica(stream.rows, adapters)) as running:
                for events in running:
                    for event in events:
                        stream.add(event)
                    stream.hand_out()
                    if stream.cancelled:
                        return
        except Exception:  # of the transport or of the replica: the visitor reads the same of both
            log.exception("a replica failed")
            stream.fail(EngineError("The model cannot be reached just now. Please try again."))


def replicated(model: LanguageModel, replica: Replica) -> LanguageModel:
    """Return a model whose rows are run by replicas."""
    return replace(model, engine=ReplicatedEngine(model.engine, replica))
