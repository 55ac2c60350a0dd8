"""How probable texts are that exist already: rows of forced tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.text.rows import Finished, Row

if TYPE_CHECKING:
    from lab.text.models import LanguageModel


def score(model: LanguageModel, rows: Sequence[Row]) -> list[tuple[float, ...]]:
    """Return for each row of forced tokens their log-probabilities in nats; all rows run in one batch.

    Raises:
        EngineError: if the engine cannot serve.
    """
    if not rows:
        return []
    stream = model.engine.submit(rows)
    try:
        ended = {event.row: event.tokens for event in stream if isinstance(event, Finished)}
    finally:
        stream.cancel()
    return [tuple(token.log_probability for token in ended[row]) for row in range(len(rows))]
