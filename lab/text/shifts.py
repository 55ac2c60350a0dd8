"""What an adapter does to one step: which tokens it raised and which it lowered, against the base given the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.text.adapting import GREEDY, row_of
from lab.text.outfits import BASE, Outfit
from lab.text.rows import Candidate, Step

if TYPE_CHECKING:
    from lab.text.models import LanguageModel

CONSIDERED = 100  # most probable tokens of base and adapter that are weighed: far out in the tail any change is large
SMALLEST = 1e-38  # of a probability in single precision


@dataclass(frozen=True)
class Shift:
    """A token's probability under the base and in an outfit."""

    id: int
    label: str
    base: float
    adapted: float

    @property
    def change(self) -> float:
        """Change of the log-probability, in nats."""
        return math.log(max(self.adapted, SMALLEST)) - math.log(max(self.base, SMALLEST))


@dataclass(frozen=True)
class StepShifts:
    """What an outfit does to a step.

    Attributes:
        shifts: the tokens that are among the most probable under base or outfit, the most raised first.
        chosen: the token that was chosen there; it is among the shifts.
    """

    outfit: Outfit
    shifts: tuple[Shift, ...]
    chosen: int

    @property
    def moved(self) -> float:
        """Probability that the outfit gives to tokens beyond what the base gives them, among those weighed."""
        return math.fsum(max(shift.adapted - shift.base, 0.0) for shift in self.shifts)

    def extremes(self, each: int) -> tuple[Shift, ...]:
        """Return the most raised tokens and the most lowered ones, at most so many of each, the most raised first."""
        raised = [shift for shift in self.shifts if shift.change > 0][:each]
        lowered = [shift for shift in self.shifts if shift.change < 0][-each:]
        return (*raised, *lowered)


def step_shifts(
    model: LanguageModel, ids: Sequence[int], outfit: Outfit, chosen: int, considered: int = CONSIDERED
) -> StepShifts:
    """Return how an outfit changes the distribution of the token after ``ids``.

    Args:
        ids: prompt and text so far; its end is used if it exceeds the context.
        chosen: the token that came next.
        considered: how many of the most probable tokens of each are weighed.

    Raises:
        EngineError: if the engine cannot serve.
    """
    ids = tuple(ids)[-(model.context - 1) :]
    tops = _distributions(model, ids, outfit, considered, (chosen,))
    union = tuple(dict.fromkeys(candidate.id for candidates in tops for candidate in candidates))
    # Asked again, since a token may be at the top of one and far down in the other.
    base, adapted = (
        {candidate.id: candidate.raw for candidate in candidates}
        for candidates in _distributions(model, ids, outfit, 1, union)
    )
    shifts = [Shift(token, model.vocabulary.label(token), base[token], adapted[token]) for token in union]
    return StepShifts(outfit, tuple(sorted(shifts, key=lambda shift: -shift.change)), chosen)


def _distributions(
    model: LanguageModel, ids: tuple[int, ...], outfit: Outfit, top: int, include: tuple[int, ...]
) -> list[tuple[Candidate, ...]]:
    """Return the candidates under the base and in the outfit, from one batch."""
    rows = [row_of(worn, ids, strategy=GREEDY, max_new_tokens=1, top=top, include=include) for worn in (BASE, outfit)]
    steps = {event.row: event.token for event in model.engine.submit(rows) if isinstance(event, Step)}
    return [steps[row].distribution.candidates for row in range(len(rows))]
