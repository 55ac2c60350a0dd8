"""Two senses: an ambiguous word alone and in sentences, and where each sentence moves it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lab.embeddings.concepts import load_senses
from lab.embeddings.mapping import SenseMap, draw_senses
from lab.embeddings.settings import EmbeddingSettings
from lab.embeddings.texts import read_items
from tabs.embeddings.render.maps import SENSE_COLUMNS, sense_columns, sense_figure, sense_table, told_senses
from tabs.embeddings.tool import Outcome, Tool, model_of
from tabs.page import Services
from tabs.waiting import Tell

MOST_SENTENCES = 12
WORDS = (
    "A word alone has one point, somewhere between its senses. Arrows lead from it to *sentences* with the word, each "
    "as a whole: such a point is made of all words of the sentence, and the others pull it to where they belong."
)


class SensesPanel(Tool):
    """The word, the visitor's own sentences, and where they lie."""

    redraws = ("word",)

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        gr.Markdown(WORDS)
        default = EmbeddingSettings.default
        with gr.Row():
            self.controls["word"] = gr.Radio(
                list(load_senses()), value=default("word"), label="Word with two senses", min_width=300
            )
            self.controls["sentences"] = gr.Textbox(
                default("sentences"),
                label="Your own sentences, one on each line",
                placeholder="The bass sang a deep low note.\nA bass swam under the boat.",
                lines=3,
                max_lines=8,
                max_length=None,
                min_width=300,
            )
        self.add_actions("Show both senses")
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                plot = gr.Plot(label="Two senses", show_label=False)
            with gr.Column(scale=2, min_width=320):
                table = gr.Dataframe(
                    headers=SENSE_COLUMNS,
                    label="Mean cosine to the kindred words of each sense",
                    interactive=False,
                    wrap=True,
                    show_search="none",
                    column_widths=["40%", "19%", "19%", "22%"],
                )
        self.results = [plot, table]

    def compute(self, settings: EmbeddingSettings, tell: Tell) -> Outcome:
        """Return the word's map."""
        own, notes = read_items(settings.sentences, MOST_SENTENCES, commas=False)
        model = model_of(settings)
        return Outcome(draw_senses(self.services.embedder, settings.word, own, model=model, progress=tell), notes)

    def show(self, found: SenseMap) -> tuple[str, list[Any]]:
        """Return the map and its table."""
        return told_senses(found), [
            sense_figure(found),
            gr.update(value=sense_table(found), headers=sense_columns(found)),
        ]
