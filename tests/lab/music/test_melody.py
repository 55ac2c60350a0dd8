"""Melodies: their bars, keys and octaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.music.melody import CENTER_PITCH, Melody, Meter, Mode, Note, mode_of, normalized

WALTZ, COMMON = Meter(3, 4), Meter(4, 4)


def melody(*durations: int, meter: Meter = WALTZ, pickup: int = 0) -> Melody:
    return Melody(tuple(Note(60, duration) for duration in durations), meter, Mode.MAJOR, pickup)


def notes(*pitches: int | None, duration: int = 8) -> list[Note]:
    return [Note(pitch, duration) for pitch in pitches]


# --- meters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "bar", "beat"),
    [
        ("3/4", 24, 8), ("4/4", 32, 8), ("2/2", 32, 16), ("6/8", 24, 12), ("3/8", 12, 4), ("9/8", 36, 12),
        ("12/8", 48, 12), ("6/4", 48, 24), ("5/4", 40, 8), ("4/1", 128, 32), ("7/16", 14, 2), ("32/32", 32, 1),
        ("1/1", 32, 32),
    ],
)  # fmt: skip
def test_a_meter_knows_its_bar_and_its_beat(text: str, bar: int, beat: int) -> None:
    meter = Meter.parse(text)
    assert (meter.bar, meter.beat) == (bar, beat)
    assert str(meter) == text
    assert Meter.parse(str(meter)) == meter


def test_a_meter_is_read_with_space_around_it() -> None:
    assert Meter.parse(" 3/4\r\n") == WALTZ


@pytest.mark.parametrize(
    "text",
    [
        "", "C", "C|", "3", "3/", "/4", "3/4/4", "3:4", "-3/4", "3/-4", "+3/4", "3.5/4", "3 / 4", "0/4", "33/4",
        "3/0", "3/3", "3/5", "3/64", "2/4 3/4", "2+3/4", "²/4", "major", "9" * 5000 + "/4",
    ],
)  # fmt: skip
def test_what_is_no_meter_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Meter.parse(text)


# --- bars -----------------------------------------------------------------------------------------------------------


def test_bar_lengths() -> None:
    assert melody(24, 24).bar_lengths() == [24, 24]
    assert melody(8, 24, 16, pickup=8).bar_lengths() == [8, 24, 16]
    assert melody(8, 20, 30, 14, pickup=8).bar_lengths() == [8, 24, 24, 16]
    assert melody(24, 4).bar_lengths() == [24, 4]
    assert melody(100).bar_lengths() == [24, 24, 24, 24, 4]
    assert melody(4, pickup=8).bar_lengths() == [4]  # not even the pickup is full
    assert melody(8, pickup=8).bar_lengths() == [8]
    assert melody().bar_lengths() == []


def test_bar_lengths_add_up_to_the_duration() -> None:
    for durations in ((5, 7, 30), (24,), (1,), (24, 25), (3, 50, 19, 8)):
        for pickup in (0, 1, 8, 23):
            one = melody(*durations, pickup=pickup)
            assert sum(one.bar_lengths()) == one.duration == sum(durations)


def test_complete_is_a_full_last_bar_or_one_that_the_pickup_fills() -> None:
    assert melody(24, 24).complete
    assert not melody(24, 16).complete
    assert melody(8, 24, 16, pickup=8).complete
    assert melody(8, 24, 24, pickup=8).complete
    assert not melody(8, 24, 8, pickup=8).complete
    assert not melody(8, 24, 17, pickup=8).complete


def test_position_counts_from_the_bar_line() -> None:
    one = melody(24, 24)
    assert [one.position(tick) for tick in (0, 1, 23, 24, 50)] == [0, 1, 23, 0, 2]
    one = melody(8, 24, 16, pickup=8)
    assert [one.position(tick) for tick in (0, 7, 8, 9, 31, 32)] == [16, 23, 0, 1, 23, 0]


def test_onsets() -> None:
    one = melody(8, 3, 13)
    assert [tick for tick, _ in one.onsets()] == [0, 8, 11]
    assert [note for _, note in one.onsets()] == list(one.notes)


# --- keys -----------------------------------------------------------------------------------------------------------


def test_shifting_keeps_the_source() -> None:
    one = Melody((Note(60, 8), Note(None, 4), Note(64, 12, True)), WALTZ, Mode.MAJOR, transposition=-3)
    up = one.shifted(5)
    assert up.notes == (Note(65, 8), Note(None, 4), Note(69, 12, True))
    assert up.transposition == -8
    assert up.sounding() == one.sounding()
    assert up.shifted(-5) == one
    assert one.pitches == [60, 64]


def test_sounding_goes_to_the_source_or_to_a_key_of_choice() -> None:
    one = Melody((Note(60, 24),), WALTZ, Mode.MAJOR, transposition=-3)
    assert one.sounding().pitches == [57]
    assert one.sounding().transposition == 0
    assert one.sounding(0) == one
    assert one.sounding(2).pitches == [62]
    assert one.sounding(2).sounding() == one.sounding()


def test_normalising_brings_any_key_to_c_major_or_a_minor() -> None:
    for tonic in range(12):
        major = normalized(notes(*(60 + tonic + step for step in (0, 4, 7, 0))), COMMON, tonic, 0)
        assert major.mode is Mode.MAJOR
        assert [pitch % 12 for pitch in major.pitches] == [0, 4, 7, 0]
        minor = normalized(notes(*(60 + tonic + step for step in (0, 3, 7, 0))), COMMON, tonic, 0)
        assert minor.mode is Mode.MINOR
        assert [pitch % 12 for pitch in minor.pitches] == [9, 0, 4, 9]
        assert major.sounding().pitches == [60 + tonic + step for step in (0, 4, 7, 0)]


def test_normalising_finds_the_octave_nearest_to_the_center() -> None:
    for lowest in range(24, 97):
        one = normalized(notes(lowest, lowest + 4, None, lowest + 7), COMMON, lowest % 12, 0)
        mean = sum(one.pitches) / 3
        assert abs(mean - CENTER_PITCH) <= 6
        assert one.sounding().pitches == [lowest, lowest + 4, lowest + 7]
    assert normalized(notes(60), COMMON, 0, 0).pitches == [72]  # three above the center, not nine below
    assert normalized(notes(62), COMMON, 0, 0).pitches == [74]
    assert normalized(notes(64), COMMON, 0, 0).pitches == [64]


def test_normalising_keeps_everything_else() -> None:
    given = [Note(65, 8), Note(None, 4, True), Note(69, 12, True)]
    one = normalized(given, WALTZ, 5, 8)
    assert (one.meter, one.pickup) == (WALTZ, 8)
    assert [replace(note, pitch=None) for note in one.notes] == [replace(note, pitch=None) for note in given]
    assert normalized(given, WALTZ, 5, 8, Mode.MINOR).mode is Mode.MINOR


def test_normalising_silence_is_refused() -> None:
    for silence in ([], notes(None, None)):
        with pytest.raises(ValueError, match="at least one note"):
            normalized(silence, WALTZ, 0, 0)


def test_the_mode_is_that_of_the_third_that_sounds_longer() -> None:
    assert mode_of([Note(64, 8), Note(63, 12)], 0) is Mode.MINOR
    assert mode_of([Note(64, 12), Note(63, 8)], 0) is Mode.MAJOR
    assert mode_of([Note(63, 4), Note(51, 4), Note(64, 6)], 0) is Mode.MINOR  # in any octave
    assert mode_of([Note(63, 8), Note(64, 8)], 0) is Mode.MAJOR
    assert mode_of(notes(60, 67), 0) is Mode.MAJOR
    assert mode_of([], 0) is Mode.MAJOR
    assert mode_of(notes(60), 9) is Mode.MINOR
    assert (Mode.MAJOR.tonic, Mode.MINOR.tonic) == (0, 9)
