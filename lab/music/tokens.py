"""Melodies as sequences of tokens, and back without loss.

    minor 3/4 4 phrases   the header: mode, meter, number of phrases
    69:8                  a note: MIDI number and ticks (an A of a quarter); r:8 is a rest as long
    |                     a bar begins; what stands before the first one is the pickup
    ~                     the note before goes on after the bar line
    ,3                    a phrase ends, and three are still to come; after ,0 the melody does
    end                   the melody ends

One token holds pitch and duration together. Apart they would double the length, and a rhythm belongs to its pitch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.music.melody import Melody, Meter, Mode, Note

END, BAR, TIE = "end", "|", "~"
PHRASE_END = ","  # begins a phrase's end
MODES = tuple(mode.value for mode in Mode)
MAX_PHRASES = 12  # longer melodies have the header of twelve, and count down once no more are left than that
PHRASE_ENDS = tuple(f"{PHRASE_END}{left}" for left in range(MAX_PHRASES))
REST = "r"


class UnknownToken(ValueError):
    """The vocabulary lacks a token that a melody needs."""


@dataclass(frozen=True)
class Written:
    """What a sequence of tokens says: the melody, and the ticks in each bar as its bar lines were written.

    In a sequence that a model wrote freely, bar lines may stand where the meter has none.
    """

    melody: Melody
    bars: tuple[int, ...]
    ended: bool

    @property
    def complete_bars(self) -> int:
        """Number of bars as long as the meter says; pickup and last bar count if together they are."""
        return sum(self.checks())

    def checks(self) -> list[bool]:
        """Tell for each bar whether it is as long as it should be."""
        bar, bars = self.melody.meter.bar, self.bars
        good = [length == bar for length in bars]
        if self.melody.pickup and len(bars) > 1:
            good[0] = bars[0] < bar
            good[-1] = bars[-1] in (bar, bar - bars[0])
        return good


def phrases_token(number: int) -> str:
    """Return the header's token for so many phrases."""
    return f"{max(1, min(number, MAX_PHRASES))} phrases"


def header(melody: Melody) -> list[str]:
    """Return the three tokens that stand before a melody."""
    phrases = sum(note.phrase_end for note in melody.notes)
    return [str(melody.mode), str(melody.meter), phrases_token(phrases)]


def phrase_end(left: int) -> str:
    """Return the token for the end of a phrase after which so many are to come."""
    return PHRASE_ENDS[max(0, min(left, MAX_PHRASES - 1))]


def write(melody: Melody) -> list[str]:
    """Return the names of a whole melody's tokens, header and end included."""
    return [*header(melody), *write_notes(melody), END]


def write_notes(melody: Melody, phrases: int | None = None) -> list[str]:
    """Return the names of the tokens of a melody's notes, without header and end.

    Args:
        phrases: how many the whole has of which this is the beginning; None if this is the whole.
    """
    names: list[str] = []
    left = sum(note.phrase_end for note in melody.notes) if phrases is None else phrases
    bar = melody.meter.bar
    for tick, note in melody.onsets():
        ticks = note.duration
        while ticks:
            position = melody.position(tick)
            # A melody that opens on a bar line starts with its sign; in a pickup the first one is still to come.
            if position == 0 and not (tick == 0 and melody.pickup):
                names.append(BAR)
            part = min(ticks, bar - position)
            names.append(f"{REST if note.pitch is None else note.pitch}:{part}")
            ticks -= part
            tick += part
            if ticks:
                names.append(TIE)
        if note.phrase_end:
            left -= 1
            names.append(phrase_end(left))
    return names


def whole_bars(names: Sequence[str]) -> Sequence[str]:
    """Return the names up to the last bar line, if the end is missing: a melody that ran out of room in a bar."""
    if END in names or BAR not in names:
        return names
    return names[: len(names) - 1 - names[::-1].index(BAR)]


def read(names: Iterable[str]) -> Written:
    """Read tokens as a melody; what a model wrote against the rules is read as well as can be.

    Raises:
        ValueError: if mode or meter is missing, or nothing sounds.
    """
    mode: Mode | None = None
    meter: Meter | None = None
    notes: list[Note] = []
    bars: list[int] = [0]
    pickup: int | None = None
    tied = ended = False
    for name in names:
        if name == END:
            ended = True
            break
        if name == BAR:
            if pickup is None:
                pickup = bars[0]
            if bars[-1]:
                bars.append(0)
        elif name.startswith(PHRASE_END):
            if notes:
                notes[-1] = Note(notes[-1].pitch, notes[-1].duration, True)
        elif name == TIE:
            tied = bool(notes)
        elif ":" in name:
            pitch, duration = parse_note(name)
            bars[-1] += duration
            if tied and notes[-1].pitch == pitch:
                notes[-1] = Note(pitch, notes[-1].duration + duration)
            else:
                notes.append(Note(pitch, duration))
            tied = False
        elif name in MODES:
            mode = Mode(name)
        elif "/" in name:
            meter = Meter.parse(name)
    if mode is None or meter is None:
        raise ValueError("the header lacks mode or meter")
    if all(note.pitch is None for note in notes):
        raise ValueError("nothing sounds")
    if not bars[-1]:
        bars.pop()
    return Written(Melody(tuple(notes), meter, mode, pickup or 0), tuple(bars), ended)


def parse_note(name: str) -> tuple[int | None, int]:
    """Return pitch (None for a rest) and ticks of a note's token."""
    pitch, _, duration = name.partition(":")
    return (None if pitch == REST else int(pitch)), int(duration)


class Vocabulary:
    """Names of tokens and their ids. The id of ``end`` is 0."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.ids = {name: id_ for id_, name in enumerate(self.names)}
        self.end, self.bar, self.tie = (self.ids[name] for name in (END, BAR, TIE))
        self.phrase_ends = tuple(self.ids[name] for name in PHRASE_ENDS)

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, melodies: Iterable[Sequence[str]], least: int) -> Vocabulary:
        """Return a vocabulary of all tokens that occur at least so often in melodies given by their tokens' names."""
        counts: dict[str, int] = {}
        for names in melodies:
            for name in names:
                counts[name] = counts.get(name, 0) + 1
        signs = [END, BAR, TIE, *PHRASE_ENDS]
        kept = {name for name, count in counts.items() if count >= least and name not in signs}
        notes = sorted((n for n in kept if ":" in n), key=lambda n: (parse_note(n)[0] or 0, parse_note(n)[1]))
        heads = sorted(kept - set(notes), key=lambda n: (n not in MODES, "/" not in n, len(n), n))
        return cls([*signs, *heads, *notes])

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read a vocabulary that ``save`` wrote."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def save(self, path: Path) -> None:
        """Write the names in the order of their ids, as JSON."""
        path.write_text(json.dumps(self.names, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")

    def encode(self, names: Sequence[str]) -> list[int]:
        """Return ids. Raises UnknownToken for a name that is not in the vocabulary."""
        try:
            return [self.ids[name] for name in names]
        except KeyError as error:
            raise UnknownToken(f"the model does not know {error.args[0]!r}") from None

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return names."""
        return [self.names[id_] for id_ in ids]

    @property
    def meters(self) -> list[Meter]:
        """All meters that a header can name."""
        return [Meter.parse(name) for name in self.names if "/" in name]
