"""Each tool with good and with bad input: something to see, or a clear message and nothing lost."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from lab.embeddings import BUILT_IN
from lab.embeddings.concepts import load_lists
from tabs.embeddings.tool import Tool
from tabs.made import Made, to_text
from tests.tabs.embeddings.conftest import Tab

HOSTILE = "<img src=x onerror=alert(1)>"
TOOLS = {
    "MapPanel": {},
    "SensesPanel": {"sentences": f"{HOSTILE} bass\nA bass, a lake."},
    "PairPanel": {"first": HOSTILE, "second": "${alert(1)}"},
    "MatrixPanel": {"matrix": f"{HOSTILE}\nb\nc"},
    "ProbePanel": {},
    "QueryPanel": {"query": HOSTILE},
    "OddPanel": {"odd": f"{HOSTILE}, b, c"},
    "AnalogyPanel": {"analogy": f"{HOSTILE}, b, c"},
    "AxisPanel": {"axis_own": HOSTILE},
    "MelodiesPanel": {},
    "MadePanel": {"made": to_text([Made(HOSTILE, HOSTILE, HOSTILE), Made("b", "c", "d")])},
}


def figures(values: list[Any]) -> list[Any]:
    """Return the plots among what a tool has set."""
    found = [value.get("value") if isinstance(value, dict) else value for value in values]
    return [value for value in found if hasattr(value, "to_json")]


def test_every_tool_is_tried(tab: Tab) -> None:
    assert {type(tool).__name__ for _, tool in tab.page._panels} == set(TOOLS)


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_shows_something_and_nothing_that_runs(tab: Tab, name: str) -> None:
    status, values = tab.run(name, **TOOLS[name])
    assert "alert" not in status.partition(">")[0]
    assert values != [gr.skip()] * len(values)
    shown = status + "".join(value for value in values if isinstance(value, str))
    shown += "".join(figure.to_json() for figure in figures(values))
    assert "<img" not in shown
    assert "\\u003cimg" not in shown
    assert len(figures(values)) >= (name not in ("PairPanel", "AnalogyPanel"))


BAD = [
    ("MapPanel", {"lists": "none"}, "nothing to draw"),
    ("MapPanel", {"lists": "none", "own": "only one, x"}, "One point alone makes no map"),
    ("MapPanel", {"lists": "none", "own": "same, x\nsame, y", "method": "pca"}, "All 2 points are the same"),
    ("MapPanel", {"lists": "none", "own": "a, x\nb, y"}, "t-SNE needs at least 6 points"),
    ("PairPanel", {"first": " "}, "both boxes"),
    ("MatrixPanel", {"matrix": "a\n\na"}, "at least two texts"),
    ("QueryPanel", {"query": ""}, "what you are looking for"),
    ("OddPanel", {"odd": "a, b"}, "at least three"),
    ("AnalogyPanel", {"analogy": "a, b"}, "takes three words"),
    ("AxisPanel", {"pole_a": "up", "pole_b": "up"}, "poles are the same"),
    ("AxisPanel", {"axis_list": ""}, "nothing to lay out"),
    ("MadePanel", {}, "No text was sent here yet"),
]


@pytest.mark.parametrize(("name", "settings", "message"), BAD)
def test_bad_input_is_told_and_what_was_there_stays(
    tab: Tab, name: str, settings: dict[str, Any], message: str
) -> None:
    status, values = tab.run(name, **settings)
    assert message in status
    assert 'role="alert"' in status
    assert values == [gr.skip()] * len(values)


def test_lines_that_are_too_many_too_long_twice_or_foreign_are_drawn_with_notes(tab: Tab) -> None:
    lines = ["", "猫, Animals", "x" * 100_000, "dup, x", "dup, x", *(f"w{n}, y" for n in range(501))]
    own = "\n".join(lines)
    status, (figure, *_, points) = tab.run("MapPanel", own=own, lists="weather", method="pca")
    assert "514 points." in status
    for words in ("was there before", "There is room for 500 lines; 4 lines after", "Line 2: only", "in a script"):
        assert words in status, words
    assert len(points) == 514
    assert points[0][0] == "猫"  # the visitor's own first
    assert "w0" in figure.to_json()


def test_three_dimensions_and_a_filter(tab: Tab) -> None:
    _, (figure, told, categories, points) = tab.run("MapPanel", dimensions=3, method="pca", lists="weather,food")
    assert {trace.type for trace in figure.data} == {"scatter3d"}
    assert "of the variance" in told
    assert {row[0] for row in categories} == {"Weather", "Food"}
    assert len(points) == sum(len(one.entries) for one in load_lists() if one.slug in ("weather", "food"))
    assert len(points[0]) == 7


def test_a_tool_runs_at_first_sight_and_not_again(tab: Tab) -> None:
    tool = tab.tool("ProbePanel")
    inputs = [*tab.values(), tool.inputs[-1].value]
    *_, drawn = tool._first(False, *inputs)
    assert drawn[1] is True
    assert list(tool._first(True, *inputs)) == [[gr.skip()] * len(tool.outputs)]


def test_a_tune_is_chosen_by_a_click_and_nonsense_changes_nothing(tab: Tab) -> None:
    class Click:
        def __init__(self, tune: Any) -> None:
            self.tune = tune

    chosen = tab.tool("MelodiesPanel")._clicked
    assert chosen(Click(2)) == 2
    for nonsense in (-1, 10**6, "x", None, float("inf")):
        assert chosen(Click(nonsense)) == gr.skip()
    assert chosen(object()) == gr.skip()
    _, (figure, board, *_) = tab.run("MelodiesPanel", tune=5, layer=1)
    assert "<audio" in board
    assert any(trace.name == "chosen" for trace in figure.data)


def test_removed_texts_leave_no_word_behind(tab: Tab) -> None:
    panel = tab.tool("MadePanel")
    (emptied,) = (fn for fn in tab.blocks.fns.values() if fn.fn and fn.outputs == [panel._status, *panel.results])
    word, *results = emptied.fn()
    assert word == ""
    assert [update["visible"] for update in results] == [False] * len(panel.results)


def test_another_model_is_of_what_is_drawn_from_now_on(tab: Tab) -> None:
    *_, (chosen, word) = tab.page._choose_model(BUILT_IN)
    assert chosen == gr.skip() and word["visible"]
    assert "from now on" in word["value"] and "what is shown stays" in word["value"]


def test_stopping_leaves_what_was_there(tab: Tab) -> None:
    from tabs.runs import Runs

    tool, runs = tab.tool("MapPanel"), Runs()
    updates = iter([["working", *range(5)], ["done", *range(5)]])
    followed = runs.follow((update for update in updates), lambda update: ["Stopped."])
    assert next(followed)[0] == "working"
    runs.stop()
    assert next(followed) == ["Stopped."]
    assert isinstance(tool, Tool)


def test_the_api(tab: Tab) -> None:
    embed, similarity = tab.api("embed"), tab.api("similarity")
    found = embed(["violin", "a text of ours", "x" * 5000])
    assert found["dimensions"] == 384
    assert [len(row) for row in found["embeddings"]] == [384] * 3
    assert found["notes"] == ["Text 3: only the first 2,000 characters are read."]
    alike = similarity("Physicians heal their patients.", "Doctors cure sick people.")
    assert alike["word_overlap"] == 0
    assert 0.5 < alike["cosine"] < 1
    for bad in ([], "text", [1], ["x"] * 501):
        with pytest.raises(gr.Error, match=r"list of at least one string|at most 500"):
            embed(bad)
    (note,) = embed(["violin"], "../../etc")["notes"]
    assert note == "model: ../../etc is not possible here; using ."
    with pytest.raises(gr.Error, match="both have some text"):
        similarity("", "x")
