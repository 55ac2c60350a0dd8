"""A melody as sheet music: MusicXML that any notation program opens, and an SVG for the page.

The XML is written by hand: music21's exporter takes longer for one melody than all the rest of a page together.
Every note and rest has an id, which verovio carries into the SVG, so that a page can light up the note that sounds.
"""

from __future__ import annotations

import html
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from lab.music.melody import TICKS_PER_QUARTER, Melody
from lab.music.notation import Piece, key_signature, notate, value_of

if TYPE_CHECKING:
    from verovio import toolkit as Toolkit

ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Score:
    """A melody as sheet music.

    Attributes:
        musicxml: the score as a file.
        svg: the score as a picture; it takes the colour of the text around it.
        note_ids: for each note and rest of the melody the ids of its elements in the picture, several if it is tied.
    """

    musicxml: str
    svg: str
    note_ids: tuple[tuple[str, ...], ...]


def engrave(
    melody: Melody,
    *,
    title: str,
    tonic: int | None = None,
    prefix: str = "score",
    part_name: str = "Melody",
    width: int = 900,
    scale: int = 45,
) -> Score:
    """Write a melody down and draw it; the arguments are those of ``to_musicxml`` and ``to_svg``."""
    musicxml = to_musicxml(melody, title=title, tonic=tonic, part_name=part_name, prefix=prefix)
    svg = to_svg(musicxml, label=title, prefix=prefix, width=width, scale=scale)
    ids: list[list[str]] = [[] for _ in melody.notes]
    for note, name in re.findall(rf' id="({re.escape(prefix)}-n(\d+)[^"]*)"', musicxml):
        ids[int(name)].append(note)
    return Score(musicxml, svg, tuple(map(tuple, ids)))


def to_musicxml(
    melody: Melody, *, title: str, tonic: int | None = None, part_name: str = "Melody", prefix: str = "score"
) -> str:
    """Return a melody as MusicXML, at the pitch it is written at.

    Args:
        title: any text.
        tonic: pitch class of the key it sounds in, 0 for C; if not given, that of C major or A minor.
        part_name: any text.
        prefix: what the ids of notes and rests begin with.

    Raises:
        ValueError: if the melody is empty, or the prefix cannot begin an id.
    """
    if not melody.notes:
        raise ValueError("a melody needs at least one note or rest")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", prefix):
        raise ValueError(f"{prefix[:20]!r} cannot begin an id")
    tonic = melody.mode.tonic if tonic is None else tonic % 12
    root = Element("score-partwise", version="4.0")
    _text(SubElement(root, "work"), "work-title", title)
    score_part = SubElement(SubElement(root, "part-list"), "score-part", id="P1")
    # Shown, it would only push the first line of a single voice to the right.
    _text(score_part, "part-name", part_name).set("print-object", "no")
    part = SubElement(root, "part", id="P1")
    for number, pieces in enumerate(notate(melody, tonic), start=0 if melody.pickup else 1):
        measure = SubElement(part, "measure", number=str(number))
        if number == 0:
            measure.set("implicit", "yes")
        if len(part) == 1:
            _attributes(measure, melody, key_signature(tonic, melody.mode))
        for piece in pieces:
            _note(measure, piece, prefix, melody.meter.bar)
    _text(SubElement(part[-1], "barline", location="right"), "bar-style", "light-heavy")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def to_svg(musicxml: str, *, label: str = "Score", prefix: str = "score", width: int = 900, scale: int = 45) -> str:
    """Draw MusicXML that ``to_musicxml`` made. Other files may crash the process: never hand it a visitor's.

    Args:
        label: what the picture is called for those who cannot see it.
        prefix: the same as that of the notes' ids; scores on one page need different ones.
        width: in pixels at which lines are broken; the picture then takes the width of what it is put into.
        scale: size of the notes in percent, 100 being a staff of 72 pixels.

    Raises:
        ValueError: if verovio cannot read it.
    """
    toolkit = _toolkit()
    toolkit.setOptions({"pageWidth": round(width * 100 / scale), "scale": scale})
    toolkit.loadData(musicxml)  # True even for what is no MusicXML; the page is empty then
    svg = toolkit.renderToSVG(1)
    if 'class="measure"' not in svg:
        raise ValueError("verovio cannot read this MusicXML")
    return _own_svg(svg, label, prefix)


