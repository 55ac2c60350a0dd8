"""One id for what a visitor guesses and ranks, in whichever tab."""

from __future__ import annotations

import re
from dataclasses import replace

import gradio as gr
import pytest

from lab.preferences.store import Store
from lab.text.models import Models
from tabs import TABS
from tabs.launch import build
from tabs.page import Services
from tabs.visitor import session_box, session_or_new


@pytest.fixture
def services() -> Services:
    return Services(Models(), store=Store(None))


def test_guesses_and_rankings_are_given_under_one_id(services: Services) -> None:
    """Thirty who guess and rank are thirty, and not sixty."""
    app = build(services, [tab for tab in TABS if tab.slug in ("melodies", "reward")])
    boxes = [block for block in app.blocks.values() if getattr(block, "label", None) == "Session"]
    assert len(boxes) == 1
    for name in ("judge", "add", "undo", "upload", "resume"):
        (event,) = [fn for fn in app.fns.values() if getattr(fn.fn, "__name__", "") == name and boxes[0] in fn.inputs]
        assert name == "undo" or boxes[0] in event.outputs
    keeping = [fn for fn in app.fns.values() if "sessionStorage.setItem" in str(fn.js) and fn.inputs == boxes]
    assert len(keeping) >= 4
    services.voices.close()


def test_a_tab_that_is_built_alone_has_its_own(services: Services) -> None:
    with gr.Blocks(analytics_enabled=False):
        box = session_box(services)
        assert session_box(services) is not box
        assert session_box(replace(services, session=box)) is box


def test_what_is_no_id_is_replaced() -> None:
    assert session_or_new("abc-1") == "abc-1"
    for value in ("", None, 7, "<b>", "x" * 65):
        assert re.fullmatch(r"[0-9a-f]{32}", session_or_new(value))
    assert session_or_new("") != session_or_new("")
