"""The columns side by side: which adapter made which text, token by token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from lab.text.adapting import Adaptation, Column
from lab.text.outfits import BASE, Outfit, percent
from tabs.rendering import notes_html, progress

LEGEND = (
    '<p class="sd-legend"><span style="--s:.8">the adapter made it likelier</span>'
    '<span class="sd-lora-down" style="--s:.8">less likely</span><span class="lv">leaves the base here</span> '
    "Hover a token for by how much; click it to look inside.</p>"
)
EMPTY = "Press Generate: the base and each adapter go on from your prompt, all in one batch and with the same seed."
STRONGEST = math.log(100)  # a change of a token's probability by this factor or more has the strongest colour


def run_status(result: Adaptation, notes: Sequence[str]) -> str:
    """Return how far a run has come."""
    if result.done:
        return notes_html(notes)
    written = sum(result.settings.max_new_tokens if c.reason else len(c.tokens) for c in result.columns)
    share = written / (result.settings.max_new_tokens * len(result.columns))
    return progress(min(share, 0.99), notes)


def board(result: Adaptation) -> str:
    """Return the columns side by side. The token that is looked into is marked by the page itself."""
    cards = "".join(_card(place, column, result) for place, column in enumerate(result.columns))
    state = "done" if result.done else "running"
    return f'{notes_html(result.notes)}<div class="sd-board" data-state="{state}">{cards}</div>'


def empty_board(message: str = EMPTY) -> str:
    """Return what stands where the columns will be."""
    return f'<div class="sd-empty">{escape(message)}</div>'


def badges(outfit: Outfit, result: Adaptation) -> str:
    """Return what a column wears: a badge with name and strength for each adapter, or the base's."""
    if outfit.is_base:
        return '<span class="sd-lora-badge sd-frozen">Base</span>'
    return " + ".join(
        f'<span class="sd-lora-badge sd-changed">{escape(result.titles.get(name, name))} '
        f"<b>{percent(strength)}</b></span>"
        for name, strength in outfit.parts
    )


def _card(place: int, column: Column, result: Adaptation) -> str:
    label = escape(column.outfit.label(result.titles))
    parting = result.parting(column) if place else None
    gains = column.gains if result.done else ()
    tokens = "".join(_token(column, n, n == parting, gains) for n in range(len(column.tokens)))
    caret = "" if column.reason or result.done else '<span class="sd-caret" aria-hidden="true"></span>'
    end = '<span class="sd-end" title="the model ended the text">∎</span>' if column.reason == "end of text" else ""
    prompt = result.settings.prompt.rstrip(" \t")  # as the model reads it: line ends count
    tail = prompt if len(prompt) <= 90 else "… " + prompt[-88:]
    kind = "base" if column.outfit.is_base else "blend" if column.outfit.is_blend else "adapter"
    return (
        f'<section class="sd-card sd-lora-card" data-kind="{kind}" aria-label="{label}">'
        f"<h3>{badges(column.outfit, result)}</h3>"
        f'<p class="sd-text" tabindex="0" role="group" data-column="{place}" '
        f'aria-label="Text of {label}; arrow keys choose a token"'
        f'><span class="sd-prompt">{escape(tail)}</span>{tokens}{end}{caret}</p>'
        f'<p class="sd-path">{escape(_path(column, parting, result))}</p>{_measures(column, result)}</section>'
    )


def _path(column: Column, parting: int | None, result: Adaptation) -> str:
    if column.outfit.is_base:
        return "the frozen model alone"
    if parting is not None:
        return f"leaves the base at token {parting + 1}"
    return "the same as the base to the end" if column.reason else "follows the base so far"


def _token(column: Column, n: int, parts: bool, gains: Sequence[float]) -> str:
    piece = escape(column.pieces[n])
    classes = ["lv"] if parts else []
    if not gains:
        mark = ' class="lv"' if parts else ""
        return f'<span data-n="{n}"{mark}>{piece}</span>'
    gain = gains[n]
    if gain < 0:
        classes.append("sd-lora-down")
    shade = min(abs(gain) / STRONGEST, 1.0)
    mark = f' class="{" ".join(classes)}"' if classes else ""
    return f'<span data-n="{n}" style="--s:{shade:.2f}"{mark} title="{gain_text(gain)}">{piece}</span>'


def gain_text(gain: float) -> str:
    """Return a change of a log-probability in words, such as ``12 times as probable as under the base``."""
    ratio = math.exp(min(abs(gain), 50.0))
    if ratio < 1.05:
        return "about as probable as under the base"
    return f"{ratio:,.3g} times {'as' if gain > 0 else 'less'} probable {'as' if gain > 0 else 'than'} under the base"


def _measures(column: Column, result: Adaptation) -> str:
    if column.measures is None:
        return '<dl class="sd-measures"></dl>'
    rows = [
        (f"perplexity: {name}", "exp of minus this very text's mean log-probability, none of it drawn anew", value)
        for name, value in _perplexities(column, result)
    ]
    if column.style_share is not None:
        meaning = "share of this text's words that Shakespeare's works have and the prose corpus lacks"
        rows.append(("Shakespeare’s own words", meaning, f"{column.style_share:.0%}"))
    rows.append(("tokens per second", "as served, all columns advancing together", f"{_speed(column):.0f}"))
    return (
        '<dl class="sd-measures sd-lora-measures">'
        + "".join(
            f'<div title="{escape(meaning)}"><dt>{escape(name)}</dt><dd>{value}</dd></div>'
            for name, meaning, value in rows
        )
        + "</dl>"
    )


def _speed(column: Column) -> float:
    return column.measures.tokens_per_second if column.measures else 0.0


def _perplexities(column: Column, result: Adaptation) -> list[tuple[str, str]]:
    """Return under what a text was scored and its perplexity there: the base first, then its own outfit or all."""
    outfits = [BASE, *(other.outfit for other in result.columns if not other.outfit.is_base)]
    if not column.outfit.is_base:
        outfits = [BASE, column.outfit]
    found = []
    for outfit in outfits:
        value = column.perplexity(outfit)
        if value is None:
            shown = "…" if not result.done else "–"
        else:
            shown = f"{value:,.1f}" if value < 1e6 else f"{value:.1e}"
        found.append((_reader(outfit, column, result), shown))
    return found


def _reader(outfit: Outfit, column: Column, result: Adaptation) -> str:
    """Return who reads a text, as short as can be."""
    if outfit.is_base:
        return "base"
    if outfit == column.outfit:
        return "this blend" if outfit.is_blend else "this adapter"
    return "the blend" if outfit.is_blend else outfit.label(result.titles)
