"""Uploads: what is written is read back, every remark, and keys told and guessed."""

from __future__ import annotations

import random
import warnings

import pytest

from lab.errors import UploadError
from lab.music.melody import HIGHEST_PITCH, LOWEST_PITCH, Melody, Meter, Mode, Note
from lab.music.upload import MAX_NOTES, Upload, estimate_key
from tests.lab.music.files import (
    C_MAJOR,
    FOUR,
    TUNES,
    as_midi,
    as_xml,
    attributes,
    key,
    melody,
    midi,
    packed,
    read,
    run_of,
    score,
    signature,
    track,
    xml_note,
)

# ---- what is written is read back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tune", TUNES, ids=str)
def test_reads_back_what_was_written(tune: tuple[Melody, int, str, str]) -> None:
    tune, fifths, name, mode = tune
    for per_quarter in (96, 480, 1024):
        assert read(as_midi(tune, name, per_quarter)) == Upload(tune, ())
    assert read(as_xml(tune, fifths, mode)) == Upload(tune, ())
    assert read(packed(as_xml(tune, fifths, mode))) == Upload(tune, ())
    assert read(packed(as_xml(tune, fifths, mode), "a/b.musicxml", container=False)) == Upload(tune, ())


def test_reads_back_random_melodies() -> None:
    chooser = random.Random(0)
    for _ in range(60):
        meter = chooser.choice([Meter(4, 4), Meter(3, 4), Meter(6, 8), Meter(5, 8), Meter(3, 2)])
        notes: list[tuple[int | None, int]] = []
        for _ in range(chooser.randint(2, 40)):
            rest = notes and notes[-1][0] is not None and chooser.random() < 0.2
            notes.append((None if rest else chooser.randint(55, 80), chooser.randint(2, 40)))
        if notes[-1][0] is None:
            notes.pop()
        pickup = chooser.randrange(min(notes[0][1] + 1, meter.bar))
        tune = melody(notes, meter, pickup, 7, Mode.MINOR)
        if pickup < tune.duration:
            assert read(as_xml(tune, -2, "minor")).melody == tune
            assert read(as_midi(tune, "Gm")).melody == tune


def test_reads_what_music21_writes() -> None:
    from music21 import converter
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    tune = converter.parse("tinyNotation: 3/4 g4 c'4. d'8 e'4 f'2 r4 g'4~ g'8 f'8 e'2.")
    written = read(GeneralObjectExporter(tune).parse(), "a.musicxml")
    notes = [(n.pitch, n.duration) for n in written.melody.sounding().notes]
    assert notes == [(67, 8), (72, 12), (74, 4), (76, 8), (77, 16), (None, 8), (79, 12), (77, 4), (76, 24)]
    assert written.melody.meter == Meter(3, 4)


def test_chorales_are_read_as_the_lab_reads_them() -> None:
    """Scores by other hands: notes, meter and pickup as music21 gives them."""
    from lab.music.chorales import UnreadableChorale, chorale_files, read_chorale

    seen = 0
    for path in [path for path in chorale_files() if path.suffix == ".mxl"][::12][:16]:
        try:
            expected = read_chorale(path).melody
        except UnreadableChorale:
            continue
        seen += 1
        upload = read(path.read_bytes(), path.name)
        taken = upload.melody
        assert [(n.pitch, n.duration) for n in taken.sounding().notes if n.pitch] == [
            (n.pitch, n.duration) for n in expected.sounding().notes if n.pitch
        ], path
        assert (taken.meter, taken.pickup) == (expected.meter, expected.pickup), path
        assert upload.notes == ("The file has 4 parts; the highest was taken.",)
    assert seen >= 5


def test_content_tells_the_kind_whatever_the_name() -> None:
    tune, fifths, name, mode = TUNES[0]
    for data in (as_midi(tune, name), as_xml(tune, fifths, mode), b"\xef\xbb\xbf" + as_xml(tune, fifths, mode)):
        for file in ("x.mid", "x.xml", "x.png", ""):
            assert read(data, file).melody == tune


def test_the_usual_doctype_line_passes_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(score([attributes() + xml_note(60, 32)])).melody.pitches == [72]


