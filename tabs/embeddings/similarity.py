"""Similarity: two texts, a list, and the kinds of pairs that show what pre-training adds and where it fails."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lab.embeddings.comparing import Matrix, compare_all, compare_pairs, probe
from lab.embeddings.settings import EmbeddingSettings
from lab.embeddings.texts import cut, read_items
from lab.errors import VisitorError
from tabs.embeddings.controls import Controls
from tabs.embeddings.render.comparisons import (
    PAIR_COLUMNS,
    heat_map,
    matrix_table,
    probe_figure,
    probe_table,
    similarity_html,
)
from tabs.embeddings.tool import Outcome, Tool, model_of
from tabs.page import PRIVATE, Services
from tabs.waiting import Tell

MOST_TEXTS = 30  # of a heat map
PAIRS = (
    ("Same meaning, other words", "Physicians heal their patients.", "Doctors cure sick people."),
    ("Opposites", "I love this concert.", "I hate this concert."),
    ("Only “not”", "The orchestra was in tune.", "The orchestra was not in tune."),
    ("Who bit whom", "The dog bit the man.", "The man bit the dog."),
    ("Two languages", "The choir sings a hymn.", "Der Chor singt einen Choral."),
)
PROBE_WORDS = (
    "**Above:** pairs that share no word, and mean the same. Word overlap gives nothing, the model sees them: that is "
    "what pre-training adds. **Below:** pairs that share nearly all words and do *not* mean the same. Here the model "
    "is no better than word overlap: a “not”, a number, who did it to whom barely move the point."
)


class PairPanel(Tool):
    """Two texts."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        gr.Markdown("### Two texts")
        default = EmbeddingSettings.default
        with gr.Row():
            self.controls["first"] = gr.Textbox(
                default("first"), label="First text", lines=2, max_lines=6, max_length=None, min_width=260
            )
            self.controls["second"] = gr.Textbox(
                default("second"), label="Second text", lines=2, max_lines=6, max_length=None, min_width=260
            )
        with gr.Row(elem_classes="sd-examples"):
            gr.HTML('<span class="sd-hint">Try:</span>', elem_classes="sd-try")
            self._examples = [(gr.Button(title, size="sm", min_width=110, scale=0), a, b) for title, a, b in PAIRS]
        self.add_actions("Compare")
        self.results = [gr.HTML("")]

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, once all controls exist."""
        super().wire(controls)
        boxes = [self.controls["first"], self.controls["second"]]
        for button, first, second in self._examples:
            filled = button.click(lambda a=first, b=second: [a, b], None, boxes, queue=False, **PRIVATE)
            filled.then(**self.running)

    def compute(self, settings: EmbeddingSettings, tell: Tell) -> Outcome:
        """Return how alike the two texts are, and the pairs to compare with."""
        first, notes = cut(settings.first, "The first text")
        second, more = cut(settings.second, "The second text")
        if not first or not second:
            raise VisitorError("Write something into both boxes: a word, a sentence, a paragraph.")
        embedder, model = self.services.embedder, model_of(settings)
        (pair,) = compare_pairs(embedder, [(first, second)], model, tell)
        return Outcome((pair, probe(embedder, model)), [*notes, *more])

    def show(self, found: Any) -> tuple[str, list[Any]]:
        """Return the cosine among those of known pairs."""
        return "", [similarity_html(*found)]


class MatrixPanel(Tool):
    """Each text of a list with each."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        gr.Markdown("### A list, each with each")
        self.controls["matrix"] = gr.Textbox(
            EmbeddingSettings.default("matrix"),
            label=f"Texts, one on each line (up to {MOST_TEXTS})",
            lines=4,
            max_lines=10,
            max_length=None,
        )
        self.add_actions("Compare all")
        with gr.Row():
            plots = [
                gr.Plot(label="Cosine", show_label=False, visible=False, min_width=300),
                gr.Plot(label="Word overlap", show_label=False, visible=False, min_width=300),
            ]
        table = gr.Dataframe(
            headers=["first", "second", "cosine", "word overlap"],
            label="All pairs",
            visible=False,
            interactive=False,
            max_height=300,
            wrap=True,
        )
        self.results = [*plots, table]

    def compute(self, settings: EmbeddingSettings, tell: Tell) -> Outcome:
        """Return all pairs' similarities."""
        texts, notes = read_items(settings.matrix, MOST_TEXTS, commas=False)
        return Outcome(compare_all(self.services.embedder, texts, model_of(settings), tell), notes)

    def show(self, found: Matrix) -> tuple[str, list[Any]]:
        """Return both heat maps and the table."""
        return f"{len(found.texts)} texts.", [
            gr.update(value=heat_map(found), visible=True),
            gr.update(value=heat_map(found, overlap=True), visible=True),
            gr.update(value=matrix_table(found), visible=True),
        ]


class ProbePanel(Tool):
    """The kinds of pairs that ship."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        gr.Markdown("### What pre-training adds, and where it fails")
        gr.Markdown(PROBE_WORDS)
        self.add_actions("Measure our pairs")
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                plot = gr.Plot(label="Kinds of pairs", show_label=False, visible=False)
            with gr.Column(scale=1, min_width=320):
                table = gr.Dataframe(
                    headers=PAIR_COLUMNS,
                    label="All pairs",
                    visible=False,
                    interactive=False,
                    max_height=400,
                    wrap=True,
                    show_search="none",
                    column_widths=["24%", "27%", "27%", "10%", "12%"],
                )
        self.results = [plot, table]

    def compute(self, settings: EmbeddingSettings, tell: Tell) -> Outcome:
        """Return our pairs, measured."""
        return Outcome(probe(self.services.embedder, model_of(settings)))

    def show(self, found: Any) -> tuple[str, list[Any]]:
        """Return them as dots and as a table."""
        return f"{sum(len(figures) for _, figures in found)} pairs of {len(found)} kinds.", [
            gr.update(value=probe_figure(found), visible=True),
            gr.update(value=probe_table(found), visible=True),
        ]
