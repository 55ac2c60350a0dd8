"""Uploads: what is written is read back, every remark, keys told and guessed, and files made to do harm."""

from __future__ import annotations

import builtins
import io
import random
import socket
import struct
import time
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import mido
import pytest

from lab.errors import UploadError
from lab.music.melody import HIGHEST_PITCH, LOWEST_PITCH, Melody, Meter, Mode, Note, normalized
from lab.music.upload import MAX_NOTES, Upload, estimate_key, read_upload
from lab.music.upload_parts import BROKEN, TOO_LARGE, TOO_MANY

DOCTYPE = (
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 3.1 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">'
)
STEPS = [("C", 0), ("C", 1), ("D", 0), ("E", -1), ("E", 0), ("F", 0), ("F", 1), ("G", 0), ("A", -1), ("A", 0),
         ("B", -1), ("B", 0)]  # fmt: skip
FOUR = Meter(4, 4)
C_MAJOR = [60, 62, 64, 65, 67, 69, 71, 72]


def melody(
    notes: Sequence[tuple[int | None, int]],
    meter: Meter = FOUR,
    pickup: int = 0,
    tonic: int = 0,
    mode: Mode | None = None,
) -> Melody:
    """A melody of pitches and ticks; the last one ends a phrase, as a reader would say."""
    made = [Note(pitch, duration) for pitch, duration in notes]
    made[-1] = Note(made[-1].pitch, made[-1].duration, True)
    return normalized(made, meter, tonic, pickup, mode)


# ---- MIDI ----------------------------------------------------------------------------------------------------------


def track(notes: Sequence[tuple[Any, ...]], per_quarter: int = 480, channel: int = 0) -> mido.MidiTrack:
    """A track of (pitch, start, end) in ticks, which may be fractions."""
    unit = per_quarter / 8
    events = [(round(start * unit), 1, pitch) for pitch, start, _ in notes]
    events += [(round(end * unit), 0, pitch) for pitch, _, end in notes]
    made, now = mido.MidiTrack(), 0
    for when, on, pitch in sorted(events):
        made.append(mido.Message("note_on" if on else "note_off", note=pitch, channel=channel, time=when - now))
        now = when
    return made


def midi(*tracks: mido.MidiTrack, meta: Sequence[mido.MetaMessage] = (), per_quarter: int = 480) -> bytes:
    file = mido.MidiFile(ticks_per_beat=per_quarter, type=1)
    file.tracks.append(mido.MidiTrack(meta))
    file.tracks.extend(tracks)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def signature(beats: int, unit: int, when: int = 0) -> mido.MetaMessage:
    return mido.MetaMessage("time_signature", numerator=beats, denominator=unit, time=when)


def key(name: str) -> mido.MetaMessage:
    return mido.MetaMessage("key_signature", key=name)


def sounds(tune: Melody, start: int = 0) -> list[tuple[int, int, int]]:
    """A melody as sounding (pitch, start, end)."""
    return [(n.pitch, start + t, start + t + n.duration) for t, n in tune.sounding().onsets() if n.pitch is not None]


def as_midi(tune: Melody, name: str | None, per_quarter: int = 480) -> bytes:
    start = (tune.meter.bar - tune.pickup) % tune.meter.bar
    meta = [signature(tune.meter.beats, tune.meter.unit), *([key(name)] if name else [])]
    return midi(track(sounds(tune, start), per_quarter), meta=meta, per_quarter=per_quarter)


def run_of(pitches: Sequence[int], duration: float = 8, start: float = 0) -> list[tuple[int, float, float]]:
    return [(p, start + n * duration, start + (n + 1) * duration) for n, p in enumerate(pitches)]


# ---- MusicXML ------------------------------------------------------------------------------------------------------


def xml_note(pitch: int | None, duration: float, more: str = "", before: str = "") -> str:
    if pitch is None:
        body = "<rest/>"
    else:
        step, alter = STEPS[pitch % 12]
        body = f"<pitch><step>{step}</step><alter>{alter}</alter><octave>{pitch // 12 - 1}</octave></pitch>"
    return f"<note>{before}{body}<duration>{duration}</duration>{more}</note>"


