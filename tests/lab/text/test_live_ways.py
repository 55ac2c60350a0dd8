"""Ways compared live: the line is kept."""

from __future__ import annotations

import threading

import pytest

from lab.errors import TuningError
from lab.text import live_ways
from lab.text.line import Line
from lab.text.live_ways import WaysSettings, compare_ways
from lab.text.models import LanguageModel
from tests.tiny import SENTENCES


def test_who_stops_while_waiting_starts_no_training(
    language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_ways, "started", lambda *_, **__: pytest.fail("a process was started"))
    line, stop = Line(), threading.Event()
    with line.enter(60):
        running = compare_ways(language_model, "\n".join(SENTENCES * 6), WaysSettings(), stop, line=line)
        next(running)
        stop.set()
        with pytest.raises(TuningError, match="before it was your turn"):
            list(running)
        assert len(line) == 1
