"""Outfits: what a column wears, and how that stands in a link, such as ``shakespeare=1`` or ``this=0.5+that=0.5``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import Field

from lab.settings import Settings, number_text

MAX_PARTS = 4  # adapters that a blend may have
NAME = re.compile(r"[\w.-]{1,80}")


class Strength(Settings):
    """How strongly an adapter is worn: 0 is the base, 1 the change as it was trained."""

    strength: float = Field(1.0, ge=0.0, le=2.0)


@dataclass(frozen=True)
class Outfit:
    """Adapters with their strengths, whose changes are added up; none for the base."""

    parts: tuple[tuple[str, float], ...] = ()

    @property
    def is_base(self) -> bool:
        """Whether nothing is worn."""
        return not self.parts

    @property
    def is_blend(self) -> bool:
        """Whether several adapters are worn at once."""
        return len(self.parts) > 1

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the adapters."""
        return tuple(name for name, _ in self.parts)

    def to_text(self) -> str:
        """Return the outfit as it stands in a link; ``base`` for none."""
        return "+".join(f"{name}={number_text(strength)}" for name, strength in self.parts) or "base"

    def label(self, titles: Mapping[str, str]) -> str:
        """Return the outfit as people read it, such as ``Shakespeare 100 %``."""
        return " + ".join(f"{titles.get(name, name)} {percent(strength)}" for name, strength in self.parts) or "Base"

    @classmethod
    def from_text(cls, text: str) -> tuple[Self | None, list[str]]:
        """Read what :meth:`to_text` wrote; strengths are clamped, and one that is missing is 1.

        Returns:
            The outfit, None if a name cannot be one; and notes on what was changed.
        """
        parts: dict[str, float] = {}
        notes: list[str] = []
        pieces = [piece.strip() for piece in text.split("+")]
        if len(pieces) > MAX_PARTS:
            notes.append(f"A blend has at most {MAX_PARTS} adapters; the rest is left out.")
        for piece in pieces[:MAX_PARTS]:
            name, sign, value = (part.strip() for part in piece.partition("="))
            if not NAME.fullmatch(name):
                return None, [f"{text[:40]!r} is no adapter with a strength, such as shakespeare=1; it is left out."]
            if name == "base":
                continue
            read, more = Strength.lenient({"strength": value} if sign else {})
            notes += [f"{name}: {note}" for note in more]
            parts[name] = read.strength
        return cls(tuple(parts.items())), notes


BASE = Outfit()


def percent(strength: float) -> str:
    """Return a strength as people read it."""
    return f"{100 * strength:.4g} %"


def blend(first: str, second: str, balance: float, strength: float = 1.0) -> Outfit:
    """Return a blend of two adapters.

    Args:
        balance: 0 for the first alone, 1 for the second alone.
        strength: of both together.
    """
    weights = ((first, round(strength * (1 - balance), 4)), (second, round(strength * balance, 4)))
    return Outfit(weights)


def outfits_from_text(text: str) -> tuple[tuple[Outfit, ...], list[str]]:
    """Read outfits separated by semicolons; what cannot be read, the base, and what was named before are dropped."""
    found: list[Outfit] = []
    notes: list[str] = []
    for piece in text.split(";"):
        if piece.strip():
            outfit, more = Outfit.from_text(piece)
            notes += more
            if outfit is not None and not outfit.is_base and outfit not in found:
                found.append(outfit)
    return tuple(found), notes


def outfits_to_text(outfits: Sequence[Outfit]) -> str:
    """Return outfits as they stand in a link."""
    return ";".join(outfit.to_text() for outfit in outfits if not outfit.is_base)
