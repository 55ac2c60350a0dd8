"""Controls made from settings: nothing about a number is written twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from lab.settings import Settings

STEPS = {"top_p": 0.01, "min_p": 0.01, "typical_p": 0.01, "length_penalty": 0.1}  # of others see step_of


@dataclass(frozen=True)
class NamedControls:
    """Controls by the name of their setting; what each of them shows for a setting is a tab's own matter."""

    components: Mapping[str, Any]

    @property
    def all(self) -> list[Any]:
        """The components in their order, which is that of :meth:`named`."""
        return list(self.components.values())

    def named(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return what the page sends of the components by the name of their setting; the last ones may be missing."""
        return dict(zip(self.components, values, strict=False))


def step_of(settings: type[Settings], name: str) -> float:
    """Return by how much a slider for a numeric setting moves: 1 for a whole number, 0.05 if nothing is said of it."""
    return 1 if settings.model_fields[name].annotation is int else STEPS.get(name, 0.05)


def slider(settings: type[Settings], name: str, label: str, **arguments: Any) -> gr.Slider:
    """Return a slider for a numeric setting."""
    low, high = settings.bounds(name)
    arguments = {"value": settings.default(name), "step": step_of(settings, name)} | arguments
    return gr.Slider(low, high, label=label, **arguments)
