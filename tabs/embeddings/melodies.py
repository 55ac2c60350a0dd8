"""Melodies: the folk-song model's own embedding of tunes, layer by layer; a click on a point makes it heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from lab.embeddings.settings import EmbeddingSettings, Method
from lab.embeddings.tunes import TuneMap, load_tune_map, tune_facts
from lab.errors import VisitorError
from lab.music.performance import Manner, perform
from tabs.embeddings.controls import Controls
from tabs.embeddings.render.tunes import (
    LAYER_COLUMNS,
    TUNE_COLUMNS,
    kind_title,
    layer_table,
    layer_title,
    told_layers,
    tune_choices,
    tune_figure,
    tune_table,
)
from tabs.embeddings.tool import Outcome, Tool
from tabs.melodies.cards import card, verdict
from tabs.melodies.render.cards import PLAYER_JS, cards, empty_cards
from tabs.page import PRIVATE, Services
from tabs.waiting import Tell

WORDS = (
    "A melody has an embedding, too: the mean hidden state of the **folk-song transformer** over its notes. That model "
    "is frozen here, and it never saw a chorale. Does it lay them apart all the same, and at which layer? "
    "**Click a point**, or choose a tune below, to hear and see it."
)
# Gradio draws a plot anew when it changes, which takes away who listens to it.
CLICK_JS = """
const panel = element.closest('.sd-embeddings-tunes');
const picked = ({points: [point]}) => {
    if (Number.isInteger(point?.customdata)) trigger('pick', {tune: point.customdata});
};
const listen = () => {
    const plot = panel?.querySelector('.js-plotly-plot');
    if (!plot?.on) return;
    plot.removeListener('plotly_click', picked);
    plot.on('plotly_click', picked);
};
if (panel) new MutationObserver(listen).observe(panel, {childList: true, subtree: true});
listen();
"""


@dataclass(frozen=True)
class Shown:
    """What is on the page: the map, a layer of it, and a tune."""

    found: TuneMap
    layer: int
    method: Method
    tune: int


class MelodiesPanel(Tool):
    """The map of tunes, what its layers tell apart, and the chosen tune."""

    redraws = ("layer", "melody_method", "tune")
    words = "Drawing …"

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        points, layers = tune_facts()
        default = EmbeddingSettings.default
        gr.Markdown(WORDS)
        with gr.Row():
            self.controls["layer"] = gr.Radio(
                [(layer_title(n), n) for n in range(layers)],
                value=min(default("layer"), layers - 1),
                label="Layer",
                min_width=320,
            )
            self.controls["melody_method"] = gr.Radio(
                [("PCA", str(Method.PCA)), ("t-SNE", str(Method.TSNE))],
                value=str(default("melody_method")),
                label="Projection of the tunes",
                min_width=160,
            )
        self.controls["tune"] = gr.Dropdown(tune_choices(points), value=default("tune"), label="Tune to hear and see")
        self.add_actions("Draw the tunes")
        with gr.Row(elem_classes="sd-embeddings-tunes"):
            with gr.Column(scale=3, min_width=320):
                plot = gr.Plot(label="Melodies", show_label=False)
            with gr.Column(scale=2, min_width=320):
                self._board = gr.HTML(
                    empty_cards("Choose a tune."), js_on_load=PLAYER_JS + CLICK_JS, elem_id="sd-embeddings-tune"
                )
        told = gr.Markdown("", sanitize_html=True)
        by_layer = gr.Dataframe(
            headers=LAYER_COLUMNS,
            label="Folk songs against chorales, layer by layer",
            interactive=False,
            wrap=True,
            show_search="none",
        )
        with gr.Accordion("All tunes as a table: choose one to hear it", open=False):
            self._table = gr.Dataframe(
                headers=TUNE_COLUMNS, label="Tunes", interactive=False, max_height=420, wrap=True
            )
        self.results = [plot, self._board, told, by_layer, self._table]

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, the points and the rows, once all controls exist."""
        super().wire(controls)
        tune = self.controls["tune"]
        self._board.pick(self._clicked, None, tune, queue=False, **PRIVATE).then(**self.running)
        # "multiple", not "always_last", which would repeat a row that had to wait with the data of the one before it.
        chosen = self._table.select(self._row_chosen, None, tune, trigger_mode="multiple", queue=False, **PRIVATE)
        chosen.then(**self.running)

    @staticmethod
    def _clicked(event: gr.EventData) -> Any:
        try:
            return _known(int(event.tune))
        except (AttributeError, TypeError, ValueError, OverflowError):
            return gr.skip()

    @staticmethod
    def _row_chosen(event: gr.SelectData) -> Any:
        try:
            return _known(int(event.row_value[0]))
        except (AttributeError, TypeError, ValueError, IndexError):
            return gr.skip()

    def compute(self, settings: EmbeddingSettings, tell: Tell) -> Outcome:
        """Return what is to be shown."""
        try:
            found = load_tune_map()
        except (OSError, ValueError, KeyError) as error:
            raise VisitorError("The map of melodies is not here. It is made by training/melody_map.py.") from error
        layer = min(settings.layer, len(found.layers) - 1)
        tune = min(settings.tune, len(found.points) - 1)
        return Outcome(Shown(found, layer, settings.melody_method, tune))

    def show(self, found: Shown) -> tuple[str, list[Any]]:
        """Return the map, the tune's card, figures and tables."""
        return f"{len(found.found.points)} tunes.", [
            tune_figure(found.found, found.layer, found.method, found.tune),
            tune_card(found),
            told_layers(found.found, found.layer),
            layer_table(found.found),
            tune_table(found.found, found.layer, found.method),
        ]


def tune_card(shown: Shown) -> str:
    """Return the chosen tune to hear and see."""
    point = shown.found.points[shown.tune]
    other, cosine = shown.found.nearest(shown.tune, shown.layer)
    try:
        melody = point.melody
    except LookupError as error:
        raise VisitorError("This tune is no longer in its collection. Please choose another.") from error
    near = shown.found.points[other]
    facts = [
        ("Nearest tune here", f"{near.title} ({kind_title(near.kind)}), cosine {cosine:.2f}"),
        ("Sounds like Bach", verdict(melody)),
    ]
    role = "real" if point.is_real else "frozen" if point.kind == "machine-folk" else "changed"
    performance = perform(melody, Manner(), title=point.title, prefix="e")
    shown_card = card(performance, key="e", title=point.title, role=role, subtitle=kind_title(point.kind), facts=facts)
    return cards([shown_card])


def _known(number: int) -> Any:
    return number if 0 <= number < len(tune_facts()[0]) else gr.skip()
