"""What is written down must be what was composed: music21 reads the MusicXML back, and the SVG is taken apart."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import pytest

from lab.music.melody import Melody, Meter, Mode, Note
from lab.music.notation import key_signature, notate, spell
from lab.music.score import engrave, to_musicxml, to_svg

SVG = "{http://www.w3.org/2000/svg}"


def melody_of(meter: str, notes: str, mode: Mode = Mode.MAJOR, pickup: int = 0) -> Melody:
    """Read notes such as ``60:8 r:4 62:12,`` - pitch, ticks, and a comma where a phrase ends."""
    read = []
    for word in notes.split():
        pitch, ticks = word.rstrip(",").split(":")
        read.append(Note(None if pitch == "r" else int(pitch), int(ticks), word.endswith(",")))
    return Melody(tuple(read), Meter.parse(meter), mode, pickup)


MELODIES = {
    "plain": (melody_of("4/4", "60:8 62:8 64:16 65:4 67:4 69:8 71:16,"), 0),
    "pickup, phrase, tie over the bar line": (
        melody_of("4/4", "67:8 72:8 74:8 76:16, 74:16 72:8 71:8, r:4 69:4 67:8 72:8", pickup=8),
        0,
    ),
    "five eighths": (melody_of("4/4", "67:20 69:12 r:20 71:12"), 7),
    "seven sixteenths": (melody_of("4/4", "67:14 69:2 71:2 72:14 74:7 76:1 77:3 79:5 72:16"), 0),
    "6/8 with a pickup": (melody_of("6/8", "62:4 67:8 69:4 71:4 72:4 74:4 74:20", pickup=4), 7),
    "3/4 in D minor": (melody_of("3/4", "62:8 64:8 65:8 69:12 70:4 61:8 62:24,", Mode.MINOR), 2),
    "4/2": (melody_of("4/2", "69:64 71:48 72:16 r:64 69:32 68:32, 69:96 69:32"), 9),
    "C sharp minor": (melody_of("4/4", "73:8 75:8 76:8 72:8 73:32", Mode.MINOR), 1),
    "F minor": (melody_of("4/4", "65:8 68:8 70:4 72:4 64:8 65:32", Mode.MINOR), 5),
    "B flat minor": (melody_of("3/8", "70:4 69:4 70:4 73:2 72:2 70:2 69:2 66:4 70:12", Mode.MINOR), 10),
    "G flat major": (melody_of("2/2", "66:16 71:16 77:8 r:8 70:16 65:31 66:1"), 6),
    "G sharp minor": (melody_of("2/4", "68:8 67:8 68:16", Mode.MINOR), 8),
    "rests of a bar and more": (melody_of("3/4", "r:24 60:12 r:36, 62:24 r:40 64:8"), 0),
    "7/8, 9/8, long notes": (melody_of("7/8", "60:28 62:50 64:6"), 0),
    "12/8": (melody_of("12/8", "60:4 62:8 64:4 65:36 67:44", pickup=4), 0),
    "ends in the middle of a bar": (melody_of("4/4", "60:8 62:32 64:16", pickup=8), 0),
}
parametrize_melodies = pytest.mark.parametrize(("melody", "tonic"), MELODIES.values(), ids=MELODIES)


def read_back(xml: str):
    from music21 import converter

    return converter.parse(xml, format="musicxml")


@parametrize_melodies
def test_music21_reads_the_same_notes_back(melody: Melody, tonic: int) -> None:
    score = read_back(to_musicxml(melody, title="Test", tonic=tonic))
    elements = score.parts[0].stripTies().flatten().notesAndRests
    read: list[tuple[int | None, int]] = []
    for element in elements:
        pitch, ticks = None if element.isRest else element.pitch.midi, int(element.quarterLength * 8)
        if read and pitch is None and read[-1][0] is None:
            ticks += read.pop()[1]  # a rest over a bar line is two rests
        read.append((pitch, ticks))
    assert read == [(note.pitch, note.duration) for note in melody.notes]


@parametrize_melodies
def test_music21_reads_meter_key_and_bars_back(melody: Melody, tonic: int) -> None:
    score = read_back(to_musicxml(melody, title="Test", tonic=tonic))
    assert [s.ratioString for s in score.recurse().getElementsByClass("TimeSignature")] == [str(melody.meter)]
    (key,) = score.recurse().getElementsByClass("Key")
    assert (key.tonic.pitchClass, key.mode) == (tonic, melody.mode.value)
    measures = list(score.parts[0].getElementsByClass("Measure"))
    assert [int(measure.duration.quarterLength * 8) for measure in measures] == melody.bar_lengths()
    assert measures[0].number == (0 if melody.pickup else 1)
    assert measures[-1].rightBarline.type == "final"
    assert score.recurse().getElementsByClass("Clef")[0].name == "treble"


@parametrize_melodies
def test_shown_accidentals_are_the_ones_that_are_needed(melody: Melody, tonic: int) -> None:
    """What a reader plays who knows the key signature and the signs in a bar, and nothing else."""
    sharps = key_signature(tonic, melody.mode)
    altered = {"FCGDAEB"[i]: 1 for i in range(sharps)} | {"BEADGCF"[i]: -1 for i in range(-sharps)}
    names = {"flat-flat": -2, "flat": -1, "natural": 0, "sharp": 1, "double-sharp": 2}
    played = []
    tied = None
    for measure in ElementTree.fromstring(to_musicxml(melody, title="", tonic=tonic)).iter("measure"):
        signs: dict[tuple[str, int], int] = {}
        for note in measure.iter("note"):
            if note.find("pitch") is None:
                continue
            place = note.findtext("pitch/step"), int(note.findtext("pitch/octave"))
            if note.find("accidental") is not None:
                assert signs.get(place, altered.get(place[0], 0)) != names[note.findtext("accidental")], (
                    "a needless one"
                )
                signs[place] = names[note.findtext("accidental")]
            if "stop" in {tie.get("type") for tie in note.findall("tie")}:
                assert tied == place
            else:
                alter = signs.get(place, altered.get(place[0], 0))
                played.append(12 * place[1] + 12 + dict(C=0, D=2, E=4, F=5, G=7, A=9, B=11)[place[0]] + alter)
            tied = place if "start" in {tie.get("type") for tie in note.findall("tie")} else None
    assert played == melody.pitches


def names(melody: Melody, tonic: int) -> str:
    signs = {-2: "bb", -1: "b", 0: "", 1: "#", 2: "##"}
    return " ".join("r" if s is None else f"{s.step}{signs[s.alter]}{s.octave}" for s in spell(melody, tonic))


@pytest.mark.parametrize(
    ("tonic", "mode", "pitches", "expected"),
    [
        (0, Mode.MAJOR, "60 61 62", "C4 C#4 D4"),
        (0, Mode.MAJOR, "67 66 67 70 69", "G4 F#4 G4 Bb4 A4"),
        (0, Mode.MAJOR, "69 68 69 68 67", "A4 G#4 A4 Ab4 G4"),
        (0, Mode.MAJOR, "64 63 64 63 62", "E4 D#4 E4 Eb4 D4"),
        (0, Mode.MAJOR, "59 60", "B3 C4"),
        (9, Mode.MINOR, "69 68 66 68 69", "A4 G#4 F#4 G#4 A4"),
        (9, Mode.MINOR, "69 70 69 68", "A4 Bb4 A4 G#4"),
        (9, Mode.MINOR, "76 75 76", "E5 D#5 E5"),
        (2, Mode.MINOR, "62 61 62 70 69", "D4 C#4 D4 Bb4 A4"),
        (0, Mode.MINOR, "60 59 60 63 68", "C4 B3 C4 Eb4 Ab4"),
        (1, Mode.MINOR, "73 72 73", "C#5 B#4 C#5"),
        (8, Mode.MINOR, "68 67 68", "G#4 F##4 G#4"),
        (3, Mode.MINOR, "63 62 63", "Eb4 D4 Eb4"),
        (10, Mode.MINOR, "70 69 70", "Bb4 A4 Bb4"),
        (6, Mode.MAJOR, "66 71 77", "Gb4 Cb5 F5"),
        (11, Mode.MAJOR, "71 70 71 75", "B4 A#4 B4 D#5"),
        (4, Mode.MAJOR, "64 63 64", "E4 D#4 E4"),
    ],
)
def test_pitches_are_spelled_as_the_key_wants(tonic: int, mode: Mode, pitches: str, expected: str) -> None:
    notes = tuple(Note(int(pitch), 8) for pitch in pitches.split())
    assert names(Melody(notes, Meter(4, 4), mode), tonic) == expected


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("tonic", range(12))
def test_spelled_pitches_sound_as_written_in_every_key(mode: Mode, tonic: int) -> None:
    melody = Melody(tuple(Note(pitch, 4) for pitch in [*range(48, 90), *range(89, 48, -1)]), Meter(4, 4), mode)
    pitch_class = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    sounding = [12 * s.octave + 12 + pitch_class[s.step] + s.alter for s in spell(melody, tonic) if s]
    assert sounding == melody.pitches
    assert all(abs(s.alter) < 2 or (mode is Mode.MINOR and (p - tonic) % 12 == 11) for s, p in
               zip(spell(melody, tonic), melody.pitches, strict=True) if s)  # fmt: skip


def values(melody: Melody) -> list[list[int]]:
    return [[piece.ticks for piece in bar] for bar in notate(melody, 0)]


def test_odd_durations_are_divided_at_the_strongest_beat() -> None:
    assert values(melody_of("4/4", "60:20 62:12")) == [[16, 4, 12]]
    assert values(melody_of("4/4", "62:12 60:20")) == [[12, 4, 16]]
    assert values(melody_of("4/4", "60:14 62:18")) == [[8, 6, 2, 16]]
    assert values(melody_of("9/8", "60:36")) == [[24, 12]]
    assert values(melody_of("4/4", "67:8 60:48 62:16", pickup=8)) == [[8], [32], [16, 16]]


def beams(melody: Melody) -> list[str]:
    return ["/".join(piece.beams) for bar in notate(melody, 0) for piece in bar]


def test_beams_join_what_belongs_to_a_beat() -> None:
    assert beams(melody_of("2/4", "60:4 62:4 64:4 65:4")) == ["begin", "end"] * 2
    assert beams(melody_of("6/8", "60:4 62:4 64:4 65:8 67:4")) == ["begin", "continue", "end", "", ""]
    assert beams(melody_of("3/8", "60:4 62:4 64:4")) == ["begin", "continue", "end"]
    assert beams(melody_of("2/4", "60:6 62:2 64:2 65:6")) == [
        "begin", "end/backward hook", "begin/forward hook", "end"]  # fmt: skip
    assert beams(melody_of("2/4", "60:4 r:4 60:2 62:2 64:4")) == ["", "", "begin/begin", "continue/end", "end"]
    assert beams(melody_of("4/4", "67:4 60:32", pickup=4)) == ["", ""]


def test_a_breath_stands_behind_each_phrase_but_the_last() -> None:
    melody = melody_of("4/4", "60:8 62:8, 64:24, r:8, 65:8 67:8, r:8")
    notes = ElementTree.fromstring(to_musicxml(melody, title="")).iter("note")
    breathing = [note.get("id") for note in notes if note.find("notations/articulations/breath-mark") is not None]
    assert breathing == ["score-n1", "score-n2-2"]  # behind the end of the tied note, not before the rest's phrase end


def test_title_is_only_text() -> None:
    title = '<script>alert("1")</script> & \x00\x0b\ud800 Ännchen'
    score = engrave(MELODIES["plain"][0], title=title)
    assert ElementTree.fromstring(score.musicxml).findtext("work/work-title") == title.replace("\x00\x0b\ud800", "")
    assert ElementTree.fromstring(score.svg).get("aria-label") == title.replace("\x00\x0b\ud800", "")
    assert "<script" not in score.musicxml + score.svg


@pytest.mark.parametrize("prefix", ["", "1", "a b", 'a"', "a.b"])
def test_prefix_must_be_fit_for_an_id(prefix: str) -> None:
    with pytest.raises(ValueError, match="cannot begin an id"):
        to_musicxml(MELODIES["plain"][0], title="", prefix=prefix)


def test_nothing_cannot_be_written_down() -> None:
    with pytest.raises(ValueError, match="at least one"):
        to_musicxml(Melody((), Meter(4, 4), Mode.MAJOR), title="")


def test_verovio_refuses_what_is_no_score() -> None:
    to_svg(to_musicxml(MELODIES["plain"][0], title=""))
    for text in ("<html/>", "", "<score-partwise/>"):  # not the score before
        with pytest.raises(ValueError, match="cannot read"):
            to_svg(text)


@parametrize_melodies
def test_every_note_has_its_elements_in_the_picture(melody: Melody, tonic: int) -> None:
    score = engrave(melody, title="Test", tonic=tonic, prefix="left")
    elements = {element.get("id"): element for element in ElementTree.fromstring(score.svg).iter() if element.get("id")}
    assert len(score.note_ids) == len(melody.notes)
    drawn = [name for name in elements if name.startswith("left-n")]
    assert sorted(drawn) == sorted(name for names in score.note_ids for name in names)
    for note, ids in zip(melody.notes, score.note_ids, strict=True):
        assert ids
        for name in ids:
            kinds = {"rest", "mRest"} if note.pitch is None else {"note"}
            assert elements[name].get("class") in kinds
            assert len(list(elements[name].iter())) > 1, "something is drawn"
    pieces = [piece.note for bar in notate(melody, tonic) for piece in bar]
    assert [len(ids) for ids in score.note_ids] == [pieces.count(index) for index in range(len(melody.notes))]


def test_ids_are_unique_across_scores() -> None:
    left, right = (engrave(MELODIES["3/4 in D minor"][0], title="x", tonic=2, prefix=p) for p in ("left", "right"))
    ids = re.findall(r'\bid="([^"]+)"', left.svg + right.svg)
    assert len(ids) == len(set(ids))
    for score in (left, right):
        own = set(re.findall(r'\bid="([^"]+)"', score.svg))
        assert set(re.findall(r'href="#([^"]+)"', score.svg)) <= own


def test_picture_is_self_contained_and_takes_the_pages_colour() -> None:
    svg = engrave(MELODIES["rests of a bar and more"][0], title="x").svg
    root = ElementTree.fromstring(svg)
    assert root.get("width") == "100%"
    assert root.get("height") is None
    assert re.fullmatch(r"0 0 900 \d+", root.get("viewBox"))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "defs", "g", "path", "use", "text", "tspan", "ellipse", "rect", "polygon", "polyline"}  # fmt: skip
    for element in root.iter():
        for attribute, value in element.attrib.items():
            assert not attribute.startswith("on")
            assert "url(" not in value
            if attribute.endswith("href"):
                assert value.startswith("#")
            if attribute in ("fill", "stroke", "color"):
                assert value in ("currentColor", "none", "inherit")
    assert root.get("fill") == root.get("stroke") == "currentColor"


def test_pictures_are_the_same_whenever_and_wherever_they_are_drawn() -> None:
    melody, tonic = MELODIES["pickup, phrase, tie over the bar line"]
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda _: engrave(melody, title="x", tonic=tonic).svg, range(12)))
    assert len({*pictures, engrave(melody, title="x", tonic=tonic).svg}) == 1


def test_width_and_scale_decide_how_many_lines_there_are() -> None:
    melody = Melody(tuple(Note(60 + i % 12, 8) for i in range(64)), Meter(4, 4), Mode.MAJOR)
    lines = [to_svg(to_musicxml(melody, title=""), width=w, scale=s).count('class="system"')
             for w, s in ((900, 45), (450, 45), (900, 90))]  # fmt: skip
    assert lines[0] < lines[1] == lines[2]
