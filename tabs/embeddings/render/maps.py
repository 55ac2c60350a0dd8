"""The map of concepts as a figure, its figures in words, and the same as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lab.embeddings.comparing import Hit
from lab.embeddings.grouping import MOST_GROUPS, Grouping
from lab.embeddings.mapping import ConceptMap, InSense, SenseMap
from lab.embeddings.settings import Method
from tabs.embeddings.render.points import HEIGHT, Mark, hover_text, map_figure
from tabs.rendering import INK, calm, plain_label

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

CATEGORY_COLUMNS = ["category", "n", "silhouette", "kin nearest", "nearest other"]
POINT_COLUMNS = ["text", "category", "nearest point", "cosine", "x", "y", "z"]
FIRST_SENSE, SECOND_SENSE, MOVED = "#4f8fc0", "#5f9a58", "#c2703d"


def concept_figure(found: ConceptMap) -> Figure:
    """Return the map."""
    marks = [Mark(point.text, point.category, point.family) for point in found.points]
    return map_figure(marks, found.projection)


def figures_text(found: ConceptMap) -> str:
    """Return in Markdown how good the grouping is, and what the axes are. No visitor's text is in it."""
    parts = []
    if found.grouping is not None and found.overlap is not None:
        by_meaning, by_words = found.grouping, found.overlap
        parts.append(
            f"**{len(by_meaning.categories)} categories.** {_found_again(found.grouping, found.overlap)} For "
            f"**{by_meaning.neighbours:.0%}** of the points the nearest one is of their category; by shared words for "
            f"{by_words.neighbours:.0%}. Mean silhouette {by_meaning.silhouette:.2f} against {by_words.silhouette:.2f}."
        )
    else:
        parts.append("To measure a grouping takes two categories and more points than categories.")
    if found.method is Method.TSNE:
        parts.append("t-SNE keeps neighbours together; how far apart groups lie, and its axes, mean nothing.")
    else:
        total = sum(found.projection.variance_explained)
        parts.append(
            f"These {found.projection.points.shape[1]} axes show {total:.1%} of the variance: what looks mixed here "
            "may lie apart in the other dimensions."
        )
    return " ".join(parts)


def _found_again(by_meaning: Grouping, by_words: Grouping) -> str:
    if by_meaning.adjusted_rand_index is None or by_words.adjusted_rand_index is None:
        return f"k-means, which looks for at most {MOST_GROUPS} groups, was not asked to find them."
    return (
        f"k-means, told only how many there are, finds them to **{by_meaning.adjusted_rand_index:.2f}** (adjusted Rand "
        "index: 1 is all, 0 is chance); by the words that texts share to "
        f"{by_words.adjusted_rand_index:.2f}."
    )


def category_table(found: ConceptMap) -> list[list[Any]]:
    """Return the figures of each category as rows, the tightest first."""
    if found.grouping is None:
        counts: dict[str, int] = {}
        for point in found.points:
            counts[point.category] = counts.get(point.category, 0) + 1
        return [[name, count, "–", "–", "–"] for name, count in counts.items()]
    return [
        [
            row.category,
            row.points,
            f"{row.silhouette:.2f}",
            f"{row.neighbours:.0%}",
            f"{row.nearest} ({row.cosine:.2f})",
        ]
        for row in sorted(found.grouping.categories, key=lambda row: -row.silhouette)
    ]


def point_table(found: ConceptMap) -> list[list[Any]]:
    """Return all points as rows, a visitor's own first."""
    rows = []
    for n, (point, place) in enumerate(zip(found.points, found.projection.points, strict=True)):
        other, cosine = found.nearest[n]
        where = [f"{value:.2f}" for value in place]
        rows.append(
            [point.text, point.category, found.points[other].text, f"{cosine:.2f}", *where, *[""] * (3 - len(where))]
        )
    own = [row for row, point in zip(rows, found.points, strict=True) if point.family == "own"]
    return own + [row for row, point in zip(rows, found.points, strict=True) if point.family != "own"]


