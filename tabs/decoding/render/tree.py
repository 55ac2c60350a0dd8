"""Beam search as a tree: plot, table, and what it found in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lab.text.tree import Tree
from tabs.decoding.render.step import FINAL, RAW
from tabs.rendering import INK, calm, decimal, plain_label, visible

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TREE_COLUMNS = ["step", "text so far", "token", "probability %", "score", "kept"]


def tree_table(tree: Tree) -> list[list[Any]]:
    """Return every continuation that was weighed, step by step, best first."""
    return [
        [
            node.step,
            visible(_path(tree, place)),
            node.label,
            round(100 * node.probability, 2),
            round(node.score, 3),
            "winner" if node.best else "yes" if node.kept else "dropped",
        ]
        for place, node in enumerate(tree.nodes)
        if node.parent is not None
    ]


def _path(tree: Tree, place: int) -> str:
    labels = []
    node = tree.nodes[place]
    while node.parent is not None:
        labels.append(node.label)
        node = tree.nodes[node.parent]
    return "".join(reversed(labels)).replace("␣", " ")


def tree_plot(tree: Tree) -> Figure:
    """Return the tree: steps from left to right, within a step the better scores above; dropped ones are faint."""
    import plotly.graph_objects as go

    steps = max(node.step for node in tree.nodes)
    position: dict[int, tuple[float, float]] = {}
    for step in range(steps + 1):
        places = [n for n, node in enumerate(tree.nodes) if node.step == step]
        places.sort(key=lambda n: -tree.nodes[n].score)
        for order, place in enumerate(places):
            position[place] = (step, (len(places) - 1) / 2 - order)
    figure = go.Figure()
    kinds = (
        ("dropped", "rgba(127,135,146,0.35)", 1, lambda node: not node.kept),
        ("kept", RAW, 1.5, lambda node: node.kept and not node.best),
        ("winner", FINAL, 3, lambda node: node.best),
    )
    for name, colour, width, belongs in kinds:
        places = [n for n, node in enumerate(tree.nodes) if belongs(node)]
        points = list(_edges(tree, position, places))
        xs, ys = [x for x, _ in points], [y for _, y in points]
        figure.add_scatter(
            x=xs, y=ys, mode="lines", line={"color": colour, "width": width}, hoverinfo="skip", showlegend=False
        )
        figure.add_scatter(
            x=[position[n][0] for n in places],
            y=[position[n][1] for n in places],
            text=[plain_label(tree.nodes[n].label) for n in places],
            customdata=[[tree.nodes[n].score, tree.nodes[n].probability] for n in places],
            name=name,
            mode="markers+text",
            textposition="top center",
            textfont={"color": colour if name != "dropped" else INK},
            marker={"color": colour, "size": 9 if name != "dropped" else 6},
            hovertemplate="%{text}<br>score %{customdata[0]:.2f}<br>probability %{customdata[1]:.1%}<extra></extra>",
        )
    height = max(sum(node.step == step for node in tree.nodes) for step in range(steps + 1))
    figure.update_layout(
        xaxis={"title": "step", "dtick": 1, "range": [-0.8, steps + 0.6]},
        yaxis={"visible": False, "range": [-height / 2 - 0.2, height / 2 + 0.6]},
    )
    return calm(figure, height=180 + 38 * height)


def _edges(
    tree: Tree, position: dict[int, tuple[float, float]], places: Sequence[int]
) -> Iterator[tuple[float | None, float | None]]:
    for place in places:
        parent = tree.nodes[place].parent
        if parent is not None:
            yield position[parent]
            yield position[place]
            yield (None, None)


def tree_summary(tree: Tree) -> str:
    """Return what the search found against greedy, in words."""
    gain = tree.log_probability - tree.greedy_log_probability
    score = decimal(tree.greedy_log_probability)
    theirs = f"Greedy would write “{tree.greedy_text.strip()}” with log-probability {score}"
    if tree.text == tree.greedy_text:
        comparison = "Greedy finds the same text."
    elif tree.length != tree.greedy_length:  # the shorter a text, the more probable
        comparison = f"{theirs}; of texts of different lengths the sums do not compare."
    else:
        more = "more" if gain > 0 else "less"
        times = f"{math.exp(min(abs(gain), 50)):,.1f} times {more} probable"
        comparison = f"{theirs}: the text found by beam search is {times}."
    return f"Found: “{tree.text.strip()}”, log-probability {decimal(tree.log_probability)}. {comparison}"