def _attributes(measure: Element, melody: Melody, sharps: int) -> None:
    attributes = SubElement(measure, "attributes")
    _text(attributes, "divisions", TICKS_PER_QUARTER)
    key = SubElement(attributes, "key")
    _text(key, "fifths", sharps)
    _text(key, "mode", melody.mode.value)
    time = SubElement(attributes, "time")
    _text(time, "beats", melody.meter.beats)
    _text(time, "beat-type", melody.meter.unit)
    clef = SubElement(attributes, "clef")
    _text(clef, "sign", "G")
    _text(clef, "line", 2)


def _note(measure: Element, piece: Piece, prefix: str, bar: int) -> None:
    """Add a note or rest to a measure; ``bar`` is the length of a full one in ticks."""
    note = SubElement(measure, "note", id=f"{prefix}-n{piece.note}" + f"-{piece.part + 1}" * (piece.part > 0))
    ties = [] if piece.spelling is None else ["stop"] * (piece.part > 0) + ["start"] * (not piece.last)
    if piece.spelling is None:
        rest = SubElement(note, "rest")
    else:
        pitch = SubElement(note, "pitch")
        _text(pitch, "step", piece.spelling.step)
        if piece.spelling.alter:
            _text(pitch, "alter", piece.spelling.alter)
        _text(pitch, "octave", piece.spelling.octave)
    _text(note, "duration", piece.ticks)
    for tie in ties:
        SubElement(note, "tie", type=tie)
    _text(note, "voice", 1)
    if piece.spelling is None and piece.ticks == bar:
        rest.set("measure", "yes")  # stands for a bar of any length, so has no type
        return
    kind, dotted = value_of(piece.ticks)
    _text(note, "type", kind)
    if dotted:
        SubElement(note, "dot")
    if piece.spelling is not None and piece.accidental:
        _text(note, "accidental", ACCIDENTALS[piece.spelling.alter])
    for number, beam in enumerate(piece.beams, start=1):
        _text(note, "beam", beam).set("number", str(number))
    if ties or piece.breath:
        notations = SubElement(note, "notations")
        for tie in ties:
            SubElement(notations, "tied", type=tie)
        if piece.breath:
            _text(SubElement(notations, "articulations"), "breath-mark", "comma")


def _text(parent: Element, tag: str, text: object) -> Element:
    """Add an element with a text, without the characters that XML has no way to write."""
    element = SubElement(parent, tag)
    element.text = NOT_IN_XML.sub("", str(text))
    return element


_of_thread = threading.local()


def _toolkit() -> Toolkit:
    """Return this thread's own verovio: its fonts belong to the thread that loaded them, a score to one toolkit."""
    if not hasattr(_of_thread, "toolkit"):
        from pathlib import Path

        import verovio

        toolkit = verovio.toolkit(False)
        toolkit.setResourcePath(str(Path(verovio.__file__).parent / "data"))
        toolkit.setOptions(VEROVIO)
        _of_thread.toolkit = toolkit
    return _of_thread.toolkit


VEROVIO = {
    "inputFrom": "xml",
    "pageHeight": 60000,  # one page, cut to what is on it
    "adjustPageHeight": True,
    "pageMarginLeft": 50,
    "pageMarginRight": 10,
    "pageMarginTop": 20,
    "pageMarginBottom": 20,
    "header": "none",
    "footer": "none",
    "svgViewBox": True,
    "svgFormatRaw": True,
    "svgRemoveXlink": True,
}


def _own_svg(svg: str, label: str, prefix: str) -> str:
    """Make verovio's picture fit for a page beside others.

    Its ids are random; those of our notes stay, those of the glyphs get the prefix, the others go. Its style sheet
    goes too, since it would apply to the whole page: what it does can be inherited from the outermost element.
    """
    document = re.search(r'<svg [^>]*?\bid="([^"]+)"', svg)[1]
    svg = re.sub(r"<desc>.*?</desc>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<g [^>]*\bplaceholder\b[^>]*>\s*<ellipse[^>]*/>\s*</g>|<g\b[^>]*/>", "", svg)
    svg = svg.replace(f'-{document}"', f'-{prefix}-glyph"')
    svg = re.sub(rf' id="(?!{prefix}-n\d|[0-9A-F]+-{prefix}-glyph")[^"]*"', "", svg)
    svg = svg.replace(' color="black"', "")
    colours = 'fill="currentColor" stroke="currentColor"'
    name = html.escape(NOT_IN_XML.sub("", label))
    return svg.replace("<svg ", f'<svg id="{prefix}" role="img" aria-label="{name}" width="100%" {colours} ', 1)
