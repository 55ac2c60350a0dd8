"""The ways to adapt: what each trained, what it cost, what it gained and what it forgot, as plot and table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.text.live_training import Phase
from lab.text.live_ways import Way, WayResult, WaysSnapshot, way_of
from lab.text.tuning_settings import Method
from tabs.lora.render.train import duration, ordinal
from tabs.rendering import calm, counted, message, notes_html

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FROZEN, CHANGED = "#5b8fc4", "#d07a2d"
SHORT = {Method.FULL: "full", Method.LAST_BLOCK: "last block", Method.PROMPT: "prompt"}
COLUMNS = [
    "way",
    "trained numbers",
    "share",
    "processor seconds",
    "memory",
    "file",
    "new style: nats per token",
    "old style: nats per token",
]
LIVE_COLUMNS = ["way", "trained numbers", "share", "seconds", "file", "held-out: nats per token", "moved away: KL"]


@dataclass(frozen=True)
class Point:
    """A way in the plot; gain and forgetting in nats per token."""

    way: Way
    parameters: int
    gain: float
    forgetting: float


def measured_points(table: Mapping[str, Any]) -> list[Point]:
    """Return the points of the table that ships."""
    base = table["base"]
    found = [(way_of(run["method"], run["rank"]), run) for run in table["runs"]]
    return [
        Point(
            way,
            run["trainable_parameters"],
            base["style_loss"] - run["style_loss"],
            run["prose_loss"] - base["prose_loss"],
        )
        for way, run in found
        if way is not None
    ]


def live_points(results: Sequence[WayResult]) -> list[Point]:
    """Return the points of a comparison that ran here."""
    return [Point(r.way, r.parameters, r.held_out_before - r.held_out_after, r.forgetting) for r in results]


def ways_plot(points: Sequence[Point]) -> Figure:
    """Return gain and forgetting against the number of trained parameters; the ranks of LoRA are joined by a line."""
    from plotly.graph_objects import Figure, Scatter

    figure = Figure()
    kinds = (
        ("gained on the new style", "gain", CHANGED, "circle"),
        ("forgotten of the old", "forgetting", FROZEN, "x"),
    )
    for title, name, colour, symbol in kinds:
        for ranks in (True, False):
            chosen = sorted((p for p in points if (p.way.method is Method.LORA) == ranks), key=lambda p: p.parameters)
            mode = ("lines+" if ranks else "") + "markers" + ("+text" if name == "gain" else "")
            figure.add_trace(
                Scatter(
                    x=[point.parameters for point in chosen],
                    y=[getattr(point, name) for point in chosen],
                    mode=mode,
                    name=title,
                    legendgroup=name,
                    showlegend=ranks == any(p.way.method is Method.LORA for p in points),
                    text=[SHORT.get(point.way.method, f"r={point.way.rank}") for point in chosen],
                    textposition="top center",
                    customdata=[point.way.title for point in chosen],
                    marker={"symbol": symbol, "size": 11, "color": colour},
                    line={"color": colour, "width": 1.5, "dash": "dot"},
                    cliponaxis=False,
                    hovertemplate="%{customdata}: %{y:.3f} nats per token<extra>" + title + "</extra>",
                )
            )
    calm(figure, 400)
    figure.update_layout(margin={"t": 76}, legend={"y": 1.06, "yanchor": "bottom"})
    figure.update_xaxes(title="trained numbers (logarithmic)", type="log", dtick=1)
    figure.update_yaxes(title="nats per token", rangemode="tozero")
    return figure


def ways_table(table: Mapping[str, Any]) -> list[list[str]]:
    """Return the table that ships as rows, the base first."""
    base = table["base"]
    rows = [["Base, not adapted", "0", "0%", "–", "–", "–", f"{base['style_loss']:.3f}", f"{base['prose_loss']:.3f}"]]
    for run in table["runs"]:
        way = way_of(run["method"], run["rank"])
        rows.append(
            [
                way.title if way else run["method"],
                f"{run['trainable_parameters']:,}",
                share(run["share"]),
                f"{run['processor_seconds']:.0f}",
                f"{run['memory_bytes'] / 1e6:.0f} MB",
                size(run["file_bytes"]),
                f"{run['style_loss']:.3f}",
                f"{run['prose_loss']:.3f}",
            ]
        )
    return rows


def live_table(results: Sequence[WayResult]) -> list[list[str]]:
    """Return what ran here as rows."""
    return [
        [
            result.way.title,
            f"{result.parameters:,}",
            share(result.share),
            f"{result.seconds:.0f}",
            size(result.file_bytes),
            f"{result.held_out_before:.3f} → {result.held_out_after:.3f}",
            f"{result.forgetting:.3f}",
        ]
        for result in results
    ]


def words_on(table: Mapping[str, Any]) -> str:
    """Return how the table that ships was made, in a sentence."""
    return (
        f"Every way trained {table['steps']} steps of {table['batch_size']} × {table['context']} tokens of Shakespeare "
        f"from {table['base']['name']} with its {table['base']['parameters']:,} parameters, each in a process of its "
        f"own with {counted(table['threads'], 'thread')}. New style: plays that none of them "
        "has read. Old style: plain prose that the base has not read either; what rises there was forgotten. Memory is "
        "what training took beside the model itself."
    )


def share(value: float) -> str:
    """Return a share in percent, with enough digits for a small one."""
    return f"{value:.3%}" if value < 0.01 else f"{value:.1%}"


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{count / 1e6:.2f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def state_of(now: WaysSnapshot) -> str:
    """Return where a comparison stands."""
    left = duration(now.seconds_left or 0)
    match now.phase:
        case Phase.WAITING:
            return message(
                f"You are {ordinal(now.standing.ahead + 1)} in the line.",
                changing=f" {duration(now.standing.seconds)} until it is your turn.",
            )
        case Phase.STARTING:
            return message("Starting a process of its own …", changing=f" {left} to go.")
        case Phase.TRAINING:
            bar = f'<progress max="1" value="{now.share:.3f}" aria-label="comparison"></progress>'
            way = now.ways[now.current]
            return bar + message(f"{way.title} …", changing=f" step {now.step} of {now.steps}, {left} to go.")
    return message(f"Done: {len(now.results)} of {len(now.ways)} ways.") + notes_html(now.notes)
