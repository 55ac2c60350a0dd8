"""Over-optimisation on what ships: the learned reward rises all the way, the true score does not."""

from __future__ import annotations

from lab.embeddings.model import Embedder
from lab.preferences.choosing import choose
from lab.preferences.learning import Learner
from lab.preferences.overoptimisation import CURE, EXAMPLE
from lab.preferences.store import Store


def test_the_true_score_rises_and_falls_and_can_be_cured() -> None:
    learner = Learner(Store(":memory:"), Embedder())
    choice, cured = (choose(learner.learn(settings), settings) for settings in (EXAMPLE, CURE))
    assert len(choice.mean) >= 10
    assert [point.reward for point in choice.mean] == sorted(point.reward for point in choice.mean)
    first, *_, last = (point.true_score for point in choice.mean)
    assert 1 < choice.peak.n < choice.mean[-1].n and choice.overdone
    assert choice.peak.true_score > first + 1
    assert last < choice.peak.true_score - 0.75
    assert choice.fall > 2 * choice.fall_error
    assert cured.mean[-1].true_score > choice.peak.true_score + 1
