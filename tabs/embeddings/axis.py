"""Axis: a list laid out between two poles of the visitor's choosing."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lab.embeddings.comparing import OnAxis, lay_out
from lab.embeddings.concepts import load_lists
from lab.embeddings.settings import EmbeddingSettings
from lab.embeddings.texts import read_items
from lab.errors import VisitorError
from tabs.asking import add_examples
from tabs.embeddings.controls import Controls
from tabs.embeddings.render.comparisons import AXIS_COLUMNS, axis_figure, axis_table
from tabs.embeddings.tool import Outcome, Tool, model_of
from tabs.page import PRIVATE, Services
from tabs.waiting import Tell

MOST_TEXTS = 60
EXAMPLES = (
    ("Sad or cheerful music", "sad, mournful, gloomy", "cheerful, happy, merry", "musical-moods"),
    ("Medieval or modern composers", "medieval, ancient, plainchant", "modern, twentieth century", "composers"),
    ("Small or large animals", "small, tiny, little", "large, huge, enormous", "animals"),
    ("Slow or fast", "slow, slowly, calm", "fast, quick, hurried", "tempo-marks"),
    ("Court or village dances", "courtly, aristocratic, elegant", "rustic, village, folk", "dances"),
    ("Unpleasant or pleasant feelings", "unpleasant, bad", "pleasant, good", "feelings"),
)


class AxisPanel(Tool):
    """The poles, the list, and where each of its texts lies between them."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        gr.Markdown(
            "Two poles span a direction. Every text has a place along it, whether the question makes sense for it or "
            "not: the model answers only where in its room the text lies."
        )
        default = EmbeddingSettings.default
        with gr.Row():
            self.controls["pole_a"] = gr.Textbox(
                default("pole_a"), label="First pole: one or several words", max_length=None, min_width=200
            )
            self.controls["pole_b"] = gr.Textbox(default("pole_b"), label="Second pole", max_length=None, min_width=200)
            self.controls["axis_list"] = gr.Dropdown(
                [("– only my own texts –", ""), *((one.title, one.slug) for one in load_lists())],
                value=default("axis_list"),
                label="List",
                min_width=180,
            )
        with gr.Accordion("Add your own texts", open=False):
            self.controls["axis_own"] = gr.Textbox(
                default("axis_own"),
                label="Own texts, one on each line",
                placeholder="a gavotte in D major\na techno track",
                lines=3,
                max_lines=8,
                max_length=None,
            )
        self._examples = add_examples([(row[0], row[1:]) for row in EXAMPLES], min_width=110)
        self.add_actions("Lay out")
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                plot = gr.Plot(label="Between the poles", show_label=False)
            with gr.Column(scale=2, min_width=320):
                table = gr.Dataframe(
                    headers=AXIS_COLUMNS,
                    label="From the first pole to the second",
                    interactive=False,
                    wrap=True,
                    max_height=560,
                    show_search="none",
                    column_widths=["12%", "63%", "25%"],
                )
        self.results = [plot, table]

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, once all controls exist."""
        super().wire(controls)
        boxes = [self.controls[name] for name in ("pole_a", "pole_b", "axis_list")]
        for button, values in self._examples:
            button.click(lambda values=values: list(values), None, boxes, queue=False, **PRIVATE).then(**self.running)

    def compute(self, settings: EmbeddingSettings, tell: Tell) -> Outcome:
        """Return the texts' places."""
        (first, a), (second, b) = read_items(settings.pole_a), read_items(settings.pole_b)
        own, c = read_items(settings.axis_own, MOST_TEXTS, commas=False)
        lists = {one.slug: one for one in load_lists()}
        if settings.axis_list and settings.axis_list not in lists:
            raise VisitorError(f"There is no list {settings.axis_list[:40]!r}.")
        entries = lists[settings.axis_list].entries if settings.axis_list else ()
        texts = list(dict.fromkeys([*entries, *own]))
        found = lay_out(self.services.embedder, texts, first, second, model_of(settings), tell)
        return Outcome((found, ", ".join(first), ", ".join(second)), [*a, *b, *c])

    def show(self, found: tuple[OnAxis, str, str]) -> tuple[str, list[Any]]:
        """Return the axis and its table."""
        axis = found[0]
        told = f"{len(axis.texts)} texts. The poles' own cosine is {axis.pole_cosine:.2f}"
        told += ": they hardly differ, so the order says little." if axis.pole_cosine > 0.8 else "."
        return told, [axis_figure(*found), axis_table(axis)]
