"""A step looked into: summary, table, plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lab.text.decoding import TOP, Column, Inspection
from lab.text.rows import Candidate
from lab.text.strategies import Kind, Strategy
from tabs.rendering import calm, plain_label

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

RAW, TEMPERED, FINAL = "#6f8fb0", "#b7a15c", "#d8742a"


def _stages(strategy: Strategy) -> list[tuple[str, str, str]]:
    """Return the stages that a strategy has: field of a candidate, title, colour."""
    # A penalty on repetition stands before the temperature. Of beam search the model's own distribution is seen.
    penalised = strategy.repetition_penalty != 1 and strategy.kind is not Kind.BEAM
    stages = [("raw", "raw model", RAW)]
    if strategy.samples:
        stages.append(("tempered", "after penalty and temperature" if penalised else "after temperature", TEMPERED))
        stages.append(("final", "after truncation", FINAL))
    elif penalised:
        stages.append(("tempered", "after penalty", TEMPERED))
    return stages


def step_label(column: Column, step: int, labels: Sequence[str]) -> str:
    """Return the title of a step."""
    return f"Token {step + 1} of {column.strategy.label}: {labels[step]}"


def step_table(inspection: Inspection) -> list[list[Any]]:
    """Return the candidates of a step as rows: rank, token, raw, tempered, cumulative, final, what became of it.

    A chosen token from beyond the top has no cumulative figure, since those between are not listed.
    """
    rows, cumulative = [], 0.0
    for rank, (candidate, label) in enumerate(_by_probability(inspection), 1):
        cumulative += candidate.tempered
        beyond = rank > TOP
        if candidate.id == inspection.chosen:
            fate = "chosen"
        elif inspection.strategy.samples and candidate.final == 0:
            fate = "cut"
        else:
            fate = ""
        shown = [round(100 * value, 3) for value in (candidate.raw, candidate.tempered, cumulative, candidate.final)]
        rows.append(["…" if beyond else rank, label, *shown[:2], "" if beyond else shown[2], shown[3], fate])
    return rows


STEP_COLUMNS = ["#", "token", "raw %", "tempered %", "cumulative %", "final %", ""]


def step_summary(inspection: Inspection) -> str:
    """Return what a step shows, in words."""
    table = inspection.distribution
    equals = f"{math.exp(inspection.entropy):,.0f} equally likely tokens"
    sentences = [f"Entropy {inspection.entropy:.2f} nats, as between {equals}."]
    if inspection.strategy.samples:
        cut = table.vocabulary_size - table.kept_tokens
        if cut:
            sentences.append(
                f"{table.kept_tokens:,} of {table.vocabulary_size:,} tokens stay, holding {table.kept_mass:.1%} of the "
                f"probability after temperature; {cut:,} are cut."
            )
        else:
            sentences.append(f"Nothing is cut: all {table.vocabulary_size:,} tokens can be drawn.")
    elif inspection.strategy.repetition_penalty == 1:
        sentences.append("Nothing is drawn here: this is the model's own distribution.")
    elif inspection.strategy.kind is Kind.BEAM:
        sentences.append("Nothing is drawn here: this is the model's own distribution, before the repetition penalty.")
    else:
        sentences.append("Nothing is drawn here: the most probable token after the repetition penalty is taken.")
    return " ".join(sentences)


def step_plot(inspection: Inspection, shown: int = 25) -> Figure:
    """Return the top of the distribution at each stage as bars, and below it the cumulative curve with the cut."""
    from plotly.subplots import make_subplots

    pairs = _by_probability(inspection)
    chosen = next((n for n, (candidate, _) in enumerate(pairs) if candidate.id == inspection.chosen), None)
    if chosen is not None and chosen >= shown:
        pairs = [*pairs[: shown - 1], pairs[chosen]]
        chosen = shown - 1
    pairs = pairs[:shown]
    figure = make_subplots(rows=2, cols=1, row_heights=[0.6, 0.4], vertical_spacing=0.24)
    _add_bars(figure, inspection, pairs, chosen)
    _add_cumulative(figure, inspection)
    figure.update_layout(barmode="group")
    return calm(figure, height=560)


def _by_probability(inspection: Inspection) -> list[tuple[Candidate, str]]:
    """Return the candidates with their labels, most probable after temperature first."""
    pairs = zip(inspection.distribution.candidates, inspection.token_labels, strict=True)
    return sorted(pairs, key=lambda pair: -pair[0].tempered)


def _add_bars(
    figure: Figure, inspection: Inspection, pairs: Sequence[tuple[Candidate, str]], chosen: int | None
) -> None:
    # Labels may repeat (two byte tokens can look alike), so bars stand at numbers.
    places = list(range(len(pairs)))
    labels = [plain_label(label) for _, label in pairs]
    stages = _stages(inspection.strategy)
    for field, title, colour in stages:
        figure.add_bar(
            x=places,
            y=[getattr(candidate, field) for candidate, _ in pairs],
            name=title,
            marker_color=colour,
            customdata=labels,
            hovertemplate="%{customdata}: %{y:.2%}<extra>" + title + "</extra>",
            row=1,
            col=1,
        )
    if chosen is not None:
        figure.add_annotation(
            x=chosen,
            y=max(getattr(pairs[chosen][0], field) for field, _, _ in stages),
            text="chosen ▾",
            showarrow=False,
            xanchor="right" if chosen > 0.8 * len(pairs) else "center",
            yshift=12,
            row=1,
            col=1,
        )
    figure.update_xaxes(tickmode="array", tickvals=places, ticktext=labels, tickangle=-50, row=1, col=1)
    figure.update_yaxes(title="probability", tickformat=".1%", rangemode="tozero", row=1, col=1)


def _add_cumulative(figure: Figure, inspection: Inspection) -> None:
    table, strategy = inspection.distribution, inspection.strategy
    counts, masses = zip(*table.cumulative, strict=True)
    figure.add_scatter(
        x=counts,
        y=masses,
        name="cumulative",
        mode="lines",
        line={"color": TEMPERED},
        hovertemplate="the %{x:,} most probable: %{y:.1%}<extra></extra>",
        showlegend=False,
        row=2,
        col=1,
    )
    cut = {"line": {"color": FINAL, "width": 1.5, "dash": "dash"}, "row": 2, "col": 1}
    font = {"font": {"color": FINAL}}
    if strategy.kind is Kind.TOP_P:
        figure.add_hline(y=strategy.top_p, annotation={"text": f"p = {strategy.top_p:g}", **font}, **cut)
    # What typical sampling keeps is no run from the most probable one on, so it has no place on this axis.
    if strategy.samples and strategy.kind is not Kind.TYPICAL and table.kept_tokens < table.vocabulary_size:
        label = f"{table.kept_tokens:,} kept │ {table.vocabulary_size - table.kept_tokens:,} cut"
        figure.add_vline(x=table.kept_tokens, **cut)
        # The axis is logarithmic, and annotations on it take the exponent.
        side = "left" if table.kept_tokens < table.vocabulary_size**0.5 else "right"
        figure.add_annotation(
            x=math.log10(table.kept_tokens), y=0.08, text=label, showarrow=False, xanchor=side, row=2, col=1, **font
        )
    figure.update_xaxes(type="log", title="so many of the most probable tokens …", row=2, col=1)
    figure.update_yaxes(title="… hold", tickformat=".0%", range=[0, 1.08], row=2, col=1)
