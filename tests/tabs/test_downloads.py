"""A file to save is made of what the components hold, and what goes wrong is told."""

from __future__ import annotations

import json

import gradio as gr

from lab.errors import VisitorError
from tabs.downloads import download_button


def made_by(make) -> list[str]:
    with gr.Blocks(analytics_enabled=False) as blocks:
        box, status = gr.Textbox(), gr.HTML()
        download_button("Save", make, [box], status, type="text/markdown")
    return next(fn for fn in blocks.fns.values() if fn.targets[0][1] == "click").fn("<b>”\n")


def test_name_text_and_type_reach_the_page() -> None:
    file, told = made_by(lambda value: ("notes.md", value))
    assert json.loads(file) == {"name": "notes.md", "text": "<b>”\n", "type": "text/markdown;charset=utf-8"}
    assert "Saved as notes.md." in told


def test_what_goes_wrong_is_told() -> None:
    def fails(value: str) -> tuple[str, str]:
        raise VisitorError("There is <nothing>.")

    file, told = made_by(fails)
    assert file == ""
    assert 'role="alert"' in told and "There is &lt;nothing&gt;." in told
