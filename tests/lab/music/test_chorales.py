"""The reader of chorales, on scores of four parts that are made here."""

from __future__ import annotations

import pytest
from music21 import bar, chord, expressions, metadata, meter, note, stream, tie

from lab.music.chorales import UnreadableChorale, chorale_files, chorale_of, ticks
from lab.music.melody import Melody, Meter, Mode

TIES = {"(": "start", "=": "continue", ")": "stop"}


def element(word: str) -> note.GeneralNote:
    """Read a note such as ``C5:2``: pitch and quarters; ``!`` a fermata, ``( = )`` ties, ``r:1`` a rest."""
    head, _, marks = word.partition(":")
    quarters = float("".join(sign for sign in marks if sign in "0123456789."))
    made = note.Rest(quarterLength=quarters) if head == "r" else note.Note(head, quarterLength=quarters)
    if "!" in marks:
        made.expressions.append(expressions.Fermata())
    for sign, kind in TIES.items():
        if sign in marks:
            made.tie = tie.Tie(kind)
    return made


def part(text: str, signature: str = "4/4") -> stream.Part:
    """Read measures parted by ``|``."""
    made = stream.Part()
    for number, words in enumerate(text.split("|")):
        measure = stream.Measure(number=number)
        if number == 0:
            measure.append(meter.TimeSignature(signature))
        for word in words.split():
            measure.append(element(word))
        made.append(measure)
    return made


def score(*parts: stream.Part, title: str | None = None) -> stream.Score:
    made = stream.Score()
    for one in parts:
        made.insert(0, one)
    if title is not None:
        made.insert(0, metadata.Metadata(title=title))
    return made


def chorale(soprano: str, bass: str = "", inner: str = "", signature: str = "4/4") -> Melody:
    """Read a chorale; the lower voices sing the soprano's pitches unless they are given."""
    parts = [part(voice or soprano, signature) for voice in (soprano, inner, inner, bass)]
    return chorale_of(score(*parts), "bwv0").melody


def sounding(melody: Melody) -> list[tuple[int | None, int, bool]]:
    return [(n.pitch, n.duration, n.phrase_end) for n in melody.sounding().notes]


SOPRANO = "G4:1 | C5:1 D5:1 E5:2! | F5:2 E5:1"
BASS = "G3:1 | C3:1 B2:1 C3:2 | G2:2 C3:1"


def test_the_soprano_is_read_and_brought_to_c() -> None:
    melody = chorale(SOPRANO.replace("F5", "F#5"), BASS)
    assert melody.meter == Meter(4, 4)
    assert sounding(melody) == [
        (67, 8, False), (72, 8, False), (74, 8, False), (76, 16, True), (78, 16, False), (76, 8, True)
    ]  # fmt: skip
    in_f = chorale("C4:1 | F4:1 G4:1 A4:2! | B-4:2 A4:1", "C3:1 | F2:1 E2:1 F2:2 | C2:2 F2:1")
    assert in_f.pitches == [67, 72, 74, 76, 77, 76]
    assert sounding(in_f)[0] == (60, 8, False)


def test_a_fermata_ends_a_phrase_and_the_last_note_does_without() -> None:
    ends = [end for _, _, end in sounding(chorale("C5:2! D5:2 | E5:2 D5:2! | C5:4"))]
    assert ends == [True, False, False, True, True]


def test_a_fermata_over_a_rest_ends_a_phrase() -> None:
    assert [end for _, _, end in sounding(chorale("C5:2 D5:1 r:1! | C5:4"))] == [False, False, True, True]


def test_a_rest_at_the_end_ends_the_last_phrase() -> None:
    assert sounding(chorale("C5:4 | C5:2 r:2"))[-1] == (None, 16, True)


def test_tied_notes_are_one() -> None:
    melody = chorale("C5:2 D5:2( | D5:1) E5:3( | E5:4= | E5:2) C5:2")
    assert sounding(melody) == [(72, 16, False), (74, 24, False), (76, 72, False), (72, 16, True)]


@pytest.mark.parametrize("marks", [("!(", "=", ")"), ("(", "=!", ")"), ("(", "=", ")!"), ("!(", "=!", ")!")])
def test_a_fermata_over_any_part_of_a_tied_note_ends_the_phrase(marks: tuple[str, str, str]) -> None:
    first, second, third = marks
    melody = chorale(f"C5:2 D5:2{first} | D5:4{second} | D5:1{third} E5:3 | C5:4")
    assert sounding(melody) == [(72, 16, False), (74, 56, True), (76, 24, False), (72, 32, True)]


def test_a_pickup_is_a_short_first_measure() -> None:
    melody = chorale(SOPRANO, BASS)
    assert melody.pickup == 8
    assert melody.bar_lengths() == [8, 32, 24]
    assert melody.complete
    assert chorale("C5:4 | C5:4").pickup == 0


def test_the_last_note_of_the_bass_is_the_tonic() -> None:
    """The soprano ends on the third, and the bass may rest when it has sung."""
    melody = chorale("B4:4 | G4:2 B4:2", "D3:4 | D3:2 G2:1 r:1")
    assert melody.pitches == [76, 72, 76]
    assert melody.transposition == -5
    assert chorale("B4:4 | G4:2 B4:2", "D3:4 | D3:2 E3:2", "G4:4 | E4:4").mode is Mode.MINOR


