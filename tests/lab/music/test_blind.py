"""The blind test: three clips, one of each kind, none of which gives itself away."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import pytest

from lab.music import blind
from lab.music.blind import CLIP_QUARTERS, MACHINES, SHORTEST_QUARTERS, Clip, Truth, clip_of, round_of
from lab.music.composing import METERS
from lab.music.corpus import Collection, Split, load_split
from lab.music.melody import TICKS_PER_QUARTER, Melody, Meter, Mode, Note
from lab.music.voices import VOICES, Voice, Voices

SEEDS = range(6)


@pytest.fixture(scope="module")
def rounds(voices: Voices) -> dict[int, list[Clip]]:
    """Rounds by seed; the tunes are read once for all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blind, "_long_enough", cache(blind._long_enough))
        return {seed: round_of(voices, seed) for seed in SEEDS}


def melody(text: str) -> Melody:
    """Read quarters such as ``8 4, 12``, a comma where a phrase ends."""
    notes = [Note(60, int(word.rstrip(",")) * TICKS_PER_QUARTER, word.endswith(",")) for word in text.split()]
    return Melody(tuple(notes), Meter(4, 4), Mode.MAJOR, transposition=3)


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("16, 16, 8 8,", 2),  # just long enough
        ("16, 15, 1 8, 8,", 4),  # with the first phrase that ends later
        ("16 16 16 1 15, 8,", 5),
        ("40, 8,", 1),
        ("16, 15,", 2),  # too short to be cut
        ("16, 40 8", 3),  # no phrase ends
    ],
)
def test_clips_are_cut_at_the_end_of_a_phrase(text: str, notes: int) -> None:
    whole = melody(text)
    assert clip_of(whole) == replace(whole, notes=whole.notes[:notes])


def test_a_round_has_one_clip_of_each_kind(rounds: dict[int, list[Clip]]) -> None:
    for clips in rounds.values():
        assert len(clips) == 3
        assert {clip.truth for clip in clips} == set(Truth)


def test_the_order_is_the_seeds(rounds: dict[int, list[Clip]]) -> None:
    assert len({tuple(clip.truth for clip in clips) for clips in rounds.values()}) > 2
    assert len({clip.melody for clips in rounds.values() for clip in clips}) > 2 * len(rounds)


def test_the_same_seed_gives_the_same_clips(voices: Voices, rounds: dict[int, list[Clip]]) -> None:
    assert round_of(voices, 3) == rounds[3]


@pytest.mark.parametrize(
    ("truth", "collection"), [(Truth.BACH, Collection.BACH), (Truth.FOLK, Collection.FOLK)], ids=str
)
def test_real_ones_are_from_the_test_split(rounds: dict[int, list[Clip]], truth: Truth, collection: Collection) -> None:
    tunes = {tune.id: tune for tune in load_split(collection, Split.TEST)}
    seen = set()
    for clips in rounds.values():
        (clip,) = (clip for clip in clips if clip.truth is truth)
        tune = tunes[clip.source]
        assert clip.melody == clip_of(tune.melody)
        assert clip.melody.notes == tune.melody.notes[: len(clip.melody.notes)]
        assert clip.melody.notes[-1].phrase_end
        assert clip.melody.duration >= SHORTEST_QUARTERS * TICKS_PER_QUARTER
        assert tune.title in clip.about
        assert ("chorale melody" in clip.about) is (truth is Truth.BACH)
        seen.add(tune.id)
    assert len(seen) > 1


def test_machines_are_voices(rounds: dict[int, list[Clip]]) -> None:
    headers = {
        (str(tune.melody.mode), str(tune.melody.meter)) for c in Collection for tune in load_split(c, Split.TEST)[:400]
    }
    for clips in rounds.values():
        (clip,) = (clip for clip in clips if clip.truth is Truth.MACHINE)
        assert Voice(clip.source) in MACHINES
        assert VOICES[Voice(clip.source)].title in clip.about
        assert (str(clip.melody.mode), str(clip.melody.meter)) in headers
        assert clip_of(clip.melody) == clip.melody
        assert clip.melody.transposition == 0
    assert len({clip.source for clips in rounds.values() for clip in clips if clip.truth is Truth.MACHINE}) > 1


def test_every_header_of_a_test_tune_can_be_asked_for() -> None:
    """Else a round would fail for some seeds."""
    for collection in Collection:
        for tune in load_split(collection, Split.TEST):
            assert tune.tokens[1] in METERS, tune.id
            assert 1 <= int(tune.tokens[2].split()[0]) <= 12


def test_no_clip_is_much_longer_than_the_others(rounds: dict[int, list[Clip]]) -> None:
    """A clip ends with the first phrase that ends after so long: unless that one phrase is long."""
    for clips in rounds.values():
        for clip in clips:
            if clip.truth is not Truth.MACHINE:
                assert math.ceil(clip.melody.duration / TICKS_PER_QUARTER) < 2 * CLIP_QUARTERS
