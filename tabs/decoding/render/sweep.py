"""Many samples: the trade-off as a plot and a table, and the samples to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.text.sweep import Sweep
from tabs.decoding.render.step import FINAL, RAW
from tabs.rendering import calm

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

POINT_COLUMNS = ["setting", "mean log-probability", "distinct-2", "self-BLEU"]
SAMPLE_COLUMNS = ["setting", "#", "mean log-probability", "text"]


def sweep_table(result: Sweep) -> list[list[Any]]:
    """Return one row per setting."""
    return [
        [p.strategy.label, round(p.mean_log_probability, 3), round(p.distinct_2, 3), round(p.self_bleu, 3)]
        for p in result.points
    ]


def sweep_samples(result: Sweep) -> list[list[Any]]:
    """Return one row per sample."""
    return [
        [point.strategy.label, n, round(mean, 2), text.strip().replace("\n", " ⏎ ")]
        for point in result.points
        for n, (text, mean) in enumerate(zip(point.texts, point.log_probabilities, strict=True), 1)
    ]


def sweep_plot(result: Sweep) -> Figure:
    """Return quality against diversity: one curve for distinct-2, one for 1 - self-BLEU."""
    import plotly.graph_objects as go

    quality = [point.mean_log_probability for point in result.points]
    labels = [f"{point.value:g}" for point in result.points]
    names = [point.strategy.label for point in result.points]
    curves = (
        ("distinct-2", [point.distinct_2 for point in result.points], RAW),
        ("1 − self-BLEU", [1 - point.self_bleu for point in result.points], FINAL),
    )
    figure = go.Figure()
    for name, values, colour in curves:
        figure.add_scatter(
            x=values,
            y=quality,
            text=labels,
            customdata=names,
            name=name,
            mode="lines+markers+text",
            textposition="top center",
            line={"color": colour},
            marker={"size": 9},
            hovertemplate="%{customdata}<br>diversity %{x:.2f}<br>mean log-probability %{y:.2f}<extra></extra>",
        )
    figure.update_layout(
        xaxis={"title": "diversity →", "range": [-0.04, 1.06]},
        yaxis={"title": "mean log-probability, a stand-in for quality →"},
    )
    return calm(figure, height=420)
