"""Morphing: a melody at each strength, and means over more and more of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from lab.music import morph as module
from lab.music.classifier import Kind, load_classifier
from lab.music.composing import MelodySettings, Piece, compose, write_all
from lab.music.measures import NAMES, measure
from lab.music.morph import STRENGTHS, Morph, mean, means_of, morph
from lab.music.opening import OpeningError
from lab.music.voices import Voice, Voices

SEEDS = 4
SETTINGS = MelodySettings(seed=11, phrases=1, voices="lora")


@pytest.fixture(scope="module")
def steps(voices: Voices) -> list[Morph]:
    """All that one morph yields, with fewer seeds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SEEDS", SEEDS)
        return list(morph(voices, SETTINGS))


def test_strengths_go_from_none_to_twice(steps: list[Morph]) -> None:
    assert STRENGTHS[0] == 0.0 and STRENGTHS[-1] == 2.0 and 1.0 in STRENGTHS
    assert list(STRENGTHS) == sorted(set(STRENGTHS))
    assert all(step.strengths == STRENGTHS for step in steps)


def test_one_piece_per_strength(steps: list[Morph]) -> None:
    for step in steps:
        assert [piece.strength for piece in step.pieces] == list(STRENGTHS)
        assert {piece.voice for piece in step.pieces} == {Voice.LORA}
        assert step.pieces == steps[0].pieces
    assert len({piece.written for piece in steps[0].pieces}) > 2  # it makes a difference


def test_pieces_are_those_that_the_voice_writes(voices: Voices, steps: list[Morph]) -> None:
    (folk,) = compose(voices, SETTINGS.model_copy(update={"voices": "folk"}))
    assert steps[0].pieces[0].written == folk.written
    (lora,) = compose(voices, SETTINGS.model_copy(update={"strength": 1.5}))
    assert steps[0].pieces[STRENGTHS.index(1.5)].written == lora.written


def test_the_first_step_is_there_before_the_means(steps: list[Morph]) -> None:
    assert (steps[0].means, steps[0].done) == ({}, 0.0)


def test_done_grows_to_one(steps: list[Morph]) -> None:
    done = [step.done for step in steps]
    assert done == sorted(set(done))
    assert done == [0.0, 0.5, 1.0]


def test_means_have_a_value_per_strength(steps: list[Morph]) -> None:
    for step in steps[1:]:
        assert step.means.keys() == {*NAMES, "bach"}
        assert all(len(values) == len(STRENGTHS) for values in step.means.values())
        assert all(0 <= value <= 1 for value in step.means["bach"])
    assert steps[1].means != steps[2].means


def test_means_are_those_of_neighbouring_seeds(voices: Voices, steps: list[Morph]) -> None:
    for place in (0, 4):
        wishes = [(Voice.LORA, STRENGTHS[place], SETTINGS.seed + n) for n in range(SEEDS)]
        found = write_all(voices, SETTINGS, wishes)
        tables = [measure(piece.melody) for piece in found]
        for name in ("steps", "range", "quarters"):
            expected = mean([table[name] for table in tables])
            assert steps[-1].means[name][place] == pytest.approx(expected, nan_ok=True)
        probability = sum(load_classifier(Kind.ALL).probability(piece.melody) for piece in found) / SEEDS
        assert steps[-1].means["bach"][place] == pytest.approx(probability)


def test_means_of_groups_of_different_sizes(steps: list[Morph]) -> None:
    one, other = steps[0].pieces[0], steps[0].pieces[-1]
    groups: Sequence[Sequence[Piece]] = [[one, one, one], [other], [one, other]]
    means = means_of(groups)
    assert means["range"][0] == measure(one.melody)["range"]
    assert means["range"][2] == pytest.approx((means["range"][0] + means["range"][1]) / 2)
    assert means["bach"][2] == pytest.approx((means["bach"][0] + means["bach"][1]) / 2)


def test_what_is_not_known_does_not_count() -> None:
    assert mean([1.0, math.nan, 4.0]) == 2.5
    assert math.isnan(mean([math.nan])) and math.isnan(mean([]))


def test_an_opening_that_cannot_be_read_ends_it_before_it_begins(voices: Voices) -> None:
    with pytest.raises(OpeningError):
        next(morph(voices, SETTINGS.model_copy(update={"opening": "[CEG]"})))


def test_the_highest_seed_has_neighbours(voices: Voices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STRENGTHS", (1.0,))
    monkeypatch.setattr(module, "SEEDS", 4)
    *_, last = morph(voices, SETTINGS.model_copy(update={"seed": 2**31 - 1}))
    assert last.done == 1.0
