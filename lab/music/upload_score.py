"""Reads the parts of a MusicXML score, packed (.mxl) or plain.

By its own few lines, as a stranger may have made the file: music21 takes three times as long, has no bound on what it
builds, and keeps pickles of files it parsed. defusedxml expands and fetches nothing; the builder below bounds the rest.
"""

from __future__ import annotations

import io
import zipfile
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException, DTDForbidden
from defusedxml.ElementTree import DefusedXMLParser

from lab.errors import UploadError
from lab.music.upload_parts import BROKEN, MAX_EVENTS, MAX_UNPACKED, QUARTER, TOO_LARGE, TOO_MANY, Part, Sound

MAX_ELEMENTS, MAX_DEPTH = 300_000, 50  # a note has about twelve elements, a score about eight levels
MAX_ENTRIES, MAX_CONTAINER = 1000, 100_000
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
PHRASE_ENDS = {"fermata", "breath-mark", "caesura"}
UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"<\x00", b"\x00<")
NO_SCORE = "The file is XML, but no MusicXML score. Please export MusicXML (score-partwise) from a music program."


def packed_parts(data: bytes) -> list[Part]:
    """Return the parts of a packed score. Raises UploadError as ``score_parts`` does."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES:
            raise UploadError(TOO_LARGE)
        scores = [e.filename for e in entries if not e.filename.startswith("META-INF/")]
        scores = [name for name in scores if name.lower().endswith((".xml", ".musicxml"))]
        if "META-INF/container.xml" in archive.namelist():
            container = _tree(_unpacked(archive, "META-INF/container.xml", MAX_CONTAINER))
            named = [root.get("full-path") for root in container.iter("rootfile")]
            scores = [name for name in named if name in archive.namelist()] or scores
        if not scores:
            raise UploadError("There is no score in this archive. Please export MusicXML from a music program.")
        return score_parts(_unpacked(archive, scores[0], MAX_UNPACKED))


def _unpacked(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Return an entry of at most so many bytes. Its declared size may lie, so no more is unpacked than asked for."""
    entry = archive.getinfo(name)
    if entry.file_size > limit:
        raise UploadError(TOO_LARGE)
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UploadError(BROKEN)  # zipfile unpacks bzip2 and LZMA without a bound
    with archive.open(entry) as packed:
        content = packed.read(limit + 1)
    if len(content) > limit:
        raise UploadError(TOO_LARGE)
    return content


def score_parts(data: bytes) -> list[Part]:
    """Return the parts of a plain score, at sounding pitch; repeats are not played out, grace and cue notes left out.

    Raises:
        UploadError: if it is too large, no score, or declares entities.
        ValueError: if something in it is no number where one should be, or out of all bounds.
    """
    if data.startswith(UTF_16):
        raise UploadError("The score is written in UTF-16. Please save it as UTF-8 (or as .mxl) and try again.")
    root = _tree(data)
    if root.tag != "score-partwise":
        raise UploadError(NO_SCORE)
    return [_Reader().part(part) for part in root.findall("part")]  # parts within parts: no score


class _Builder(TreeBuilder):
    """Stops at too many elements, too many notes, or nests too deep."""

    depth = elements = notes = 0

    def start(self, tag: str, attributes: dict[str, str]) -> Element:
        self.depth += 1
        self.elements += 1
        self.notes += tag == "note"
        if self.depth > MAX_DEPTH:
            raise UploadError(BROKEN)
        if self.elements > MAX_ELEMENTS or self.notes > MAX_EVENTS:
            raise UploadError(TOO_MANY)
        return super().start(tag, attributes)

    def end(self, tag: str) -> Element:
        self.depth -= 1
        return super().end(tag)


class _Parser(DefusedXMLParser):
    """Lets the usual DOCTYPE line pass. In an internal subset, default attributes alone could fill the memory."""

    def defused_start_doctype_decl(self, name: str, system: str, public: str, has_internal_subset: int) -> None:
        if has_internal_subset:
            raise DTDForbidden(name, system, public)


