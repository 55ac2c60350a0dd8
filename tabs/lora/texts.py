"""Where a text to train on comes from: pasted, uploaded, or one that is here anyway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.text.training_text import MAX_BYTES, read_text
from tabs.page import PRIVATE
from tabs.rendering import message
from tabs.uploads import forget_upload

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {"The code of this app": "lab/**/*.py", "Its readme": "README.md"}


class TextInput:
    """The box for a text, with what fills it in."""

    def __init__(self, lines: int, elem_id: str) -> None:
        self.text = gr.Textbox(label="Your text", lines=lines, max_lines=lines, elem_id=elem_id)
        with gr.Row(elem_classes="sd-examples"):
            self._upload = gr.UploadButton(
                "Upload a text", file_types=["text", ".txt", ".md"], type="binary", size="sm", scale=0
            )
            gr.HTML('<span class="sd-hint">or try:</span>', elem_classes="sd-try")
            self._examples = [(gr.Button(title, size="sm", scale=0), title) for title in EXAMPLES]

    def wire(self, status: gr.HTML, title: gr.Textbox | None = None) -> None:
        """Connect the buttons; an example sets the title, too."""
        self._upload.upload(self._read, self._upload, [self.text, status], **PRIVATE)
        for button, name in self._examples:
            filled = [self.text, status] if title is None else [self.text, status, title]
            button.click(
                lambda name=name, named=title is not None: [*_example(name), *([name] if named else [])],
                None,
                filled,
                queue=False,
                **PRIVATE,
            )

    @staticmethod
    def _read(data: bytes | None) -> list[Any]:
        if data is None:
            return [gr.skip(), gr.skip()]
        forget_upload(data)
        try:
            text = read_text(data)
        except VisitorError as error:
            return [gr.skip(), message(str(error), alert=True)]
        return [text, message(f"{len(text):,} characters are read.")]


def _example(name: str) -> list[Any]:
    text = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob(EXAMPLES[name])))
    text = text.encode()[:MAX_BYTES].decode("utf-8", "ignore")
    return [text, message(f"{len(text):,} characters.")]
