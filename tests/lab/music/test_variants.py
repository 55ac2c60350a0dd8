"""Versions of a tune are found whatever their key and rhythm, and stay on one side."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest

from lab.music.corpus import Collection, load_tunes
from lab.music.melody import Melody, Meter, Mode, Note
from lab.music.variants import (
    BACH_CONTAINMENT,
    BACH_RUN,
    FOLK_CONTAINMENT,
    FOLK_RUN,
    clusters,
    intervals,
    runs,
    variant_pairs,
)

TUNE = (60, 62, 64, 65, 67, 67, 69, 69, 69, 69, 67, 69, 69, 69, 69, 67, 65, 65, 65, 65, 64, 64, 62, 62, 62, 62, 60)
OTHER = (67, 64, 64, 65, 62, 62, 60, 62, 64, 65, 67, 67, 67, 67, 64, 64, 65, 62, 62, 60, 64, 67, 67, 60)
RULES = [(FOLK_RUN, FOLK_CONTAINMENT), (BACH_RUN, BACH_CONTAINMENT)]


def melody(*pitches: int | None, meter: str = "4/4") -> Melody:
    return Melody(tuple(Note(pitch, 8) for pitch in pitches), Meter.parse(meter), Mode.MAJOR)


def pairs(
    melodies: list[Melody], length: int = FOLK_RUN, containment: float = FOLK_CONTAINMENT
) -> set[tuple[int, int]]:
    found = variant_pairs(melodies, length, containment)
    assert found.shape == (len(found), 2)
    assert len({tuple(pair) for pair in found.tolist()}) == len(found)
    return {tuple(pair) for pair in found.tolist()}


def pairs_by_hand(melodies: list[Melody], length: int, containment: float) -> set[tuple[int, int]]:
    """The rule as its sentence says it, pair by pair, in exact fractions."""
    found = set()
    for (i, one), (j, other) in combinations(enumerate(melodies), 2):
        sets = []
        for tune in (one, other):
            sounding = [note.pitch for note in tune.notes if note.pitch is not None]
            steps = [b - a for a, b in pairwise(sounding)]
            last = max(len(steps) - length, 0)
            sets.append({tuple(steps[start : start + length]) for start in range(last + 1)})
        shared = len(sets[0] & sets[1])
        if shared and Fraction(shared, min(map(len, sets))) >= Fraction(str(containment)):
            found.add((i, j))
    return found


def test_intervals_leave_rests_and_repeats_as_they_are() -> None:
    assert intervals(melody(60, None, 64, 64, 62)) == (4, 0, -2)
    assert intervals(melody(60)) == ()


def test_runs() -> None:
    assert runs(melody(60, 62, 64, 65), 2) == {(2, 2), (2, 1)}
    assert runs(melody(60, 62, 64, 66, 68), 2) == {(2, 2)}
    assert runs(melody(60, 62), 2) == {(2,)}
    assert runs(melody(60), 2) == {()}


@pytest.mark.parametrize(("length", "containment"), RULES)
def test_versions_of_a_tune_are_found(length: int, containment: float) -> None:
    tune, other = melody(*TUNE), melody(*OTHER)
    rhythm = replace(tune, notes=tuple(Note(note.pitch, 4 + 4 * (k % 3)) for k, note in enumerate(tune.notes)))
    versions = {
        "in another key": tune.shifted(5),
        "in another rhythm": replace(rhythm, meter=Meter(3, 4), pickup=4),
        "both": rhythm.shifted(-3),
        "with rests": melody(*(pitch for note in TUNE for pitch in (note, None))),
        "in minor by name": replace(tune, mode=Mode.MINOR),
        "with one note changed": melody(*TUNE[:13], 71, *TUNE[14:]),
        "its first half": melody(*TUNE[:14]),
        "with something before it": melody(55, 57, 59, *TUNE),
    }
    for name, version in versions.items():
        assert pairs([tune, version, other], length, containment) == {(0, 1)}, name


def test_a_tune_upside_down_or_backwards_is_another() -> None:
    upside_down = melody(*(127 - pitch for pitch in OTHER))
    assert pairs([melody(*OTHER), upside_down, melody(*TUNE), melody(*reversed(OTHER))]) == set()


def test_short_melodies_pair_when_they_are_the_same() -> None:
    assert pairs([melody(60, 62), melody(65, 67), melody(60, 63), melody(60), melody(72)]) == {(0, 1), (3, 4)}


def test_the_share_is_of_the_smaller_one_and_the_limit_counts() -> None:
    """Four runs of one interval against many: two of four are enough at a half, and not above."""
    small, large = melody(60, 61, 63, 66, 70), melody(60, 61, 63, 58, 50, 59, 49, 60)
    assert len(runs(small, 1) & runs(large, 1)) == 2
    assert pairs([small, large], 1, 0.5) == {(0, 1)}
    assert pairs([large, small], 1, 0.5) == {(0, 1)}
    assert pairs([small, large], 1, 0.51) == set()


def test_no_melodies_and_no_pairs() -> None:
    assert variant_pairs([], 6, 0.5).shape == (0, 2)
    assert variant_pairs([melody(*TUNE)], 6, 0.5).shape == (0, 2)


@pytest.mark.parametrize("containment", [0.1, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0])
def test_pairs_are_those_found_one_by_one(containment: float) -> None:
    rng = random.Random(int(containment * 100))
    found = 0
    for length in (1, 2, 3, 6):
        melodies = []
        for _ in range(25):
            if melodies and rng.random() < 0.4:  # a version of one that is there, so that there are pairs to find
                pitches = [pitch + 2 for pitch in rng.choice(melodies).pitches]
                pitches[rng.randrange(len(pitches))] = 64
            else:
                pitches = [rng.choice([60, 62, 64, 65, 67]) for _ in range(rng.randint(1, 24))]
            melodies.append(melody(*pitches))
        by_hand = pairs_by_hand(melodies, length, containment)
        assert pairs(melodies, length, containment) == by_hand
        found += len(by_hand)
    assert found > 10


def test_a_chain_is_one_cluster() -> None:
    chain = np.array([[4, 5], [0, 2], [2, 4], [1, 6]])
    assert clusters(8, chain).tolist() == [0, 1, 0, 2, 0, 0, 1, 3]
    assert clusters(3, np.empty((0, 2), int)).tolist() == [0, 1, 2]
    assert clusters(2, np.array([[0, 1], [0, 1], [1, 0]])).tolist() == [0, 0]


def test_clusters_are_numbered_as_they_first_appear() -> None:
    rng = random.Random(4)
    for _ in range(20):
        edges = np.array([[rng.randrange(30), rng.randrange(30)] for _ in range(12)])
        numbers = clusters(30, edges).tolist()
        assert [numbers[a] for a, _ in edges] == [numbers[b] for _, b in edges]
        assert list(dict.fromkeys(numbers)) == list(range(max(numbers) + 1))


# --- what ships -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("collection", Collection)
def test_no_cluster_is_in_two_splits(collection: Collection) -> None:
    splits: dict[int, set[str]] = {}
    for tune in load_tunes(collection):
        splits.setdefault(tune.cluster, set()).add(tune.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {split for found in splits.values() for split in found} == {"train", "validation", "test"}


@pytest.mark.parametrize(("collection", "rule"), list(zip(Collection, RULES, strict=True)))
def test_the_clusters_are_those_of_the_rule(collection: Collection, rule: tuple[int, float]) -> None:
    """No variant of a tune that is trained on is held out: the pairs are looked for again."""
    tunes = load_tunes(collection)
    found = variant_pairs([tune.melody for tune in tunes], *rule)
    assert len(found) > 50
    assert clusters(len(tunes), found).tolist() == [tune.cluster for tune in tunes]
    assert all(tunes[i].split is tunes[j].split for i, j in found.tolist())


def test_no_folk_tune_is_a_variant_of_a_chorale() -> None:
    folk, bach = (load_tunes(collection) for collection in (Collection.FOLK, Collection.BACH))
    found = variant_pairs([tune.melody for tune in (*folk, *bach)], BACH_RUN, BACH_CONTAINMENT)
    assert not ((found[:, 0] < len(folk)) & (found[:, 1] >= len(folk))).any()
