"""Plots and tables of melodies: measures against the real collections, the strength, losses of the methods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from lab.music.classifier import Kind, load_classifier
from lab.music.composing import Piece
from lab.music.corpus import Collection, Split
from lab.music.measures import MEASURES, Measure, Unit, corpus_measures, measure
from lab.music.morph import Morph
from lab.music.voices import VOICES, Part
from tabs.rendering import INK, calm

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FOLK_COLOUR, BACH_COLOUR = "#5b8fc4", "#d07a2d"  # where the model comes from, where it is led
MARKERS = ("circle", "diamond", "square", "cross", "triangle-up", "star")
PLOTTED = ("quarters", "eighths", "halves", "steps", "thirds", "leaps", "repeated", "turns")
MEASURE_COLUMNS = ["measure", "folk songs", "chorales"]


def shown(value: float, one: Measure) -> str:
    """Return a measure's value with its unit, a dash where a melody leaves it open."""
    if math.isnan(value):
        return "–"
    if one.unit is Unit.SHARE:
        return f"{value:.0%}"
    if one.unit is Unit.FLAG:
        return "yes" if value == 1 else "no" if value == 0 else f"{value:.0%}"
    return f"{value:.2f} {one.unit}"


def measure_plot(pieces: Sequence[Piece]) -> Figure:
    """Return the pieces' measures between those of the real collections, whose quartiles are drawn as bars."""
    from plotly.graph_objects import Figure, Scatter

    chosen = [one for one in MEASURES if one.name in PLOTTED]
    titles = [one.title for one in chosen]
    figure = Figure()
    for collection, name, colour, shift in (
        (Collection.FOLK, "folk songs", FOLK_COLOUR, 0.2),
        (Collection.BACH, "chorales", BACH_COLOUR, -0.2),
    ):
        spreads = corpus_measures(collection, Split.TEST)
        rows = [spreads[one.name] for one in chosen]
        figure.add_bar(
            x=[row.upper - row.lower for row in rows],
            base=[row.lower for row in rows],
            y=titles,
            orientation="h",
            name=f"{name}: middle half",
            marker={"color": colour, "opacity": 0.35},
            width=0.36,
            offset=shift - 0.18,
            hovertemplate="%{base:.0%} to %{x:.0%}<extra>" + name + "</extra>",
        )
    for number, piece in enumerate(pieces):
        values = measure(piece.melody)
        figure.add_trace(
            Scatter(
                x=[values[one.name] for one in chosen],
                y=titles,
                mode="markers",
                name=piece_title(piece),
                marker={
                    "symbol": MARKERS[number % len(MARKERS)],
                    "size": 11,
                    "color": FOLK_COLOUR if VOICES[piece.voice].is_base else BACH_COLOUR,
                    "line": {"width": 1, "color": INK},
                },
                hovertemplate="%{x:.0%}<extra>%{fullData.name}</extra>",
            )
        )
    calm(figure, 90 + 44 * len(chosen))
    figure.update_layout(margin={"l": 140, "r": 20, "t": 60, "b": 40}, legend={"y": 1.0, "yanchor": "bottom"})
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(autorange="reversed")
    return figure


def piece_title(piece: Piece) -> str:
    """Return the title of the voice that wrote a piece."""
    return VOICES[piece.voice].title


def measure_table(pieces: Sequence[Piece]) -> list[list[str]]:
    """Return all measures as rows: title, mean of folk songs and of chorales, and each piece's value."""
    folk, bach = (corpus_measures(collection, Split.TEST) for collection in (Collection.FOLK, Collection.BACH))
    values = [measure(piece.melody) for piece in pieces]
    rows = [
        [
            one.title,
            shown(folk[one.name].mean, one),
            shown(bach[one.name].mean, one),
            *(shown(value[one.name], one) for value in values),
        ]
        for one in MEASURES
    ]
    for kind, title in ((Kind.ALL, "Bach, says the classifier"), (Kind.PITCH, "the same by pitch alone")):
        classifier = load_classifier(kind)
        rows.append([title, "", "", *(f"{classifier.probability(piece.melody):.0%}" for piece in pieces)])
    return rows


