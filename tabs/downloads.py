"""A button that hands the visitor a text file. It is made in the page itself: nothing is kept on the server's disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from tabs.page import PRIVATE
from tabs.rendering import message

SAVE_JS = """
(file) => {
    if (!file) return [];
    const {name, text, type} = JSON.parse(file);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], {type}));
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    return [];
}
"""


def download_button(
    title: str,
    make: Callable[..., tuple[str, str]],
    inputs: Sequence[gr.components.Component],
    status: gr.HTML,
    type: str = "text/plain",
    js: str | None = None,
    **arguments: Any,
) -> gr.Button:
    """Add a button that saves a file and return it.

    Args:
        make: from the values of ``inputs`` to the file's name and its text; a VisitorError is shown.
        status: where a message goes.
        type: of the file, as browsers call it.
        js: that changes the values in the page before they are sent.
    """
    button = gr.Button(title, scale=0, **arguments)
    file = gr.Textbox("", visible=False, label="file")

    def made(*values: Any) -> list[Any]:
        try:
            name, text = make(*values)
        except VisitorError as error:
            return ["", message(str(error), alert=True)]
        return [json.dumps({"name": name, "text": text, "type": f"{type};charset=utf-8"}), message(f"Saved as {name}.")]

    saved = button.click(made, list(inputs), [file, status], js=js, **PRIVATE)
    # The text is not needed any longer, and must not be sent again with another event.
    saved.then(None, file, None, js=SAVE_JS, **PRIVATE).then(lambda: "", None, file, queue=False, **PRIVATE)
    return button
