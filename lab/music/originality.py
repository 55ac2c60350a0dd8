"""Which notes may come next, so that a melody shares no long run of intervals with a tune the models trained on.

A model of 1.3 million weights that has read five thousand songs writes stretches of them down again. Where the last
notes are a run that a training tune has, the note by which that tune goes on is masked: what is left to the model are
all other notes, and so every other melody. For Markov chains this is the maximum order of Papadopoulos, Roy and Pachet
(2014, “Avoiding plagiarism in Markov sequence generation”); here it is a mask beside those of the bars and the cadence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from lab.music.grammar import Grammar
from lab.music.plagiarism import LONGEST_RUN, Index

if TYPE_CHECKING:
    import torch

    from lab.text.rows import Progress, Rules


@dataclass(frozen=True)
class Original:
    """Other rules, or none, and one more: no longer run of intervals than ``longest`` that a tune of an index has.

    An opening counts: a melody that begins as a tune does must leave it in time. Where the other rules leave no other
    note, the run may grow, so that a melody never gets stuck.

    Attributes:
        grammar: knows which tokens are notes.
        index: of the training tunes.
        rules: that hold as well.
        longest: in intervals, at least one.
    """

    grammar: Grammar
    index: Index
    rules: Rules | None = None
    longest: int = LONGEST_RUN

    def start(self, ids: Sequence[int]) -> Pursuit:
        """Return the state after a prompt. Raises ValueError where the other rules do."""
        pursuit = Pursuit(self, self.rules.start(ids) if self.rules else None)
        for id_ in ids:
            pursuit.take(id_)
        return pursuit


@dataclass
class Pursuit:
    """How closely a melody follows a tune.

    Attributes:
        inner: the state of the other rules.
        pitches: the last that sounded, one more than the longest run's intervals at most.
        tied: whether the next note goes on sounding.
    """

    rule: Original
    inner: Progress | None
    pitches: list[int] = field(default_factory=list)
    tied: bool = False

    def take(self, id_: int) -> None:
        """Take in a token for this rule alone."""
        grammar = self.rule.grammar
        if id_ == grammar.vocabulary.tie:
            self.tied = True
        elif id_ in grammar.notes:
            pitch = grammar.notes[id_][0]
            if pitch is not None and not self.tied:
                self.pitches = [*self.pitches[-self.rule.longest :], pitch]
            self.tied = False

    def advance(self, id_: int) -> None:
        """Take in the token that was chosen."""
        self.take(id_)
        if self.inner is not None:
            self.inner.advance(id_)

    def forbidden(self) -> set[int]:
        """Return the pitches that would make the run too long."""
        if self.tied or len(self.pitches) <= self.rule.longest:
            return set()
        run = [b - a for a, b in pairwise(self.pitches)]
        return {self.pitches[-1] + step for step in self.rule.index.followers(run)}

    def allowed(self) -> torch.Tensor:
        """Return which tokens may come next, shape (vocabulary,), bool; at least one always may."""
        grammar = self.rule.grammar
        others = grammar.everything if self.inner is None else self.inner.allowed()
        keep = others
        for pitch in self.forbidden():
            keep = keep & ~grammar.of_pitch(pitch)
        return keep if keep.any() else others
