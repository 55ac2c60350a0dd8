"""Openings: what the shipped tunes look like as a line of ABC and back, and what a visitor may type."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.errors import VisitorError
from lab.music import opening
from lab.music.corpus import Collection, Tune, load_tunes, load_vocabulary
from lab.music.melody import Melody, Meter, Mode, Note
from lab.music.opening import (
    MAX_NOTES,
    OpeningError,
    check_range,
    length,
    letter,
    read_opening,
    write_opening,
)
from lab.music.tokens import write_notes

COMMON, WALTZ = Meter(4, 4), Meter(3, 4)
SAMPLE = [tune for collection in Collection for tune in load_tunes(collection)[::20]]


def read(text: str, meter: Meter = COMMON, mode: Mode = Mode.MAJOR) -> Melody:
    melody = read_opening(text, meter, mode)
    assert melody is not None
    return melody


def notes(text: str, meter: Meter = COMMON) -> list[tuple[int | None, int, bool]]:
    return [(note.pitch, note.duration, note.phrase_end) for note in read(text, meter).notes]


def pitches(text: str) -> list[int]:
    return read(text).pitches


def durations(text: str) -> list[int]:
    return [note.duration for note in read(text).notes]


def open_ended(melody: Melody, notes: tuple[Note, ...]) -> Melody:
    """Return what is read of the first notes of a melody: the end of the text is not the end of a phrase."""
    return replace(melody, notes=(*notes[:-1], replace(notes[-1], phrase_end=False)), transposition=0)


# --- there and back -------------------------------------------------------------------------------------------------


def test_whole_tunes_are_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_NOTES", 10_000)
    assert len(SAMPLE) > 250
    for tune in SAMPLE:
        melody = tune.melody
        assert read_opening(write_opening(melody), melody.meter, melody.mode) == open_ended(melody, melody.notes), (
            tune.id
        )


@pytest.mark.parametrize("bars", [1, 2, 4])
def test_first_bars_are_read_back(bars: int) -> None:
    for tune in SAMPLE[::3]:
        melody = tune.melody
        end = melody.pickup + bars * melody.meter.bar
        begun = tuple(note for tick, note in melody.onsets() if tick < end)
        if all(note.pitch is None for note in begun) or len(begun) > MAX_NOTES:
            continue
        expected = open_ended(melody, begun)
        if end > melody.duration:  # then its last phrase ends within them
            expected = replace(melody, transposition=0)
        assert read_opening(write_opening(melody, bars), melody.meter, melody.mode) == expected


def test_what_is_read_is_written_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_NOTES", 10_000)
    for tune in SAMPLE[::5]:
        text = write_opening(tune.melody)
        assert write_opening(read(text, tune.melody.meter, tune.melody.mode)) == text


BY_HAND = {
    "a pickup": (Melody((Note(64, 8), Note(69, 16), Note(71, 16)), COMMON, Mode.MINOR, 8), "E2 | A4 B4"),
    "no pickup": (Melody((Note(69, 32), Note(71, 8)), COMMON, Mode.MINOR), "A8 | B2"),
    "a tie": (Melody((Note(72, 24), Note(74, 16)), COMMON, Mode.MAJOR), "c6 d2- | d2"),
    "a tie over several bars": (Melody((Note(72, 70),), COMMON, Mode.MAJOR), "c8- | c8- | c3/2"),
    "a rest over a bar line": (Melody((Note(72, 24), Note(None, 16)), COMMON, Mode.MAJOR), "c6 z2 | z2"),
    "a sharp, then none": (
        Melody((Note(73, 8), Note(72, 8), Note(72, 8), Note(73, 8)), COMMON, Mode.MAJOR),
        "^c2 =c2 c2 ^c2",
    ),
    "a sharp in another octave": (Melody((Note(61, 8), Note(72, 8)), COMMON, Mode.MAJOR), "^C2 c2"),
    "a sharp in the bar before": (Melody((Note(73, 32), Note(72, 8)), COMMON, Mode.MAJOR), "^c8 | c2"),
    "a sharp that is tied": (Melody((Note(73, 40), Note(72, 8)), COMMON, Mode.MAJOR), "^c8- | ^c2 =c2"),
    "short notes": (
        Melody((Note(72, 2), Note(72, 6), Note(72, 1), Note(72, 3), Note(72, 4)), COMMON, Mode.MAJOR),
        "c/2 c3/2 c/4 c3/4 c",
    ),
    "phrases": (Melody((Note(72, 32, True), Note(74, 8, True), Note(76, 8)), COMMON, Mode.MAJOR), "c8\n| d2\ne2"),
    "octaves": (Melody((Note(48, 8), Note(59, 8), Note(60, 8), Note(84, 8)), COMMON, Mode.MAJOR), "C,2 B,2 C2 c'2"),
}


@pytest.mark.parametrize(("melody", "text"), BY_HAND.values(), ids=BY_HAND)
def test_by_hand(melody: Melody, text: str) -> None:
    assert write_opening(melody) == text
    expected = melody
    if text.startswith("c6 z2 |"):  # rests are not tied
        expected = replace(melody, notes=(Note(72, 24), Note(None, 8), Note(None, 8)))
    assert read(text, melody.meter, melody.mode) == expected


def test_letters_and_lengths() -> None:
    for pitch in range(24, 108):
        assert pitches(letter(pitch)) == [pitch]
    assert letter(None) == "z"
    for ticks in range(1, 130):
        assert durations(f"c{length(ticks)}") == [ticks]


# --- what a visitor types -------------------------------------------------------------------------------------------


def test_the_first_bar_line_ends_the_pickup() -> None:
    assert read("E2 | A8").pickup == 8
    assert read("E2 A2 | A8").pickup == 16
    assert read("E2\nA2 | A8").pickup == 16
    assert read("A8 | E2").pickup == 0  # a full bar is none
    assert read("A8 A8 | E2").pickup == 0
    assert read("| A2 | E2").pickup == 0
    assert read("E2 A2").pickup == 0  # no bar line
    assert read("E6 | A6", WALTZ).pickup == 0
    assert read("E6 | A6").pickup == 24
    assert (read("E2 |").pickup, notes("E2 |")) == (8, [(64, 8, False)])


def test_later_bar_lines_may_be_left_out_or_wrong() -> None:
    right = read("E2 | A2 B2 c2 d2 | e4 f4")
    assert read("E2 | A2 B2 c2 d2 e4 f4") == read("E2|A2B2|c2d2|e4|f4") == right


def test_ties_join() -> None:
    assert notes("c8- | c4") == [(72, 48, False)]
    assert notes("c2-c2-c2 d") == [(72, 24, False), (74, 4, False)]
    assert notes("c2-\nc2") == [(72, 16, False)]  # a phrase does not end within a note
    assert notes("c2 d2-") == [(72, 8, False), (74, 8, False)]


def test_accidentals_hold_to_the_bar_line() -> None:
    assert pitches("^c c =c c") == [73, 73, 72, 72]
    assert pitches("^c c | c") == [73, 73, 72]
    assert pitches("^c C c'") == [73, 60, 84]  # in their octave
    assert pitches("_B B =B") == [70, 70, 71]
    assert pitches("^f2 f2\nf2") == [78, 78, 78]  # across the end of a phrase


def test_fractions() -> None:
    assert durations("c c2 c/2 c/ c3/2 c/4 c3/4 c12") == [4, 8, 2, 2, 6, 1, 3, 48]


def test_a_new_line_ends_a_phrase() -> None:
    assert [end for *_, end in notes("c d\ne f\ng")] == [False, True, False, True, False]
    assert [end for *_, end in notes("c d\ne\n")] == [False, True, True]
    assert [end for *_, end in notes("c d\r\n\r\n  e")] == [False, True, False]
    assert [end for *_, end in notes("\n\nc d")] == [False, False]
    assert notes("c z\nd")[1] == (None, 4, True)


def test_spaces_do_not_matter() -> None:
    assert read("  c2\td2 |e4  ") == read("c2d2|e4")


@pytest.mark.parametrize("text", ["", " ", "\n", "|", " | |\n", "\t\r\n"])
def test_nothing_is_no_opening(text: str) -> None:
    assert read_opening(text, COMMON, Mode.MINOR) is None


@pytest.mark.parametrize("text", ["z", "z2 z4 | z", "z- z", "z\n"])
def test_only_rests(text: str) -> None:
    with pytest.raises(OpeningError, match="only rests"):
        read_opening(text, COMMON, Mode.MINOR)


@pytest.mark.parametrize(
    "text",
    [
        "[CEG]", '"Am"c', "c2 [K:G] d", "K:C\nc", "(3abc", "c<d", "{g}a", "c//", "!trill!c", "c½", "hello", "c2 ♭d",
        "^^c", "x", "c:|", "do re mi", "<script>alert(1)</script>", "60:8", "c\0d",
    ],
)  # fmt: skip
def test_foreign_text_is_refused_kindly(text: str) -> None:
    with pytest.raises(OpeningError, match=r"^The opening cannot be read: .*Notes are letters with a length"):
        read_opening(text, COMMON, Mode.MINOR)
    assert issubclass(OpeningError, VisitorError)


@pytest.mark.parametrize("text", ["c/3", "c/0", "c0", "c/8", "c1/16", "c2 z/3"])
def test_lengths_that_there_are_none_of(text: str) -> None:
    with pytest.raises(OpeningError, match="not a multiple of a thirty-second"):
        read_opening(text, COMMON, Mode.MINOR)


def test_a_tie_between_different_pitches() -> None:
    with pytest.raises(OpeningError, match="a tie between different pitches"):
        read_opening("c-d", COMMON, Mode.MINOR)


def test_too_many_notes() -> None:
    assert len(read("c " * MAX_NOTES).notes) == MAX_NOTES
    with pytest.raises(OpeningError, match=f"has {MAX_NOTES + 1} notes. Please give at most {MAX_NOTES}"):
        read("c " * (MAX_NOTES + 1))
    with pytest.raises(OpeningError, match="notes"):
        read("z " * (MAX_NOTES + 1))
    assert len(read("c-" * MAX_NOTES + "c").notes) == 1  # tied, they are one


def test_too_long_a_text_is_not_looked_into() -> None:
    with pytest.raises(OpeningError, match="too long"):
        read("c" + " " * 20 * MAX_NOTES)
    with pytest.raises(OpeningError, match="too long"):
        read("c" * 100_000)


# --- range ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["C c c'", "E2 | A2 B2 c2 d2 | e4", "z2 c6 | d12", "c2\nd2\n", "c\n" * 20])
def test_what_the_models_know(text: str) -> None:
    check_range(write_notes(read(text)), load_vocabulary())


@pytest.mark.parametrize(("text", "named"), [("c C,,,", "C,,,"), ("c c''''", "c''''"), ("^C,,,,,,,,,,,,,,,,", "^C,")])
def test_notes_out_of_range_are_named(text: str, named: str) -> None:
    with pytest.raises(OpeningError, match=r"never met .* for 4/32 of a whole note. They know notes from") as error:
        check_range(write_notes(read(text)), load_vocabulary())
    assert named in str(error.value)


def test_lengths_out_of_range_are_named() -> None:
    with pytest.raises(OpeningError, match=r"never met c for 13/32 .* They know notes from [A-G],* to [a-g]'*, "):
        check_range(write_notes(read("c13/4 d")), load_vocabulary())
    with pytest.raises(OpeningError, match="never met a rest for 3/32"):
        check_range(write_notes(read("c z3/4")), load_vocabulary())


def test_every_tune_that_ships_could_be_an_opening() -> None:
    def first(tune: Tune) -> Melody:
        return replace(tune.melody, notes=tune.melody.notes[:20])

    for tune in SAMPLE[::5]:
        check_range(write_notes(first(tune)), load_vocabulary())


def test_a_note_without_end_is_refused() -> None:
    with pytest.raises(OpeningError):
        read("c9999")
