"""Map: lists of concepts and the visitor's own lines as points that lie near their kin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from lab.embeddings import BUILT_IN
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
from tabs.embeddings.running import run_tool
from tabs.page import PRIVATE, Services
from tabs.rendering import message, notes_html
from tabs.runs import Runs

METHODS = [("t-SNE: neighbours", str(Method.TSNE)), ("PCA: directions", str(Method.PCA))]
LIST_CHOICES = [(one.title, one.slug) for one in load_lists()]
OWN_EXAMPLE = "bandoneon, Instruments\nukulele, Instruments\nmy neighbour's dog barks, Animals\nquarter past nine, time"


class MapPanel:
    """The controls of the map, the map, and beside it how good its grouping is."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.controls: dict[str, Any] = {}
        default = EmbeddingSettings.default
        with gr.Row():
            self.controls["method"] = gr.Radio(METHODS, value=str(default("method")), label="Projection", min_width=230)
            self.controls["dimensions"] = gr.Radio(
                [("2-D", 2), ("3-D", 3)], value=default("dimensions"), label="Dimensions", min_width=130
            )
            with gr.Column(min_width=300, scale=2):
                self.controls["lists"] = gr.Dropdown(
                    LIST_CHOICES,
                    value=[slug for _, slug in LIST_CHOICES],
                    multiselect=True,
                    label="Categories",
                    elem_classes="sd-embeddings-lists",
                )
                with gr.Row(elem_classes="sd-examples"):
                    self._choosers = [
                        (gr.Button(title, size="sm", min_width=70, scale=0), families)
                        for title, families in (
                            ("All", tuple(FAMILIES)),
                            ("Music", ("music",)),
                            ("Everyday", ("everyday",)),
                            ("None", ()),
                        )
                    ]
        with gr.Accordion(f"Add your own lines (up to {MAX_LINES})", open=False) as self.own_accordion:
            self.controls["own"] = gr.Textbox(
                default("own"),
                label="Own lines: a word or sentence, a comma, its category",
                placeholder=OWN_EXAMPLE,
                lines=4,
                max_lines=12,
                max_length=None,
                elem_id="sd-embeddings-own",
            )
            self._example = gr.Button("Fill in an example", size="sm", min_width=140, scale=0)
        with gr.Row(elem_classes="sd-actions"):
            self.button = gr.Button("Draw the map", variant="primary", min_width=140, scale=0)
            self._stop = gr.Button("Stop", min_width=80, scale=0)
            self._status = gr.HTML("", elem_classes="sd-status")
        self._runs = gr.State(Runs())
        self.drawn = gr.State(False)
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                self._plot = gr.Plot(label="Map", show_label=False, elem_id="sd-embeddings-map")
            with gr.Column(scale=2, min_width=320):
                self._figures = gr.Markdown("", sanitize_html=True)
                self._categories = gr.Dataframe(
                    headers=CATEGORY_COLUMNS,
                    label="How tight each category is",
                    interactive=False,
                    max_height=470,
                    wrap=True,
                    show_search="none",
                    column_widths=["30%", "13%", "17%", "17%", "23%"],
                )
        with gr.Accordion("All points as a table", open=False):
            self._points = gr.Dataframe(
                headers=POINT_COLUMNS, label="Points", interactive=False, max_height=420, wrap=True
            )
        with gr.Accordion("What the lists are", open=False):
            gr.Markdown(list_cards())

    @property
    def outputs(self) -> list[Any]:
        """Components that a run sets."""
        return [self._status, self._plot, self._figures, self._categories, self._points, self.drawn]

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, once all controls exist."""
        self._controls = controls
        self.inputs = [*controls.all, self._runs]
        run = {"fn": self.run, "inputs": self.inputs, "outputs": self.outputs, **PRIVATE}
        self.button.click(**run, trigger_mode="multiple")
        for name in ("method", "dimensions", "lists"):
            controls.components[name].input(**run, trigger_mode="always_last")
        self._stop.click(lambda runs: runs.stop(), self._runs, None, queue=False, **PRIVATE)
        for button, families in self._choosers:
            chosen = [one.slug for one in load_lists() if one.family in families]
            filled = button.click(lambda chosen=chosen: chosen, None, self.controls["lists"], queue=False, **PRIVATE)
            if chosen:
                filled.then(**run)
        self._example.click(lambda: OWN_EXAMPLE, None, self.controls["own"], queue=False, **PRIVATE).then(**run)

    def run(self, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Yield the map; on bad input a message, and what is shown stays."""
        *values, runs = values
        settings, more = self._controls.settings(*values)
        lines, about_lines = read_lines(settings.own)
        every = [*notes, *more, *about_lines]

        def work(tell: Any) -> ConceptMap:
            return draw_map(
                self._services.embedder,
                settings.chosen_lists,
                lines,
                method=settings.method,
                dimensions=settings.dimensions,
                model=settings.model or BUILT_IN,
                progress=tell,
            )

        yield from run_tool(runs, work, lambda found: self._show(found, every), len(self.outputs), "Drawing …")

    def first(self, *values: Any) -> Iterator[list[Any]]:
        """Draw the map if none was drawn yet."""
        *values, drawn = values
        if drawn:
            yield [gr.skip()] * len(self.outputs)
        else:
            yield from self.run(*values)

    @staticmethod
    def _show(found: ConceptMap, notes: Sequence[str]) -> list[Any]:
        return [
            message(f"{len(found.points)} points.") + notes_html(notes),
            concept_figure(found),
            figures_text(found),
            category_table(found),
            point_table(found),
            True,
        ]


def list_cards() -> str:
    """Return the lists' cards in Markdown; their words are ours."""
    return "\n".join(
        f"- **{one.title}** ({len(one.entries)} {one.form}): {one.card['about']} *{one.card['limits']}*"
        for one in load_lists()
    )
