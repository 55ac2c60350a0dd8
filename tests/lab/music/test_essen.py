"""The reader of the folk songs' ABC: accidentals, bars, pickups, phrases and ties of songs made by hand."""

from __future__ import annotations

import pytest

from lab.music.essen import Song, UnreadableSong, check_bars, is_german, read_bars, read_key, read_song, songs
from lab.music.melody import Meter, Mode, Note

EIGHTH = 4  # ticks
FOUR_QUARTERS = 32


def pitches(body: str, sharps: int = 0) -> list[int | None]:
    """Pitches as written, before they are brought to C major or A minor."""
    return [note.pitch for bar in bars(body, sharps) for note in bar]


def bars(body: str, sharps: int = 0, bar_length: int = FOUR_QUARTERS) -> list[list[Note]]:
    read = read_bars(body, EIGHTH, sharps, bar_length)
    return [[Note(note.pitch, note.duration, note.phrase_end) for note in bar] for bar in read]


def song(body: str, **fields: str) -> Song:
    return read_song({"M": "4/4", "L": "1/8", "K": "C"} | fields, body)


def notes(body: str, **fields: str) -> list[tuple[int | None, int, bool]]:
    """Notes of a whole song in the key in which it is written."""
    return [(n.pitch, n.duration, n.phrase_end) for n in song(body, **fields).melody.sounding().notes]


# --- pitch ----------------------------------------------------------------------------------------------------------


def test_letters_and_octave_marks() -> None:
    assert pitches("C D E F G A B c d e f g a b") == [60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 79, 81, 83]
    assert pitches("C, C,, c' c'' z B, b'") == [48, 36, 84, 96, None, 59, 95]
    assert pitches("c, C'") == [60, 72]  # the same notes, written the long way


def test_an_accidental_holds_to_the_bar_line() -> None:
    assert pitches("^F2 F2 G2 F2 | F2") == [66, 66, 67, 66, 65]
    assert pitches("_B2 B2 | B2") == [70, 70, 71]


def test_an_accidental_holds_across_the_end_of_a_line_that_does_not_end_the_bar() -> None:
    assert pitches("^F2 G2\nF2 G2 | F2") == [66, 67, 66, 67, 65]


def test_an_accidental_ends_with_a_full_bar_at_the_end_of_a_line() -> None:
    assert pitches("^F4 F4\nF4") == [66, 66, 65]


def test_an_accidental_is_for_its_own_octave() -> None:
    assert pitches("^F2 f2 F2 F,2") == [66, 77, 66, 53]


def test_a_natural_undoes_the_signature_and_an_accidental() -> None:
    assert pitches("F2 =F2 F2 | F2", sharps=1) == [66, 65, 65, 66]
    assert pitches("^G2 =G2 G2") == [68, 67, 67]
    assert pitches("=B2 _B2 B2 | B2", sharps=-1) == [71, 70, 70, 70]


def test_the_signature_holds_in_all_octaves() -> None:
    assert pitches("F f F, C c", sharps=2) == [66, 78, 54, 61, 73]
    assert pitches("B b E e A", sharps=-2) == [70, 82, 63, 75, 69]


@pytest.mark.parametrize(
    ("key", "tonic", "sharps"),
    [
        ("C", 0, 0), ("G", 7, 1), ("F#", 6, 6), ("F", 5, -1), ("Bb", 10, -2), ("Es", 3, -3), ("Eb", 3, -3),
        ("As", 8, -4), ("Db", 1, -5), ("Gb", 6, -6), ("H", 11, 5), ("B", 11, 5), ("Am", 9, 0), ("Dm", 2, -1),
        ("Em", 4, 1), ("Cm", 0, -3), ("Abm", 8, -7), ("F#m", 6, 3), ("Bbm", 10, -5),
    ],
)  # fmt: skip
def test_keys(key: str, tonic: int, sharps: int) -> None:
    assert read_key(key) == (tonic, sharps)


@pytest.mark.parametrize("key", ["", "m", "X", "C major", "c", "Gbm", "Dbm"])
def test_a_key_that_there_is_not_is_refused(key: str) -> None:
    with pytest.raises(UnreadableSong, match="key"):
        read_key(key)


@pytest.mark.parametrize(
    ("key", "scale"),
    [
        ("D", [62, 64, 66, 67, 69, 71, 73, 74]),
        ("Eb", [63, 65, 67, 68, 70, 72, 74, 75]),
        ("Gm", [67, 69, 70, 72, 74, 75, 77, 79]),
    ],
)
def test_a_scale_under_a_signature_sounds_in_its_key(key: str, scale: list[int]) -> None:
    letters = "CDEFGABcdefgab"
    first = letters.index(key[0])
    body = " ".join(letters[first : first + 4]) + " | " + " ".join(letters[first + 4 : first + 8])
    read = song(body, K=key, M="4/8")
    assert read.melody.sounding().pitches == scale
    assert read.melody.pitches[0] % 12 == (9 if key.endswith("m") else 0)


