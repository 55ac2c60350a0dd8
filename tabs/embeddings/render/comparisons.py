"""Similarities, searches, axes: as figures, in words, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from lab.embeddings.comparing import Hit, Matrix, OddOneOut, OnAxis, PairFigures, Solved
from lab.embeddings.concepts import PairKind
from tabs.rendering import INK, calm, plain_label

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PAIR_COLUMNS = ["kind", "first", "second", "model", "words"]
HIT_COLUMNS = ["entry", "list", "cosine", "word overlap"]
ODD_COLUMNS = ["item", "mean cosine to the others", ""]
SOLVED_COLUMNS = ["a − b + c", "expected", "its rank", "first answers", "nearest of a, b, c"]
AXIS_COLUMNS = ["#", "text", "position"]
MODEL_COLOUR, WORDS_COLOUR = "#4f8fc0", "#b0853a"
LADDER = (  # kind of the shipped pairs and place in it, from unlike to alike: rungs to compare with
    ("Nothing in common", 1),
    ("Numbers", 3),
    ("Same meaning, no word shared", 2),
    ("Opposites that share nearly all words", 0),
    ("Same meaning, no word shared", 1),
    ("Word order", 0),
)
LONGEST = 60  # characters of a text on an axis


def similarity_html(pair: PairFigures, probes: Sequence[tuple[PairKind, Sequence[PairFigures]]]) -> str:
    """Return the cosine of two texts among those of real pairs, which say how much it is."""
    by_kind = {kind.kind: figures for kind, figures in probes}
    rungs = [(by_kind[kind][place], False) for kind, place in LADDER if kind in by_kind]
    rows = sorted([*rungs, (pair, True)], key=lambda row: -row[0].cosine)
    items = "".join(
        f'<li{" class=on" if own else ""}><b>{one.cosine:.2f}</b><i style="--w:{max(one.cosine, 0):.3f}"></i>'
        f"<span>{'Your pair' if own else f'{escape(one.first)} / {escape(one.second)}'}</span></li>"
        for one, own in rows
    )
    return (
        f'<p class="sd-embeddings-big"><b>{pair.cosine:.2f}</b>cosine similarity '
        f"(word overlap, TF-IDF: {pair.overlap:.2f})</p>"
        '<p class="sd-hint">1 is the same direction, 0 is at right angles; below 0 is rare. Between pairs we know:</p>'
        f'<ul class="sd-embeddings-scale">{items}</ul>'
    )


def heat_map(found: Matrix, overlap: bool = False) -> Figure:
    """Return each text with each as a coloured square."""
    from plotly.graph_objects import Figure, Heatmap

    values = found.overlap if overlap else found.cosine
    labels = [plain_label(text if len(text) <= 28 else text[:27] + "…") for text in found.texts]
    places = list(range(len(labels)))  # cut texts may look alike, so squares stand at numbers
    few = len(labels) <= 14
    figure = Figure(
        Heatmap(
            z=values,
            x=places,
            y=places,
            zmin=0,
            zmax=1,
            colorscale=[[0, "#f1ead9"], [1, "#8f6514"]] if overlap else [[0, "#e2ebf4"], [1, "#2f6ea3"]],
            text=[[f"{value:.2f}" for value in row] for row in values] if few else None,
            texttemplate="%{text}" if few else None,
            textfont={"size": 11},
            customdata=[[f"{a} / {b}" for b in labels] for a in labels],
            hovertemplate="%{customdata}: %{z:.2f}<extra></extra>",
            colorbar={"thickness": 12, "title": {"text": "word overlap" if overlap else "cosine", "side": "right"}},
        )
    )
    calm(figure, max(340, 130 + 32 * min(len(labels), 18)))
    figure.update_layout(margin={"l": 10, "r": 10, "t": 20, "b": 10})
    figure.update_xaxes(tickvals=places, ticktext=labels, tickangle=-45, showgrid=False, automargin=True)
    figure.update_yaxes(tickvals=places, ticktext=labels, autorange="reversed", showgrid=False, automargin=True)
    return figure


def matrix_table(found: Matrix) -> list[list[Any]]:
    """Return all pairs of a list as rows, the most alike first."""
    count = len(found.texts)
    pairs = [(found.cosine[a, b], found.overlap[a, b], a, b) for a in range(count) for b in range(a + 1, count)]
    return [
        [found.texts[a], found.texts[b], f"{cosine:.2f}", f"{overlap:.2f}"]
        for cosine, overlap, a, b in sorted(pairs, key=lambda pair: -pair[0])
    ]


def probe_figure(probes: Sequence[tuple[PairKind, Sequence[PairFigures]]]) -> Figure:
    """Return for each kind of pair the cosines of the model and of word overlap, a dot for each pair."""
    from plotly.graph_objects import Figure, Scatter

    figure = Figure()
    kinds = [kind.kind for kind, _ in probes]
    for name, field, colour, shift, symbol in (
        ("model", "cosine", MODEL_COLOUR, 0.16, "circle"),
        ("word overlap (TF-IDF)", "overlap", WORDS_COLOUR, -0.16, "diamond"),
    ):
        figure.add_trace(
            Scatter(
                x=[getattr(one, field) for _, figures in probes for one in figures],
                y=[row + shift for row, (_, figures) in enumerate(probes) for _ in figures],
                mode="markers",
                name=name,
                marker={"color": colour, "size": 11, "symbol": symbol, "opacity": 0.85},
                text=[plain_label(f"{one.first} / {one.second}") for _, figures in probes for one in figures],
                hovertemplate="%{x:.2f}: %{text}<extra>" + name + "</extra>",
            )
        )
    calm(figure, 400)
    figure.update_layout(margin={"l": 10, "r": 20, "t": 50, "b": 40}, legend={"y": 1.02, "yanchor": "bottom"})
    figure.update_xaxes(title="similarity", range=[-0.12, 1.05])
    labels = [kind.replace(", ", ",<br>").replace(" that share ", "<br>that share ") for kind in kinds]
    figure.update_yaxes(tickvals=list(range(len(kinds))), ticktext=labels, autorange="reversed", automargin=True)
    return figure


def probe_table(probes: Sequence[tuple[PairKind, Sequence[PairFigures]]]) -> list[list[Any]]:
    """Return all pairs as rows."""
    return [
        [kind.kind, one.first, one.second, f"{one.cosine:.2f}", f"{one.overlap:.2f}"]
        for kind, figures in probes
        for one in figures
    ]


def hit_table(hits: Sequence[Hit]) -> list[list[Any]]:
    """Return what a search found as rows, best first."""
    return [[hit.text, hit.category, f"{hit.cosine:.2f}", f"{hit.overlap:.2f}"] for hit in hits]


def hit_figure(hits: Sequence[Hit]) -> Figure:
    """Return what a search found as bars, best first."""
    return bars([hit.text for hit in hits], [hit.cosine for hit in hits], "cosine to your query")


def odd_figure(found: OddOneOut) -> Figure:
    """Return each item's mean cosine to the others; the odd one is marked."""
    colours = ["#c2703d" if n == found.odd else MODEL_COLOUR for n in range(len(found.items))]
    return bars(found.items, found.means, "mean cosine to the others", colours)


