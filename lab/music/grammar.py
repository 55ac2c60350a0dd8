"""Which tokens may come next, so that every bar is as long as the meter says, and that the melody ends at home.

A model that writes freely completes some two bars of three. The rules below leave it every choice of melody and rhythm
but those that would break a bar: notes that reach over the bar line (unless tied), a bar line too early, an end in the
middle of a bar. The number of phrases that the header announces is kept as well.

With :class:`Cadence` the last phrase ends on the tonic, too: the model may go on until it has come there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lab.music.melody import Meter, Mode
from lab.music.tokens import MAX_PHRASES, MODES, Vocabulary, parse_note

MAX_BARS = 64  # after which a melody ends at the next chance
PATIENCE = 8  # bars of the last phrase after which it may end on any note


class Grammar:
    """The rules over one vocabulary. Its masks are made once for each situation and shared."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.notes = {id_: parse_note(name) for id_, name in enumerate(vocabulary.names) if ":" in name}
        durations = {duration for _, duration in self.notes.values()}
        self._by_pitch: dict[int | None, set[int]] = {}
        for pitch, duration in self.notes.values():
            self._by_pitch.setdefault(pitch, set()).add(duration)
        # What is left of a bar must be a sum of durations that exist: reachable[n] tells it for n ticks.
        longest = max(meter.bar for meter in vocabulary.meters)
        self._reachable = [True] + [False] * longest
        for left in range(1, longest + 1):
            self._reachable[left] = any(d <= left and self._reachable[left - d] for d in durations)
        self._masks: dict[tuple[object, ...], torch.Tensor] = {}

    def start(self, ids: Sequence[int]) -> State:
        """Return the state after a prompt: the header's three tokens and perhaps an opening.

        Raises:
            ValueError: if the prompt does not begin with a header.
        """
        names = self.vocabulary.decode(ids[:3])
        if len(names) < 3 or names[0] not in MODES or "/" not in names[1] or not names[2].endswith(" phrases"):
            raise ValueError("a melody begins with mode, meter and number of phrases")
        phrases = int(names[2].removesuffix(" phrases"))
        state = State(self, Meter.parse(names[1]), phrases, counting=phrases < MAX_PHRASES)
        for id_ in ids[3:]:
            state.advance(id_)
        return state

    def mask(
        self, signs: frozenset[int], room: int = 0, *, pitch: int | bool | None = True, to_fill: bool = True
    ) -> torch.Tensor:
        """Return which tokens are allowed, shape (vocabulary,), bool.

        Args:
            signs: ids of the signs that are.
            room: ticks; longer notes are not. 0 for no notes.
            pitch: the only pitch allowed, True for any.
            to_fill: whether the room must be filled; then notes that leave less than any others could fill are not.
        """
        key = (signs, room, pitch, to_fill)
        if key not in self._masks:
            allowed = torch.zeros(len(self.vocabulary), dtype=torch.bool)
            allowed[list(signs)] = True
            for id_, (of_note, duration) in self.notes.items():
                fits = duration <= room and (self._reachable[room - duration] or not to_fill)
                allowed[id_] = fits and (pitch is True or pitch == of_note)
            self._masks[key] = allowed
        return self._masks[key]

    @property
    def everything(self) -> torch.Tensor:
        """All tokens, shape (vocabulary,), bool."""
        if () not in self._masks:
            self._masks[()] = torch.ones(len(self.vocabulary), dtype=torch.bool)
        return self._masks[()]

    def of_pitch(self, pitch: int) -> torch.Tensor:
        """Return which tokens are notes of a pitch, shape (vocabulary,), bool."""
        if (pitch,) not in self._masks:
            notes = torch.zeros(len(self.vocabulary), dtype=torch.bool)
            notes[[id_ for id_, (of_note, _) in self.notes.items() if of_note == pitch]] = True
            self._masks[(pitch,)] = notes
        return self._masks[(pitch,)]

    def can_fill(self, room: int) -> bool:
        """Tell whether there are notes that fill so much room."""
        return self._reachable[room]

    def can_continue(self, pitch: int | None, room: int) -> bool:
        """Tell whether a note of that pitch can stand at the beginning of so much room."""
        return any(d <= room and self._reachable[room - d] for d in self._by_pitch.get(pitch, ()))


@dataclass(frozen=True)
class Cadence:
    """The rules of a grammar, and one more: the last phrase ends on the tonic, if that comes within eight bars."""

    grammar: Grammar

    def start(self, ids: Sequence[int]) -> State:
        """As :meth:`Grammar.start`."""
        state = self.grammar.start(ids)
        state.tonic = Mode(self.grammar.vocabulary.names[ids[0]]).tonic
        return state