def test_fermatas_breath_marks_and_caesuras_end_phrases() -> None:
    marks = ["<fermata/>", "<articulations><breath-mark/></articulations>", "<articulations><caesura/></articulations>"]
    bars = "".join(xml_note(60, 8, f"<notations>{mark}</notations>") + xml_note(62, 8) for mark in marks)
    ends = [note.phrase_end for note in read(score([attributes() + bars + xml_note(None, 8)])).melody.notes]
    assert ends == [True, False, True, False, True, False, True]
    bars = xml_note(60, 8) + xml_note(None, 8, "<notations><fermata/></notations>") + xml_note(60, 16)
    assert [n.phrase_end for n in read(score([attributes() + bars])).melody.notes] == [True, False, True]


def test_grace_and_cue_notes_are_left_out_and_voices_share_the_clock() -> None:
    grace = xml_note(90, 0, before="<grace/>").replace("<duration>0</duration>", "")
    bar = grace + xml_note(60, 16) + xml_note(80, 8, before="<cue/>") + xml_note(62, 8)
    bar += "<backup><duration>32</duration></backup><forward><duration>16</duration></forward>" + xml_note(72, 8)
    notes = read(score([attributes(fifths=0) + bar])).melody.sounding().notes
    assert [(n.pitch, n.duration) for n in notes] == [(60, 16), (72, 8), (62, 8)]


def test_transposing_instruments_are_read_at_sounding_pitch() -> None:
    transpose = "<transpose><chromatic>-2</chromatic></transpose>"
    taken = read(score([attributes(fifths=2, more=transpose) + xml_note(62, 16) + xml_note(66, 16)])).melody
    assert taken.sounding().pitches == [60, 64]
    assert taken.transposition % 12 == 0


def test_leading_silence_leaves_only_the_place_in_the_bar() -> None:
    taken = read(midi(track(run_of(C_MAJOR, start=2 * 24 + 16)), meta=[signature(3, 4), key("C")])).melody
    assert (taken.pickup, taken.notes[0]) == (8, Note(60, 8))
    taken = read(
        score([attributes("3/4") + xml_note(None, 24), xml_note(None, 16) + xml_note(60, 8), xml_note(60, 24)])
    )
    assert taken.melody.pickup == 8


def test_a_short_first_bar_under_its_own_meter_is_a_pickup() -> None:
    upload = read(midi(track(run_of([67, *C_MAJOR])), meta=[signature(1, 4), signature(4, 4, 480), key("C")]))
    assert (upload.melody.pickup, upload.melody.meter, upload.notes) == (8, FOUR, ())


def test_gaps_of_playing_close_and_rests_stay() -> None:
    played = [(60, 0, 7), (62, 8, 9), (64, 10.01, 16.3), (65, 16, 24)]
    upload = read(midi(track(played, 9600), meta=[signature(4, 4), key("C")], per_quarter=9600))
    assert [(n.pitch, n.duration) for n in upload.melody.sounding().notes] == [(60, 8), (62, 2), (64, 6), (65, 8)]
    upload = read(midi(track([(60, 0, 6), (62, 8, 16)]), meta=[signature(4, 4), key("C")]))
    assert [(n.pitch, n.duration) for n in upload.melody.sounding().notes] == [(60, 6), (None, 2), (62, 8)]


# ---- remarks -------------------------------------------------------------------------------------------------------

PLAIN = [signature(4, 4), key("C")]


def test_one_of_several_parts_is_taken() -> None:
    low, high = run_of([p - 12 for p in C_MAJOR]), run_of(C_MAJOR)
    drums, sparse = track(run_of([90] * 8), channel=9), track([(100, 0, 8)], channel=3)
    upload = read(midi(track(low), track(high, channel=1), drums, sparse, meta=PLAIN))
    assert upload.melody.sounding().pitches == C_MAJOR
    assert upload.notes == ("The file has 3 parts; the one most like a melody was taken.",)
    upload = read(midi(track(low), track(high), meta=PLAIN))
    assert upload.notes == ("The file has 2 parts; the highest was taken.",)
    bars = [[attributes() + "".join(xml_note(p + shift, 4) for p in C_MAJOR)] for shift in (0, 12, 12)]
    upload = read(score(*bars))
    assert upload.melody.sounding().pitches == [p + 12 for p in C_MAJOR]
    assert upload.notes == ("The file has 3 parts; the highest was taken.",)


