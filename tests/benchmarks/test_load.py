"""The crowd of the load benchmark: who counts what, and that errors are seen."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks import load
from benchmarks.load import ACTIONS, Tally, figures, floors, percentile, slope, slope_error, visits


class Calm:
    """A visitor whose actions take no time."""

    def __init__(self, url: str, number: int) -> None:
        self.dice = random.Random(number)

    def opens(self) -> None:
        """It goes well."""

    def embeds(self) -> None:
        """It does not."""
        raise ValueError("not now")


def test_visitors_act_until_their_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(load, "Visitor", Calm)
    monkeypatch.setattr(load, "ACTIONS", {"page": Calm.opens, "embed": Calm.embeds})
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    tally = visits("", [1], seconds=100, pause=(1, 2))
    assert 90 <= len(tally.seconds["page"]) + len(tally.errors) <= 100
    assert set(tally.errors) == {"embed: ValueError: not now"}


def test_nobody_begins_before_all_are_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "Visitor", Calm)
    monkeypatch.setattr(load, "ACTIONS", {"page": Calm.opens})
    everyone_in = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(visits, "", [1], 0.1, (0.001, 0.002), everyone_in)
        with pytest.raises(TimeoutError):
            first.result(0.3)
        second = pool.submit(visits, "", [2], 0.1, (0.001, 0.002), everyone_in)
        assert first.result(30).seconds["page"] and second.result(30).seconds["page"]


def test_what_all_did_is_added() -> None:
    one, other = Tally(), Tally()
    one.seconds["page"] += [1.0]
    other.seconds["page"] += [2.0]
    other.seconds["rank"] += [3.0]
    other.errors.append("rank: it broke")
    one.add(other)
    assert dict(one.seconds) == {"page": [1.0, 2.0], "rank": [3.0]} and one.errors == ["rank: it broke"]


def test_an_action_that_nobody_came_to_has_no_figures() -> None:
    single, many = Tally(), Tally()
    for name in ACTIONS:
        single.seconds[name] += [1.0, 2.0, 3.0]
    many.seconds["decode"] += [4.0, 8.0]
    values = {figure.name: figure.value for figure in figures(single, many)}
    assert values == {"decode_alone_s": 2.0, "decode_median_s": 6.0, "decode_p95_s": 8.0, "decode_p95_ratio": 4.0}


def test_measures() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0 and percentile([1.0], 0.95) == 1.0
    assert percentile(range(1, 21), 0.95) == 19 and percentile([2.0, 1.0], 0.0) == 1.0
    assert slope([10.0, 11.0, 12.0]) == pytest.approx(60.0)
    assert floors([3.0, 1.0, 2.0, 9.0, 8.0, 7.0, 0.0], 3) == [1.0, 7.0]
    assert {"decode", "page", "reward"} <= ACTIONS.keys()


def test_the_error_of_a_slope_is_that_of_least_squares() -> None:
    from scipy.stats import linregress

    dice = random.Random(0)
    means = [dice.gauss(1000 + 3 * n, 5) for n in range(6)]
    seconds = [mean + shift for mean in means for shift in (-1.0, 0.0, 1.0)]
    assert slope_error(seconds, 3) == pytest.approx(linregress(range(6), means).stderr * 20)
    assert slope_error([float(n) for n in range(12)], 3) == pytest.approx(0, abs=1e-9)
