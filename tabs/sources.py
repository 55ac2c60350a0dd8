"""The accordion that shows the code at work."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from lab.source import source_of, source_of_processor
from tabs.page import PRIVATE

TRANSFORMERS = "transformers: "
Sources = Mapping[str, tuple[str, str] | None]


def add_sources(sources: Sources, words: str = "Read from the files, so it cannot differ from what runs.") -> None:
    """Add the accordion.

    Args:
        sources: title → module and name in this project, or None for a logits processor of transformers, whose title
            is ``transformers: `` and its name.
        words: above the code, in Markdown.
    """

    def read(title: str) -> str:
        return read_source(sources, title)

    with gr.Accordion("The code at work", open=False) as accordion:
        gr.Markdown(words)
        titles = list(sources)
        choice = gr.Dropdown(titles, value=titles[0], label="Function")
        code = gr.Code(language="python", interactive=False, label="Source", max_lines=40)
    accordion.expand(read, choice, code, **PRIVATE)
    choice.input(read, choice, code, trigger_mode="always_last", **PRIVATE)


def read_source(sources: Sources, title: str) -> str:
    """Return the source behind a title, nothing for one that is not there."""
    if title not in sources:
        return ""
    place = sources[title]
    return source_of(*place) if place else source_of_processor(title.removeprefix(TRANSFORMERS))
