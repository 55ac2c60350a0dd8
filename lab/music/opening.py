"""Openings that a visitor writes, plays on the keyboard or takes from a song, as a line of ABC notation.

E2 | A2 A2 B2 c2      notes in eighths; C is middle C, c the one above, ^ a sharp, _ a flat, z a rest
                      the first bar line ends the pickup; later ones may be left out
                      a new line ends a phrase
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.errors import VisitorError
from lab.music.essen import UnreadableSong, merge_ties, read_bars
from lab.music.melody import TICKS_PER_WHOLE, Melody, Meter, Mode
from lab.music.tokens import Vocabulary

UNIT = 4  # ticks of a note without a number: an eighth
MAX_NOTES = 64
MAX_TICKS = 64 * TICKS_PER_WHOLE  # of an opening; a single note's digits could say anything
LETTERS = ("C", "^C", "D", "^D", "E", "F", "^F", "G", "^G", "A", "^A", "B")


class OpeningError(VisitorError, ValueError):
    """An opening that cannot be used; the message says what to do."""


def read_opening(text: str, meter: Meter, mode: Mode) -> Melody | None:
    """Return the opening, in C major or A minor, or None if there is none.

    Raises:
        OpeningError: if the text is not such a line, or too long.
    """
    if not text.replace("|", "").strip():
        return None
    if len(text) > 20 * MAX_NOTES:
        raise OpeningError(f"This opening is too long. Please give at most {MAX_NOTES} notes.")
    phrase_ends = text.endswith("\n")
    text = "\n".join(line.strip() for line in text.strip().splitlines())
    try:
        # Bar lines after the pickup's are put where the meter wants them, so a bar that the visitor miscounts is fine.
        head = text.partition("|")[0]
        bars = read_bars(text, UNIT, 0, meter.bar)
        notes = merge_ties([note for bar in bars for note in bar])
        first = sum(note.duration for note in read_bars(head, UNIT, 0, meter.bar)[0]) if head.strip() else 0
    except UnreadableSong as error:
        raise OpeningError(
            f"The opening cannot be read: {error}. Notes are letters with a length in eighths, such as c2 d e/2 z."
        ) from None
    if len(notes) > MAX_NOTES:
        raise OpeningError(f"This opening has {len(notes)} notes. Please give at most {MAX_NOTES}.")
    if sum(note.duration for note in notes) > MAX_TICKS:
        raise OpeningError(f"This opening is too long. Please give at most {MAX_TICKS // TICKS_PER_WHOLE} whole notes.")
    if not phrase_ends:  # the end of the text is not the end of a phrase, unless it says so
        notes = (*notes[:-1], replace(notes[-1], phrase_end=False))
    pickup = first if "|" in text and 0 < first < meter.bar else 0
    if all(note.pitch is None for note in notes):
        raise OpeningError("The opening has only rests. Please give at least one note, or leave it empty.")
    return Melody(notes, meter, mode, pickup)


def write_opening(melody: Melody, bars: int | None = None) -> str:
    """Return the first bars of a melody (None for all), the pickup not counted, as ``read_opening`` reads them."""
    parts: list[str] = []
    end = melody.duration if bars is None else melody.pickup + bars * melody.meter.bar
    tick = 0
    altered: set[str] = set()  # letters, with their octave, that had an accidental since the last bar line
    for note in melody.notes:
        if tick >= end:
            break
        left = note.duration
        while left:
            position = melody.position(tick)
            if position == 0 and not (tick == 0 and melody.pickup):
                parts.append("|" if tick else "")
                altered.clear()
            piece = min(left, melody.meter.bar - position)
            left -= piece
            tick += piece
            tie = "-" if left and note.pitch is not None else ""
            name = letter(note.pitch)
            if name[0] == "^":
                altered.add(name[1:])
            elif name in altered:
                altered.remove(name)
                name = f"={name}"
            parts.append(f"{name}{length(piece)}{tie}")
        if note.phrase_end and tick < end:
            parts.append("\n")
    return " ".join(part for part in parts if part).replace(" \n ", "\n")


def letter(pitch: int | None) -> str:
    """Return a pitch as ABC writes it, z for a rest."""
    if pitch is None:
        return "z"
    octave, place = divmod(pitch - 60, 12)
    name = LETTERS[place]
    return name + "," * -octave if octave < 1 else name.lower() + "'" * (octave - 1)


def length(ticks: int) -> str:
    """Return a duration as ABC writes it after a note: nothing for an eighth, 2 for a quarter, /2 for a sixteenth."""
    whole, rest = divmod(ticks, UNIT)
    if not rest:
        return "" if whole == 1 else str(whole)
    divisor = 2 if ticks % 2 == 0 else 4
    number = ticks * divisor // UNIT
    return f"{'' if number == 1 else number}/{divisor}"


def check_range(names: Sequence[str], vocabulary: Vocabulary) -> None:
    """Make sure that the models know every token of an opening.

    Args:
        names: of the tokens.

    Raises:
        OpeningError: naming the first note that they do not know.
    """
    for name in names:
        if name not in vocabulary.ids:
            if ":" not in name:
                raise OpeningError(f"The models do not know {name!r}. Please choose another meter or length.")
            pitch, _, ticks = name.partition(":")
            known = sorted({int(n.partition(":")[0]) for n in vocabulary.names if ":" in n and n[0] != "r"})
            what = "a rest" if pitch == "r" else letter(int(pitch))
            raise OpeningError(
                f"The models have never met {what} for {int(ticks)}/32 of a whole note. They know notes from "
                f"{letter(known[0])} to {letter(known[-1])}, mostly plain lengths. Please change the opening."
            )
