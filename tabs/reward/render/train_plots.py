"""Plots of a reward model that has learned, each with its table: learning curve, calibration, regularisation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab.preferences.report import CHANCE, Report
from tabs.rendering import INK, calm
from tabs.reward.render.train import GUESS, percent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FROZEN_COLOUR, CHANGED_COLOUR = "#5b8fc4", "#d07a2d"
CURVE_COLUMNS = ["pairs", "prompts", "training", "held out", "95 % interval", "L2"]
CALIBRATION_COLUMNS = ["how sure", "pairs", "sure, mean", "right"]
TRIAL_COLUMNS = ["L2", "loss left out", "right left out", ""]
HEIGHT = 330


def low_legend(figure: Figure) -> None:
    """Put the legend under a figure, where it has room on a phone as well."""
    figure.update_layout(
        margin={"l": 55, "r": 12, "t": 12, "b": 95},
        legend={"y": -0.28, "yanchor": "top", "font": {"size": 11}},
    )


def curve_plot(report: Report) -> Figure:
    """Return accuracy over the number of pairs, with the lines between which it must lie."""
    from plotly.graph_objects import Figure, Scatter

    points = report.curve
    pairs = [point.pairs for point in points]
    figure = Figure()
    figure.add_trace(
        Scatter(
            x=pairs,
            y=[point.train_accuracy for point in points],
            mode="lines+markers",
            name="training pairs",
            line={"color": INK, "dash": "dot"},
            hovertemplate="%{x:,} pairs: %{y:.1%}<extra>training</extra>",
        )
    )
    shares = [point.held_out.share for point in points]
    figure.add_trace(
        Scatter(
            x=pairs,
            y=shares,
            mode="lines+markers",
            name="held-out pairs, 95 % interval",
            line={"color": CHANGED_COLOUR, "width": 3},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [point.held_out.high - point.held_out.share for point in points],
                "arrayminus": [point.held_out.share - point.held_out.low for point in points],
                "thickness": 1.5,
            },
            hovertemplate="%{x:,} pairs: %{y:.1%}<extra>held out</extra>",
        )
    )
    calm(figure, HEIGHT)
    for share, words in limit_lines(report):
        figure.add_hline(
            y=share,
            line={"color": FROZEN_COLOUR, "dash": "dash", "width": 1.5},
            annotation={"text": f"{words}, {share:.0%}", "font": {"color": INK, "size": 11}},
            annotation_position="bottom right" if share == CHANCE else "bottom left",
        )
    low_legend(figure)
    ticks = [f"{count:,}" for count in pairs]
    figure.update_xaxes(title="pairs that it learned from", type="log", tickvals=pairs, ticktext=ticks)
    low = min((point.held_out.low for point in points), default=CHANCE)
    figure.update_yaxes(title="right", tickformat=".0%", range=[max(min(low, 0.42) - 0.03, -0.02), 1.04])
    return figure


def limit_lines(report: Report) -> list[tuple[float, str]]:
    """Return the shares that are drawn as lines, each with what it is."""
    lines = [(CHANCE, "a coin")]
    if report.consistency.again is not None and report.consistency.again < 1:
        lines.append((report.consistency.again, "the same answer when asked again"))
    if report.consistency.rule is not None:
        lines.append((report.consistency.rule, "the rule itself"))
    return lines


def curve_table(report: Report) -> list[list[str]]:
    """Return the learning curve as rows."""
    return [
        [
            f"{point.pairs:,}",
            f"{point.prompts:,}",
            percent(point.train_accuracy),
            percent(point.held_out.share),
            f"{point.held_out.low:.0%} to {point.held_out.high:.0%}",
            f"{point.l2:g}",
        ]
        for point in report.curve
    ]


def calibration_plot(report: Report) -> Figure | None:
    """Return how often the model is right over how sure it is, on held-out pairs; None if none were held out."""
    from plotly.graph_objects import Figure, Scatter

    held = report.learnt.fit.held_out
    if held is None:
        return None
    bins = [one for one in held.calibration.bins if one.pairs]
    most = max(one.pairs for one in bins)
    figure = Figure()
    figure.add_trace(
        Scatter(
            x=[0.5, 1],
            y=[0.5, 1],
            mode="lines",
            name="as sure as right",
            line={"color": FROZEN_COLOUR, "dash": "dash"},
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        Scatter(
            x=[one.confidence for one in bins],
            y=[one.accuracy for one in bins],
            mode="lines+markers",
            name="this model; large: many pairs",
            line={"color": CHANGED_COLOUR},
            marker={"size": [8 + 18 * math.sqrt(one.pairs / most) for one in bins], "opacity": 0.85},
            customdata=[one.pairs for one in bins],
            hovertemplate="sure %{x:.1%}, right %{y:.1%}<br>%{customdata:,} pairs<extra></extra>",
        )
    )
    calm(figure, HEIGHT)
    low_legend(figure)
    low = min(0.4, *(one.accuracy for one in bins))
    figure.update_xaxes(title="how sure it is of its order", tickformat=".0%", range=[0.48, 1.02])
    figure.update_yaxes(title="right", tickformat=".0%", range=[max(low - 0.05, -0.02), 1.06])
    return figure


def calibration_table(report: Report) -> list[list[str]]:
    """Return the bins as rows, and last all pairs together."""
    held = report.learnt.fit.held_out
    if held is None:
        return []
    rows = [
        [f"{one.low:.0%} to {one.high:.0%}", f"{one.pairs:,}", percent(one.confidence), percent(one.accuracy)]
        for one in held.calibration.bins
    ]
    return [*rows, ["mean distance", f"{held.accuracy.pairs:,}", "", percent(held.calibration.error)]]


def trial_plot(report: Report) -> Figure | None:
    """Return the loss on pairs left out over the strength of regularisation; None if nothing could be left out."""
    from plotly.graph_objects import Figure, Scatter

    trials = report.learnt.fit.trials
    if not trials:
        return None
    figure = Figure()
    figure.add_trace(
        Scatter(
            x=[trial.l2 for trial in trials],
            y=[trial.loss for trial in trials],
            mode="lines+markers",
            name="loss on pairs left out",
            line={"color": CHANGED_COLOUR, "width": 3},
            marker={"size": [15 if trial.l2 == report.learnt.model.l2 else 8 for trial in trials]},
            customdata=[trial.accuracy for trial in trials],
            hovertemplate="L2 %{x:g}: %{y:.3f} nats, %{customdata:.1%} right<extra></extra>",
            showlegend=False,
        )
    )
    calm(figure, HEIGHT)
    figure.add_hline(
        y=GUESS,
        line={"color": FROZEN_COLOUR, "dash": "dash", "width": 1.5},
        annotation={"text": "a coin", "font": {"color": INK, "size": 11}},
        annotation_position="bottom right",
    )
    low_legend(figure)
    figure.update_xaxes(
        title="L2: weak to strong",
        type="log",
        tickvals=[trial.l2 for trial in trials],
        ticktext=[f"{trial.l2:g}" for trial in trials],
    )
    figure.update_layout(margin={"b": 50})
    figure.update_yaxes(title="loss, nats")
    return figure


def trial_table(report: Report) -> list[list[str]]:
    """Return the trials of cross-validation as rows, strong to weak."""
    chosen = report.learnt.model.l2
    return [
        [f"{trial.l2:g}", f"{trial.loss:.3f}", percent(trial.accuracy), "chosen" if trial.l2 == chosen else ""]
        for trial in report.learnt.fit.trials
    ]
