"""Melodies on a map: the figure with the chosen tune marked, and what each layer tells apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.embeddings.settings import Method
from lab.embeddings.tunes import REAL, TuneMap, TunePoint
from lab.music.voices import VOICES, Voice
from tabs.embeddings.render.points import hover_text
from tabs.rendering import INK, calm, plain_label

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LAYER_COLUMNS = ["features", "AUC", "silhouette", "nearest is of the same kind"]
TUNE_COLUMNS = ["#", "kind", "title", "nearest tune", "x", "y"]
LOOKS = {  # colour and shape of each kind
    "folk": ("#4f8fc0", "circle"),
    "bach": ("#c2703d", "square"),
    "machine-folk": ("#4f8fc0", "circle-open"),
    "machine-lora": ("#b5679d", "diamond-open"),
    "machine-full": ("#c7645f", "square-open"),
    "machine-scratch": ("#8d7fc7", "x-thin-open"),
}


def kind_title(kind: str) -> str:
    """Return what a kind of tunes is called."""
    if kind in REAL:
        return REAL[kind]
    return f"Machine: {VOICES[Voice(kind.removeprefix('machine-'))].title}"


def tune_figure(found: TuneMap, layer: int, method: Method, chosen: int) -> Figure:
    """Return the tunes at a layer; a click on a point sends its number."""
    from plotly.graph_objects import Figure, Scatter

    projection = found.projection(layer, method)
    figure = Figure()
    for kind in dict.fromkeys(point.kind for point in found.points):
        rows = [n for n, point in enumerate(found.points) if point.kind == kind]
        colour, symbol = LOOKS.get(kind, (INK, "circle-open"))
        width = 1.6 if symbol.endswith("open") else 0
        figure.add_trace(
            Scatter(
                x=projection.points[rows, 0],
                y=projection.points[rows, 1],
                mode="markers",
                name=plain_label(kind_title(kind)),
                marker={"size": 9, "color": colour, "symbol": symbol, "opacity": 0.85, "line": {"width": width}},
                text=[hover_text(found.points[n].title) for n in rows],
                customdata=rows,
                hovertemplate="%{text}<extra>" + plain_label(kind_title(kind)) + "</extra>",
            )
        )
    x, y = projection.points[chosen, :2]
    figure.add_trace(
        Scatter(
            x=[x],
            y=[y],
            mode="markers",
            name="chosen",
            marker={"size": 19, "color": INK, "symbol": "circle-open", "line": {"width": 3}},
            hoverinfo="skip",
        )
    )
    calm(figure, 560)
    figure.update_layout(margin={"l": 20, "r": 20, "t": 70, "b": 40}, legend={"y": 1.01, "yanchor": "bottom"})
    shares = projection.variance_explained
    titles = [f"axis {n}: {share:.0%} of the variance" for n, share in enumerate(shares, 1)] or ["", ""]
    figure.update_xaxes(showticklabels=False, title=titles[0])
    figure.update_yaxes(showticklabels=False, title=titles[1])
    return figure


def layer_title(layer: int) -> str:
    """Return what a layer is called."""
    return "Before the blocks" if layer == 0 else f"After block {layer}"


def layer_table(found: TuneMap) -> list[list[Any]]:
    """Return how well each layer, and what it is compared with, tells folk songs from chorales."""
    rows = [(layer_title(n), one) for n, one in enumerate(found.layers)]
    rows += [("Interval histogram, no model", found.intervals), ("Header alone: mode, meter, phrases", found.header)]
    return [[name, f"{one.auc:.2f}", f"{one.silhouette:.2f}", f"{one.neighbours:.0%}"] for name, one in rows]


def told_layers(found: TuneMap, layer: int) -> str:
    """Return in Markdown whether the two collections separate at a layer, and with whom machines are."""
    one = found.layers[layer]
    best = max(range(len(found.layers)), key=lambda n: found.layers[n].auc)
    machines = "; ".join(
        f"{VOICES[Voice(kind.removeprefix('machine-'))].title} {share:.0%}"
        for kind, share in found.near_bach[layer].items()
    )
    where = "This is" if best == layer else f"{layer_title(best)} it is {found.layers[best].auc:.2f},"
    return (
        f"**{layer_title(layer)}:** a straight cut tells folk songs from chorales, those that it was not fitted on, "
        f"with an AUC of **{one.auc:.2f}** (0.5 is chance); the shares of the intervals alone reach "
        f"{found.intervals.auc:.2f}. {where} the most of all layers. Machines' melodies whose nearest real tune is a "
        f"chorale: {machines}."
    )


def tune_choices(points: tuple[TunePoint, ...]) -> list[tuple[str, int]]:
    """Return all tunes to choose from."""
    return [(f"{kind_title(point.kind)}: {point.title}", n) for n, point in enumerate(points)]


def tune_table(found: TuneMap, layer: int, method: Method) -> list[list[Any]]:
    """Return all tunes as rows, with the tune that is nearest at a layer."""
    places = found.projection(layer, method).points
    rows = []
    for n, point in enumerate(found.points):
        other = found.points[found.nearest(n, layer)[0]]
        near = f"{other.title} ({kind_title(other.kind)})"
        rows.append([n, kind_title(point.kind), point.title, near, f"{places[n, 0]:.2f}", f"{places[n, 1]:.2f}"])
    return rows
