"""Reads the German folk songs of the Essen collection, as the music21 package carries them in ABC notation.

The dialect is small: one voice, note lengths as plain multiples, no chords, tuplets or repeats. Three habits of these
files matter. An accidental holds to the next bar line, across the end of the line of text. A line of text is a phrase.
And where a bar ends with the line, its bar line is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lab.music.melody import TICKS_PER_WHOLE, Melody, Meter, Note, normalized

SHARPS = {"C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5, "H": 5, "F#": 6, "F": -1, "Bb": -2, "Eb": -3, "Es": -3,
          "Ab": -4, "As": -4, "Db": -5, "Gb": -6}  # fmt: skip
PITCH_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11, "H": 11}
ORDER_OF_SHARPS = "FCGDAEB"
ACCIDENTALS = {"^": 1, "_": -1, "=": 0}
TOKEN = re.compile(
    r"(?P<note>(?P<accidental>[\^_=]?)(?P<letter>[A-Ga-gz])(?P<octave>[,']*)"
    r"(?P<length>\d*)(?P<slash>/?)(?P<divisor>\d*)(?P<tie>-?))"
    r"|(?P<bar>\|)|(?P<line>\n)|(?P<space>[ \t\r])"
)

# Where German is, or was when the song was written down, spoken: parts of the field for the origin.
GERMAN_REGIONS = (
    "Deutschland", "Oesterreich", "Schweiz", "Luxemburg", "Lothringen", "Elsass", "Tirol", "Steiermark", "Gottschee",
    "Siebenbuergen", "Schlesien", "Boehmen", "Maehren", "Kaernten", "Salzburg", "Vorarlberg", "Pommern", "Ostpreussen",
)  # fmt: skip


class UnreadableSong(ValueError):
    """The song cannot be read without guessing; the message says why."""


@dataclass(frozen=True)
class Song:
    """A folk song and where it is from."""

    id: str
    title: str
    origin: str
    melody: Melody


def songs(text: str) -> Iterator[tuple[dict[str, str], str]]:
    """Yield the header fields, by letter, and the body of each song in an ABC file."""
    for block in re.split(r"^(?=X:)", text, flags=re.MULTILINE)[1:]:
        fields: dict[str, str] = {}
        body: list[str] = []
        for line in block.splitlines():
            if re.match(r"[A-Z]:", line):
                fields.setdefault(line[0], line[2:].strip())
            elif line.strip():
                body.append(line.rstrip())
        yield fields, "\n".join(body)


def is_german(origin: str) -> bool:
    """Tell whether a field for the origin names a region in which German is or was spoken."""
    return any(region in origin for region in GERMAN_REGIONS)


def read_song(fields: dict[str, str], body: str) -> Song:
    """Read one song.

    Raises:
        UnreadableSong: if it has no meter, a bar is not as long as its meter says, or something stands in it that this
            dialect does not have.
    """
    try:
        meter = Meter.parse(fields.get("M", ""))
    except ValueError as error:
        raise UnreadableSong(f"meter: {error}") from None
    of_whole = re.fullmatch(r"(\d+)/([1-9]\d*)", fields.get("L", "1/8"))
    unit, rest = divmod(TICKS_PER_WHOLE * int(of_whole[1]), int(of_whole[2])) if of_whole else (0, 0)
    if rest or not unit:
        raise UnreadableSong(f"a unit of {fields['L']} of a whole note")
    tonic, sharps = read_key(fields.get("K", "C"))
    bars = read_bars(body, unit, sharps, meter.bar)
    pickup = check_bars([sum(note.duration for note in bar) for bar in bars], meter.bar)
    notes = merge_ties([note for bar in bars for note in bar])
    try:
        melody = normalized(notes, meter, tonic, pickup)
    except ValueError as error:
        raise UnreadableSong(str(error)) from None
    return Song(fields.get("N", ""), fields.get("T", ""), fields.get("O", ""), melody)


def read_key(text: str) -> tuple[int, int]:
    """Return the tonic's pitch class and the number of sharps (flats count below zero) of a field such as ``Bb``.

    A trailing ``m`` makes a minor key's signature. Raises UnreadableSong if there is no such key.
    """
    minor = text.endswith("m")
    name = text.removesuffix("m")
    if name not in SHARPS or abs(SHARPS[name] - 3 * minor) > 7:
        raise UnreadableSong(f"no key is called {text[:20]!r}")
    alteration = 1 if name.endswith("#") else -1 if name.endswith(("b", "s")) else 0
    return (PITCH_CLASSES[name[0]] + alteration) % 12, SHARPS[name] - 3 * minor


@dataclass
class _Reading:
    """A note as it is read: ``tied`` if the next one continues it."""

    pitch: int | None
    duration: int
    phrase_end: bool = False
    tied: bool = False


def read_bars(body: str, unit: int, sharps: int, bar_length: int) -> list[list[_Reading]]:
    """Return the notes of each bar, at sounding pitch.

    Args:
        body: of the song.
        unit: ticks of a note without a number.
        sharps: of the key signature.
        bar_length: in ticks; a line of text that ends a full bar ends it without a bar line.
    """
    altered = ORDER_OF_SHARPS[:sharps] if sharps > 0 else ORDER_OF_SHARPS[7 + sharps :] if sharps < 0 else ""
    signature = {letter: (1 if sharps > 0 else -1) for letter in altered}
    bars: list[list[_Reading]] = [[]]
    accidentals: dict[tuple[str, int], int] = {}
    position = 0

    def end_bar() -> None:
        accidentals.clear()
        if bars[-1]:
            bars.append([])

    while position < len(body):
        match = TOKEN.match(body, position)
        if match is None:
            raise UnreadableSong(f"{body[position : position + 10]!r} is not of this dialect")
        position = match.end()
        if match["bar"]:
            end_bar()
        elif match["line"]:
            _end_phrase(bars)
            if sum(note.duration for note in bars[-1]) == bar_length:
                end_bar()
        elif match["note"]:
            duration = _duration(match, unit)
            bars[-1].append(_Reading(_pitch(match, signature, accidentals), duration, tied=bool(match["tie"])))
    _end_phrase(bars)
    return [bar for bar in bars if bar]


def _duration(match: re.Match[str], unit: int) -> int:
    """Return a note's ticks; ``/`` without a number halves, as everywhere in ABC."""
    divisor = int(match["divisor"] or 2) if match["slash"] else 1
    duration, rest = divmod(unit * int(match["length"] or 1), divisor) if divisor else (0, 0)
    if rest or not duration:
        raise UnreadableSong("a note's length is not a multiple of a thirty-second")
    return duration