def _tree(data: bytes) -> Element:
    """Parse XML in which a document type may be named, but nothing be declared."""
    parser = _Parser(target=_Builder(), forbid_dtd=True)
    try:
        parser.feed(data)
        return parser.close()
    except DefusedXmlException as error:
        raise UploadError(
            "The file declares entities, which no score needs. Please export it once more from a music program."
        ) from error
    except ParseError as error:
        raise UploadError(BROKEN) from error


class _Reader:
    """Where the reading of a part stands."""

    def __init__(self) -> None:
        self.read = Part(bar_lines=[])
        self.divisions = 1.0  # of a quarter, in which the file counts durations
        self.transposition = 0
        self.now = self.onset = 0  # of what comes next, and of the note before
        self.tied: dict[int, int] = {}  # pitch to the place of a sound that a tie goes on from

    def part(self, part: Element) -> Part:
        """Read a part."""
        begin = 0
        for measure in part.findall("measure"):
            self.read.bar_lines.append(begin)
            self.now = end = begin
            for element in measure:
                if element.tag == "attributes":
                    self._attributes(element)
                elif element.tag == "note":
                    self._note(element)
                elif element.tag == "forward":
                    self.now += self._duration(element)
                elif element.tag == "backup":
                    self.now = max(begin, self.now - self._duration(element))
                end = max(end, self.now)
            begin = end
        self.read.end = begin
        return self.read

    def _attributes(self, element: Element) -> None:
        if element.find("divisions") is not None:
            self.divisions = _number(element, "divisions", 0.001, 1e6)
        if element.find("transpose") is not None:
            octaves = _number(element, "transpose/octave-change", -9, 9)
            self.transposition = round(_number(element, "transpose/chromatic", -99, 99) + 12 * octaves)
        beats, unit = element.findtext("time/beats"), element.findtext("time/beat-type")
        if beats and unit:  # beats may be a sum, such as 3+2
            self.read.meters.append(f"{sum(int(beat) for beat in beats.split('+'))}/{unit.strip()}")
        if self.read.key is None and element.find("key/fifths") is not None:
            mode = (element.findtext("key/mode") or "").strip().lower()
            self.read.key = (round(_number(element, "key/fifths", -99, 99)), mode, self.transposition)

    def _duration(self, element: Element) -> int:
        return round(_number(element, "duration", 0, 1e6) * QUARTER / self.divisions)

    def _note(self, note: Element) -> None:
        if note.find("grace") is not None:
            return
        start = self.onset if note.find("chord") is not None else self.now
        end = start + self._duration(note)
        self.onset, self.now = start, max(end, self.now) if note.find("chord") is not None else end
        sounds = self.read.sounds
        phrase_end = any(element.tag in PHRASE_ENDS for element in note.iter())
        if note.find("rest") is not None and phrase_end and sounds:
            sounds[-1] = sounds[-1]._replace(phrase_end=True)
        if note.find("pitch") is None or note.find("cue") is not None or start == end:
            return
        octave = _number(note, "pitch/octave", -1, 10)
        step = STEPS[(note.findtext("pitch/step") or "").strip()]
        pitch = round(12 * octave + 12 + step + _number(note, "pitch/alter", -4, 4)) + self.transposition
        ties = {tie.get("type") for tie in note.iter("tie")}
        place = self.tied.pop(pitch, None) if "stop" in ties else None
        if place is not None and sounds[place].end == start:
            sounds[place] = sounds[place]._replace(end=end, phrase_end=sounds[place].phrase_end or phrase_end)
        else:
            place = len(sounds)
            sounds.append(Sound(start, end, pitch, phrase_end))
        if "start" in ties:
            self.tied[pitch] = place


def _number(element: Element, path: str, low: float, high: float) -> float:
    """Return the number at a path, 0 if there is none. Raises ValueError if it is no number, or not within bounds."""
    value = float(element.findtext(path) or 0)
    if not low <= value <= high:
        raise ValueError(f"{path} is {value}")
    return value
