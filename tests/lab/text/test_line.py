"""One at a time, first come, first served, and everybody can see where they stand."""

from __future__ import annotations

import threading

import pytest

from lab.errors import VisitorError
from lab.text.line import Line, Standing


def test_places_move_up_when_somebody_leaves() -> None:
    line = Line()
    first, second, third = (line.enter(seconds) for seconds in (60, 30, 10))
    assert first.wait(0) and not second.wait(0)
    assert third.standing() == Standing(ahead=2, seconds=90)
    first.seconds_left = 20
    assert third.standing() == Standing(ahead=2, seconds=50)
    second.leave()  # from the middle
    assert third.standing() == Standing(ahead=1, seconds=20)
    first.leave()
    first.leave()
    assert third.wait(0) and len(line) == 1


def test_the_next_one_is_woken() -> None:
    line = Line()
    first, second = line.enter(1), line.enter(1)
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(second.wait(60)))
    thread.start()
    first.leave()
    thread.join(60)
    assert woken == [True]


def test_a_full_line_says_so_and_takes_nobody_in() -> None:
    line = Line(longest=2)
    with line.enter(1), line.enter(1), pytest.raises(VisitorError, match="2 people train or wait"):
        line.enter(1)
    assert len(line) == 0
