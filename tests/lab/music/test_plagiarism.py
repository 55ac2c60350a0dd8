"""The longest copied run: against all pairs of runs on small data, and on the tunes that ship."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest

from lab.music import plagiarism
from lab.music.corpus import Collection, Split, Tune, load_split
from lab.music.melody import Melody, Meter, Mode, Note
from lab.music.plagiarism import Closest, Index, closest, load_index, tune_pitches
from lab.music.tokens import write
from lab.music.variants import intervals

BOTH = (Collection.FOLK, Collection.BACH)


def melody_of(pitches: Sequence[int | None], durations: Sequence[int] = (8,)) -> Melody:
    notes = tuple(Note(pitch, durations[n % len(durations)]) for n, pitch in enumerate(pitches))
    return Melody(notes, Meter(4, 4), Mode.MAJOR)


def tune_of(melody: Melody, name: str = "") -> Tune:
    return Tune(name, name, "", Split.TRAIN, 0, 0, tuple(write(melody)))


def index_of(*tunes: Sequence[int]) -> Index:
    return Index.of((Collection.FOLK, tune_of(melody_of(pitches), str(n))) for n, pitches in enumerate(tunes))


def walk(chooser: random.Random, notes: int, steps: Sequence[int] = (-2, 0, 2)) -> list[int]:
    pitches = [66]
    while len(pitches) < notes:
        pitches.append(min(80, max(50, pitches[-1] + chooser.choice(steps))))
    return pitches


def steps_of(pitches: Sequence[int]) -> tuple[int, ...]:
    return intervals(melody_of(pitches))


def test_longest_against_all_runs() -> None:
    """The definition, carried out naively: every run of the melody in every place of every tune."""
    chooser = random.Random(0)
    for _ in range(60):
        tunes = [walk(chooser, chooser.randint(1, 14)) for _ in range(chooser.randint(1, 6))]
        query = steps_of(walk(chooser, chooser.randint(1, 14), steps=(-2, 0, 2, 3)))
        everywhere = [steps_of(tune) for tune in tunes]
        found = [
            (length, -start)
            for start in range(len(query))
            for length in range(1, len(query) - start + 1)
            if any(query[start : start + length] == s[at : at + length] for s in everywhere for at in range(len(s)))
        ]
        best, start = max(found, default=(0, 0))
        index = index_of(*tunes)
        assert index.longest(query) == (-start, best)
        if best:
            run = query[-start : -start + best]
            expected = [
                (number, at) for number, s in enumerate(everywhere) for at in range(len(s)) if s[at : at + best] == run
            ]
            assert index.places(run) == expected


def test_runs_do_not_cross_from_tune_to_tune() -> None:
    index = index_of([60, 62, 64], [65, 67, 69])
    assert index.longest((2, 2, 2, 2)) == (0, 2)
    assert index.places((2, 2)) == [(0, 0), (1, 0)]


def test_nothing_shared() -> None:
    assert index_of([60, 62]).longest((1, 3, -2)) == (0, 0)
    assert index_of([60], []).longest((1, 3)) == (0, 0)
    assert Index.of([]).longest((1,)) == (0, 0)
    assert index_of([60, 62]).longest(()) == (0, 0)


def test_widest_intervals_are_no_separators() -> None:
    index = index_of([36, 96, 36], [36, 37])
    assert index.longest((60, -60)) == (0, 2)
    assert index.longest((-127, 127, 1)) == (2, 1)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[Tune]:
    """Three tunes instead of the collections."""
    tunes = [
        tune_of(melody_of([60, 62, 64, 65, 67, 60]), "scale"),
        tune_of(melody_of([72, 60, 67, 69, 71, 72, 74, 67]), "scale from its third note on"),
        tune_of(melody_of([60, 71, 60]), "leaps"),
    ]
    index = Index.of((Collection.BACH, tune) for tune in tunes)
    monkeypatch.setattr(plagiarism, "load_index", lambda collections: index)
    return tunes


def test_closest_tells_where(small: list[Tune]) -> None:
    found = closest(melody_of([80, 70, 72, 74, 75, 77, 90]))
    assert found == Closest(4, small[0], Collection.BACH, position=1, tune_position=0, tunes=2)
    found = closest(melody_of([50, 55, 60, 62, 64, 65, 67, 60, 61]))  # with the fall of a fifth it is in both
    assert (found.length, found.position, found.tunes) == (5, 2, 2)
    found = closest(melody_of([61, 60, 67, 69, 71]))
    assert found == Closest(3, small[1], Collection.BACH, position=1, tune_position=1, tunes=1)


def test_rhythm_and_rests_do_not_matter(small: list[Tune]) -> None:
    melody = melody_of([None, 60, 62, None, 64, 65, None, 67, None], durations=(4, 12, 2))
    assert closest(melody) == Closest(4, small[0], Collection.BACH, 0, 0, 2)


def test_an_opening_is_left_out(small: list[Tune]) -> None:
    melody = melody_of([60, 62, 64, 65, 67, 66, 77, 66])
    assert closest(melody).length == 4
    assert closest(melody, skip=2) == Closest(2, small[0], Collection.BACH, position=2, tune_position=2, tunes=2)
    assert closest(melody, skip=5) == Closest(2, small[2], Collection.BACH, position=5, tune_position=0, tunes=1)
    assert closest(melody, skip=7) == closest(melody, skip=8) == closest(melody, skip=99) == Closest(0)
    with pytest.raises(ValueError, match="skip"):
        closest(melody, skip=-1)


@pytest.mark.parametrize("pitches", [[], [60], [None, None], [None, 60, None]])
def test_melodies_of_little(small: list[Tune], pitches: list[int | None]) -> None:
    assert closest(melody_of(pitches)) == Closest(0)


def test_pitches_are_those_of_the_melody() -> None:
    tied = Melody((Note(60, 40), Note(None, 40), Note(60, 16), Note(60, 8, True)), Meter(4, 4), Mode.MINOR, pickup=4)
    assert tune_pitches(write(tied)) == tied.pitches == [60, 60, 60]
    for collection in Collection:
        for tune in load_split(collection, Split.TRAIN)[::10]:
            assert tune_pitches(tune.tokens) == tune.melody.pitches


@pytest.mark.parametrize("collection", list(Collection))
def test_a_copy_of_a_training_tune_is_found(collection: Collection) -> None:
    for tune in load_split(collection, Split.TRAIN)[7::60][:20]:
        source = tune.melody
        altered = tuple(replace(note, duration=3) for note in source.shifted(5).notes)
        copy = replace(source, notes=(Note(41, 8), *altered), meter=Meter(3, 4))
        found = closest(copy, (collection,))
        assert found.length >= len(source.pitches) - 1 and found.tune is not None
        copied = intervals(found.tune.melody)[found.tune_position :][: found.length]
        assert copied == intervals(copy)[found.position :][: found.length]
        assert found.collection is collection


def test_collections_are_looked_in_as_asked() -> None:
    chorale = load_split(Collection.BACH, Split.TRAIN)[5]
    assert closest(chorale.melody, (Collection.BACH,)).length == len(chorale.melody.pitches) - 1
    assert closest(chorale.melody, (Collection.FOLK,)).length < len(chorale.melody.pitches) - 1
    assert closest(chorale.melody).collection is Collection.BACH


def test_one_thread_builds_and_all_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    of = Index.of
    monkeypatch.setattr(plagiarism, "load_split", lambda collection, split: load_split(collection, split)[:200])
    monkeypatch.setattr(plagiarism.Index, "of", lambda tunes: built.append(1) or of(tunes))
    monkeypatch.setattr(plagiarism, "_built", cache(plagiarism._built.__wrapped__))
    found: list[Index] = []
    threads = [threading.Thread(target=lambda: found.append(load_index(BOTH))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1 and len(found) == 8 and len({id(index) for index in found}) == 1


def test_time() -> None:
    """Processor time, so that what else runs here does not fail it."""
    chooser = random.Random(1)
    load_index(BOTH)
    for steps in ((0,), (-2, 2), (-2, -1, 0, 1, 2), range(-7, 8)):
        melody = melody_of(walk(chooser, 80, steps))
        begun = time.process_time()
        closest(melody)
        assert time.process_time() - begun < 0.05
