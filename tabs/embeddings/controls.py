"""The controls of the embeddings tab, and the two ways between them and the settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from lab.embeddings import BUILT_IN
from lab.embeddings.concepts import load_lists
from lab.embeddings.settings import EmbeddingSettings
from lab.embeddings.tunes import tune_facts
from tabs.controls import NamedControls
from tabs.made import from_text, to_text

NO_LISTS = "none"  # in a link; empty means all


def fitting(settings: EmbeddingSettings, notes: Sequence[str]) -> tuple[EmbeddingSettings, list[str]]:
    """Return settings whose layer and tune are on the map of melodies that ships, and notes on what is not."""
    points, layers = tune_facts()
    changed: dict[str, int] = {}
    if settings.layer >= layers:
        changed["layer"] = layers - 1
    if settings.tune >= max(len(points), 1):
        changed["tune"] = 0
    more = [f"{name}: {getattr(settings, name)} is not on the map; using {value}." for name, value in changed.items()]
    return settings.model_copy(update=changed), [*notes, *more]


class Controls(NamedControls):
    """The controls of the tab."""

    def settings(self, *values: Any) -> tuple[EmbeddingSettings, list[str]]:
        """Return the settings that the controls show, and notes on what had to be changed."""
        named = self.named(values)
        chosen = [slug for slug in named["lists"] or [] if isinstance(slug, str)]
        named["lists"] = "" if set(chosen) >= {one.slug for one in load_lists()} else ",".join(chosen) or NO_LISTS
        named["made"] = to_text(named.get("made") or ())
        if named["model"] == BUILT_IN:
            named["model"] = ""
        return EmbeddingSettings.lenient(named)

    def updates(self, settings: EmbeddingSettings) -> list[Any]:
        """Return values that make the controls show settings."""
        values: list[Any] = []
        for name in self.components:
            value = getattr(settings, name)
            match name:
                case "lists":
                    values.append(list(settings.chosen_lists))
                case "model":
                    values.append(value or BUILT_IN)
                case "made":  # an old link, or none, takes nothing away
                    values.append(from_text(value) or gr.skip())
                case "view" | "method" | "melody_method":
                    values.append(str(value))
                case _:
                    values.append(value)
        return values
