"""The Wilson interval against printed values, and against what defines it."""

from __future__ import annotations

from math import sqrt

import pytest

from lab.preferences.statistics import wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "interval"),
    [
        # R. G. Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998),
        # table I, method 3.
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_printed_values(successes: int, trials: int, interval: tuple[float, float]) -> None:
    assert wilson_interval(successes, trials) == pytest.approx(interval, abs=5e-5)


@pytest.mark.parametrize(("confidence", "z"), [(0.9, 1.6448536), (0.95, 1.9599640), (0.99, 2.5758293)])
def test_at_its_ends_the_share_lies_z_standard_errors_away(confidence: float, z: float) -> None:
    share = 7 / 30
    for end in wilson_interval(7, 30, confidence):
        assert abs(share - end) / sqrt(end * (1 - end) / 30) == pytest.approx(z, rel=1e-6)


def test_extremes() -> None:
    assert wilson_interval(0, 0) == (0, 1)
    for trials in (1, 3, 7, 30, 1000, 10**9):
        none, every = wilson_interval(0, trials), wilson_interval(trials, trials)
        assert none[0] == 0 < none[1] < 1
        assert every == pytest.approx((1 - none[1], 1 - none[0]))
        assert every[1] == 1


@pytest.mark.parametrize(("successes", "trials", "confidence"), [(-1, 3, 0.9), (4, 3, 0.9), (1, 3, 1), (1, 3, 0)])
def test_what_is_no_count_is_refused(successes: int, trials: int, confidence: float) -> None:
    with pytest.raises(ValueError, match=r"confidence|count"):
        wilson_interval(successes, trials, confidence)