def test_the_mode_is_told_by_all_voices() -> None:
    """A soprano without a third, and a last chord in major: the minor thirds inside count."""
    soprano, bass = "C5:4 | G5:2 D5:2 | C5:4", "C3:4 | G2:4 | C3:4"
    minor = chorale(soprano, bass, "E-4:4 | E-4:4 | E4:4")
    assert minor.mode is Mode.MINOR
    assert [pitch % 12 for pitch in minor.pitches] == [9, 4, 11, 9]
    assert chorale(soprano, bass, "E4:4 | E4:4 | E-4:4").mode is Mode.MAJOR
    assert chorale(soprano, bass, "C4:4 | G4:4 | G4:4").mode is Mode.MAJOR


def test_grace_notes_are_left_out() -> None:
    soprano = part("C5:4 | D5:2 C5:2")
    soprano.getElementsByClass("Measure")[1].insert(0, note.Note("E5", quarterLength=1).getGrace())
    lower = [part("C4:4 | G3:2 C4:2") for _ in range(3)]
    assert chorale_of(score(soprano, *lower), "bwv0").melody.pitches == [72, 74, 72]


def test_a_repeat_may_divide_a_bar() -> None:
    text = "G4:1 | C5:4 | D5:3 | E5:1 | F5:4 | E5:3"
    parts = [part(text) for _ in range(4)]
    for one in parts:
        one.getElementsByClass("Measure")[2].rightBarline = bar.Repeat(direction="end")
    melody = chorale_of(score(*parts), "bwv0").melody
    assert melody.bar_lengths() == [8, 32, 32, 32, 24]
    assert melody.complete


def test_the_title_is_the_scores_or_else_the_name() -> None:
    parts = [part("C5:4 | C5:4") for _ in range(4)]
    assert chorale_of(score(*parts, title="O Haupt"), "bwv0").title == "O Haupt"
    assert chorale_of(score(*parts, title="bwv0.mxl"), "bwv0").title == "bwv0"
    untitled = chorale_of(score(*parts), "bwv0")
    assert (untitled.id, untitled.title) == ("bwv0", "bwv0")


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_more_or_fewer_than_four_parts_are_refused(count: int) -> None:
    with pytest.raises(UnreadableChorale, match=f"{count} parts"):
        chorale_of(score(*(part("C5:4 | C5:4") for _ in range(count))), "bwv0")


def test_two_meters_are_refused() -> None:
    parts = [part("C5:4 | C5:4") for _ in range(4)]
    parts[0].getElementsByClass("Measure")[1].timeSignature = meter.TimeSignature("3/4")
    with pytest.raises(UnreadableChorale, match="meter"):
        chorale_of(score(*parts), "bwv0")


def test_no_meter_is_refused() -> None:
    parts = [part("C5:4 | C5:4") for _ in range(4)]
    parts[0].getElementsByClass("Measure")[0].removeByClass("TimeSignature")
    with pytest.raises(UnreadableChorale, match="meter"):
        chorale_of(score(*parts), "bwv0")


@pytest.mark.parametrize(
    ("soprano", "message"),
    [
        ("C5:4 | C5:5 | C5:4", "longer than the meter"),
        ("C5:4 | C5:3 | C5:4 | C5:4", "disagree"),
        ("C5:4 | C5:2 | C5:4", "disagree"),
        ("C5:4", "fewer than two bars"),
        ("r:4 | r:4", "empty"),
    ],
)
def test_bars_that_do_not_fit_and_silence_are_refused(soprano: str, message: str) -> None:
    with pytest.raises(UnreadableChorale, match=message):
        chorale(soprano)


@pytest.mark.parametrize("voice", range(4))
def test_chords_are_refused(voice: int) -> None:
    parts = [part("C5:4 | C5:2 D5:2") for _ in range(4)]
    measure = parts[voice].getElementsByClass("Measure")[1]
    measure.replace(measure.notes[0], chord.Chord(["C5", "E5"], quarterLength=2))
    with pytest.raises(UnreadableChorale, match="two notes at once"):
        chorale_of(score(*parts), "bwv0")


def test_a_gap_and_a_second_voice_are_refused() -> None:
    for offset, quarters in ((3, 1), (0, 2)):
        parts = [part("C5:4 | D5:2 C5:2") for _ in range(4)]
        measure = parts[0].getElementsByClass("Measure")[1]
        measure.remove(measure.notes[1])
        measure.insert(offset, note.Note("E5", quarterLength=quarters))
        with pytest.raises(UnreadableChorale, match="gap"):
            chorale_of(score(*parts), "bwv0")


def test_durations_between_two_ticks_are_refused() -> None:
    assert [ticks(quarters) for quarters in (0, 0.125, 1, 1.5, 4)] == [0, 1, 8, 12, 32]
    for quarters in (1 / 3, 0.0625, 1 / 24):
        with pytest.raises(UnreadableChorale, match="thirty-second"):
            ticks(quarters)


def test_the_files_are_scores_in_order() -> None:
    files = chorale_files()
    assert len(files) > 300
    assert files == sorted(files)
    assert {path.suffix for path in files} <= {".mxl", ".xml"}
