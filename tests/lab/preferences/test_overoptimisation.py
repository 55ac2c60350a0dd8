"""Over-optimisation on what ships: the learned reward rises all the way, the true score does not."""

from __future__ import annotations

from lab.preferences.overoptimisation import over_optimisation
from lab.preferences.pool import load_pool


def test_the_true_score_rises_and_falls() -> None:
    curve = over_optimisation(load_pool())
    assert len(curve) >= 10
    assert [point.reward for point in curve] == sorted(point.reward for point in curve)
    scores = [point.true_score for point in curve]
    peak = scores.index(max(scores))
    assert 1 < curve[peak].n < curve[-1].n
    assert scores[peak] > scores[0] + 1.5
    assert scores[-1] < scores[peak] - 1