def attributes(meter: str = "4/4", fifths: int | None = 0, mode: str = "", divisions: float = 8, more: str = "") -> str:
    signature = "" if fifths is None else f"<key><fifths>{fifths}</fifths>{mode and f'<mode>{mode}</mode>'}</key>"
    beats, _, unit = meter.partition("/")
    times = f"<time><beats>{beats}</beats><beat-type>{unit}</beat-type></time>" if meter else ""
    return f"<attributes><divisions>{divisions}</divisions>{signature}{times}{more}</attributes>"


def score(*parts: Sequence[str], doctype: str = DOCTYPE) -> bytes:
    """A score; each part is a list of its measures' content."""
    content = "".join(
        f'<part id="P{n}">{"".join(f"<measure>{measure}</measure>" for measure in part)}</part>'
        for n, part in enumerate(parts)
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>{doctype}<score-partwise>{content}</score-partwise>'.encode()


def as_xml(tune: Melody, fifths: int, mode: str = "") -> bytes:
    """Write it with bar lines across which notes are tied."""
    tune = tune.sounding()
    bars = [attributes(str(tune.meter), fifths, mode)]
    room = tune.pickup or tune.meter.bar
    for note in tune.notes:
        left, tied = note.duration, False
        while left:
            if not room:
                bars.append("")
                room = tune.meter.bar
            length = min(left, room)
            left, room = left - length, room - length
            ties = ('<tie type="stop"/>' if tied else "") + ('<tie type="start"/>' if left else "")
            fermata = "<notations><fermata/></notations>" if note.phrase_end and not left else ""
            bars[-1] += xml_note(note.pitch, length, (ties if note.pitch is not None else "") + fermata)
            tied = True
    return score(bars)


def packed(
    content: bytes, path: str = "score.xml", container: bool = True, method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        if container:
            named = f'<container><rootfiles><rootfile full-path="{path}"/></rootfiles></container>'
            archive.writestr("META-INF/container.xml", named)
        archive.writestr(path, content)
    return buffer.getvalue()


def read(data: bytes, name: str = "tune") -> Upload:
    return read_upload(data, name)


# ---- what is written is read back ----------------------------------------------------------------------------------

TUNES = [
    (melody([(p, 8) for p in C_MAJOR]), 0, "C", ""),
    (melody([(67, 8), (72, 24), (None, 8), (76, 4), (74, 4), (72, 16)], Meter(3, 4), pickup=8, tonic=0), 0, "C", ""),
    (melody([(62, 40), (66, 12), (69, 20), (62, 24)], tonic=2), 2, "D", "major"),
    (
        melody([(64, 4), (67, 8), (71, 4), (None, 12), (72, 12), (71, 8)], Meter(6, 8), 4, 4, Mode.MINOR),
        1,
        "Em",
        "minor",
    ),
    (melody([(70, 1), (72, 1), (74, 2), (75, 12), (70, 48)], tonic=10), -2, "Bb", ""),
    (melody([(69, 8), (None, 8), (72, 16), (76, 32), (69, 8)], Meter(2, 2), 0, 9, Mode.MINOR), 0, "Am", "minor"),
]


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


# ---- files made to do harm -----------------------------------------------------------------------------------------


def smf(*tracks: bytes, division: int = 480, count: int | None = None) -> bytes:
    """A standard MIDI file of raw tracks."""
    head = b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks) if count is None else count, division)
    return head + b"".join(b"MTrk" + struct.pack(">I", len(raw)) + raw for raw in tracks)


def renamed(archive: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new) and old in archive
    return archive.replace(old, new)


def lying(archive: bytes, true: int, told: int) -> bytes:
    """An archive that tells another size than it unpacks to."""
    return renamed(archive, struct.pack("<I", true), struct.pack("<I", told))


