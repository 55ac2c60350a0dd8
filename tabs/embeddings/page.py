"""The layout of the embeddings tab, and how its parts hang together."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gradio as gr

from lab.embeddings import BUILT_IN
from lab.embeddings.concepts import load_lists
from lab.embeddings.mapping import draw_map
from lab.embeddings.settings import EmbeddingSettings, View
from lab.errors import VisitorError
from tabs.embeddings.api import add_api
from tabs.embeddings.axis import AxisPanel
from tabs.embeddings.controls import Controls, fitting
from tabs.embeddings.made import MadePanel
from tabs.embeddings.map import MapPanel
from tabs.embeddings.melodies import MelodiesPanel
from tabs.embeddings.render.maps import concept_figure
from tabs.embeddings.search import AnalogyPanel, OddPanel, QueryPanel
from tabs.embeddings.senses import SensesPanel
from tabs.embeddings.similarity import MatrixPanel, PairPanel, ProbePanel
from tabs.embeddings.tool import Tool
from tabs.page import PRIVATE, Page, Services, link_controls, only_if
from tabs.rendering import message
from tabs.sources import add_sources
from tabs.waiting import Ready, wait_for

log = logging.getLogger(__name__)

INTRODUCTION = """
<div class="sd-why">
<p><b class="sd-frozen">Frozen</b> All of it: a sentence model of 22 million weights, as it was published.</p>
<p><b class="sd-changed">Changed</b> Nothing. Not even a threshold is fitted to the lists below.</p>
<p><b>Why</b> It learnt from a billion pairs of sentences which texts go together. So kin in meaning lie close, whatever
words they use: that alone sorts, searches and compares, and it is where most adaptations start.</p>
</div>
"""
READY = (
    "Ready. What you draw or compare from now on comes from it; what is shown stays until then. Melodies have a model "
    "of their own."
)

VIEW_TITLES = {
    View.MAP: "Map",
    View.SENSES: "Two senses",
    View.SIMILARITY: "Similarity",
    View.SEARCH: "Search",
    View.AXIS: "Axis",
    View.MELODIES: "Melodies",
    View.MADE: "Texts we made",
}

PANELS: dict[View, tuple[type[Tool], ...]] = {
    View.MAP: (MapPanel,),
    View.SENSES: (SensesPanel,),
    View.SIMILARITY: (PairPanel, MatrixPanel, ProbePanel),
    View.SEARCH: (QueryPanel, OddPanel, AnalogyPanel),
    View.AXIS: (AxisPanel,),
    View.MELODIES: (MelodiesPanel,),
    View.MADE: (MadePanel,),
}

SOURCES = {
    "Text to vector, one thread for all: Embedder.embed": ("lab.embeddings.model", "Embedder.embed"),
    "Cosine similarity: cosine_similarity": ("lab.embeddings.geometry", "cosine_similarity"),
    "PCA: pca": ("lab.embeddings.geometry", "pca"),
    "t-SNE: tsne": ("lab.embeddings.geometry", "tsne"),
    "How well categories are told apart: group": ("lab.embeddings.grouping", "group"),
    "Word overlap: tf_idf": ("lab.embeddings.grouping", "tf_idf"),
    "Odd one out: odd_one_out": ("lab.embeddings.geometry", "odd_one_out"),
    "Analogy: analogy": ("lab.embeddings.geometry", "analogy"),
    "A melody's embedding: mean_hidden_states": ("lab.embeddings.tunes", "mean_hidden_states"),
    "An axis between two poles: axis_between": ("lab.embeddings.geometry", "axis_between"),
}


def build(services: Services) -> Page:
    """Build the tab inside the Blocks under construction."""
    return _EmbeddingsPage(services).page


def warm(services: Services) -> None:
    """Draw the first map, which needs no model; then load the model and what else is slow only the first time."""
    try:
        concept_figure(draw_map(services.embedder, [one.slug for one in load_lists()]))
        services.embedder.load()
        services.embedder.embed(["warm"])
        import sklearn.cluster
        import sklearn.feature_extraction.text
        import sklearn.manifold
        import sklearn.metrics  # noqa: F401
    except (VisitorError, OSError, ValueError) as error:
        log.warning("the embeddings tab is not warm: %s", error)


class _EmbeddingsPage:
    def __init__(self, services: Services) -> None:
        self._services = services
        gr.HTML(INTRODUCTION)
        view = gr.State(View.MAP.value)
        components: dict[str, Any] = {"view": view}
        tabs: dict[View, gr.Tab] = {}
        self._panels: list[tuple[View, Tool]] = []
        with gr.Tabs(elem_id="sd-embeddings-tools", overflow_behavior="wrap") as self._tools:
            for name, kinds in PANELS.items():
                with gr.Tab(VIEW_TITLES[name], id=name.value) as tabs[name]:
                    self._panels += [(name, kind(services)) for kind in kinds]
        for _, panel in self._panels:
            components |= panel.controls
        components["model"] = gr.Dropdown(
            [(title, name) for name, title in services.embedder.choices.items()],
            value=BUILT_IN,
            label="Sentence model",
            min_width=260,
        )
        self._model_status = gr.HTML("", visible=False)
        self._controls = Controls(components)
        for _, panel in self._panels:
            panel.wire(self._controls)
        with gr.Row(elem_classes="sd-actions"):
            link_controls("embeddings", self._query, self._controls.all)
        add_sources(SOURCES)
        add_api(services)
        services.warm_ups.append(lambda: warm(services))
        for name, tab in tabs.items():
            tab.select(lambda name=name: name.value, None, view, queue=False, **PRIVATE)
        # Selecting is what Gradio reports when a tab is first seen, too: so the first look draws the map.
        for name, panel in self._panels:
            tabs[name].select(**panel.at_first_sight)
        chosen = [components["model"], self._model_status]
        components["model"].input(
            self._choose_model, components["model"], chosen, trigger_mode="always_last", **PRIVATE
        )
        self._auto_run, self._link_notes = gr.State(""), gr.State(())
        outputs = [*self._controls.all, self._tools, self._auto_run, self._link_notes]
        self.page = Page(outputs, self._restore, self._after_restore)

    def _query(self, *values: Any) -> str:
        return self._controls.settings(*values)[0].to_query()

    def _choose_model(self, name: str) -> Iterator[list[Any]]:
        """Load a model when it is chosen, so that a visitor learns at once whether it can be had."""
        try:
            for news in wait_for(
                lambda tell: self._services.embedder.load(name, tell),
                "Getting the model ready …",
                VisitorError("The model could not be loaded."),
            ):
                told = READY if isinstance(news, Ready) else news
                yield [gr.skip(), gr.update(value=message(told), visible=True)]
        except VisitorError as error:
            yield [BUILT_IN, gr.update(value=message(str(error), alert=True), visible=True)]

    def _restore(self, query: Mapping[str, str]) -> Sequence[Any]:
        if "tab" not in query and not EmbeddingSettings.names_any(query):  # such as ?__theme=dark
            return [gr.skip()] * (len(self._controls.all) + 3)
        settings, notes = fitting(*EmbeddingSettings.lenient(query))
        view = settings.view.value
        return [*self._controls.updates(settings), gr.Tabs(selected=view), view, tuple(notes)]

    def _after_restore(self, restored: Any) -> None:
        """After a link has filled the controls, run what it asks for."""
        for view, panel in self._panels:
            run = only_if(view, panel.run, len(panel.outputs))
            restored.then(run, [self._auto_run, self._link_notes, *panel.inputs], panel.outputs, **PRIVATE)
