"""Texts to be read, in tables that a phone can show: a few numbers in each row, and a completion after its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lab.preferences.pairs import Completion
from tabs.rendering import decimal

Row = tuple[Sequence[str], Completion]


def signed(value: float) -> str:
    """Return a reward with two decimals and its sign."""
    return decimal(value, "+.2f")


def score(value: float) -> str:
    """Return a true score, whose unit is the rule's own, with up to two decimals."""
    text = decimal(value).rstrip("0").rstrip(".")
    return "0" if text == "−0" else text


def completion_html(completion: Completion) -> str:
    """Return a completion after its prompt, which is greyed."""
    return f'<span class="sd-prompt">{escape(completion.prompt)}</span>{escape(completion.text)}'


def reading_table(title: str, columns: Sequence[str], rows: Sequence[Row], none: str = "") -> str:
    """Return a titled table: the columns' numbers, then the text; or ``none`` if there is no row.

    The first number of a row stands out.
    """
    heading = f"<h3>{escape(title)}</h3>"
    if not rows:
        return f'<section>{heading}<p class="sd-hint">{escape(none)}</p></section>'
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td>{escape(value)}</td>" for value in values)
        + f'<td class="sd-reward-train-text">{completion_html(completion)}</td></tr>'
        for values, completion in rows
    )
    return (
        f'<section>{heading}<table class="sd-reward-train-readings" style="--numbers: {len(columns)}">'
        f'<thead><tr>{head}<th scope="col">text</th></tr></thead><tbody>{body}</tbody></table></section>'
    )
