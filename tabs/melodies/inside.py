"""What is frozen, what is changed: a picture of the model for each method, and what each gained and forgot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from lab.music.composing import MelodySettings
from lab.music.voices import VOICES, Voice, training_table
from tabs.melodies.render.figures import LOSS_COLUMNS, anatomy, loss_table
from tabs.page import PRIVATE
from tabs.rendering import notes_html

METHODS = {
    str(voice): f"{about.title} (none)" if about.is_base else about.title
    for voice, about in VOICES.items()
    if about.explanation
}
LAYERS = 4


class InsidePanel:
    """The picture and the table."""

    def __init__(self) -> None:
        table, shown = training_table(), str(MelodySettings.default("method"))
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                self.method = gr.Radio(
                    [(title, name) for name, title in METHODS.items()], value=shown, label="Method of adaptation"
                )
                self._status = gr.HTML("")
                self._words = gr.Markdown(VOICES[Voice(shown)].explanation)
            self._picture = gr.HTML(anatomy(LAYERS, shown, table))
        gr.Dataframe(
            loss_table(table),
            headers=LOSS_COLUMNS,
            interactive=False,
            wrap=True,
            label="Losses on tunes that no model has heard; means over seeds, least and largest in brackets",
        )
        gr.Markdown(
            "A lower loss on chorales is what was gained, a higher one on folk songs what was forgotten. Switching the "
            "LoRA off undoes its forgetting, because the folk model is still there. Where the brackets of two methods "
            "overlap, the difference may be chance."
        )

    @property
    def inputs(self) -> list[Any]:
        """What :meth:`run` takes."""
        return [self.method]

    @property
    def outputs(self) -> list[Any]:
        """Components that :meth:`run` sets."""
        return [self._status, self._words, self._picture]

    def wire(self) -> None:
        """Connect the choice of the method."""
        self.method.input(self.run, self.inputs, self.outputs, trigger_mode="always_last", queue=False, **PRIVATE)

    def run(self, method: str, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Show a method, and notes on the link that asked for it."""
        if method not in METHODS:
            yield [gr.skip()] * 3
        else:
            yield [notes_html(notes), VOICES[method].explanation, anatomy(LAYERS, method, training_table())]
