"""Rankings to pairs: ties, texts that are the same, cycles, and more than enough."""

from __future__ import annotations

import numpy as np

from lab.preferences import Item, Ranking
from lab.preferences.pairs import Completion, Ranked, pairs_of, split_groups, with_rejected


def test_each_two_that_are_not_tied_give_a_pair() -> None:
    pairs = pairs_of([Ranked("p", ("a", "b", "c", "d"), (2, 1, 2, 7))])
    assert set(pairs.texts()) == {("p", "b", "a"), ("p", "b", "c"), ("p", "b", "d"), ("p", "a", "d"), ("p", "c", "d")}
    assert (len(pairs), pairs.tied, pairs.prompts, pairs.rankings, pairs.left_out) == (5, 1, 1, 1, 0)
    assert len(pairs.completions) == 4


def test_nothing_to_compare() -> None:
    for ranking in (Ranked("p", ("a",), (1,)), Ranked("p", ("a", "b"), (3, 3)), Ranked("p", ("a", "a"), (1, 2))):
        pairs = pairs_of([ranking])
        assert len(pairs) == 0
        assert pairs.completions == ()
    assert len(pairs_of([])) == 0
    assert pairs_of([]).prompts == 0


def test_one_text_is_kept_once_per_prompt() -> None:
    pairs = pairs_of(
        [Ranked("p", ("a", "b"), (1, 2)), Ranked("p", ("b", "c"), (1, 2)), Ranked("q", ("a", "b"), (2, 1))]
    )
    assert pairs.completions == tuple(Completion(*one) for one in ("pa", "pb", "pc", "qb", "qa"))
    assert pairs.groups.tolist() == [0, 0, 1]


def test_cycles_and_contradictions_are_kept() -> None:
    cycle = [Ranked("p", two, (1, 2)) for two in (("a", "b"), ("b", "c"), ("c", "a"))]
    contradiction = [Ranked("p", ("a", "b"), (2, 1))]
    assert len(pairs_of(cycle + contradiction)) == 4


def test_the_same_ranking_twice_counts_once_per_annotator() -> None:
    one, other = (Ranked("p", ("a", "b"), (1, 2), who) for who in ("ann", "bob"))
    pairs = pairs_of([one, one, other])
    assert (len(pairs), pairs.repeated, pairs.rankings) == (2, 1, 3)


def test_rankings_of_the_store_are_read() -> None:
    ranking = Ranking(5, "2026", "me", "7b", "p", (Item("a", "m"), Item("b")), (2, 1))
    pairs = pairs_of([ranking, Ranked("p", ("a", "b"), (2, 1), "me")])
    assert pairs.texts() == [("p", "b", "a")]
    assert pairs.repeated == 1


def test_a_sample_of_too_many_is_the_same_each_time() -> None:
    rankings = [Ranked(f"p{n}", tuple("abcdefghijkl"), tuple(range(1, 13))) for n in range(160)]
    pairs = pairs_of(rankings)
    assert (len(pairs), pairs.left_out) == (10_000, 160 * 66 - 10_000)
    assert np.array_equal(pairs.chosen, pairs_of(rankings).chosen)
    assert not np.array_equal(pairs.chosen, pairs_of(rankings, seed=1).chosen)
    assert (np.diff(pairs.groups) >= 0).all()  # in the order of the rankings still
    few, all_of_them = pairs_of(rankings, limit=7), pairs_of(rankings, limit=10**6)
    assert len(few) == 7 and set(few.texts()) < set(all_of_them.texts())
    # Texts that are in no pair that was drawn would be embedded for nothing.
    assert len(few.completions) == len({*few.chosen, *few.rejected}) <= 14


def test_groups_are_dealt_whole_and_evenly() -> None:
    groups = np.repeat([5, 9, 2, 7, 3], [10, 1, 9, 5, 5])
    folds = split_groups(groups, 3)
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups))
    assert sorted(np.bincount(folds)) == [10, 10, 10]
    assert np.array_equal(folds, split_groups(groups, 3))


def test_rejected_texts_are_added() -> None:
    pairs = pairs_of([Ranked("p", ("a", "b"), (1, 2))])
    more = with_rejected(pairs, Completion("p", "a"), [Completion("p", "x"), Completion("p", "b")])
    assert more.texts() == [("p", "a", "b"), ("p", "a", "x"), ("p", "a", "b")]
    assert more.groups.tolist() == [0, 1, 1]
    assert len(more.completions) == 3
    assert len(with_rejected(pairs_of([]), Completion("p", "a"), [Completion("p", "x")])) == 1
