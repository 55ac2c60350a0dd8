"""Texts we made: what other tabs' models wrote, among the lists of concepts, and each with each."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lab.embeddings.comparing import compare_all, search
from lab.embeddings.mapping import draw_map
from lab.embeddings.settings import EmbeddingSettings
from lab.embeddings.texts import Line
from lab.errors import VisitorError
from tabs.embeddings.controls import Controls
from tabs.embeddings.render.comparisons import heat_map
from tabs.embeddings.render.maps import MADE_COLUMNS, concept_figure, made_table
from tabs.embeddings.tool import Outcome, Tool, model_of
from tabs.made import from_text
from tabs.page import PRIVATE, Services
from tabs.rendering import counted
from tabs.runs import Runs
from tabs.waiting import Tell

NONE_YET = "No text was sent here yet. Write some in another tab, and press “Send to the map” there."


class MadePanel(Tool):
    """The texts, their map, and how alike they are."""

    words = "Placing the texts …"
    sees_anew = True

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        gr.Markdown(
            "Models' texts on the map of the concepts: stars, one colour for each tab. Lists, projection and "
            "dimensions are those chosen in *Map*. Do strategies, adapters or rewards move a text's subject, or only "
            "its manner?"
        )
        # Where the tab stands alone no other tab can send anything; a link can all the same bring texts along.
        self.controls["made"] = services.made if services.made is not None else gr.State(())
        self.add_actions("Place them again")
        self._clear = gr.Button("Remove these texts", size="sm", min_width=150, scale=0)
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                plot = gr.Plot(label="Map", show_label=False, elem_classes="sd-embeddings-map", visible=False)
            with gr.Column(scale=2, min_width=320):
                heat = gr.Plot(label="Each with each", show_label=False, visible=False)
        table = gr.Dataframe(
            headers=MADE_COLUMNS,
            label="Texts",
            interactive=False,
            visible=False,
            wrap=True,
            max_height=420,
            column_widths=["13%", "17%", "40%", "30%"],
        )
        self.results = [plot, heat, table]

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, once all controls exist."""
        super().wire(controls)
        cleared = self._clear.click(self._remove, self._runs, self.controls["made"], queue=False, **PRIVATE)
        emptied = [self._status, *self.results]
        cleared.then(
            lambda: ["", *(gr.update(visible=False) for _ in self.results)], None, emptied, queue=False, **PRIVATE
        )

    @staticmethod
    def _remove(runs: Runs) -> tuple[()]:
        runs.drop()  # it would show the texts again
        return ()

    def compute(self, settings: EmbeddingSettings, tell: Tell) -> Outcome:
        """Return the map of the chosen lists and the texts, their similarities, and each one's nearest entries."""
        made = from_text(settings.made)
        if not made:
            raise VisitorError(NONE_YET)
        embedder, model = self.services.embedder, model_of(settings)
        found = draw_map(
            embedder,
            settings.chosen_lists,
            [Line(one.text, one.source) for one in made],
            method=settings.method,
            dimensions=settings.dimensions,
            model=model,
            progress=tell,
        )
        near = [search(embedder, one.text, model)[:3] for one in made]
        texts = [one.text for one in made]
        return Outcome((made, found, compare_all(embedder, texts, model) if len(set(texts)) > 1 else None, near))

    def show(self, found: Any) -> tuple[str, list[Any]]:
        """Return the map, the heat map and the table."""
        made, concepts, matrix, near = found
        heat = gr.update(visible=False) if matrix is None else gr.update(value=heat_map(matrix), visible=True)
        return f"{counted(len(made), 'text')} on the map.", [
            gr.update(value=concept_figure(concepts), visible=True),
            heat,
            gr.update(value=made_table(made, near), visible=True),
        ]
