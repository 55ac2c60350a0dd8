"""What is frozen, what is changed: a picture of the model for each method, and what each gained and forgot."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lab.music.voices import training_table
from tabs.melodies.render.figures import LOSS_COLUMNS, anatomy, loss_table
from tabs.page import PRIVATE

METHODS = {"folk": "Folk (none)", "last-block": "Last block", "lora": "LoRA", "full": "Full", "scratch": "From scratch"}
EXPLANATIONS = {
    "folk": "Nothing is adapted. This is the model that all others but the last start from.",
    "last-block": "Only what is nearest to the output learns Bach; what lies below still reads music the folk way.",
    "lora": "Beside each matrix of each block stands a product of two thin ones. Only these learn. Switched off, "
    "the folk model is back to the last bit: nothing was forgotten.",
    "full": "Every number may move. The folk model is where it starts from, and it is gone afterwards.",
    "scratch": "The same shape, filled with chance, and a few hundred chorales to learn everything from: the control.",
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
                self._words = gr.Markdown(EXPLANATIONS["lora"])
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
        self._method.input(self._show, self._method, [self._words, self._picture], queue=False, **PRIVATE)

    @staticmethod
    def _show(method: str) -> list[Any]:
        if method not in METHODS:
            return [gr.skip(), gr.skip()]
        return [EXPLANATIONS[method], anatomy(LAYERS, method, training_table())]