def _pitch(match: re.Match[str], signature: dict[str, int], accidentals: dict[tuple[str, int], int]) -> int | None:
    letter = match["letter"]
    if letter == "z":
        return None
    octave = (letter.islower()) - match["octave"].count(",") + match["octave"].count("'")
    step = letter.upper()
    if match["accidental"]:
        accidentals[step, octave] = ACCIDENTALS[match["accidental"]]
    alteration = accidentals.get((step, octave), signature.get(step, 0))
    return 60 + 12 * octave + PITCH_CLASSES[step] + alteration


def _end_phrase(bars: Sequence[list[_Reading]]) -> None:
    """Mark the last note, or the rest after it, as the end of a phrase."""
    for bar in reversed(bars):
        if bar:
            bar[-1].phrase_end = True
            return


def check_bars(lengths: Sequence[int], bar: int) -> int:
    """Return the pickup in ticks, 0 for none, of a song whose bars have these lengths.

    Only the first bar may be short, which makes it a pickup, and the last, which may leave room for a next verse's.
    Raises UnreadableSong otherwise.
    """
    if len(lengths) < 2:
        raise UnreadableSong("fewer than two bars")
    if any(length != bar for length in lengths[1:-1]) or lengths[0] > bar or lengths[-1] > bar:
        raise UnreadableSong("a bar is not as long as the meter says")
    return lengths[0] if lengths[0] < bar else 0


def merge_ties(readings: Sequence[_Reading]) -> tuple[Note, ...]:
    """Return notes, those that are tied as one. Raises UnreadableSong where a tie joins different pitches."""
    notes: list[Note] = []
    tied = False
    for reading in readings:
        if tied:
            if notes[-1].pitch != reading.pitch:
                raise UnreadableSong("a tie between different pitches")
            duration = notes[-1].duration + reading.duration
            notes[-1] = replace(notes[-1], duration=duration, phrase_end=reading.phrase_end)
        else:
            notes.append(Note(reading.pitch, reading.duration, reading.phrase_end))
        tied = reading.tied and reading.pitch is not None
    return tuple(notes)
