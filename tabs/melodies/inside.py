"""What is frozen, what is changed: a picture of the model for each method, and what each gained and forgot."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lab.music.voices import VOICES, Voice, training_table
from tabs.melodies.render.figures import LOSS_COLUMNS, anatomy, loss_table
from tabs.page import PRIVATE

METHODS = {
    str(voice): f"{about.title} (none)" if about.is_base else about.title
    for voice, about in VOICES.items()
    if about.explanation
}
LAYERS = 4


class InsidePanel:
    """The picture and the table."""

    def __init__(self) -> None:
        table = training_table()
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                self._method = gr.Radio(
                    [(title, name) for name, title in METHODS.items()], value="lora", label="Method of adaptation"
                )
                self._words = gr.Markdown(VOICES[Voice.LORA].explanation)
            self._picture = gr.HTML(anatomy(LAYERS, "lora", table))
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

    def wire(self) -> None:
        """Connect the choice of the method."""
        shown = [self._words, self._picture]
        self._method.input(self._show, self._method, shown, trigger_mode="always_last", queue=False, **PRIVATE)

    @staticmethod
    def _show(method: str) -> list[Any]:
        if method not in METHODS:
            return [gr.skip(), gr.skip()]
        return [VOICES[method].explanation, anatomy(LAYERS, method, training_table())]
