"""Controls made from settings: nothing about a number is written twice."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lab.settings import Settings

STEPS = {
    "temperature": 0.05,
    "top_k": 1,
    "top_p": 0.01,
    "min_p": 0.01,
    "typical_p": 0.01,
    "num_beams": 1,
    "repetition_penalty": 0.05,
    "length_penalty": 0.1,
}


def slider(settings: type[Settings], name: str, label: str, **arguments: Any) -> gr.Slider:
    """Return a slider for a numeric setting."""
    low, high = settings.bounds(name)
    whole = settings.model_fields[name].annotation is int
    arguments = {"value": settings.default(name), "step": 1 if whole else STEPS.get(name, 0.05)} | arguments
    return gr.Slider(low, high, label=label, **arguments)
