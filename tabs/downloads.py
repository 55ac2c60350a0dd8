"""Files that are handed to the visitor. They are made in the page itself: nothing is kept on the server's disk."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from tabs.page import PRIVATE
from tabs.rendering import message

# A phone may ask where the file should go, and reads it only then; hence a minute.
SAVE_JS = """
(file) => {
    if (!file) return [];
    const {name, text, data, type} = JSON.parse(file);
    const content = data === undefined ? text : Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], {type}));
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    return [];
}
"""


def file_to_save(name: str, content: str | bytes, type: str) -> str:
    """Return what :func:`save_file` reads: a file's name, its text or bytes, and its type as browsers call it."""
    if isinstance(content, bytes):
        return json.dumps({"name": name, "data": base64.b64encode(content).decode(), "type": type})
    return json.dumps({"name": name, "text": content, "type": f"{type};charset=utf-8"})


def save_file(made: Any, file: gr.Textbox) -> None:
    """Let the page save what an event has put into a hidden text box, if anything, and empty the box.

    Args:
        made: the event, as Gradio's listeners return it.
    """
    # The content is not needed any longer, and must not be sent again with another event.
    made.then(None, file, None, js=SAVE_JS, **PRIVATE).then(lambda: "", None, file, queue=False, **PRIVATE)


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
        return [file_to_save(name, text, type), message(f"Saved as {name}.")]

    save_file(button.click(made, list(inputs), [file, status], js=js, **PRIVATE), file)
    return button