def test_a_singer_is_preferred_to_chords_a_little_higher() -> None:
    chords = [note for shift in (4, 7, 12) for note in run_of([p + shift for p in C_MAJOR])]
    assert read(midi(track(chords), track(run_of(C_MAJOR)), meta=PLAIN)).melody.sounding().pitches == C_MAJOR


def test_chords_are_reduced_to_their_top_notes() -> None:
    chords = [note for shift in (0, 4, 7) for note in run_of([p + shift for p in C_MAJOR])]
    upload = read(midi(track(chords), meta=PLAIN))
    assert upload.melody.sounding().pitches == [p + 7 for p in C_MAJOR]
    assert upload.notes == ("The notes are chords throughout; the top note of each was taken.",)
    bar = "".join(
        xml_note(60, 8) + xml_note(67, 8, before="<chord/>") + xml_note(64, 8, before="<chord/>") for _ in "1234"
    )
    upload = read(score([attributes() + bar]))
    assert upload.melody.sounding().pitches == [67] * 4
    assert upload.notes == ("The notes are chords throughout; the top note of each was taken.",)


def test_the_highest_of_what_sounds_at_once_is_taken() -> None:
    upload = read(midi(track([*run_of([72, 74, 76, 77]), (60, 0, 32), (55, 12, 24)]), meta=PLAIN))
    assert upload.melody.sounding().pitches == [72, 74, 76, 77]
    assert upload.notes == ("Where several notes sounded at once, the highest was taken.",)


def test_rounding_is_told() -> None:
    triplets = read(midi(track(run_of([60, 62, 64, 65, 67, 69, 72], 8 / 3)), meta=PLAIN))
    assert triplets.notes == ("Triplets were rounded to thirty-second notes.",)
    assert [n.duration for n in triplets.melody.notes] == [3, 2, 3, 3, 2, 3, 3]
    bar = "".join(xml_note(p, 2) for p in (60, 62, 64)) + xml_note(72, 18)
    assert read(score([attributes(divisions=6) + bar])).notes == ("Triplets were rounded to thirty-second notes.",)
    played = [(p, n * 8 + n % 3 / 7, n * 8 + 7) for n, p in enumerate(C_MAJOR)]
    assert read(midi(track(played), meta=PLAIN)).notes == ("Rhythms were rounded to thirty-second notes.",)


def test_meters_missing_changing_or_odd() -> None:
    tune = track(run_of(C_MAJOR * 2))
    upload = read(midi(tune, meta=[key("C")]))
    assert (upload.melody.meter, upload.notes) == (FOUR, ("The file has no time signature; 4/4 was assumed.",))
    upload = read(midi(tune, meta=[signature(3, 4), signature(2, 4, 1440), key("C")]))
    assert upload.melody.meter == Meter(3, 4)
    assert upload.notes == ("The time signature changes later; all was read in the first one.",)
    upload = read(midi(tune, meta=[signature(7, 64), key("C")]))
    assert (upload.melody.meter, upload.notes) == (FOUR, ("The time signature cannot be used here; 4/4 was assumed.",))
    assert read(score([attributes("3+2/8") + xml_note(60, 20)])).melody.meter == Meter(5, 8)
    changing = score([attributes("3/4") + xml_note(60, 24), attributes("2/4") + xml_note(60, 16)])
    assert read(changing).notes == ("The time signature changes later; all was read in the first one.",)


def test_long_files_are_cut() -> None:
    upload = read(midi(track(run_of(C_MAJOR * 60, 4)), meta=PLAIN))
    assert len(upload.melody.notes) == MAX_NOTES and upload.melody.notes[-1].phrase_end
    assert upload.notes == ("The first 400 notes (50 bars) were taken, the rest left out.",)
    assert read(midi(track(run_of(C_MAJOR * 50, 4)), meta=PLAIN)).notes == ()
    staccato = [(p, start, start + 4) for p, start, _ in run_of(C_MAJOR * 60)]
    upload = read(midi(track(staccato), meta=PLAIN))
    assert len(upload.melody.notes) == MAX_NOTES - 1 and len(upload.melody.pitches) == 200


