"""All that a visitor of the embeddings tab can set."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import Field, field_validator

from lab.embeddings.concepts import load_lists, load_senses
from lab.embeddings.model import TITLES
from lab.settings import Settings


class View(StrEnum):
    """The tools of the tab."""

    MAP = "map"
    SENSES = "senses"
    SIMILARITY = "similarity"
    SEARCH = "search"
    AXIS = "axis"
    MELODIES = "melodies"
    MADE = "made"


class Method(StrEnum):
    """How points are brought to a plane or a room."""

    PCA = "pca"
    TSNE = "tsne"


class EmbeddingSettings(Settings):
    """All that a visitor of the embeddings tab can set. ``lists`` empty are all, ``model`` the built-in one."""

    view: View = View.MAP
    model: str = Field("", max_length=100)
    method: Method = Method.TSNE
    dimensions: int = Field(2, ge=2, le=3)
    lists: str = Field("", max_length=600)
    own: str = Field("", max_length=2_000_000)
    word: str = Field("bass", max_length=20)
    sentences: str = Field("", max_length=20_000)
    first: str = Field("Physicians heal their patients.", max_length=2_000_000)
    second: str = Field("Doctors cure sick people.", max_length=2_000_000)
    matrix: str = Field("violin\ncello\ntrumpet\nwaltz\ntango\nrain\nsnow\nbread\ncheese", max_length=200_000)
    query: str = Field("something slow and sad", max_length=2_000_000)
    odd: str = Field("violin, cello, viola, trumpet", max_length=20_000)
    analogy: str = Field("puppy, dog, cat", max_length=2000)
    pole_a: str = Field("sad, mournful, gloomy", max_length=2000)
    pole_b: str = Field("cheerful, happy, merry", max_length=2000)
    axis_list: str = Field("musical-moods", max_length=40)
    axis_own: str = Field("", max_length=200_000)
    layer: int = Field(4, ge=0, le=12)
    melody_method: Method = Method.PCA
    tune: int = Field(0, ge=0, le=10_000)
    made: str = Field("", max_length=2_000_000)

    @field_validator("model")
    @classmethod
    def _known_model(cls, model: str) -> str:
        if model and model not in TITLES:
            raise ValueError("no such model")
        return model

    @field_validator("word")
    @classmethod
    def _known_word(cls, word: str) -> str:
        if word not in load_senses():
            raise ValueError("no such word")
        return word

    @field_validator("axis_list")
    @classmethod
    def _known_list(cls, slug: str) -> str:
        if slug and slug not in {one.slug for one in load_lists()}:
            raise ValueError("no such list")
        return slug

    @property
    def chosen_lists(self) -> tuple[str, ...]:
        """Slugs of the lists to show, in their usual order."""
        slugs = tuple(one.slug for one in load_lists())
        named = set(self.lists.split(","))
        return tuple(slug for slug in slugs if slug in named) if self.lists else slugs

    @classmethod
    def lenient(cls, values: Any) -> tuple[Self, list[str]]:
        """As :meth:`Settings.lenient`; unknown lists are dropped with a note, and too long a text is cut with one."""
        values = dict(values)
        notes = []
        for name, field in cls.model_fields.items():
            longest = next((m.max_length for m in field.metadata if hasattr(m, "max_length")), None)
            text = values.get(name)
            if longest and isinstance(text, str) and len(text) > longest:
                values[name] = text[:longest]
                notes.append(f"{name}: {len(text):,} characters are too many; the first {longest:,} are used.")
        settings, more = super().lenient(values)
        notes += more
        known = {one.slug for one in load_lists()}
        unknown = [slug for slug in settings.lists.split(",") if slug and slug not in {*known, "none"}]
        if unknown:
            notes.append(f"lists: there is no list {unknown[0][:40]!r}.")
            kept = ",".join(slug for slug in settings.lists.split(",") if slug in known)
            settings = settings.model_copy(update={"lists": kept})
        return settings, notes