def sense_figure(found: SenseMap) -> Figure:
    """Return the word alone, and arrows to where each sentence moves it, among the kindred words of both senses."""
    from plotly.graph_objects import Figure, Scatter

    figure, points = Figure(), found.projection.points
    texts, kin = points[: len(found.texts)], points[len(found.texts) :]
    colours = dict(zip((sense.sense for sense in found.senses), (FIRST_SENSE, SECOND_SENSE), strict=True))
    for sense, colour in colours.items():
        rows = [n for n, (_, of) in enumerate(found.kin) if of == sense]
        figure.add_trace(
            Scatter(
                x=kin[rows, 0],
                y=kin[rows, 1],
                mode="markers+text",
                name=f"kin: {sense}",
                text=[plain_label(found.kin[n][0]) for n in rows],
                textposition="top center",
                textfont={"color": colour, "size": 12},
                marker={"color": colour, "size": 8},
                hoverinfo="text",
            )
        )
        rows = [n for n, text in enumerate(found.texts) if text.sense == sense]
        _add_sentences(figure, found, texts, rows, f"“{found.word}” {sense}", colour, "diamond")
    own = [n for n, text in enumerate(found.texts) if text.own]
    if own:
        _add_sentences(figure, found, texts, own, "your sentences", MOVED, "star")
    figure.add_trace(
        Scatter(
            x=texts[:1, 0],
            y=texts[:1, 1],
            mode="markers+text",
            name=f"“{found.word}” alone",
            text=[f"<b>{plain_label(found.word)}</b>"],
            textposition="bottom center",
            textfont={"color": INK, "size": 15},
            marker={"color": INK, "size": 13, "symbol": "circle"},
            hoverinfo="text",
        )
    )
    calm(figure, HEIGHT - 100)
    shares = found.projection.variance_explained
    figure.update_layout(margin={"l": 30, "r": 30, "t": 50, "b": 40}, legend={"y": 1.02, "yanchor": "bottom"})
    figure.update_xaxes(showticklabels=False, title=f"axis 1: {shares[0]:.0%} of the variance")
    figure.update_yaxes(showticklabels=False, title=f"axis 2: {shares[1]:.0%}")
    return figure


def _add_sentences(
    figure: Figure, found: SenseMap, texts: Any, rows: list[int], name: str, colour: str, symbol: str
) -> None:
    from plotly.graph_objects import Scatter

    figure.add_trace(
        Scatter(
            x=texts[rows, 0],
            y=texts[rows, 1],
            mode="markers",
            name=name,
            text=[hover_text(found.texts[n].text) for n in rows],
            hoverinfo="text",
            marker={"color": colour, "size": 12, "symbol": symbol, "line": {"width": 1, "color": INK}},
        )
    )
    for n in rows:
        figure.add_annotation(
            x=texts[n, 0],
            y=texts[n, 1],
            ax=texts[0, 0],
            ay=texts[0, 1],
            xref="x",
            yref="y",
            axref="x",
            ayref="y",
            text="",
            showarrow=True,
            arrowhead=2,
            arrowwidth=1.6,
            arrowcolor=colour,
            opacity=0.8,
            standoff=7,
        )


SENSE_COLUMNS = ["text", "first sense", "second sense", "leans to"]


def sense_columns(found: SenseMap) -> list[str]:
    """Return the table's headers."""
    return [SENSE_COLUMNS[0], *(sense.sense for sense in found.senses), *SENSE_COLUMNS[3:]]


def sense_table(found: SenseMap) -> list[list[Any]]:
    """Return each text with its cosine to the kin of both senses, and to which it leans."""
    rows = []
    for text in found.texts:
        lean = leaning(found, text)
        mark = "" if not text.sense else " ✓" if lean == text.sense else " ✗"
        rows.append([text.text, *(f"{value:.2f}" for value in text.cosines), lean + mark])
    return rows


def leaning(found: SenseMap, text: InSense) -> str:
    """Return the sense whose kin is nearer to a text."""
    return found.senses[max(range(len(text.cosines)), key=lambda n: text.cosines[n])].sense


def told_senses(found: SenseMap) -> str:
    """Return in words how many of our sentences lean to the sense that is meant."""
    ours = [text for text in found.texts if text.sense]
    right = sum(leaning(found, text) == text.sense for text in ours)
    alone = leaning(found, found.texts[0])
    return (
        f"{right} of {len(ours)} sentences lean to the sense that is meant. "
        f"“{found.word}” alone leans to the sense “{alone}”."
    )


MADE_COLUMNS = ["tab", "made by", "text", "nearest entries"]


def made_table(made: Sequence[Sequence[str]], near: Sequence[Sequence[Hit]]) -> list[list[Any]]:
    """Return texts as rows: tab, what made it, the text, and the entries of the lists that are nearest to it."""
    return [
        [source, title, text, "; ".join(f"{hit.text} {hit.cosine:.2f}" for hit in hits)]
        for (source, title, text), hits in zip(made, near, strict=True)
    ]