MORPHED = {
    "bach": "Bach, says the classifier",
    "quarters": "Quarter notes",
    "steps": "Steps",
    "eighths": "Eighth notes",
}


def morph_plot(morph: Morph, strength: float) -> Figure:
    """Return how measures move with the strength, as means over many seeds; the chosen strength is marked."""
    from plotly.graph_objects import Figure, Scatter

    figure = Figure()
    dashes = ("solid", "dash", "dot", "dashdot")
    for (name, title), dash in zip(MORPHED.items(), dashes, strict=True):
        figure.add_trace(
            Scatter(
                x=morph.strengths,
                y=morph.means[name],
                mode="lines+markers",
                name=title,
                line={
                    "dash": dash,
                    "color": BACH_COLOUR if name == "bach" else INK,
                    "width": 3 if name == "bach" else 2,
                },
                hovertemplate="strength %{x:g}: %{y:.0%}<extra>%{fullData.name}</extra>",
            )
        )
    calm(figure, 360)
    figure.add_vline(x=strength, line={"color": BACH_COLOUR, "dash": "dot"})
    figure.update_xaxes(title="strength of the LoRA", dtick=0.25)
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure


def morph_table(morph: Morph) -> list[list[str]]:
    """Return the same as rows: strength, and the mean of each measure that is plotted."""
    return [
        [f"{strength:g}", *(f"{morph.means[name][place]:.0%}" for name in MORPHED)]
        for place, strength in enumerate(morph.strengths)
    ]


def loss_table(table: Mapping[str, Any]) -> list[list[str]]:
    """Return for the base and each method: trained parameters, seconds, and losses in nats per note over the seeds."""
    base = table["base"]
    total = base["parameters"]
    rows = [["Folk (no adaptation)", "0", "0%", "–", f"{base['test_bach']:.2f}", f"{base['test_folk']:.2f}"]]
    for method in dict.fromkeys(run["method"] for run in table["runs"]):
        runs = [run for run in table["runs"] if run["method"] == method]
        trained = runs[0]["trainable_parameters"]
        rows.append(
            [
                runs[0]["title"],
                f"{trained:,}",
                f"{trained / total:.1%}",
                f"{sum(run['seconds'] for run in runs) / len(runs):.0f}",
                spread([run["test_bach"] for run in runs]),
                spread([run["test_folk"] for run in runs]),
            ]
        )
    return rows


LOSS_COLUMNS = [
    "method",
    "trained parameters",
    "share",
    "seconds",
    "chorales: nats per note",
    "folk songs: nats per note",
]


def spread(values: Sequence[float]) -> str:
    """Return the mean of several seeds with the least and the largest."""
    return f"{sum(values) / len(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def anatomy(layers: int, method: str, table: Mapping[str, Any]) -> str:
    """Return a picture of the model with what a method froze and what it trained.

    Args:
        method: name of the voice that it makes, ``folk`` for the model without adaptation.
    """
    blocks = [(f"Block {n + 1}", Part.LOWER_BLOCKS if n < layers - 1 else Part.LAST_BLOCK) for n in range(layers)]
    parts = [
        ("Embeddings", Part.EMBEDDINGS),
        *blocks,
        ("Final norm", Part.NORM),
        ("Output (tied to embeddings)", Part.OUTPUT),
    ]
    about = VOICES[method]
    rows = []
    for title, part in parts:
        beside = ""
        if about.beside and part in (Part.LOWER_BLOCKS, Part.LAST_BLOCK):
            beside = f'<i class="sd-beside">+ {escape(about.beside)}, rank {int(table["rank"])}</i>'
        kind = "changed" if part in about.trained else "frozen"
        word = "trained" if part in about.trained else "frozen"
        rows.append(f'<li class="sd-{kind}"><b>{escape(title)}</b><span>{word}</span>{beside}</li>')
    return f'<ol class="sd-anatomy" aria-label="The model from input to output">{"".join(rows)}</ol>'
