"""The map's figure: labels that can be read, shapes that differ, text that stays text."""

from __future__ import annotations

import numpy as np
import pytest

from lab.embeddings.geometry import Projection
from tabs.embeddings.render.points import Mark, colours_of, hover_text, map_figure, spread

MARKS = [
    Mark("a", "one", "music"),
    Mark("b", "two", "everyday"),
    Mark("c", "<b>%{x}</b>", "own"),
    Mark("d", "two", "own"),
]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_trace_for_each_kind_of_point_and_a_name_for_each_category(dimensions: int) -> None:
    figure = map_figure(
        MARKS, Projection(np.random.default_rng(0).normal(size=(4, dimensions)), (0.5, 0.2, 0.1)[:dimensions])
    )
    text = figure.to_json()
    shapes = [trace.marker.symbol for trace in figure.data if trace.mode == "markers"]
    assert len(shapes) == 4
    assert len(set(shapes)) == 3
    labels = [note.text for note in figure.layout.annotations] or list(figure.data[-1].text)
    assert labels == ["<b>one</b>", "<b>two</b>", "<b>&lt;b&gt;%{x}&lt;/b&gt;</b>"]
    assert all("%{x}" not in (trace.hovertemplate or "") for trace in figure.data)
    assert "50.0% of the variance" in text


def test_colours_differ_within_a_family() -> None:
    marks = [Mark("x", f"c{n}", "music") for n in range(10)]
    assert len(set(colours_of(marks).values())) == 10


def test_labels_do_not_cover_each_other() -> None:
    placed = spread(np.full((6, 2), 0.5), [0.1] * 6, height=0.05)
    gaps = np.diff(np.sort(placed[:, 1]))
    assert (gaps > 0.045).all()
    apart = np.array([[0.1, 0.5], [0.9, 0.5]])
    assert np.array_equal(spread(apart, [0.1, 0.1]), apart)


def test_hover_text_is_short_and_escaped() -> None:
    shown = hover_text("<b>" + "word " * 200)
    assert shown.startswith("&lt;b&gt;word")
    assert len(shown) < 400
    assert hover_text("") == "(no text)"
