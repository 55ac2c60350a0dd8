"""A step looked into: summary, table, plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lab.text.decoding import Column, Inspection
from lab.text.strategies import Kind
from tabs.rendering import INK, calm, plain_label

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

RAW, TEMPERED, FINAL = "#6f8fb0", "#b7a15c", "#d8742a"


def step_label(column: Column, step: int, labels: Sequence[str]) -> str:
    """Return the title of a step."""
    return f"Token {step + 1} of {column.strategy.label}: {labels[step]}"


def step_table(inspection: Inspection) -> list[list[Any]]:
    """Return the candidates of a step as rows: rank, token, raw, tempered, cumulative, final, what became of it."""
    rows, cumulative = [], 0.0
    order = sorted(
        zip(inspection.distribution.candidates, inspection.token_labels, strict=True),
        key=lambda pair: -pair[0].tempered,
    )
    for rank, (candidate, label) in enumerate(order, 1):
        cumulative += candidate.tempered
        if candidate.id == inspection.chosen:
            fate = "chosen"
        elif inspection.strategy.samples and candidate.final == 0:
            fate = "cut"
        else:
            fate = ""
        shown = (candidate.raw, candidate.tempered, cumulative, candidate.final)
        rows.append([rank, label, *(round(100 * value, 3) for value in shown), fate])
    return rows


STEP_COLUMNS = ["#", "token", "raw %", "tempered %", "cumulative %", "final %", ""]


def step_summary(inspection: Inspection) -> str:
    """Return what a step shows, in words."""
    table = inspection.distribution
    sentences = [
        f"Entropy {inspection.entropy:.2f} nats: a choice between {math.exp(inspection.entropy):,.0f} equals."
    ]
    if inspection.strategy.samples:
        cut = table.vocabulary_size - table.kept_tokens
        if cut:
            sentences.append(
                f"{table.kept_tokens:,} of {table.vocabulary_size:,} tokens stay, holding {table.kept_mass:.1%} of the "
                f"probability after temperature; {cut:,} are cut."
            )
        else:
            sentences.append(f"Nothing is cut: all {table.vocabulary_size:,} tokens can be drawn.")
    else:
        sentences.append("Nothing is drawn here: this is the model's own distribution.")
    return " ".join(sentences)


def step_plot(inspection: Inspection, shown: int = 25) -> Figure:
    """Return the top of the distribution at each stage as bars, and the cumulative curve with the cut."""
    import plotly.graph_objects as go

    pairs = sorted(
        zip(inspection.distribution.candidates, inspection.token_labels, strict=True),
        key=lambda pair: -pair[0].tempered,
    )
    chosen = next((n for n, (candidate, _) in enumerate(pairs) if candidate.id == inspection.chosen), None)
    if chosen is not None and chosen >= shown:
        pairs = [*pairs[: shown - 1], pairs[chosen]]
        chosen = shown - 1
    pairs = pairs[:shown]
    # Labels may repeat (two byte tokens can look alike), so bars stand at numbers.
    places = list(range(len(pairs)))
    labels = [plain_label(label) for _, label in pairs]
    stages = [("raw", RAW), ("tempered", TEMPERED), ("final", FINAL)] if inspection.strategy.samples else [("raw", RAW)]
    titles = {"raw": "raw model", "tempered": "after temperature", "final": "after truncation"}
    figure = go.Figure()
    for field, colour in stages:
        values = [getattr(candidate, field) for candidate, _ in pairs]
        figure.add_bar(
            x=places,
            y=values,
            name=titles[field],
            marker_color=colour,
            customdata=labels,
            hovertemplate="%{customdata}: %{y:.2%}<extra>" + titles[field] + "</extra>",
        )
    if inspection.strategy.samples:
        total, curve = 0.0, []
        for candidate, _ in pairs:
            total += candidate.tempered
            curve.append(total)
        figure.add_scatter(
            x=places,
            y=curve,
            name="cumulative",
            mode="lines+markers",
            yaxis="y2",
            line={"color": INK, "width": 1.5, "dash": "dot"},
            marker={"size": 4},
        )
        if inspection.strategy.kind is Kind.TOP_P:
            figure.add_shape(
                type="line",
                x0=-0.5,
                x1=len(pairs) - 0.5,
                y0=inspection.strategy.top_p,
                y1=inspection.strategy.top_p,
                yref="y2",
                line={"color": FINAL, "width": 1, "dash": "dash"},
            )
            figure.add_annotation(
                x=len(pairs) - 1,
                y=inspection.strategy.top_p,
                yref="y2",
                showarrow=False,
                yshift=9,
                text=f"p = {inspection.strategy.top_p:g}",
                font={"color": FINAL},
            )
        kept = [n for n, (candidate, _) in enumerate(pairs) if candidate.final > 0]
        if kept and len(kept) < len(pairs) and kept == list(range(len(kept))):
            figure.add_vline(x=len(kept) - 0.5, line={"color": FINAL, "width": 1, "dash": "dash"})
    if chosen is not None:
        figure.add_annotation(
            x=chosen,
            y=max(getattr(pairs[chosen][0], field) for field, _ in stages),
            text="chosen ▾",
            showarrow=False,
            yshift=12,
            font={"color": INK},
        )
    figure.update_layout(
        barmode="group",
        xaxis={"tickmode": "array", "tickvals": places, "ticktext": labels, "tickangle": -50},
        yaxis={"title": "probability", "tickformat": ".0%"},
        yaxis2={"overlaying": "y", "side": "right", "range": [0, 1.05], "tickformat": ".0%", "showgrid": False},
    )
    return calm(figure, height=380)
