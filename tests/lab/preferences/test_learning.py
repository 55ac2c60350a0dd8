"""Whose rankings count: one's own, the class's, the annotator's; nobody else's private ones; fitted once and kept."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import lab.preferences.learning as module
from lab.preferences import Item, PreferenceError
from lab.preferences.breaking import attack_words, close_hole, deceiving_words, dull_text, rejections
from lab.preferences.learning import Learner, fair
from lab.preferences.pairs import Completion, Ranked
from lab.preferences.settings import RewardSettings, Source
from lab.preferences.standing import compare_order, share_beaten, standings
from lab.preferences.store import Store
from tests.tabs.reward.made_pool import embed, made_pool

SETTINGS = RewardSettings(rankings=60)
OWN, CLASS = (SETTINGS.model_copy(update={"source": source}) for source in (Source.OWN, Source.CLASS))
ITEMS = (Item(" happy joy"), Item(" road stone"), Item(" dead grief"))


@pytest.fixture
def store() -> Store:
    return Store(None)


@pytest.fixture
def learner(store: Store, monkeypatch: pytest.MonkeyPatch) -> Learner:
    pool = made_pool()
    monkeypatch.setattr("lab.preferences.pool.load_pool", lambda: pool)
    return Learner(store, SimpleNamespace(embed=embed))


def test_an_annotator_is_learned_from_once(learner: Learner) -> None:
    learnt = learner.learn(SETTINGS)
    assert (learnt.people, learnt.simulated, learnt.added) == (0, 60, 0)
    assert learnt.annotator.name == "cheerful"
    assert learner.learn(SETTINGS) is learnt
    assert learner.learn(SETTINGS.model_copy(update={"rankings": 50})) is not learnt
    good, bad = learnt.model.score([Completion("", " happy joy smile"), Completion("", " dead grief pale")])
    assert good > bad


def test_only_one_s_own_and_the_class_s_rankings_count(learner: Learner, store: Store) -> None:
    with pytest.raises(PreferenceError, match="not ranked anything"):
        learner.learn(OWN, "me")
    with pytest.raises(PreferenceError, match="in no class"):
        learner.learn(CLASS, "me")
    store.add_ranking("somebody", "private", ITEMS, [3, 2, 1])
    with pytest.raises(PreferenceError, match="not ranked anything"):
        learner.learn(OWN, "me")
    with pytest.raises(PreferenceError, match="Nobody of this class"):
        learner.learn(CLASS, "me", "7b")
    store.add_ranking("me", "mine", ITEMS, [1, 2, 3])
    store.add_ranking("somebody", "shared", ITEMS, [1, 2, 3], "7b")
    assert {one.prompt for one in learner.learn(OWN, "me", "7b").pairs.completions} == {"mine"}
    assert {one.prompt for one in learner.learn(CLASS, "me", "7b").pairs.completions} == {"shared"}
    mix = learner.learn(SETTINGS.model_copy(update={"source": Source.MIX}), "me", "7b")
    assert (mix.people, mix.simulated) == (2, 60)
    assert "private" not in {one.prompt for one in mix.pairs.completions}
    first = learner.learn(OWN, "me")
    store.add_ranking("me", "mine too", ITEMS, [1, 2, 3])
    assert learner.learn(OWN, "me") is not first


def test_ties_and_circles(learner: Learner, store: Store) -> None:
    store.add_ranking("me", "p", ITEMS, [1, 1, 1])
    with pytest.raises(PreferenceError, match="no pair to learn from"):
        learner.learn(OWN, "me")
    for chosen, rejected in ((0, 1), (1, 2), (2, 0)):
        store.add_ranking("me", "p", [ITEMS[chosen], ITEMS[rejected]], [1, 2])
    learnt = learner.learn(OWN, "me")
    assert len(learnt.pairs) == 3
    assert np.ptp(learnt.model.score(learnt.pairs.completions)) < 1e-3  # nobody wins


def test_nobody_speaks_for_the_class(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OF_ONE", 3)
    for number in range(5):
        store.add_ranking("loud", f"{number}", ITEMS, [1, 2, 3], "7b")
    store.add_ranking("quiet", "q", ITEMS, [1, 2, 3], "7b")
    assert [one.prompt for one in fair(store.rankings(class_code="7b"))] == ["2", "3", "4", "q"]


def test_ten_thousand_pairs(learner: Learner) -> None:
    many = [Ranked(f"{n % 90}", (f" happy {n}", f" dead {n}"), (1, 2)) for n in range(10_300)]
    learnt = learner.learn_from(SETTINGS, many)
    assert len(learnt.pairs) == 10_000
    assert "300 pairs more" in learnt.notes[0]


def test_what_is_learned_from_no_store_is_not_kept(learner: Learner) -> None:
    given = [Ranked("secret", (" happy joy", " dead grief"), (1, 2))]
    first = learner.learn_from(SETTINGS, given)
    assert learner.learn_from(SETTINGS, given) is not first
    assert learner._kept.results() == []


def test_an_unknown_annotator(learner: Learner) -> None:
    with pytest.raises(PreferenceError, match="There is no annotator"):
        learner.learn(SETTINGS.model_copy(update={"annotator": "<script>"}))


def test_standing(learner: Learner) -> None:
    learnt = learner.learn(SETTINGS)
    high, low = standings(learnt, [Completion("", " happy joy smile."), Completion("", " dead grief pale.")])
    assert high.learned > 90 > 10 > low.learned
    assert high.true > 90 > 10 > low.true
    assert high.gap == high.learned - high.true
    assert share_beaten(1.0, np.array([0.0, 1.0, 1.0, 2.0])) == 50.0


def test_an_order_beside_the_model_s(learner: Learner, store: Store) -> None:
    learnt = learner.learn(SETTINGS)
    found = compare_order(learnt, store.add_ranking("me", "p", ITEMS, [2, 1, 1]))
    assert found.model_ranks == (1, 2, 3)
    assert found.pairs == 2
    assert found.disagreements == ((1, 0), (2, 0))


def test_a_hole_is_closed(learner: Learner) -> None:
    learnt = learner.learn(SETTINGS)
    text = " table road house"
    worse = [one for one in rejections(learnt, [text]) if learnt.annotator.score(one[1]) <= 0]
    assert not worse
    closed = close_hole(learner, SETTINGS, "", "", (), [text])
    assert closed.after[0].learned < closed.before[0].learned
    assert closed.accuracy_before is not None and closed.accuracy_after is not None
    assert learner.learn(SETTINGS, "", "", closed.added).added == len(closed.added) > 0
    again = close_hole(learner, SETTINGS, "", "", closed.added, [text])
    assert again.added == closed.added  # the same pairs are added once
    with pytest.raises(PreferenceError, match="no shipped text is better"):
        rejections(learnt, [" happy" * 30])
    assert learnt.annotator.score(dull_text(learnt)) <= -3
    # The rule's own words are no deceit, so the attack is not offered them.
    every, offered = attack_words(learnt.pool), deceiving_words(learnt, text)
    assert "happy" in every and "happy" not in offered and "table" in offered
