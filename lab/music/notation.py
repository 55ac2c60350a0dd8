"""How a melody is written down: names for its pitches, bars, ties, beams. What MusicXML makes of it is in score.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from lab.music.melody import TICKS_PER_QUARTER, TICKS_PER_WHOLE, Melody, Meter, Mode

TYPES = {64: "breve", 32: "whole", 16: "half", 8: "quarter", 4: "eighth", 2: "16th", 1: "32nd"}  # by ticks
WRITABLE = {*TYPES, *(3 * ticks // 2 for ticks in TYPES if ticks > 1)}  # plain and dotted values
SHARPS = {0: 0, 7: 1, 2: 2, 9: 3, 4: 4, 11: 5, 6: -6, 1: -5, 8: -4, 3: -3, 10: -2, 5: -1}  # by a major key's tonic
# The line of fifths, C = 0, F = -1, G = 1: which one a pitch class is taken for, relative to C major and A minor.
FIFTHS = {
    Mode.MAJOR: {0: 0, 1: 7, 2: 2, 3: -3, 4: 4, 5: -1, 6: 6, 7: 1, 8: 8, 9: 3, 10: -2, 11: 5},
    Mode.MINOR: {0: 0, 1: 7, 2: 2, 3: 9, 4: 4, 5: -1, 6: 6, 7: 1, 8: 8, 9: 3, 10: -2, 11: 5},
}
MINOR_LEADING_NOTE = 8
FLAGS = {"eighth": 1, "16th": 2, "32nd": 3}
AMBIGUOUS = {3, 8, 10}  # E flat or D sharp, ...: where the next note lies tells


@dataclass(frozen=True)
class Spelling:
    """A pitch with its name, C4 being middle C; ``alter`` is 1 for a sharp."""

    step: str
    alter: int
    octave: int


@dataclass
class Piece:
    """What is written as one sign: a note, a rest, or the part of one that lies in one bar and has a plain value.

    Attributes:
        note: index of the note or rest in the melody.
        spelling: its pitch, None for a rest.
        position: ticks from the bar line.
        ticks: duration.
        part: how many pieces of the same note come before; notes are tied to the piece before.
        last: whether the note ends with it.
        accidental: whether a sign is written before it.
        beams: what its beams do, the outermost first, in the words of MusicXML.
        breath: whether a phrase ends behind it.
    """

    note: int
    spelling: Spelling | None
    position: int
    ticks: int
    part: int = 0
    last: bool = False
    accidental: bool = False
    beams: list[str] = field(default_factory=list)
    breath: bool = False


def notate(melody: Melody, tonic: int) -> list[list[Piece]]:
    """Return a melody as it is written in the key with that tonic (a pitch class): the pieces of each bar."""
    breaths = _breaths(melody)
    bars = _bars(melody, spell(melody, tonic))
    for bar in bars:
        _mark_accidentals(bar, key_signature(tonic, melody.mode))
        _beam(bar, melody.meter)
        for piece in bar:
            piece.breath = piece.last and piece.note in breaths
    return bars


def key_signature(tonic: int, mode: Mode) -> int:
    """Return the sharps of a key, flats being negative; tonic is a pitch class."""
    return SHARPS[(tonic - mode.tonic) % 12]


def spell(melody: Melody, tonic: int) -> list[Spelling | None]:
    """Return the name of each pitch in the key with that tonic, None for rests.

    A note outside the scale takes the name that is commonest in its mode, with two exceptions: what leads up a
    semitone is written as a sharp, what leads down one as a flat, where both names are in use.
    """
    sharps = key_signature(tonic, melody.mode)
    spellings: list[Spelling | None] = []
    following: int | None = None
    for note in reversed(melody.notes):
        if note.pitch is None:
            spellings.append(None)
            continue
        pitch_class = (note.pitch - tonic + melody.mode.tonic) % 12
        fifths = FIFTHS[melody.mode][pitch_class]
        leading = melody.mode is Mode.MINOR and pitch_class == MINOR_LEADING_NOTE
        if pitch_class in AMBIGUOUS and not leading and following is not None:
            if following == note.pitch + 1 and fifths < 0:
                fifths += 12
            elif following == note.pitch - 1 and fifths > 0:
                fifths -= 12
        fifths += sharps
        if not -8 < fifths < 13 and not leading:  # nobody wants to read a double sharp or flat there
            fifths -= 12 if fifths > 0 else -12
        alter = (fifths + 1) // 7
        spellings.append(Spelling("FCGDAEB"[(fifths + 1) % 7], alter, (note.pitch - alter) // 12 - 1))
        following = note.pitch
    return spellings[::-1]


def signature_of(step: str, sharps: int) -> int:
    """Return what a key signature does to a step: 1 for a sharp."""
    place = "FCGDAEB".index(step)
    return 1 if place < sharps else -1 if 6 - place < -sharps else 0


def _bars(melody: Melody, spellings: Sequence[Spelling | None]) -> list[list[Piece]]:
    """Return the pieces of each bar, without signs and beams."""
    lengths = melody.bar_lengths()
    bars: list[list[Piece]] = [[]]
    left = lengths[0]  # of the bar, in ticks
    tick = 0
    for index, note in enumerate(melody.notes):
        part = 0
        missing = note.duration
        while missing:
            if not left:
                bars.append([])
                left = lengths[len(bars) - 1]
            inside = min(left, missing)
            position = melody.position(tick)
            whole = note.pitch is None and inside == melody.meter.bar  # a rest for any bar, whatever its length
            for ticks in [inside] if whole else _values(position, position + inside, melody.meter):
                bars[-1].append(Piece(index, spellings[index], position, ticks, part))
                position += ticks
                part += 1
            tick, left, missing = tick + inside, left - inside, missing - inside
        bars[-1][-1].last = True
    return bars


def _values(start: int, end: int, meter: Meter) -> list[int]:
    """Divide a stretch of a bar into note values, at the strongest place where it can be divided."""
    if end - start in WRITABLE:
        return [end - start]
    for level in _levels(meter):
        cuts = range(start // level * level + level, end, level)
        if cuts:
            cut = max(cuts, key=lambda cut: ((cut - start in WRITABLE) + (end - cut in WRITABLE), cut))
            return [*_values(start, cut, meter), *_values(cut, end, meter)]
    raise AssertionError("a tick is a note value")


def _levels(meter: Meter) -> list[int]:
    """Return the distances at which a bar can be divided, in ticks: half a bar, beats, and parts of beats."""
    levels = [meter.bar // 2] if meter.bar % (2 * meter.beat) == 0 else []
    levels.append(meter.beat)
    part = TICKS_PER_WHOLE // meter.unit
    while part >= 1:
        levels.append(part)
        part //= 2
    return levels


def _breaths(melody: Melody) -> set[int]:
    """Return the indices of the notes behind which a phrase ends, if more follows."""
    breaths = set()
    sounding = None
    for index, note in enumerate(melody.notes):
        if note.pitch is not None:
            sounding = index
        if note.phrase_end and sounding is not None:
            breaths.add(sounding)  # where a rest ends the phrase, the note before it
    return breaths - {sounding}


def _mark_accidentals(bar: Sequence[Piece], sharps: int) -> None:
    """Decide which notes of a bar need a sign: those that the key, or an earlier sign in the bar, says otherwise of."""
    written: dict[tuple[str, int], int] = {}
    for piece in bar:
        if piece.spelling is not None and not piece.part:  # what is tied to it keeps the sign, even in the next bar
            place = piece.spelling.step, piece.spelling.octave
            piece.accidental = piece.spelling.alter != written.get(place, signature_of(piece.spelling.step, sharps))
            if piece.accidental:
                written[place] = piece.spelling.alter


def _beam(bar: Sequence[Piece], meter: Meter) -> None:
    """Join the short notes of a bar that belong to one beat."""
    # In a bar as short as 3/8, a unit is not felt as a group, and in a longer one of eighths a quarter is.
    span = meter.beat if meter.beat >= 6 else meter.bar if meter.bar <= 12 else TICKS_PER_QUARTER
    for (_, flagged), group in groupby(bar, key=lambda piece: (piece.position // span, _flags(piece) > 0)):
        pieces = list(group)
        if not flagged or len(pieces) < 2:
            continue
        for level in range(1, max(map(_flags, pieces)) + 1):
            for reached, level_pieces in groupby(pieces, key=lambda piece, level=level: _flags(piece) >= level):
                run = list(level_pieces)
                if not reached:
                    continue
                if len(run) == 1:
                    run[0].beams.append("forward hook" if run[0] is pieces[0] else "backward hook")
                    continue
                run[0].beams.append("begin")
                for piece in run[1:-1]:
                    piece.beams.append("continue")
                run[-1].beams.append("end")


def _flags(piece: Piece) -> int:
    """Return how many flags or beams a note has."""
    return 0 if piece.spelling is None or piece.ticks >= TICKS_PER_QUARTER else FLAGS[value_of(piece.ticks)[0]]


def value_of(ticks: int) -> tuple[str, bool]:
    """Return the name of a note value and whether it is dotted."""
    return (TYPES[ticks], False) if ticks in TYPES else (TYPES[ticks * 2 // 3], True)
