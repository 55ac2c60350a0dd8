"""Texts made in other tabs, sent to the map of the Embeddings tab: a button for those tabs, and how the texts are kept.

A tab that wants it calls :func:`send_button` where the button is to stand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gradio as gr

from tabs.page import PRIVATE, Services
from tabs.rendering import message

MAX_MADE = 30  # texts that a visitor has on the map; the newest stay
MAX_TEXT = 2000  # characters of one; the embedding model reads 256 tokens
WHERE = "Embeddings → Texts we made"


class Made(NamedTuple):
    """A text that was made in a tab.

    Attributes:
        source: the tab's title.
        title: what made it, such as a strategy.
        text: without the prompt.
    """

    source: str
    title: str
    text: str


def send_button(
    services: Services, texts: Callable[..., Sequence[Made]], inputs: Sequence[gr.components.Component]
) -> gr.Button | None:
    """Add a button that sends texts to the map, and a line that tells what happened; return the button.

    Args:
        texts: from the values of ``inputs`` to the texts.

    Returns:
        None where there is no map to send them to.
    """
    if services.made is None:
        return None

    with gr.Row(elem_classes="sd-actions"):
        button = gr.Button("Send to the map", size="sm", min_width=140, scale=0)
        told = gr.HTML("", elem_classes="sd-status")

    def send(kept: Any, *values: Any) -> list[Any]:
        sent = [Made(*map(str, one)) for one in texts(*values) if one.text.strip()]
        if not sent:
            return [gr.skip(), message("There is no text to send yet.", alert=True)]
        return [added(kept, sent), message(f"{len(sent)} sent. See {WHERE}.")]

    button.click(send, [services.made, *inputs], [services.made, told], **PRIVATE)
    return button


def added(kept: Sequence[Sequence[str]], sent: Sequence[Made]) -> tuple[Made, ...]:
    """Return the texts with new ones at the end, each once, cut to what is read, the newest ``MAX_MADE``."""
    cut = [Made(one.source, one.title, one.text.strip()[:MAX_TEXT]) for one in sent]
    every = dict.fromkeys([*(Made(*one) for one in kept), *cut])
    return tuple(every)[-MAX_MADE:]


def to_text(made: Sequence[Sequence[str]]) -> str:
    """Return texts as they stand in a link, empty for none."""
    return json.dumps([list(one) for one in made], ensure_ascii=False) if made else ""


def from_text(written: str) -> tuple[Made, ...]:
    """Read what :func:`to_text` wrote; anything else is no text."""
    try:
        rows = json.loads(written) if written else []
    except (ValueError, RecursionError):
        return ()
    if not isinstance(rows, list):
        return ()
    good = [
        Made(*row) for row in rows if isinstance(row, list) and len(row) == 3 and all(isinstance(t, str) for t in row)
    ]
    return added((), [one for one in good if one.text.strip()])