def test_octaves() -> None:
    upload = read(midi(track(run_of([p - 36 for p in C_MAJOR])), meta=PLAIN))
    assert upload.melody.sounding().pitches == [p - 24 for p in C_MAJOR]
    assert upload.notes == ("The melody was moved up by 1 octave.",)
    upload = read(midi(track(run_of([p + 48 for p in C_MAJOR])), meta=PLAIN))
    assert upload.melody.sounding().pitches == [p + 24 for p in C_MAJOR]
    assert upload.notes == ("The melody was moved down by 2 octaves.",)
    with pytest.raises(UploadError, match="octaves"):
        read(midi(track(run_of([20, 100])), meta=PLAIN))
    # A mean far from the middle of the range: what is brought to the usual octave stays within bounds too.
    skewed = read(midi(track(run_of([*[90] * 30, 40])), meta=PLAIN)).melody
    assert min(skewed.pitches) >= LOWEST_PITCH and max(skewed.pitches) <= HIGHEST_PITCH
    assert skewed.sounding().pitches[-1] == 40


# ---- keys ----------------------------------------------------------------------------------------------------------


def scale(tonic: int, mode: Mode) -> list[int]:
    steps = (0, 2, 4, 5, 7, 9, 11) if mode is Mode.MAJOR else (0, 2, 3, 5, 7, 8, 11)
    up = [60 + tonic + step for step in steps]
    return [*up, 72 + tonic, *reversed(up), 60 + tonic, 67 + tonic, 60 + tonic]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("tonic", range(12))
def test_keys_are_guessed_where_none_is_named(tonic: int, mode: Mode) -> None:
    pitches = scale(tonic, mode)
    assert estimate_key([Note(pitch, 8) for pitch in pitches]) == (tonic, mode)
    upload = read(midi(track(run_of(pitches)), meta=[signature(4, 4)]))
    assert (upload.melody.transposition - tonic + mode.tonic) % 12 == 0 and upload.melody.mode is mode
    assert len(upload.notes) == 1 and str(mode) in upload.notes[0] and "guessed" in upload.notes[0]
    bar = "".join(xml_note(p, 8) for p in pitches)
    assert read(score([attributes(fifths=None) + bar])).notes == upload.notes


def test_the_remark_on_a_guess_names_the_key() -> None:
    upload = read(midi(track(run_of(scale(3, Mode.MINOR))), meta=[signature(4, 4)]))
    assert upload.notes == ("The file has no key signature; E flat minor was guessed from the notes.",)


def test_key_of_no_or_all_notes() -> None:
    assert estimate_key([]) == estimate_key([Note(p, 8) for p in range(60, 72)]) == (0, Mode.MAJOR)


@pytest.mark.parametrize(
    ("fifths", "mode", "pitches", "tonic", "told"),
    [
        (1, "", [67, 71, 74, 67], 7, Mode.MAJOR),
        (1, "", [67, 71, 74, 64], 4, Mode.MINOR),  # ends on the relative minor's tonic
        (1, "none", [67, 71, 74, 64], 4, Mode.MINOR),
        (1, "major", [67, 71, 74, 64], 7, Mode.MAJOR),
        (2, "major", [62, 65, 69, 62], 2, Mode.MINOR),  # a minor tune under a major signature: its third tells
        (-3, "minor", [60, 64, 67, 60], 0, Mode.MINOR),
        (0, "dorian", [62, 65, 69, 62], 2, Mode.MINOR),
        (-1, "mixolydian", [60, 64, 67, 60], 0, Mode.MAJOR),
    ],
)
def test_keys_from_signatures(fifths: int, mode: str, pitches: list[int], tonic: int, told: Mode) -> None:
    taken = read(score([attributes(fifths=fifths, mode=mode) + "".join(xml_note(p, 8) for p in pitches)])).melody
    assert taken.mode is told and (taken.transposition + told.tonic - tonic) % 12 == 0
    if mode in ("", "minor"):
        name = {1: "G", -3: "Cm"}[fifths]
        assert read(midi(track(run_of(pitches)), meta=[signature(4, 4), key(name)])).melody == taken
