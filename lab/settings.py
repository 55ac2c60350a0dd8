"""Settings: one pydantic model per tool, and the four things made from it.

Sliders take their range from it, a link's query string is read by it (out of range is clamped, unknown is dropped),
programs' arguments are checked by it, and the share link is written from it. So a fact about a setting is written once.

Nothing that a visitor can send makes :meth:`Settings.lenient` raise: whatever cannot be read becomes the default, and
a note says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

import annotated_types
from pydantic import BaseModel, ConfigDict, ValidationError

from lab.links import PACKED, read_query, write_query

VERSION_NAME = "v"  # of the version in a link


class Bounds(NamedTuple):
    """Smallest and largest value of a numeric setting, both allowed."""

    minimum: float
    maximum: float


class Settings(BaseModel):
    """Base of all settings. Fields are numbers with ``ge`` and ``le``, strings with ``max_length``, or choices."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # Of the links. When a field is renamed or its values get another meaning, count on, and let migrate read old ones.
    VERSION: ClassVar[int] = 1

    @classmethod
    def bounds(cls, name: str) -> Bounds:
        """Return the bounds of a numeric field. Raises KeyError for a field without both."""
        limits = {type(m): m for m in cls.model_fields[name].metadata}
        return Bounds(limits[annotated_types.Ge].ge, limits[annotated_types.Le].le)

    @classmethod
    def default(cls, name: str) -> Any:
        """Return the default of a field."""
        return cls.model_fields[name].get_default(call_default_factory=True)

    @classmethod
    def names_any(cls, query: Mapping[str, str]) -> bool:
        """Return whether a query string has anything that is meant for these settings."""
        return not query.keys().isdisjoint({*cls.model_fields, PACKED})

    @classmethod
    def migrate(cls, values: dict[str, Any], version: int) -> dict[str, Any]:
        """Return values of a link of an older version as those of the next one; called until they are of this one."""
        return values

    @classmethod
    def current(cls, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return the values of a link of any version, packed or plain, as this version writes them, and notes.

        What has no version is of this one. Never raises for what a visitor can send.
        """
        found, notes = read_query(values)
        version = _version(found.pop(VERSION_NAME, None), cls.VERSION)
        if version > cls.VERSION:
            notes.append("v: this link was made by a newer release; what is not known here is left out.")
        for number in range(version, cls.VERSION):
            found = cls.migrate(found, number)
        return found, notes

    @classmethod
    def lenient(cls, values: Mapping[str, Any]) -> tuple[Self, list[str]]:
        """Return settings made from anything, and a note in plain words for each value that was changed or refused."""
        accepted: dict[str, Any] = {}
        values, notes = cls.current(values)
        for name, raw in values.items():
            if name not in cls.model_fields or raw is None:
                continue
            value, note = cls._clean(name, raw)
            if note:
                notes.append(note)
            try:
                cls.model_validate({name: value})
            except (ValidationError, ValueError, TypeError, RecursionError):
                notes.append(f"{name}: {_shortened(raw)} is not possible here; using {_shortened(cls.default(name))}.")
            else:
                accepted[name] = value
        return cls.model_validate(accepted), notes

    @classmethod
    def _clean(cls, name: str, raw: Any) -> tuple[Any, str | None]:
        """Clamp a number to its bounds; subclasses read their own kinds of values here."""
        annotation = cls.model_fields[name].annotation
        if annotation not in (int, float):
            return raw, None
        try:
            number = float(raw)
        except (TypeError, ValueError, OverflowError):
            return raw, None  # validation refuses it with a note
        if math.isnan(number):
            return raw, None
        low, high = cls.bounds(name)
        clamped = min(max(number, low), high)
        note = (
            None
            if clamped == number
            else f"{name}: {_shortened(raw)} is outside {low:.10g} to {high:.10g}; using {clamped:.10g}."
        )
        return (round(clamped) if annotation is int else clamped), note

    def to_query(self) -> str:
        """Return the query string that :meth:`lenient` reads back into equal settings; defaults are left out."""
        dumped = self.model_dump(mode="json", exclude_defaults=True)
        values = {name: self.query_value(name, value) for name, value in dumped.items()}
        return write_query({VERSION_NAME: str(self.VERSION)} | values)

    def query_value(self, name: str, value: Any) -> str:
        """Return one value as it stands in a link."""
        return number_text(value) if isinstance(value, float) else str(value)


def number_text(value: float) -> str:
    """Return the shortest text that reads back as the same number, ``1`` rather than ``1.0``."""
    return repr(value).removesuffix(".0")


def _version(text: Any, current: int) -> int:
    try:
        return max(1, int(text))
    except (TypeError, ValueError, OverflowError):  # none, or no number
        return current


def _shortened(value: Any, length: int = 40) -> str:
    try:
        text = str(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list too deep
        text = f"this {type(value).__name__}"
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= length else text[:length] + "…"