# --- bars and lengths -----------------------------------------------------------------------------------------------


def test_lengths_are_multiples_of_the_unit() -> None:
    assert [duration for _, duration, _ in notes("C C2 C3 C2 | C8")] == [4, 8, 12, 8, 32]
    assert [duration for _, duration, _ in notes("C4 C4 C8 | C16", L="1/16")] == [8, 8, 16, 32]
    assert [duration for _, duration, _ in notes("C2 C2 C4 | C8", L="1/32", M="1/4")] == [2, 2, 4, 8]


def test_a_unit_is_an_eighth_where_none_is_given() -> None:
    read = read_song({"M": "2/4"}, "C4 | D4")
    assert [note.duration for note in read.melody.notes] == [16, 16]


def test_a_pickup_is_a_short_first_bar() -> None:
    melody = song("G2 | C2 D2 E2 F2 | G6").melody
    assert melody.pickup == 8
    assert melody.bar_lengths() == [8, 32, 24]
    assert melody.complete
    assert song("C8 | D8").melody.pickup == 0


def test_a_full_bar_at_the_end_of_a_line_needs_no_bar_line() -> None:
    assert [len(bar) for bar in bars("C8\nD4 E4\nF2 G6 | A8")] == [1, 2, 2, 1]
    melody = song("G2 | C8\nD8\nE6").melody
    assert (melody.pickup, melody.bar_lengths()) == (8, [8, 32, 32, 24])


def test_a_bar_goes_on_across_the_end_of_a_line_that_comes_before_it_is_full() -> None:
    assert [len(bar) for bar in bars("C8 | D4\nE4 | F8")] == [1, 2, 1]


def test_a_second_bar_line_makes_no_empty_bar() -> None:
    assert [len(bar) for bar in bars("| C8 |\n| D8 | | E8 |")] == [1, 1, 1]


def test_the_last_bar_may_be_short_and_no_other() -> None:
    assert song("C8 | D4").melody.bar_lengths() == [32, 16]
    for body in ("C8 | D4 | E8", "C8 | D8 D | E8", "C8 D | E8", "C2 | D8 | E8 E", "C8 | D4\nE8 | F8"):
        with pytest.raises(UnreadableSong, match="as long as the meter says"):
            song(body)


def test_check_bars() -> None:
    assert check_bars([8, 32, 32], 32) == 8
    assert check_bars([32, 32], 32) == 0
    assert check_bars([8, 8], 32) == 8
    for lengths in ([], [32]):
        with pytest.raises(UnreadableSong, match="fewer than two bars"):
            check_bars(lengths, 32)


# --- phrases --------------------------------------------------------------------------------------------------------


def test_the_end_of_a_line_ends_a_phrase() -> None:
    ends = [end for _, _, end in notes("C4 D4 | E4\nF4 | G8\nA8")]
    assert ends == [False, False, True, False, True, True]


def test_a_rest_at_the_end_of_a_line_belongs_to_the_phrase() -> None:
    assert [(pitch, end) for pitch, _, end in notes("C6 z2\nD8\nE4 z4")] == [
        (60, False), (None, True), (62, True), (64, False), (None, True)
    ]  # fmt: skip


def test_a_bar_line_before_the_end_of_a_line_changes_nothing() -> None:
    assert notes("C8 |\nD8 |\n") == notes("C8\nD8")


# --- ties -----------------------------------------------------------------------------------------------------------


def test_ties_within_a_bar_and_over_bar_lines() -> None:
    assert notes("C2-C2 D4- | D8- | D2 E6") == [(60, 16, False), (62, 56, False), (64, 24, True)]


def test_a_tied_note_ends_the_phrase_where_its_last_part_does() -> None:
    assert notes("C8-\nC4 D4\nE4-E4") == [(60, 48, False), (62, 16, True), (64, 32, True)]
    assert notes("C8 | D4-D4\nE8") == [(60, 32, False), (62, 32, True), (64, 32, True)]


def test_a_sharp_that_is_tied_within_its_bar_stays_sharp() -> None:
    assert notes("^F4-F4 | G8")[0] == (66, 32, False)


