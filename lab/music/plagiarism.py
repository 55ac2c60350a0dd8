"""How much of a melody is copied: the longest run of intervals that it shares with a tune the models trained on.

Intervals do not change when a tune is transposed, so a copy in any key and octave is found; rhythm, meter, rests and
phrases are ignored. Not found is a copy that was altered: one changed, added or left-out note ends a run, and so does
a tune moved from major to minor. And not all that is found is a copy: scales and repeated notes are common property.
How many tunes have the run tells the one from the other.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise

from lab.music.corpus import Collection, Split, Tune, load_split
from lab.music.melody import Melody
from lab.music.tokens import TIE, parse_note
from lab.music.variants import intervals

SEPARATOR = "\x00"
UNISON = 128  # code of a repeated note; MIDI's widest interval is 127, so codes are 1 to 255: a byte each
EVERY_TUNE = (Collection.FOLK, Collection.BACH)  # that a model trained on
LONGEST_RUN = 11  # intervals that a new melody may share with a tune and be called its own
_building = threading.Lock()


@dataclass(frozen=True, slots=True)
class Closest:
    """The longest run of intervals that a melody shares with a tune.

    A run of n intervals joins n + 1 notes. Positions count sounding notes from 0, rests left out.

    Attributes:
        length: of the run in intervals; 0 if nothing is shared.
        tune: the first tune that has the run, None if nothing is shared.
        collection: the tune's.
        position: of the run's first note in the melody, left-out notes counted.
        tune_position: of the run's first note in the tune.
        tunes: number of tunes that have the run.
    """

    length: int
    tune: Tune | None = None
    collection: Collection | None = None
    position: int = 0
    tune_position: int = 0
    tunes: int = 0


@dataclass(frozen=True, eq=False)  # compared by identity: it is large, and rules that hold it are compared often
class Index:
    """Tunes whose intervals lie one after the other in one string, with a suffix array (Manber & Myers, 1993).

    Attributes:
        text: one character per interval, a separator after each tune.
        order: positions in the text, sorted by what follows there up to the separator.
        starts: where in the text each tune starts, ascending.
        tunes: with the collection of each.
    """

    text: str
    order: array[int]
    starts: tuple[int, ...]
    tunes: tuple[tuple[Collection, Tune], ...]

    @classmethod
    def of(cls, tunes: Iterable[tuple[Collection, Tune]]) -> Index:
        """Join tunes to an index."""
        kept = tuple(tunes)
        parts = [encode(b - a for a, b in pairwise(tune_pitches(tune.tokens))) for _, tune in kept]
        starts = tuple(accumulate((len(part) + len(SEPARATOR) for part in parts), initial=0))[:-1]
        text = "".join(part + SEPARATOR for part in parts)
        # Tunes are so short that sorting their suffixes as strings takes less than an algorithm made for it.
        suffixes = [part[at:] for part in parts for at in range(len(part) + len(SEPARATOR))]  # one per character
        order = sorted((at for at, suffix in enumerate(suffixes) if suffix), key=suffixes.__getitem__)
        return cls(text, array("i", order), starts, kept)

    def longest(self, steps: Iterable[int]) -> tuple[int, int]:
        """Return start and length of the longest run of ``steps`` that a tune has, the first of equally long ones.

        From each step on, the tune that agrees longest is a neighbour of the place where the steps would be sorted in.
        """
        query = encode(steps)
        best_start = best = 0
        for start in range(len(query)):
            rest = query[start:]
            place = self._place(rest, bisect_left)
            for at in self.order[max(0, place - 1) : place + 1]:
                length = common(rest, self.text[at : at + len(rest)])
                if length > best:
                    best_start, best = start, length
        return best_start, best

    def places(self, run: Iterable[int]) -> list[tuple[int, int]]:
        """Return where a run of intervals occurs: number of the tune and position in it, ascending."""
        query = encode(run)
        found = sorted(self.order[self._place(query, bisect_left) : self._place(query, bisect_right)])
        numbers = [bisect_right(self.starts, at) - 1 for at in found]
        return [(number, at - self.starts[number]) for number, at in zip(numbers, found, strict=True)]

    def followers(self, run: Iterable[int]) -> set[int]:
        """Return the intervals by which tunes go on after a run, in semitones."""
        query = encode(run)
        found = self.order[self._place(query, bisect_left) : self._place(query, bisect_right)]
        return {ord(self.text[at + len(query)]) - UNISON for at in found if self.text[at + len(query)] != SEPARATOR}

    def _place(self, query: str, bisect: Callable[..., int]) -> int:
        # A separator sorts before all intervals and ends every comparison, so what lies beyond it does not matter.
        return bisect(self.order, query, key=lambda at: self.text[at : at + len(query)])


def common(one: str, other: str) -> int:
    """Return how many characters agree from the start."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def encode(steps: Iterable[int]) -> str:
    """Return intervals as characters, none of them the separator."""
    return "".join(chr(UNISON + step) for step in steps)


def tune_pitches(tokens: Iterable[str]) -> list[int]:
    """Return a stored tune's pitches, rests left out; what a tie continues counts once.

    It is several times as fast as ``Tune.melody``: with that, a visitor would wait a second for the index.
    """
    pitches: list[int] = []
    tied = False
    for token in tokens:
        if token == TIE:
            tied = True
        elif ":" in token:
            pitch = None if tied else _pitch(token)
            if pitch is not None:
                pitches.append(pitch)
            tied = False
    return pitches


def load_index(collections: Sequence[Collection]) -> Index:
    """Return the index of the training tunes of these collections, built at the first call and kept."""
    with _building:  # else every thread that comes while it is being built would build its own
        return _built(tuple(collections))


def closest(melody: Melody, collections: Sequence[Collection] = EVERY_TUNE, skip: int = 0) -> Closest:
    """Return the longest run of intervals that a melody shares with a training tune of these collections.

    Transposition, rhythm, meter, rests and phrases are ignored; altered copies are not found, see the module.

    Args:
        melody: any; one with fewer than two sounding notes shares nothing.
        collections: those to look in, the first one's tunes named first where several have the run.
        skip: number of sounding notes at its start to leave out, for a melody that continues a given opening: that is
            copied by design. A run is then looked for from the note after them.

    Raises:
        ValueError: if ``skip`` is negative.
    """
    if skip < 0:
        raise ValueError("skip must be 0 or more")
    steps = intervals(melody)[skip:]
    index = load_index(collections)
    start, length = index.longest(steps)
    if not length:
        return Closest(0)
    places = index.places(steps[start : start + length])
    number, tune_position = places[0]
    collection, tune = index.tunes[number]
    return Closest(length, tune, collection, skip + start, tune_position, len({number for number, _ in places}))


@cache
def _built(collections: tuple[Collection, ...]) -> Index:
    return Index.of((collection, tune) for collection in collections for tune in load_split(collection, Split.TRAIN))


@cache
def _pitch(token: str) -> int | None:
    return parse_note(token)[0]
