"""The table, the plot and the file of notes."""

from __future__ import annotations

import re
from itertools import permutations
from typing import Any

import gradio as gr
import pytest

from lab.arc import LORA, PROSE, TRANSFER, Row, arc
from lab.reflection import QUESTIONS, Across, Measure, ReflectionSettings, Subject
from tabs.reflection.page import _ReflectionPage, notes_file
from tabs.reflection.render import COLUMNS, WIDTHS, plot, question_html, table
from tests.tabs.pages import PAYLOADS, Page


def row(name: str, trainable: int, gain: float | None, stage: str = LORA) -> Row:
    return Row(name, stage, PROSE, "this", "that", trainable, 1_000_000, "data", 90.0, 2_500_000, gain, gain)


ROWS = (row("Style, One", 10_000, 0.25), row("Style, Two", 1_000_000, 0.1, TRANSFER), row("base", 5, None))


@pytest.fixture(scope="module")
def page() -> _ReflectionPage:
    with gr.Blocks(analytics_enabled=False):
        return _ReflectionPage()


def test_the_table_holds_numbers_where_it_sorts_by_them() -> None:
    rows = table(ROWS)
    assert len(WIDTHS) == len(COLUMNS)
    for cells in (*rows, *table(arc())):
        for cell, kind in zip(cells, COLUMNS.values(), strict=True):
            assert cell is None or isinstance(cell, (int, float) if kind == "number" else str)
    assert rows[0][:8] == ["Style, One", LORA, 10.0, 1.0, 1.5, 2.5, 25.0, 25.0]
    assert rows[2][6:8] == [None, None]


def circles(svg: str) -> list[tuple[float, float]]:
    return [(float(c["cx"]), float(c["cy"])) for c, _ in Page(svg).find("circle")]


def test_points_stand_where_their_figures_are() -> None:
    (x1, y1), (x2, y2) = circles(plot(ROWS, ReflectionSettings()))
    assert x1 < x2 and y1 < y2  # more weights to the right, more gain higher up
    (a1, _), (a2, _) = circles(plot(ROWS, ReflectionSettings(across=Across.SHARE)))
    assert (a2 - a1) == pytest.approx(x2 - x1, abs=0.2)  # of models of one size, shares are as far apart as weights
    for settings in (ReflectionSettings(), ReflectionSettings(measure=Measure.FORGETTING, control=1)):
        for x, y in circles(plot(arc(), settings)):
            assert 0 < x < 860 and 0 < y < 400


def test_labels_do_not_cover_each_other() -> None:
    crowd = [row(f"Style, number {n}", 90_000 + n, 0.01 * n) for n in range(6)]
    svg = plot(crowd, ReflectionSettings())
    labels = [(float(t["x"]), float(t["y"])) for t, _ in Page(svg).find("text", **{"class": "sd-reflection-label"})]
    assert len(set(labels)) == 6


@pytest.mark.parametrize("measure", Measure)
@pytest.mark.parametrize("across", Across)
def test_labels_of_what_ships_can_be_read(measure: Measure, across: Across) -> None:
    svg = plot(arc(), ReflectionSettings(measure=measure, across=across))
    labels = [
        (float(t["x"]), float(t["y"]), 7.8 * len(text))
        for t, text in Page(svg).find("text", **{"class": "sd-reflection-label"})
    ]
    for (x, y, width), (other, below, _) in permutations(labels, 2):
        assert not (x <= other < x + width and abs(y - below) < 14), (x, y, other, below)
    for x, y in circles(svg):
        assert not any(left < x < left + width and below - 11 < y < below + 2 for left, below, width in labels)


def test_nothing_to_plot_is_said() -> None:
    assert "Nothing to plot" in plot(ROWS, ReflectionSettings(subject=Subject.MELODIES))


@pytest.mark.parametrize("gain", [0.0, -0.7, 1e-6, 5.0])
def test_any_gain_can_be_drawn(gain: float) -> None:
    ((x, y),) = circles(plot([row("Style, One", 1, gain)], ReflectionSettings()))
    assert 0 < x < 860 and 0 < y < 400


@pytest.mark.parametrize("payload", PAYLOADS)
def test_names_stay_text(payload: str) -> None:
    shapes = [[t for t, _ in Page(plot([row(name, 5, 0.1)], ReflectionSettings())).tags] for name in ("One", payload)]
    assert shapes[0] == shapes[1]


def test_a_link_fills_the_controls(page: _ReflectionPage) -> None:
    values = page._restore({"tab": "reflection", "measure": "forgetting", "control": "1", "subject": "nonsense"})
    assert values[:4] == ["forgetting", "trainable", "all", True]
    assert "subject: nonsense is not possible here" in values[4]
    assert "forgetting" in values[5]
    assert len(values[6]) == len(arc())
    assert page._restore({"tab": "reflection"}) == [gr.skip()] * 7


@pytest.mark.parametrize("values", [[None] * 4, ["x", 5, [], "y"], ["gain", "share", "prose", False]])
def test_whatever_the_controls_send_a_plot_comes(page: _ReflectionPage, values: list[Any]) -> None:
    notes, drawn, rows = page._show(*values)
    assert isinstance(notes, str) and "<svg" in drawn and rows


def test_every_question_has_a_box_and_its_link(page: _ReflectionPage) -> None:
    assert len(page._notes._boxes) == len(QUESTIONS)
    for number, question in enumerate(QUESTIONS, 1):
        ((link, text),) = Page(question_html(question, number)).find("a")
        assert link["href"].startswith(f"?tab={question.tab}&") and text == question.experiment


def test_the_file_of_notes() -> None:
    notes = [""] * len(QUESTIONS)
    notes[2] = "It <was> us"
    name, text = notes_file(*notes, "https://host/app/")
    assert re.fullmatch(r"slightly-different-notes-\d{4}-\d\d-\d\d\.md", name)
    assert "> It \\<was\\> us" in text
    assert text.count("(<https://host/app/?tab=") == len(QUESTIONS)
    assert "](" not in notes_file(*notes, "")[1]
