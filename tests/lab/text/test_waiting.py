"""The line before the engine: who is first, who waits as one, who is turned away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.errors import EngineError
from lab.text import waiting
from lab.text.choosing import Choice, Dice
from lab.text.rows import Row, Step, Token
from lab.text.running import Running, key_of
from lab.text.stream import Stream
from lab.text.waiting import Waiting
from tests.lab.text.conftest import DICE, PROMPTS

ROW = Row(PROMPTS[0], DICE, max_new_tokens=3)
TOKEN = Token(5, -1.0, 0.5, 1, 2.0)


def entries(*seeds: int) -> tuple[Stream, list[Running]]:
    """A submission of rows with these seeds."""
    rows = [replace(ROW, seed=seed) for seed in seeds]
    stream = Stream(rows)
    return stream, [
        Running(row, [(stream, place)], Choice(DICE, "", [], Dice(0)), None, None, (), key_of(row, ()))
        for place, row in enumerate(rows)
    ]


def seeds(line: Waiting) -> list[int]:
    """Take all in turn."""
    found = []
    while line.first() is not None:
        found.append(line.take().row.seed)
    return found


def test_first_come_first_served_and_equal_ones_are_one() -> None:
    line = Waiting()
    line.put(entries(3, 1, 3)[1])
    line.put(entries(2, 1)[1])
    assert len(line) == 3
    assert {place for _, place in line.first().readers} == {0, 2}
    assert seeds(line) == [3, 1, 2]
    line.put(entries(3)[1])  # which has had its turn
    assert seeds(line) == [3]


def test_too_many_are_turned_away_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MAX_WAITING_ROWS", 3)
    line = Waiting()
    line.put(entries(1, 2)[1])
    with pytest.raises(EngineError, match="try again"):
        line.put(entries(1, 3, 4)[1])
    assert len(line.first().readers) == 1
    line.put(entries(1, 2, 3)[1])
    assert seeds(line) == [1, 2, 3]


def test_who_has_left_is_passed_over_unless_another_reads_the_same() -> None:
    line = Waiting()
    gone, first = entries(1, 2)
    line.put(first)
    line.put(entries(2)[1])
    gone.cancel()
    assert seeds(line) == [2]


def test_those_that_equal_one_under_way_leave_the_line() -> None:
    _, (running,) = entries(2)
    running.has_chosen(TOKEN)
    line = Waiting()
    stream, arrived = entries(1, 2, 3)
    line.put(arrived)
    line.join([running])
    assert seeds(line) == [1, 3]
    stream.hand_out()
    assert stream.drain() == [Step(1, TOKEN)]
    line.put(entries(2)[1])
    line.join([])
    assert seeds(line) == [2]


def test_clearing_forgets_everything() -> None:
    line = Waiting()
    line.put(entries(1, 2)[1])
    assert [entry.row.seed for entry in line.clear()] == [1, 2]
    assert len(line) == 0
    line.join(entries(1)[1])
    line.put(entries(1)[1])
    assert seeds(line) == [1]