@dataclass
class State:
    """Where in a melody a sequence of tokens has come to.

    Attributes:
        left: phrases that are still to end.
        counting: whether they are as many; else they are at least as many.
        pickup: ticks before the first bar line, None while that is still to come.
        position: ticks since the last bar line, or since the beginning.
        pitch: of the last note, None after a rest or where no note has been.
        tied: whether that note is to go on after the bar line.
        after_note: whether the last token was a note or rest.
        sounding: the last pitch, whatever rests have come after it; None before the first.
        last_phrase: number of bars that had begun when the last phrase did.
        tonic: pitch class on which the last phrase has to end, None for any.
    """

    grammar: Grammar
    meter: Meter
    left: int
    counting: bool
    pickup: int | None = None
    position: int = 0
    bars: int = 0
    pitch: int | None = None
    tied: bool = False
    after_note: bool = False
    sounding: int | None = None
    last_phrase: int = 0
    tonic: int | None = None

    def advance(self, id_: int) -> None:
        """Take in a token; what breaks the rules is taken in as well as can be."""
        vocabulary = self.grammar.vocabulary
        note = self.grammar.notes.get(id_)
        self.after_note = note is not None
        if note is not None:
            self.pitch, duration = note
            self.position += duration
            self.sounding = self.sounding if self.pitch is None else self.pitch
            self.tied = False
        elif id_ == vocabulary.bar:
            if self.pickup is None:
                self.pickup = self.position
            self.position = 0
            self.bars += 1
        elif id_ == vocabulary.tie:
            self.tied = True
        elif id_ in vocabulary.phrase_ends:
            self.left = vocabulary.phrase_ends.index(id_)
            self.counting = self.left < MAX_PHRASES - 1
            self.last_phrase = self.bars

    def allowed(self) -> torch.Tensor:
        """Return which tokens may come next, shape (vocabulary,), bool; at least one always may."""
        mask, bar_line = self.grammar.mask, frozenset({self.grammar.vocabulary.bar})
        if self.pickup is None:
            return self._allowed_in_pickup()
        left = self.meter.bar - self.position
        # A bar that is too long, or that no notes can fill, from a prompt against the rules, ends at once.
        if left < 0 or not self.grammar.can_fill(left) or (self.tied and left == 0):
            return mask(bar_line)
        if self.tied and self.grammar.can_continue(self.pitch, left):
            return mask(frozenset(), left, pitch=self.pitch)
        if self._must_end(left):
            return mask(frozenset({self.grammar.vocabulary.end}))
        return mask(self._signs(left), left)

    def _complete(self, left: int) -> bool:
        """Tell whether the melody may end here: at a full bar, or at one that the pickup makes full."""
        return self.sounding is not None and self.position > 0 and left in (0, self.pickup)

    def _at_home(self) -> bool:
        """Tell whether the melody may end on the note that sounded last."""
        if self.tonic is None or self.bars - self.last_phrase >= PATIENCE:
            return True
        return self.sounding is not None and self.sounding % 12 == self.tonic

    def _must_end(self, left: int) -> bool:
        return self._complete(left) and (self.left == 0 or self.bars >= MAX_BARS)

    def _signs(self, left: int) -> frozenset[int]:
        vocabulary = self.grammar.vocabulary
        signs = set()
        if self.after_note:
            # The last phrase ends with the melody.
            may_end = self._complete(left) and self._at_home()
            signs |= {vocabulary.phrase_ends[n] for n in self._next_phrases() if n or may_end}
        if left == 0:
            signs.add(vocabulary.bar)
            if self._may_tie():
                signs.add(vocabulary.tie)
        return frozenset(signs)

    def _next_phrases(self) -> set[int]:
        """Return how many phrases may be left after this one: one fewer, or as many if there are too many to count."""
        if self.left == 0:
            return set()
        return {self.left - 1} if self.counting else {self.left - 1, min(self.left, MAX_PHRASES - 1)}

    def _may_tie(self) -> bool:
        return self.after_note and self.pitch is not None and self.grammar.can_continue(self.pitch, self.meter.bar)

    def _allowed_in_pickup(self) -> torch.Tensor:
        signs = {self.grammar.vocabulary.bar}
        if self.tied:
            return self.grammar.mask(frozenset(signs))
        if self._may_tie():
            signs.add(self.grammar.vocabulary.tie)
        room = max(self.meter.bar - 1 - self.position, 0)  # a full bar is no pickup
        return self.grammar.mask(frozenset(signs), room, to_fill=False)