def laughs() -> bytes:
    lines = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return score([attributes() + "&l9;"], doctype=f'<!DOCTYPE lolz [<!ENTITY l0 "ha">{lines}]>')


ON, OFF = b"\x00\x90\x3c\x40", b"\x60\x80\x3c\x40"
GOOD = as_midi(*TUNES[0][::2][:2])
BIG = b"<score-partwise>" + b" " * 6_000_000 + b"</score-partwise>"
SUBSET = '<!DOCTYPE score-partwise [<!ATTLIST note x CDATA "%s">]>' % ("y" * 100_000)
HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"Freude, schoener Goetterfunken\n" * 100,
    "png": lambda: b"\x89PNG\r\n\x1a\n" + bytes(1000),
    "random": lambda: random.Random(1).randbytes(100_000),
    "100 MB": lambda: b"MThd" + bytes(100_000_000),
    "midi: header alone": lambda: b"MThd",
    "midi: zeros": lambda: b"MThd" + bytes(1_000_000),
    "midi: ones": lambda: b"MThd" + b"\xff" * 1_900_000,
    "midi: no tracks": lambda: smf(),
    "midi: tracks promised": lambda: smf(count=65535),
    "midi: no notes": lambda: smf(b"\x00\xff\x2f\x00"),
    "midi: drums alone": lambda: midi(track(run_of(C_MAJOR), channel=9)),
    "midi: cut short": lambda: GOOD[: len(GOOD) // 2],
    "midi: cut in a chunk's head": lambda: GOOD[:18],
    "midi: zero ticks per quarter": lambda: smf(ON + OFF, division=0),
    "midi: SMPTE": lambda: smf(ON + OFF, division=0xE728),
    "midi: absurd delta": lambda: smf(ON + b"\xff\xff\xff\x7f\x80\x3c\x40", division=1),
    "midi: absurd deltas": lambda: smf((ON + b"\xff\xff\xff\x7f\x80\x3c\x40") * 5000, division=1),
    "midi: endless number": lambda: smf(b"\xff" * 1_900_000),
    "midi: number of 2 MB": lambda: smf(b"\x81" * 1_900_000 + b"\x00"),
    "midi: running status from nothing": lambda: smf(b"\x00\x3c\x40" * 1000),
    "midi: undefined status": lambda: smf(ON + b"\x00\xf4\x00"),
    "midi: data beyond 127": lambda: smf(b"\x00\x90\xff\xff"),
    "midi: meta longer than its track": lambda: smf(b"\x00\xff\x01\xff\xff\xff\x7f"),
    "midi: sysex longer than its track": lambda: smf(b"\x00\xf0\xff\xff\xff\x7f"),
    "midi: chunk of 4 GB": lambda: smf(ON)[:-8] + b"\xff\xff\xff\xff" + ON,
    "midi: header of 4 GB": lambda: b"MThd\xff\xff\xff\xff" + GOOD[8:],
    "midi: too many events": lambda: smf(b"\x00\x90\x3c\x40" + b"\x00\x3c\x40" * 600_000),
    "midi: too many empty tracks": lambda: smf(*[b""] * 65535),
    "xml: not well-formed": lambda: score([attributes()])[:-20],
    "xml: HTML": lambda: b"<!DOCTYPE html><html><body><p>404</body></html>",
    "xml: SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "xml: timewise": lambda: score([attributes()]).replace(b"partwise", b"timewise"),
    "xml: no notes": lambda: score([attributes() + xml_note(None, 32)]),
    "xml: no parts": lambda: score(),
    "xml: drums alone": lambda: score([attributes() + "<note><unpitched/><duration>8</duration></note>"]),
    "xml: billion laughs": laughs,
    "xml: external entity": lambda: score(["&x;"], doctype='<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
    "xml: parameter entity": lambda: score([], doctype='<!DOCTYPE s [<!ENTITY % x SYSTEM "http://localhost/"> %x;]>'),
    "xml: undeclared entity": lambda: score([attributes() + "&nbsp;"]),
    "xml: default attributes": lambda: score([attributes() + xml_note(60, 8) * 9000], doctype=SUBSET),
    "xml: nested": lambda: b"<a>" * 100_000 + b"</a>" * 100_000,
    "xml: nested and left open": lambda: b"<score-partwise>" + b"<part>" * 300_000,
    "xml: too many elements": lambda: b"<score-partwise>" + b"<a/>" * 490_000 + b"</score-partwise>",
    "xml: too many notes": lambda: score([attributes() + "<note/>" * 20_001]),
    "xml: many attributes": lambda: b"<a " + b" ".join(b'a%d=""' % n for n in range(180_000)) + b"/>",
    "xml: an endless name": lambda: b"<" + b"a" * 1_900_000,
    "xml: UTF-16": lambda: as_xml(*TUNES[0][:2]).decode().replace("UTF-8", "UTF-16").encode("utf-16"),
    "xml: UTF-16 without a mark": lambda: score([attributes()]).decode().encode("utf-16-le"),
    "xml: unknown encoding": lambda: b'<?xml version="1.0" encoding="rot13"?><a/>',
    "xml: codec of bytes": lambda: b'<?xml version="1.0" encoding="zlib"?><a/>',
    "xml: bytes that are no UTF-8": lambda: b"<score-partwise>\xff\xfe</score-partwise>",
    "xml: divisions of 0": lambda: score([attributes(divisions=0) + xml_note(60, 8)]),
    "xml: divisions nan": lambda: score([attributes(divisions=float("nan")) + xml_note(60, 8)]),
    "xml: a note for ever": lambda: score([attributes() + xml_note(60, 1e6)]),
    "xml: infinite": lambda: score([attributes() + xml_note(60, float("inf"))]),
    "xml: 1e999999999": lambda: score([attributes() + xml_note(60, 8).replace(">8<", ">1e999999999<")]),
    "xml: no such step": lambda: score([attributes() + xml_note(60, 8).replace(">C<", ">X<")]),
    "xml: octave of digits": lambda: score([attributes() + xml_note(60, 8).replace(">4<", f">{'9' * 5000}<")]),
    "xml: beats of digits": lambda: score([attributes("9" * 5000 + "/4") + xml_note(60, 8)]),
    "xml: negative duration": lambda: score([attributes() + xml_note(60, -8)]),
    "mxl: cut short": lambda: packed(score([attributes()]))[:100],
    "mxl: head alone": lambda: b"PK\x03\x04",
    "mxl: bomb": lambda: packed(BIG),
    "mxl: bomb that tells a small size": lambda: lying(packed(BIG), len(BIG), 1000),
    "mxl: bomb in bzip2": lambda: packed(b" " * 10_000_000, method=zipfile.ZIP_BZIP2),
    "mxl: bomb in LZMA": lambda: packed(b" " * 10_000_000, method=zipfile.ZIP_LZMA),
    "mxl: bzip2 that tells a small size": lambda: lying(packed(BIG, method=zipfile.ZIP_BZIP2), len(BIG), 1000),
    "mxl: container too large": lambda: packed(b" " * 200_000, "META-INF/container.xml", container=False),
    "mxl: nothing in it": lambda: packed(b"x", "readme.txt", container=False),
    "mxl: names another": lambda: renamed(packed(b"x", "a.txt", method=zipfile.ZIP_STORED), b'"a.txt"', b'"b.xml"'),
    "mxl: climbing path": lambda: packed(b"x", "../../../../tmp/climbed.xml"),
    "mxl: encrypted": lambda: packed(b"x").replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
    ),
    "mxl: laughs": lambda: packed(laughs()),
    "mxl: many entries": lambda: many_entries(),
}


