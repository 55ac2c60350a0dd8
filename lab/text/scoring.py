"""How probable texts are that exist already: rows of forced tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lab.text.rows import Finished, Row

if TYPE_CHECKING:
    from lab.text.models import LanguageModel

INTERVAL = 0.5  # seconds between two looks at whether the scores are still wanted


def scoring(model: LanguageModel, rows: Sequence[Row]) -> Iterator[list[tuple[float, ...]] | None]:
    """Yield for each row of forced tokens their log-probabilities in nats, all at once at the end, and None meanwhile.

    All rows run in one batch. Closing the generator frees them.

    Raises:
        EngineError: if the engine cannot serve.
    """
    if not rows:
        yield []
        return
    stream = model.engine.submit(rows)
    ended: dict[int, tuple[float, ...]] = {}
    try:
        looked = time.monotonic()
        while (events := stream.drain(timeout=INTERVAL)) is not None:
            for event in events:
                if isinstance(event, Finished):
                    ended[event.row] = tuple(token.log_probability for token in event.tokens)
            if time.monotonic() - looked >= INTERVAL:
                looked = time.monotonic()
                yield None
    finally:
        stream.cancel()
    yield [ended[row] for row in range(len(rows))]
