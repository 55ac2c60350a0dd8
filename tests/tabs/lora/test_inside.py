"""Inside: a layer taken apart, the calculator, the proofs; and what is said where something is not there."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from lab.lora_checks import MergeCheck
from lab.text.models import GPT2
from tabs.lora.render.anatomy import merge_words
from tabs.runs import Runs
from tests.tabs.lora.conftest import LAYER, Tab, new_value

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # transformers to itself


def look(tab: Tab, **settings: Any) -> dict[str, Any]:
    """Return what a run shows last, by the name of the component."""
    *_, last = tab.inside.run(*tab.values(**settings), Runs())
    assert len(last) == len(tab.inside.outputs)
    names = ("status", "adapter", "layer", "summary", "weight", "change", "spectrum", "values", "cost", "plot", "costs")
    return dict(zip(names, last, strict=True))


def test_a_layer_is_taken_apart(tab: Tab) -> None:
    shown = look(tab, adapter="fairy-tales", layer=LAYER)
    summary = shown["summary"].replace("\\", "")
    assert f"W of {LAYER} is 32 × 128 and has rank 32" in summary
    assert "Fairy tales adds to it" in summary and "has rank 3" in summary
    assert shown["adapter"]["value"] == "fairy-tales" and shown["layer"]["value"] == LAYER
    assert len(shown["layer"]["choices"]) == 8
    weight, change = (shown[name]["value"].data[0] for name in ("weight", "change"))
    assert len(weight.z) == len(change.z) == 32
    assert len(weight.z[0]) == len(change.z[0]) == 64  # every second column
    assert "every 2nd column" in shown["weight"]["value"].layout.title.text
    of_weight, of_change = shown["spectrum"]["value"].data
    assert len(of_weight.y) == len(of_change.y) == 32
    assert max(of_change.y[3:]) < 1e-9 < min(of_change.y[:3])
    assert min(of_weight.y) > 0.01
    rows = shown["values"]["value"]
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "5", "10", "20", "32"]
    assert rows[2][4] == rows[-1][2] == rows[-1][4] == "100.00%"
    costs = shown["costs"]["value"]
    assert costs[0][:3] == ["attn.c_attn × 2", "32 × 96", "6,144"]
    assert costs[-1][0] == "all"


def test_what_is_not_there_is_replaced_with_a_note(tab: Tab) -> None:
    shown = look(tab, layer="transformer.h.9.x")
    assert "does not change" in shown["status"] and "h.9.x" in shown["status"]
    assert shown["layer"]["value"] == "transformer.h.0.attn.c_attn"
    values = tab.values()
    values[tab.controls.inputs.index(tab.inside.adapter)] = "nobody"
    *_, last = tab.inside.run(*values, Runs())
    assert "nobody" in last[0]


def test_without_adapters_there_is_still_the_calculator(tab: Tab) -> None:
    shown = look(tab, model=GPT2)
    assert "no adapter for this model" in shown["status"]
    assert shown["weight"] == gr.skip()
    assert shown["costs"]["visible"]


def test_the_courses_example_is_what_the_calculator_opens_with(tab: Tab) -> None:
    words, plot, table = tab.inside.calculate(*tab.values())
    for part in ("32,768", "4,096 + 512", "4,608", "86% fewer"):
        assert part in words
    assert plot["visible"] and table["visible"]
    assert tab.inside._cost.value == words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"calc_rank": 65}, "at most 64"),
        ({"calc_rank": 0}, "outside 1 to"),
        ({"calc_inputs": None}, "512"),
        ({"calc_outputs": float("nan")}, "not possible"),
        ({"calc_rank": 60}, "more"),
    ],
)
def test_the_calculator_answers_in_words(tab: Tab, changes: dict[str, Any], words: str) -> None:
    values = tab.values()
    for name, value in changes.items():
        values[list(tab.controls.simple).index(name)] = value
    answer, *_ = tab.inside.calculate(*values)
    assert words in answer.replace("\\", "")


def test_merging_is_shown_to_change_no_token(tab: Tab) -> None:
    *_, (words, texts) = tab.inside.merge(*tab.values(prompt="The old house"))
    (apart, one), (merged, other) = new_value(texts, None)
    assert (apart, merged) == ("apart", "merged")
    assert one == other
    assert "the same" in words and "largest difference" in words
    different = MergeCheck((1, 2, 3), (1, 2, 4), 0.5, 9.0, 1e-8)
    assert "from number 3 on" in merge_words(different)


def test_peft_is_shown_to_compute_the_same(tab: Tab) -> None:
    *_, (words, table) = tab.inside.equal(*tab.values(prompt="The old house", layer=LAYER))
    assert "Max difference" in words
    rows = new_value(table, None)
    assert len(rows) == 9
    assert all(float(row[1]) < 1e-5 for row in rows)


@pytest.mark.parametrize("proof", ["merge", "equal"])
def test_a_proof_that_cannot_be_made_is_told(tab: Tab, proof: str) -> None:
    run = getattr(tab.inside, proof)
    *_, (words, rest) = run(*tab.values(prompt="  "))
    assert "empty" in words and rest == gr.skip()
    *_, (words, rest) = run(*tab.values(model=GPT2))
    assert "no adapter" in words and rest == gr.skip()