def many_entries() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(5000):
            archive.writestr(f"{number}.xml", b"")
    return buffer.getvalue()


@pytest.mark.parametrize("case", HOSTILE)
def test_harm_is_turned_down_in_words(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = HOSTILE[case]()

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("an upload touched the disk or the network")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", forbidden)
        patch.setattr(builtins, "open", forbidden)
        patch.setattr(io, "open", forbidden)
        patch.setattr("logging.Logger.warning", lambda *_, **__: None)  # which reads source files for its trace
        begin = time.process_time()
        with pytest.raises(UploadError) as caught:
            read_upload(data, "tune.mid")
        taken = time.process_time() - begin
    assert taken < 3
    message = str(caught.value)
    assert message[0].isupper() and message.endswith(".") and "Please" in message and len(message) < 200


@pytest.mark.parametrize(
    "case",
    [
        "mxl: bomb",
        "mxl: bomb that tells a small size",
        "mxl: bzip2 that tells a small size",
        "xml: default attributes",
        "midi: number of 2 MB",
        "xml: billion laughs",
    ],
)
def test_harm_takes_little_memory(case: str) -> None:
    data = HOSTILE[case]()
    tracemalloc.start()
    try:
        with pytest.raises(UploadError):
            read_upload(data, "tune")
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("case", "message"),
    [("100 MB", TOO_LARGE), ("mxl: bomb", TOO_LARGE), ("midi: too many events", TOO_MANY), ("midi: cut short", BROKEN)],
)
def test_messages_fit_the_harm(case: str, message: str) -> None:
    with pytest.raises(UploadError, match=message[:30]):
        read(HOSTILE[case]())


