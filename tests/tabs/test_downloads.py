"""A file to save is made of what the components hold, and what goes wrong is told."""

from __future__ import annotations

import json
import shutil
import subprocess

import gradio as gr
import pytest

from lab.errors import VisitorError
from tabs.downloads import SAVE_JS, download_button, file_to_save

# As much of a page as the script touches.
PAGE_JS = """
const link = {click() {}, remove() {}}, waits = [];
global.document = {createElement: () => link, body: {append() {}}};
URL.createObjectURL = blob => { link.blob = blob; return 'blob:1'; };
global.setTimeout = (_, wait) => waits.push(wait);
const empty = (%s)('');
(%s)(%s);
link.blob.arrayBuffer().then(read => {
    console.log(JSON.stringify([empty, link.download, link.blob.type, [...new Uint8Array(read)], waits]));
});
"""


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


@pytest.mark.parametrize("content", ["<b>”\n", bytes(range(256))])
def test_the_page_saves_what_was_made(content: str | bytes) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run the page's script")
    file = file_to_save("a.x", content, "text/x")
    script = PAGE_JS % (SAVE_JS, SAVE_JS, json.dumps(file))
    told = subprocess.run([node, "-e", script], capture_output=True, text=True, timeout=60, check=True)
    empty, name, type, saved, waits = json.loads(told.stdout)
    assert (empty, name, type.partition(";")[0]) == ([], "a.x", "text/x")
    assert bytes(saved) == (content if isinstance(content, bytes) else content.encode())
    assert waits == [60_000]  # a phone may read it late
