"""Asking for a prompt: the word on the model goes with the model that it describes."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from lab.text.models import Models
from tabs.decoding.page import _DecodingPage
from tabs.lora.page import _LoraPage
from tabs.page import Services


@pytest.mark.parametrize("page", [_DecodingPage, _LoraPage])
def test_an_example_takes_the_word_on_another_model_away(page: Any) -> None:
    services = Services(Models())
    with gr.Blocks(analytics_enabled=False) as blocks:
        built = page(services)
    fills = [fn for fn in blocks.fns.values() if getattr(fn.fn, "__name__", "") == "fill"]
    assert len(fills) == len(built._example_buttons) > 3
    for fill in fills:
        values = dict(zip(fill.outputs, fill.fn(*[()] * len(fill.inputs)), strict=True))
        assert values[built._controls.simple["model"]] == services.models.default
        assert values[built._model_status]["visible"] is False