def test_the_message_minds_a_misleading_name() -> None:
    with pytest.raises(UploadError, match="In spite of its name"):
        read(HOSTILE["png"](), "song.MID")
    with pytest.raises(UploadError, match="The file holds no MIDI"):
        read(HOSTILE["png"](), "song.png")


def test_damage_gives_a_melody_or_words_and_nothing_else() -> None:
    """Bytes changed, dropped or doubled at random places."""
    chooser = random.Random(2)
    wholes = [GOOD, as_xml(*TUNES[1][:2]), packed(as_xml(*TUNES[1][:2])), as_midi(TUNES[3][0], "Em")]
    for number in range(1500):
        data = bytearray(wholes[number % 4])
        for _ in range(chooser.randint(1, 6)):
            place = chooser.randrange(len(data))
            if chooser.random() < 0.6:
                data[place] = chooser.randrange(256)
            elif chooser.random() < 0.5:
                del data[place : place + chooser.randint(1, 30)]
            else:
                data[place:place] = data[place : place + chooser.randint(1, 30)]
        try:
            upload = read(bytes(data))
        except UploadError:
            continue
        assert 0 < len(upload.melody.notes) <= MAX_NOTES
        assert all(LOWEST_PITCH <= p <= HIGHEST_PITCH for p in upload.melody.pitches)
        assert all(n.duration > 0 for n in upload.melody.notes) and 0 <= upload.melody.pickup < upload.melody.meter.bar


def test_odd_but_honest_midi() -> None:
    """Running status across a meta event, chunks of other kinds, notes never ended, an odd key signature."""
    body = (
        b"\x00\xff\x59\x02\x10\x05"
        + ON
        + b"\x60\xff\x01\x01x"
        + b"\x00\x3c\x00"
        + b"\x00\x90\x40\x40"
        + b"\x60\xff\x2f\x00"
    )
    data = smf(body, division=96)
    data = data[:14] + b"XFIH\x00\x00\x00\x03abc" + data[14:] + b"trailing"
    assert [(n.pitch, n.duration) for n in read(data).melody.sounding().notes] == [(60, 8), (64, 8)]


def test_an_ordinary_file_is_read_at_once() -> None:
    bars = [attributes() + "".join(xml_note(p, 4) for p in C_MAJOR)] + ["".join(xml_note(p, 4) for p in C_MAJOR)] * 49
    data = score(*[bars] * 4)
    begin = time.process_time()
    read(data)
    assert time.process_time() - begin < 1
