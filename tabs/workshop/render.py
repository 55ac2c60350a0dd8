"""What a class's results look like: large enough for the last row. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lab.music.voices import VOICES, Voice
from lab.workshop import ClassResults, Fooled

FOOLED_COLUMNS = ["written by", "guesses", "taken for a person’s, %", "95 % from, %", "to, %"]
NOBODY = "Nobody has guessed or ranked yet. The figures come by themselves, every few seconds."


def figures(results: ClassResults, here: int) -> str:
    """Return the class's counts as large figures. They come anew every few seconds, so they are not read out each time.

    Args:
        here: pages open now.
    """
    guessed = f"{100 * results.right / results.guesses:.0f} % right" if results.guesses else "none yet"
    agreed = "" if results.alpha is None else f"agreement α = {results.alpha:.2f}"
    shown = [
        (str(here), "open now", "pages"),
        (str(results.people), "have taken part", "by guess or ranking"),
        (str(results.guesses), "guesses", guessed),
        (str(results.rankings), "rankings", agreed),
    ]
    cells = "".join(
        f"<div><dt>{escape(what)}</dt><dd>{escape(number)}</dd><dd class='sd-hint'>{escape(more)}</dd></div>"
        for number, what, more in shown
    )
    return f'<dl class="sd-workshop-figures">{cells}</dl>'


def title_of(model: str) -> str:
    """Return what visitors call a voice."""
    return VOICES[Voice(model)].title if model in set(Voice) else model or "unknown"


def fooled_table(fooled: Sequence[Fooled]) -> list[list[str | float]]:
    """Return a row for each model: title, guesses, share and its interval in per cent."""
    rows = []
    for row in fooled:
        shares = (row.taken / row.guesses, *row.interval)
        rows.append([title_of(row.model), row.guesses, *(round(100 * share, 1) for share in shares)])
    return rows


def fooled_bars(fooled: Sequence[Fooled]) -> str:
    """Return a bar for each model: the share taken for a person's, with its interval as a line."""
    if not fooled:
        return f'<div class="sd-empty">{NOBODY}</div>'
    bars = []
    for row in fooled:
        share, (low, high) = row.taken / row.guesses, row.interval
        bars.append(
            f'<div class="sd-workshop-bar"><b>{escape(title_of(row.model))}</b>'
            f'<span class="sd-workshop-track" style="--share:{share:.4f};--low:{low:.4f};--high:{high:.4f}"></span>'
            f"<i>{row.taken} of {row.guesses} · {100 * low:.0f} to {100 * high:.0f} %</i></div>"
        )
    return '<div class="sd-workshop-bars">' + "".join(bars) + "</div>"


def handout(code: str) -> str:
    """Return the code in large letters, to be shown on the wall."""
    return (
        f'<div class="sd-workshop-code"><p class="sd-hint">Your class</p><p><strong>{escape(code)}</strong></p></div>'
    )
