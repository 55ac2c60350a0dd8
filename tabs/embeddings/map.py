"""Map: lists of concepts and the visitor's own lines as points that lie near their kin."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lab.embeddings.concepts import FAMILIES, load_lists
from lab.embeddings.mapping import ConceptMap, draw_map
from lab.embeddings.settings import EmbeddingSettings, Method
from lab.embeddings.texts import MAX_LINES, read_lines
from tabs.embeddings.controls import Controls
from tabs.embeddings.render.maps import (
    CATEGORY_COLUMNS,
    POINT_COLUMNS,
    category_table,
    concept_figure,
    figures_text,
    point_table,
)
from tabs.embeddings.tool import Outcome, Tool, model_of
from tabs.page import PRIVATE, Services
from tabs.waiting import Tell

SHAPES = '<p class="sd-hint">● music, ■ everyday, ✕ words with two senses, ★ your own lines (◆ in 3-D)</p>'
METHODS = [("t-SNE: neighbours", str(Method.TSNE)), ("PCA: directions", str(Method.PCA))]
LIST_CHOICES = [(one.title, one.slug) for one in load_lists()]
FAMILY_CHOICES = (
    ("All lists", tuple(FAMILIES)),
    ("Music only", ("music",)),
    ("Everyday only", ("everyday",)),
    ("No list", ()),
)
OWN_EXAMPLE = "bandoneon, Instruments\nukulele, Instruments\nmy neighbour's dog barks, Animals\nquarter past nine, time"


class MapPanel(Tool):
    """The controls of the map, the map, and beside it how good its grouping is."""

    redraws = ("method", "dimensions", "lists")
    words = "Drawing …"

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._add_choice()
        self._add_own_lines()
        self.add_actions("Draw the map")
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                plot = gr.Plot(label="Map", show_label=False, elem_classes="sd-embeddings-map")
                gr.HTML(SHAPES)
            with gr.Column(scale=2, min_width=320):
                figures = gr.Markdown("", sanitize_html=True)
                categories = gr.Dataframe(
                    headers=CATEGORY_COLUMNS,
                    label="How tight each category is; kin nearest: share whose nearest point is of the same",
                    interactive=False,
                    max_height=470,
                    wrap=True,
                    show_search="none",
                    column_widths=["27%", "11%", "23%", "15%", "24%"],
                )
        with gr.Accordion("All points as a table", open=False):
            points = gr.Dataframe(headers=POINT_COLUMNS, label="Points", interactive=False, max_height=420, wrap=True)
        with gr.Accordion("What the lists are", open=False):
            gr.Markdown(list_cards())
        self.results = [plot, figures, categories, points]

    def _add_choice(self) -> None:
        default = EmbeddingSettings.default
        with gr.Row():
            self.controls["method"] = gr.Radio(METHODS, value=str(default("method")), label="Projection", min_width=230)
            self.controls["dimensions"] = gr.Radio(
                [("2-D", 2), ("3-D", 3)], value=default("dimensions"), label="Dimensions", min_width=130
            )
            with gr.Row(elem_classes="sd-examples sd-embeddings-families"):
                gr.HTML('<span class="sd-hint">Show:</span>', elem_classes="sd-try")
                self._choosers = [
                    (gr.Button(title, size="sm", min_width=70, scale=0), families) for title, families in FAMILY_CHOICES
                ]
        with gr.Accordion("Choose categories", open=False):
            self.controls["lists"] = gr.CheckboxGroup(
                LIST_CHOICES, value=[slug for _, slug in LIST_CHOICES], label="Categories", show_label=False
            )

    def _add_own_lines(self) -> None:
        with gr.Accordion(f"Add your own lines (up to {MAX_LINES})", open=False):
            self.controls["own"] = gr.Textbox(
                EmbeddingSettings.default("own"),
                label="Own lines: a word or sentence, a comma, its category",
                placeholder=OWN_EXAMPLE,
                lines=4,
                max_lines=12,
                max_length=None,
            )
            self._example = gr.Button("Fill in an example", size="sm", min_width=140, scale=0)

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, once all controls exist."""
        super().wire(controls)
        for button, families in self._choosers:
            chosen = [one.slug for one in load_lists() if one.family in families]
            filled = button.click(lambda chosen=chosen: chosen, None, self.controls["lists"], queue=False, **PRIVATE)
            if chosen:
                filled.then(**self.running)
        filled = self._example.click(lambda: OWN_EXAMPLE, None, self.controls["own"], queue=False, **PRIVATE)
        filled.then(**self.running)

    def compute(self, settings: EmbeddingSettings, tell: Tell) -> Outcome:
        """Return the map of the chosen lists and the visitor's lines."""
        lines, notes = read_lines(settings.own)
        found = draw_map(
            self.services.embedder,
            settings.chosen_lists,
            lines,
            method=settings.method,
            dimensions=settings.dimensions,
            model=model_of(settings),
            progress=tell,
        )
        return Outcome(found, notes)

    def show(self, found: ConceptMap) -> tuple[str, list[Any]]:
        """Return the map, its figures and its tables."""
        values = [concept_figure(found), figures_text(found), category_table(found), point_table(found)]
        return f"{len(found.points)} points.", values


def list_cards() -> str:
    """Return the lists' cards in Markdown; their words are ours."""
    return "\n".join(
        f"- **{one.title}** ({len(one.entries)} {one.form}): {one.card['about']} *{one.card['limits']}*"
        for one in load_lists()
    )
