"""What the pages of all tabs show in the same way: messages, progress, text in Markdown, the look of plots.

Pure functions; text that people or models wrote is escaped here.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
INK = "#7f8792"  # readable on both a light and a dark page
WAITED = re.compile(r"\(\d+ s\)$")  # as tabs.waiting counts


def notes_html(notes: Sequence[str]) -> str:
    """Return notes to the visitor as a list, or nothing."""
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<div role="status"><ul class="sd-notes">{items}</ul></div>'


def message(text: str, alert: bool = False, changing: str = "") -> str:
    """Return a line for the status field; an alert is what went wrong.

    What is changing all the time, such as the seconds that somebody has waited, comes last and is only to be seen: a
    screen reader would say the line again with each.
    """
    role, extra = ("alert", " sd-alert") if alert else ("status", "")
    counting = WAITED.search(text)
    start = counting.start() if counting else len(text)
    return f'<p class="sd-message{extra}" role="{role}">{escape(text[:start])}{_unspoken(text[start:] + changing)}</p>'


def _unspoken(text: str) -> str:
    return f'<span aria-hidden="true">{escape(text)}</span>' if text else ""


def progress(share: float, notes: Sequence[str] = ()) -> str:
    """Return a progress bar, share from 0 to 1, with notes beside it. What is read out changes only at the end."""
    if share >= 1:
        return message("Done.") + notes_html(notes)
    bar = f'<progress max="1" value="{share:.3f}" aria-label="progress"></progress>'
    return bar + message("Writing … ", changing=f"{share:.0%}") + notes_html(notes)


def counted(number: int, noun: str, in_words: bool = False) -> str:
    """Return ``1 ranking`` or ``2 rankings``; for running text ``two rankings``, in digits from eleven on."""
    shown = NUMBERS[number] if in_words and number < len(NUMBERS) else f"{number:,}"
    return f"{shown} {noun}{'' if number == 1 else 's'}"


def decimal(value: float, form: str = ".2f") -> str:
    """Return a number as text in Python's format, with a minus that looks like one."""
    return format(value, form).replace("-", "−")


def plain_markdown(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return "".join("\\" + c if c in string.punctuation else c for c in text)


def plain_label(label: str) -> str:
    """Return text that plotly shows as it is: it reads a few tags and entities in labels."""
    return escape(label, quote=False)


def visible(text: str) -> str:
    """Return text with its spaces and line ends to be seen."""
    return text.replace(" ", "␣").replace("\n", "⏎")


def calm(figure: Figure, height: int) -> Figure:
    """Give a figure the look of the app: see-through, so that it fits a light and a dark page, and quiet."""
    grid = "rgba(127,135,146,0.22)"
    figure.update_layout(
        height=height,
        margin={"l": 50, "r": 40, "t": 24, "b": 60},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 12},
        legend={"orientation": "h", "y": 1.12, "x": 0},
        hoverlabel={"font": {"size": 13}},
        dragmode=False,
    )
    figure.update_xaxes(gridcolor=grid, zeroline=False)
    figure.update_yaxes(gridcolor=grid, zeroline=False)
    return figure
