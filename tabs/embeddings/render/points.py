"""Points on a map, drawn with plotly: colours and shapes by category, names at the centroids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.embeddings.geometry import Projection
from tabs.rendering import INK, calm, plain_label

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Light enough for a dark page, dark enough for a light one: a contrast of 3 with both.
COLOURS = ("#c2703d", "#4f8fc0", "#5f9a58", "#b5679d", "#8d7fc7", "#b0853a", "#3f9a96", "#c7645f", "#7f8f3f", "#a0705a")
SHAPES = {"music": "circle", "everyday": "square", "ambiguous": "x", "own": "star"}
SHAPES_3D = {"music": "circle", "everyday": "square", "ambiguous": "cross", "own": "diamond"}  # there is no star
HEIGHT = 640
HOVER_WIDTH = 48  # characters
LABEL_HEIGHT = 0.034  # of the plot
CHARACTER_WIDTH = 0.0135


@dataclass(frozen=True)
class Mark:
    """A point to draw. ``family`` decides its shape, ``category`` its colour; ``id`` is what a click sends."""

    text: str
    category: str
    family: str
    id: int = 0


def map_figure(marks: Sequence[Mark], projection: Projection, *, labels: bool = True, height: int = HEIGHT) -> Figure:
    """Return a scatter plot in as many dimensions as the projection has, with a name at each category's centroid."""
    from plotly.graph_objects import Figure, Scatter, Scatter3d

    points = projection.points
    solid = points.shape[1] == 3
    colours = colours_of(marks)
    figure = Figure()
    groups: dict[tuple[str, str], list[int]] = {}
    for n, mark in enumerate(marks):
        groups.setdefault((mark.category, mark.family), []).append(n)
    for (category, family), rows in groups.items():
        own = family == "own"
        marker = {
            "symbol": (SHAPES_3D if solid else SHAPES).get(family, "circle"),
            "size": (7 if own else 4.5) if solid else (14 if own else 9),
            "color": colours[category],
            "opacity": 0.95 if own else 0.7,
            "line": {"width": 1.2 if own else 0, "color": INK},
        }
        shared = {
            "mode": "markers",
            "name": plain_label(category),
            "marker": marker,
            "text": [hover_text(marks[n].text) for n in rows],
            "customdata": [marks[n].id for n in rows],
            "hovertemplate": "%{text}<extra>" + _in_template(category) + "</extra>",
            "showlegend": False,
        }
        trace = Scatter3d if solid else Scatter
        figure.add_trace(trace(**dict(zip("xyz", points[rows].T, strict=False)), **shared))
    if labels:
        _add_labels(figure, marks, points, colours)
    calm(figure, height)
    figure.update_layout(margin={"l": 10, "r": 10, "t": 10, "b": 40}, hovermode="closest")
    _set_axes(figure, projection)
    return figure


def colours_of(marks: Sequence[Mark]) -> Mapping[str, str]:
    """Return a colour for each category; those of one family differ as long as there are colours."""
    seen: dict[str, list[str]] = {}
    for mark in marks:
        family = seen.setdefault("ambiguous" if mark.family == "ambiguous" else mark.family, [])
        if mark.category not in family:
            family.append(mark.category)
    found: dict[str, str] = {}
    for family, categories in seen.items():
        shift = 3 if family == "everyday" else 0
        for n, category in enumerate(categories):
            found.setdefault(category, INK if family == "ambiguous" else COLOURS[(n + shift) % len(COLOURS)])
    return found


def hover_text(text: str) -> str:
    """Return a text in short lines as plotly shows it; a long one is cut."""
    return "<br>".join(plain_label(line) for line in wrap(text[:300], HOVER_WIDTH) or ["(no text)"])


def _in_template(text: str) -> str:
    """Return text that a hover template shows as it is: there, ``%{`` begins a variable."""
    return plain_label(text).replace("%{", "% {")


def _add_labels(figure: Figure, marks: Sequence[Mark], points: np.ndarray, colours: Mapping[str, str]) -> None:
    from plotly.graph_objects import Scatter3d

    categories = list(dict.fromkeys(mark.category for mark in marks))
    numbers = np.array([categories.index(mark.category) for mark in marks])
    # The middle of a scattered group by its median: one stray point must not pull the name away.
    centres = np.stack([np.median(points[numbers == n], axis=0) for n in range(len(categories))])
    if points.shape[1] == 3:
        figure.add_trace(
            Scatter3d(
                **dict(zip("xyz", centres.T, strict=True)),
                mode="text",
                text=[f"<b>{plain_label(short(name))}</b>" for name in categories],
                textfont={"size": 12, "color": [colours[name] for name in categories]},
                hoverinfo="skip",
                showlegend=False,
            )
        )
        return
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, 1)
    placed = spread((centres - low) / span, [len(short(name)) * CHARACTER_WIDTH for name in categories])
    for name, place in zip(categories, placed, strict=True):
        x, y = low + place * span
        figure.add_annotation(
            x=x,
            y=y,
            text=f"<b>{plain_label(short(name))}</b>",
            showarrow=False,
            font={"size": 12.5, "color": colours[name]},
        )


def spread(places: np.ndarray, widths: Sequence[float], height: float = LABEL_HEIGHT) -> np.ndarray:
    """Move labels up or down until none covers another; places and widths in shares of the plot, (labels, 2)."""
    placed = np.clip(places.copy(), 0.02, 0.98)
    for _ in range(60):
        moved = False
        for a in range(len(placed)):
            for b in range(a):
                gap = placed[a] - placed[b]
                if abs(gap[0]) < (widths[a] + widths[b]) / 2 and abs(gap[1]) < height - 1e-9:
                    push = (height - abs(gap[1])) / 2 * (1 if gap[1] >= 0 else -1)
                    placed[a, 1] += push
                    placed[b, 1] -= push
                    moved = True
        if not moved:
            break
    return placed


def short(name: str, length: int = 26) -> str:
    """Return a category's name for a label."""
    return name if len(name) <= length else name[: length - 1] + "…"


def _set_axes(figure: Figure, projection: Projection) -> None:
    titles = axis_titles(projection)
    quiet: dict[str, Any] = {"showticklabels": False, "zeroline": False}
    if projection.points.shape[1] == 3:
        grid = "rgba(127,135,146,0.3)"
        axis = quiet | {"gridcolor": grid, "showbackground": False, "showspikes": False}
        figure.update_layout(
            scene={
                **{f"{name}axis": axis | {"title": {"text": t}} for name, t in zip("xyz", titles, strict=True)},
                "dragmode": "orbit",
                "aspectmode": "cube",
                "camera": {"eye": {"x": 1.0, "y": 1.0, "z": 0.6}},
            },
            margin={"l": 0, "r": 0, "t": 0, "b": 0},
        )
        return
    # By the points alone: plotly would make room for the whole names, which on a phone is half of the plot.
    low, high = projection.points.min(axis=0), projection.points.max(axis=0)
    margin = np.where(high > low, 0.07 * (high - low), 1.0)
    figure.update_xaxes(title=titles[0], range=[low[0] - margin[0], high[0] + margin[0]], **quiet)
    figure.update_yaxes(title=titles[1], range=[low[1] - margin[1], high[1] + margin[1]], **quiet)


def axis_titles(projection: Projection) -> list[str]:
    """Return what each axis is called: with its share of the variance, where the method knows it."""
    if not projection.variance_explained:
        return [""] * projection.points.shape[1]
    return [f"axis {n}: {share:.1%} of the variance" for n, share in enumerate(projection.variance_explained, 1)]
