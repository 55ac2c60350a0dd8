"""Whose rankings the reward model learns from: the controls over all tools that use one."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lab.preferences.annotators import ANNOTATORS
from lab.preferences.heads import HeadKind
from lab.preferences.settings import RewardSettings, Source
from tabs.controls import slider

SOURCES = [
    ("my own rankings", str(Source.OWN)),
    ("those of my class", str(Source.CLASS)),
    ("a simulated annotator", str(Source.ANNOTATOR)),
    ("a mix: people and annotator", str(Source.MIX)),
]
HEADS = [("linear: one weight per number", str(HeadKind.LINEAR)), ("small MLP", str(HeadKind.MLP))]


def annotator_choices() -> list[tuple[str, str]]:
    """Return title and name of each simulated annotator."""
    return [(annotator.title, name) for name, annotator in ANNOTATORS.items()]


def add_learns() -> dict[str, Any]:
    """Add the controls, by the name of their setting."""
    default = RewardSettings.default
    with gr.Accordion("The reward model learns from …", open=True, elem_id="sd-reward-learns"), gr.Row():
        source = gr.Dropdown(SOURCES, value=str(default("source")), label="Rankings", min_width=190)
        annotator = gr.Dropdown(
            annotator_choices(), value=default("annotator"), label="Annotator, and the true rule", min_width=190
        )
        rankings = slider(RewardSettings, "rankings", "Rankings by the annotator", step=10, min_width=190)
        head = gr.Dropdown(HEADS, value=str(default("head")), label="What is trained", min_width=190)
    return {"source": source, "annotator": annotator, "rankings": rankings, "head": head}
