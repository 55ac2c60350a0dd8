"""Measures: a melody worked out by hand, what must not matter to them, melodies of nothing, and the collections."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lab.music.corpus import Collection, Split, load_split
from lab.music.measures import (
    MEASURES,
    NAMES,
    Unit,
    corpus_measures,
    corpus_values,
    entropy,
    measure,
    phrases,
    share,
)
from lab.music.melody import Melody, Meter, Mode, Note

FOUR = Meter(4, 4)

# G | C D E. D | C (rest) G | F sharp, E E, B C, in two phrases that end on C
TUNE = Melody(
    (
        Note(67, 8),
        *(Note(72, 8), Note(74, 8), Note(76, 12), Note(74, 4)),
        *(Note(72, 16, True), Note(None, 8), Note(79, 8)),
        *(Note(78, 4), Note(76, 2), Note(76, 2), Note(71, 8), Note(72, 16, True)),
    ),
    FOUR,
    Mode.MAJOR,
    pickup=8,
)
BY_HAND = {
    "quarters": 5 / 12,
    "eighths": 2 / 12,
    "halves": 2 / 12,
    "dotted": 1 / 12,
    "short": 2 / 12,
    "duration_entropy": -(5 * math.log2(5 / 12) + 6 * math.log2(2 / 12) + math.log2(1 / 12)) / 12,
    "notes_per_bar": 12 / 3.25,  # three bars and a pickup of a quarter of one
    "pickup": 1,
    "phrase_length": (7 + 6) / 2,  # the rest opens the second one
    "stable_ends": 1,
    "repeated": 1 / 11,  # E E
    "steps": 7 / 11,
    "thirds": 0,
    "leaps": 3 / 11,  # G up to C, C up to G, E down to B
    "turns": 4 / 9,  # +++ -- + --- +
    "range": 12,
    "mean_pitch": 887 / 12 - 72,
    "diatonic": 11 / 12,  # all but F sharp
    "final_tonic": 1,
    "pitch_entropy": (4 * math.log2(6) + 6 * math.log2(4) + 2 * math.log2(12)) / 12,  # C3 E3 G2 D2 F#1 B1
}


def melody_of(*pitches: int | None, mode: Mode = Mode.MAJOR, ends: tuple[int, ...] = ()) -> Melody:
    """Quarter notes; phrases end with those whose number is in ``ends``."""
    return Melody(tuple(Note(pitch, 8, n in ends) for n, pitch in enumerate(pitches)), FOUR, mode)


def test_by_hand() -> None:
    assert measure(TUNE) == pytest.approx(BY_HAND)


def test_order_is_that_of_the_table() -> None:
    assert tuple(measure(TUNE)) == NAMES == tuple(BY_HAND)


def test_the_table_is_fit_to_be_shown() -> None:
    assert len(set(NAMES)) == len({one.title for one in MEASURES}) == len(MEASURES)
    for one in MEASURES:
        assert one.explanation[0].isupper() and one.explanation.endswith(".") and len(one.title) <= 26


@pytest.mark.parametrize("octaves", [-2, -1, 1])
def test_octaves_do_not_matter(octaves: int) -> None:
    assert measure(TUNE.shifted(12 * octaves)) == pytest.approx(BY_HAND)


def test_pitch_only_measures_do_not_hear_rhythm_meter_rests_and_phrases() -> None:
    notes = [Note(note.pitch, 2 + n, n % 4 == 0) for n, note in enumerate(TUNE.notes) if note.pitch is not None]
    other = replace(TUNE, notes=(Note(None, 3), *notes, Note(None, 7, True)), meter=Meter(3, 8), pickup=0)
    heard = measure(other)
    for one in MEASURES:
        if one.pitch_only:
            assert heard[one.name] == pytest.approx(BY_HAND[one.name]), one.name
        else:
            assert heard[one.name] != pytest.approx(BY_HAND[one.name]), one.name


def test_intervals_add_up_to_all() -> None:
    for tune in load_split(Collection.FOLK, Split.TEST)[:50]:
        found = measure(tune.melody)
        assert found["repeated"] + found["steps"] + found["thirds"] + found["leaps"] == pytest.approx(1)


def test_minor_has_both_forms_of_sixth_and_seventh() -> None:
    scale = melody_of(69, 71, 72, 74, 76, 78, 80, 81, 79, 77, 76, 74, 72, 71, 69, mode=Mode.MINOR)
    assert measure(scale)["diatonic"] == 1
    assert measure(melody_of(69, 70, 73, 75, 69, mode=Mode.MINOR))["diatonic"] == pytest.approx(2 / 5)
    assert measure(melody_of(72, 80, 82, 72))["diatonic"] == pytest.approx(2 / 4)


def test_ends_of_phrases() -> None:
    ended = melody_of(72, 76, 79, 77, 71, 72, ends=(1, 2, 3, 4))  # on 3, 5, 4, 7, and what is left on 1
    assert measure(ended)["stable_ends"] == pytest.approx(3 / 5)
    minor = melody_of(69, 72, 76, 73, 74, mode=Mode.MINOR, ends=(0, 1, 2, 3, 4))  # 1, 3, 5, raised 3, 4
    assert measure(minor)["stable_ends"] == pytest.approx(4 / 5)
    rests = melody_of(74, 72, None, 71, None, ends=(2, 4))  # the note before the rest counts
    assert measure(rests)["stable_ends"] == pytest.approx(1 / 2)


def test_mean_pitch_is_above_the_tonic_nearest_to_the_last_note() -> None:
    assert measure(melody_of(72, 74, 79))["mean_pitch"] == pytest.approx(75 - 84)  # G lies closer to the C above
    assert measure(melody_of(72, 76, 74, 76))["mean_pitch"] == pytest.approx(74.5 - 72)
    assert measure(melody_of(76, 68, 69, mode=Mode.MINOR))["mean_pitch"] == pytest.approx(71 - 69)
    assert measure(melody_of(72, 78))["mean_pitch"] == pytest.approx(75 - 72)  # a tritone: the tonic below


def test_phrases_without_a_note_are_none() -> None:
    notes = (Note(60, 8, True), Note(None, 8, True), Note(None, 8), Note(62, 8), Note(None, 8, True), Note(None, 16))
    found = phrases(Melody(notes, FOUR, Mode.MAJOR))
    assert [sum(note.duration for note in phrase) for phrase in found] == [8, 24]


@pytest.mark.parametrize(
    ("notes", "known"),
    [
        ((), {"pickup": 0}),
        ((Note(None, 8), Note(None, 24, True)), {"pickup": 0, "notes_per_bar": 0}),
        (
            (Note(64, 8),),
            {"quarters": 1, "duration_entropy": 0, "range": 0, "final_tonic": 0, "diatonic": 1, "stable_ends": 1,
             "mean_pitch": 4, "pitch_entropy": 0, "phrase_length": 1, "notes_per_bar": 4, "pickup": 0},
        ),
    ],
)  # fmt: skip
def test_melodies_of_little(notes: tuple[Note, ...], known: dict[str, float]) -> None:
    found = measure(Melody(notes, FOUR, Mode.MAJOR))
    assert {name: found[name] for name in known} == known
    if not any(note.pitch is not None for note in notes):
        assert all(math.isnan(found[name]) for name in NAMES if name not in known)
    else:
        assert all(math.isnan(found[name]) for name in ("repeated", "steps", "thirds", "leaps", "turns"))


def test_only_repeated_notes_have_no_direction() -> None:
    found = measure(melody_of(60, 60, 60))
    assert found["repeated"] == 1 and math.isnan(found["turns"])
    assert math.isnan(measure(melody_of(60, 62, 62))["turns"])  # a single move cannot turn
    assert measure(melody_of(60, 62, 62, 60))["turns"] == 1


def test_share_and_entropy() -> None:
    assert math.isnan(share([])) and math.isnan(entropy([]))
    assert share([True, False, True, True]) == 0.75
    assert entropy([1, 2, 3, 4]) == pytest.approx(2)
    assert math.copysign(1, entropy([5, 5])) == 1  # not "-0.0" on a page


def test_corpus_measures_summarise_the_values() -> None:
    values = corpus_values(Collection.BACH, Split.TEST)
    tunes = load_split(Collection.BACH, Split.TEST)
    assert values.shape == (len(tunes), len(MEASURES)) and not values.flags.writeable
    assert values[3].tolist() == pytest.approx(list(measure(tunes[3].melody).values()), nan_ok=True)
    spread = corpus_measures(Collection.BACH, Split.TEST)["range"]
    column = values[:, NAMES.index("range")]
    assert spread.tunes == len(tunes) and spread.mean == pytest.approx(column.mean())
    assert [spread.lower, spread.median, spread.upper] == np.percentile(column, [25, 50, 75]).tolist()
    for one, found in zip(MEASURES, values.T, strict=True):
        if one.unit in (Unit.SHARE, Unit.FLAG):
            assert found.min() >= 0 and found.max() <= 1


def test_the_collections_differ_as_an_earlier_study_found() -> None:
    folk, bach = (corpus_measures(collection, Split.TRAIN) for collection in (Collection.FOLK, Collection.BACH))
    known = {"quarters": (0.31, 0.68), "steps": (0.49, 0.70), "thirds": (0.17, 0.08), "eighths": (0.47, 0.17)}
    for name, (of_folk, of_bach) in known.items():
        assert folk[name].mean == pytest.approx(of_folk, abs=0.025)
        assert bach[name].mean == pytest.approx(of_bach, abs=0.025)
