"""Reads the soprano lines of Bach's chorales from the scores that the music21 package carries.

A fermata ends a phrase. The tonic is the bass's last note, the mode is told by all voices together: a soprano may end
on the third or the fifth, and a last chord in major does not make a minor chorale a major one.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from lab.music.melody import TICKS_PER_QUARTER, Melody, Meter, Note, mode_of, normalized

if TYPE_CHECKING:
    from music21.note import GeneralNote
    from music21.stream import Part, Score


class UnreadableChorale(ValueError):
    """The score is no four-part chorale, or cannot be read without guessing; the message says why."""


@dataclass(frozen=True)
class Chorale:
    """A chorale's soprano and the name of the score it is from."""

    id: str
    title: str
    melody: Melody


def chorale_files() -> list[Path]:
    """Return the scores of Bach in the music21 package, in the order of their names."""
    import music21

    folder = Path(music21.__file__).parent / "corpus" / "bach"
    return sorted(path for path in folder.iterdir() if path.suffix in (".mxl", ".xml"))


def read_chorale(path: Path) -> Chorale:
    """Read the soprano of one score.

    Raises:
        UnreadableChorale: if it has not four parts, changes its meter, or has bars that do not fit the meter.
    """
    from music21 import converter

    return chorale_of(converter.parse(path), path.stem)


def chorale_of(score: Score, name: str) -> Chorale:
    """Take the soprano out of a parsed score. Raises UnreadableChorale as ``read_chorale`` does."""
    parts = list(score.parts)
    if len(parts) != 4:
        raise UnreadableChorale(f"{len(parts)} parts")
    signatures = {s.ratioString for s in parts[0].recurse().getElementsByClass("TimeSignature")}
    if len(signatures) != 1:
        raise UnreadableChorale("not one meter from end to end")
    try:
        meter = Meter.parse(signatures.pop())
    except ValueError as error:
        raise UnreadableChorale(str(error)) from None
    pickup = _pickup(parts[0], meter)
    voices = [_notes(part) for part in parts]
    tonic = next(note.pitch for note in reversed(voices[3]) if note.pitch is not None) % 12
    mode = mode_of([note for voice in voices for note in voice], tonic)
    title = (score.metadata and (score.metadata.title or score.metadata.movementName)) or name
    melody = normalized(voices[0], meter, tonic, pickup, mode)
    return Chorale(name, name if title.endswith((".mxl", ".xml")) else title, melody)


def ticks(quarters: float | Fraction) -> int:
    """Turn quarter notes into ticks. Raises UnreadableChorale for what lies between two ticks."""
    exact = Fraction(quarters).limit_denominator(960) * TICKS_PER_QUARTER
    if exact.denominator != 1:
        raise UnreadableChorale("a duration that is not a multiple of a thirty-second")
    return int(exact)


def _pickup(part: Part, meter: Meter) -> int:
    """Return the pickup's ticks, having checked that bar lines stand where the meter puts them.

    A bar may be divided by a repeat sign: its halves are measures in the score, and only their sum is a bar.
    """
    measures = list(part.getElementsByClass("Measure"))
    lengths = [ticks(measure.duration.quarterLength) for measure in measures]
    if len(lengths) < 2:
        raise UnreadableChorale("fewer than two bars")
    pickup = lengths[0] if lengths[0] < meter.bar else 0
    position = -pickup
    for length in lengths:
        if length == meter.bar and position % meter.bar:
            raise UnreadableChorale("bar lines and meter disagree")
        if length > meter.bar:
            raise UnreadableChorale("a bar longer than the meter says")
        position += length
    return pickup


def _notes(part: Part) -> list[Note]:
    """Return a part's notes, tied ones as one, fermatas as phrase ends."""
    notes: list[Note] = []
    position = 0
    # stripTies drops what stands over the later parts of a tied note.
    fermatas = [element.offset for element in part.flatten().notesAndRests if _has_fermata(element)]
    for element in part.stripTies().flatten().notesAndRests:
        if element.duration.isGrace:
            continue
        if element.isChord:
            raise UnreadableChorale("two notes at once in one part")
        start, duration = ticks(element.offset), ticks(element.duration.quarterLength)
        if start != position:
            raise UnreadableChorale("a gap, or two voices in one part")
        fermata = any(element.offset <= offset < element.offset + element.quarterLength for offset in fermatas)
        notes.append(Note(None if element.isRest else element.pitch.midi, duration, fermata))
        position += duration
    if not any(note.pitch is not None for note in notes):
        raise UnreadableChorale("an empty part")
    last = notes[-1]
    notes[-1] = Note(last.pitch, last.duration, True)
    return notes


def _has_fermata(element: GeneralNote) -> bool:
    return any("Fermata" in expression.classes for expression in element.expressions)
