"""``adapt`` as programs call it: texts and measures of every column, and clear words for what cannot be."""

from __future__ import annotations

import json
import math
from typing import Any

import gradio as gr
import pytest

from lab.text.adapting import AdaptSettings
from tabs.lora.api import _adapt
from tests.tabs.lora.conftest import Tab


@pytest.fixture
def adapt(tab: Tab) -> Any:
    """The function behind the name."""
    return next(event.fn for event in tab.blocks.fns.values() if event.api_name == "adapt")


def test_texts_and_measures_of_every_column(adapt: Any) -> None:
    answer = adapt("The old house", "shakespeare=1;shakespeare=0.5+fairy-tales=0.5", "greedy", 7, 6)
    json.dumps(answer, allow_nan=False)
    assert [column["adapters"] for column in answer["columns"]] == [
        "base", "shakespeare=1", "shakespeare=0.5+fairy-tales=0.5",
    ]  # fmt: skip
    assert (answer["strategy"], answer["notes"]) == ("greedy", [])
    for column in answer["columns"]:
        assert "".join(token["text"] for token in column["tokens"]) == column["text"]
        scores = [token["base_log_probability"] for token in column["tokens"]]
        assert column["perplexity"]["base"] == pytest.approx(math.exp(-sum(scores) / len(scores)))
        assert set(column["perplexity"]) >= {"base", column["adapters"]}
    assert set(answer["columns"][0]["perplexity"]) == {"base", "shakespeare=1", "shakespeare=0.5+fairy-tales=0.5"}


def test_what_was_changed_is_told(adapt: Any) -> None:
    answer = adapt("The old house", "nobody=1;shakespeare=nan;fairy-tales=3", "chaos", -1, 5000)
    assert [column["adapters"] for column in answer["columns"]] == ["base", "shakespeare=1", "fairy-tales=2"]
    told = " ".join(answer["notes"])
    for part in ("'nobody'", "nan", "outside 0 to 2", "'chaos'", "seed", "max_new_tokens"):
        assert part in told


@pytest.mark.parametrize("arguments", [("",), (None,), ("The", "shakespeare=1", "greedy", 1, 5, "no/model")])
def test_what_cannot_be_is_an_error_in_words(adapt: Any, arguments: tuple[Any, ...]) -> None:
    if arguments == (None,):
        answer = adapt(None, "", "greedy", 1, 3)  # no argument is no mistake: the default stands in
        assert len(answer["columns"]) == 1
        return
    with pytest.raises(gr.Error) as raised:
        adapt(*arguments)
    assert "Traceback" not in str(raised.value)


@pytest.mark.parametrize("strange", [[], {}, 3, float("nan"), "=;+;=", "a" * 5000, "\ud800=1"])
def test_strange_adapters_break_nothing(tab: Tab, strange: Any) -> None:
    settings, _ = AdaptSettings.lenient({"prompt": "The", "adapters": strange, "max_new_tokens": 2})
    answer = _adapt(tab.services, settings, [])
    assert answer["columns"][0]["adapters"] == "base"