def odd_table(found: OddOneOut) -> list[list[Any]]:
    """Return the items as rows, the most typical first."""
    order = sorted(range(len(found.items)), key=lambda n: -found.means[n])
    return [[found.items[n], f"{found.means[n]:.2f}", "odd one out" if n == found.odd else ""] for n in order]


def bars(names: Sequence[str], values: Sequence[float], title: str, colours: Sequence[str] | None = None) -> Figure:
    """Return horizontal bars, the first on top."""
    from plotly.graph_objects import Bar, Figure

    places = list(range(len(names)))
    figure = Figure(
        Bar(
            x=list(values),
            y=places,
            orientation="h",
            marker_color=list(colours) if colours else MODEL_COLOUR,
            text=[f"{value:.2f}" for value in values],
            textposition="outside",
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    calm(figure, 90 + 30 * len(names))
    figure.update_layout(margin={"l": 10, "r": 40, "t": 10, "b": 40})
    labels = [plain_label(name if len(name) <= 40 else name[:39] + "…") for name in names]
    figure.update_yaxes(tickvals=places, ticktext=labels, autorange="reversed", automargin=True, showgrid=False)
    figure.update_xaxes(title=title)
    return figure


def solved_rows(solved: Sequence[Solved]) -> list[list[Any]]:
    """Return analogies as rows: what was asked, what was expected and at which rank it came, what came first."""
    rows = []
    for one in solved:
        a, b, c = one.words
        rank = "–" if one.rank is None else f"{one.rank} " + ("✓" if one.rank == 1 else "✗")
        first = ", ".join(f"{word} {cosine:.2f}" for word, cosine in one.answers[:3])
        rows.append(
            [f"{a} − {b} + {c}", one.expected or "–", rank, first, f"{one.given_nearest} {one.given_cosine:.2f}"]
        )
    return rows


def axis_figure(found: OnAxis, first: str, second: str) -> Figure:
    """Return texts as points between two poles, from the first at the top to the second at the bottom."""
    from plotly.graph_objects import Figure, Scatter

    figure, places = Figure(), list(range(len(found.texts)))
    for name, words, colour in ((first, found.poles[0], MODEL_COLOUR), (second, found.poles[1], "#c2703d")):
        figure.add_trace(
            Scatter(
                x=[place for _, place in words],
                y=[-1.2] * len(words),
                mode="markers",
                name="pole: " + plain_label(name if len(name) <= 40 else name[:39] + "…"),
                marker={"symbol": "diamond", "size": 12, "color": colour},
                text=[plain_label(word[:LONGEST]) for word, _ in words],
                hovertemplate="%{text}: %{x:.2f}<extra></extra>",
            )
        )
    figure.add_trace(
        Scatter(
            x=found.positions,
            y=places,
            mode="markers",
            name="texts",
            marker={
                "size": 11,
                "color": found.positions,
                "cmin": -1,
                "cmax": 1,
                "colorscale": [[0, MODEL_COLOUR], [0.5, INK], [1, "#c2703d"]],
            },
            text=[plain_label(text[:LONGEST]) for text in found.texts],
            hovertemplate="%{text}: %{x:.2f}<extra></extra>",
            showlegend=False,
        )
    )
    calm(figure, 130 + 24 * max(len(places), 4))
    figure.update_layout(margin={"l": 10, "r": 20, "t": 60, "b": 40}, legend={"y": 1.01, "yanchor": "bottom"})
    labels = [plain_label(text if len(text) <= 34 else text[:33] + "…") for text in found.texts]
    figure.update_yaxes(tickvals=places, ticktext=labels, autorange="reversed", automargin=True)
    for end in (-1, 0, 1):
        figure.add_vline(x=end, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_xaxes(title="position: −1 is the first pole, 1 the second")
    return figure


def axis_table(found: OnAxis) -> list[list[Any]]:
    """Return the texts as rows, from the first pole to the second."""
    pairs = zip(found.texts, found.positions, strict=True)
    return [[n, text, f"{place:+.2f}"] for n, (text, place) in enumerate(pairs, 1)]
