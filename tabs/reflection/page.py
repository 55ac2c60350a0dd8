"""The layout of the reflection tab."""

from __future__ import annotations

import gradio as gr

from tabs.page import Page, Services


def build(services: Services) -> Page:
    """Build the tab inside the Blocks under construction."""
    gr.HTML('<p class="sd-hint">This tab is being built.</p>')
    return Page((), lambda query: (), lambda restored: None)
