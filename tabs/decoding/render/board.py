"""The columns side by side, token by token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from lab.text.decoding import Column, Comparison
from lab.text.strategies import EXPLANATIONS, Kind
from tabs.rendering import decimal, notes_html, progress

MEASURES = (
    (
        "mean log-probability",
        "mean_log_probability",
        ".2f",
        "nats per token under the raw model; 0 would be certainty",
    ),
    ("perplexity", "perplexity", ".1f", "exp of minus the mean log-probability"),
    ("distinct-1", "distinct_1", ".2f", "share of distinct tokens"),
    ("distinct-2", "distinct_2", ".2f", "share of distinct pairs of tokens"),
    ("repeated 3-grams", "repeated_3", ".0%", "share of runs of three tokens that occurred before"),
    ("tokens per second", "tokens_per_second", ".0f", "as served, all columns advancing together"),
)

LEGEND = (
    '<p class="sd-legend"><span style="--s:0">expected</span><span style="--s:.35">less so</span>'
    '<span style="--s:.7">surprising</span><span style="--s:1">1 in 1,000 or rarer</span>'
    '<span class="lv">leaves greedy here</span> Hover a token for probability and rank; click it to look inside.</p>'
)


def run_status(comparison: Comparison, notes: Sequence[str]) -> str:
    """Return how far a run has come."""
    if comparison.done:
        return notes_html(notes)
    written = sum(len(column.tokens) for column in comparison.columns)
    total = comparison.settings.max_new_tokens * len(comparison.columns)
    return progress(min(written / total, 0.99), notes)


def board(comparison: Comparison) -> str:
    """Return the columns side by side. The token that is looked into is marked by the page itself."""
    cards = "".join(_card(place, column, comparison) for place, column in enumerate(comparison.columns))
    state = "done" if comparison.done else "running"
    return f'{notes_html(comparison.notes)}<div class="sd-board" data-state="{state}">{cards}</div>'


def empty_board(message: str = "Press Generate: each strategy writes its own column, all at the same time.") -> str:
    """Return what stands where the columns will be."""
    return f'<div class="sd-empty">{escape(message)}</div>'


def _card(place: int, column: Column, comparison: Comparison) -> str:
    leaves = column.leaves_greedy
    tokens = "".join(_token(column, n, n == leaves, comparison.done) for n in range(len(column.tokens)))
    caret = "" if column.reason or comparison.done else '<span class="sd-caret" aria-hidden="true"></span>'
    end = '<span class="sd-end" title="the model ended the text">∎</span>' if column.reason == "end of text" else ""
    if leaves is not None:
        path = f"leaves greedy at token {leaves + 1}"
    elif column.strategy.kind is Kind.GREEDY and column.strategy.repetition_penalty == 1:
        path = "this is the greedy path"
    else:
        path = "follows greedy so far" if not column.reason else "same as greedy to the end"
    prompt = comparison.settings.prompt.rstrip(" \t")  # as the model reads it: line ends count
    tail = prompt if len(prompt) <= 90 else "… " + prompt[-88:]
    return (
        f'<section class="sd-card" aria-label="{escape(column.strategy.label)}">'
        f"<h3>{escape(column.strategy.label)}</h3>"
        f'<p class="sd-hint">{escape(EXPLANATIONS[column.strategy.kind])}</p>'
        f'<p class="sd-text" tabindex="0" role="group" data-column="{place}" '
        f'aria-label="Text of {escape(column.strategy.label)}; arrow keys choose a token"'
        f'><span class="sd-prompt">{escape(tail)}</span>{tokens}{end}{caret}</p>'
        f'<p class="sd-path">{escape(path)}</p>{_measures(column)}</section>'
    )


def _token(column: Column, n: int, leaves: bool, done: bool) -> str:
    token = column.tokens[n]
    # 0 for certain tokens, 1 for those of one in a thousand or less.
    surprise = min(-token.log_probability / math.log(1000), 1.0)
    mark = ' class="lv"' if leaves else ""
    title = f' title="{token_summary(column, n)}"' if done else ""
    return f'<span data-n="{n}" style="--s:{surprise:.2f}"{mark}{title}>{escape(column.pieces[n])}</span>'


def token_summary(column: Column, n: int) -> str:
    """Return probability and rank of a token in a line."""
    token = column.tokens[n]
    text = f"{math.exp(token.log_probability):.1%}, rank {token.rank}"
    if column.strategy.samples:
        text += f", {token.strategy_probability:.1%} after {column.strategy.label}"
    return escape(text)


def _measures(column: Column) -> str:
    if column.measures is None:
        return '<dl class="sd-measures"></dl>'
    rows = "".join(
        f'<div title="{escape(meaning)}"><dt>{name}</dt><dd>{decimal(getattr(column.measures, field), form)}</dd></div>'
        for name, field, form, meaning in MEASURES
    )
    return f'<dl class="sd-measures">{rows}</dl>'