@pytest.mark.parametrize("body", ["C4-D4 | E8", "C8- | D8", "C4-c4 | E8", "C4-z4 | E8", "^F8- | F8"])
def test_a_tie_between_different_pitches_is_refused(body: str) -> None:
    with pytest.raises(UnreadableSong, match="tie"):
        song(body)


def test_a_tie_after_a_rest_ties_nothing() -> None:
    assert notes("z4-C4 | C8") == [(None, 16, False), (60, 16, False), (60, 32, True)]


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("meter", ["", "C", "free", "4", "4/", "/4", "3/5", "0/4", "4/64", "2/4+3/4"])
def test_a_song_without_a_meter_is_refused(meter: str) -> None:
    with pytest.raises(UnreadableSong, match="meter"):
        song("C8 | D8", M=meter)


def test_a_song_without_the_field_for_the_meter_is_refused() -> None:
    with pytest.raises(UnreadableSong, match="meter"):
        read_song({"L": "1/8", "K": "C"}, "C8 | D8")


@pytest.mark.parametrize("unit", ["1/64", "3/64", "1/12", "0/8", "", "eighth", "1/0", "1", "1/", "-1/8"])
def test_a_unit_that_is_not_some_thirty_seconds_is_refused(unit: str) -> None:
    with pytest.raises(UnreadableSong, match="unit"):
        song("C8 | D8", L=unit)


@pytest.mark.parametrize("sign", ["[CE]", "(3CDE", "{g}", "|:", ":|", "H", "x", "!", '"Am"', "~", "C0"])
def test_a_sign_that_is_not_of_the_dialect_is_refused(sign: str) -> None:
    with pytest.raises(UnreadableSong):
        song(f"C8 | {sign} D8 | E8")


def test_silence_is_refused() -> None:
    with pytest.raises(UnreadableSong, match="at least one note"):
        song("z8 | z8")
    with pytest.raises(UnreadableSong):
        song("")


# --- whole songs ----------------------------------------------------------------------------------------------------


def test_the_mode_is_told_by_the_third_whatever_the_signature_says() -> None:
    minor = song("D2 E2 =F2 A2 | D8", K="D").melody
    assert minor.mode is Mode.MINOR
    assert [pitch % 12 for pitch in minor.pitches] == [9, 11, 0, 4, 9]
    assert minor.sounding().pitches == [62, 64, 65, 69, 62]
    assert song("D2 E2 F2 A2 | D8", K="D").melody.mode is Mode.MAJOR
    assert song("A2 B2 ^c2 e2 | A8", K="Am").melody.mode is Mode.MAJOR


FILE = """%abc
This line stands before the first song.

X: 1
T: Erstes Lied
N: K0001
N: eine Bemerkung
O: Europa, Mitteleuropa, Deutschland
M: 3/4
L: 1/16
K: G
G4A4B4 | c8B4
 A12

X:2
T: Zweites: Lied
O: Europa, Mitteleuropa, Schweiz
M: 2/4
K: F
F4 | A4
"""


def test_several_songs_in_a_file() -> None:
    first, second = songs(FILE)
    assert first[0] == {
        "X": "1", "T": "Erstes Lied", "N": "K0001", "O": "Europa, Mitteleuropa, Deutschland",
        "M": "3/4", "L": "1/16", "K": "G",
    }  # fmt: skip
    assert first[1] == "G4A4B4 | c8B4\n A12"
    assert second[0]["T"] == "Zweites: Lied"
    assert second[1] == "F4 | A4"
    read = read_song(*first)
    assert (read.id, read.title, read.origin) == ("K0001", "Erstes Lied", "Europa, Mitteleuropa, Deutschland")
    assert read.melody.meter == Meter(3, 4)
    assert read.melody.sounding().pitches == [67, 69, 71, 72, 71, 69]
    assert [note.phrase_end for note in read.melody.notes] == [False] * 4 + [True, True]
    assert read_song(*second).id == ""
    assert list(songs("no song at all\n")) == []


def test_windows_line_ends_change_nothing() -> None:
    ((_, body),) = songs("X:1\r\nM:4/4\r\nC8\r\nD8\r\n")
    assert notes(body) == notes("C8\nD8")


@pytest.mark.parametrize(
    ("origin", "german"),
    [
        ("Europa, Mitteleuropa, Deutschland", True),
        ("Europa, Mitteleuropa, Deutschland, Schlesien", True),
        ("Oesterreich", True),
        ("Siebenbuergen", True),
        ("Europa, Westeuropa, France, Elsass", True),
        ("China, Shaanxi, Nord", False),
        ("Europa, Niederlande", False),
        ("deutsch", False),
        ("", False),
    ],
)
def test_is_german(origin: str, german: bool) -> None:
    assert is_german(origin) is german
