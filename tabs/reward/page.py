"""The layout of the Reward model tab, and how its parts hang together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from lab.preferences.learning import Learner
from lab.preferences.settings import RewardSettings, View
from tabs.page import PRIVATE, Page, Services, link_controls, only_if
from tabs.reward.learns import add_learns
from tabs.reward.mine import MinePanel
from tabs.reward.rank import RankPanel
from tabs.reward.shared import Controls, Shared
from tabs.sources import add_sources

INTRODUCTION = """
<div class="sd-why">
<p><b class="sd-frozen">Frozen</b> The language model that writes, and the sentence encoder that reads: 22.7 million
weights that turn a text into 384 numbers.</p>
<p><b class="sd-changed">Changed</b> 384 numbers: how much each of those counts for the reward. They are all that is
learned from rankings.</p>
<p><b>Why</b> Nobody can write down what makes a text good, but everybody can say which of two is better. A reward model
turns such choices into a score that a machine can seek, and overdo.</p>
</div>
"""

VIEW_TITLES = {
    View.RANK: "Rank",
    View.TRAIN: "Train",
    View.SCORE: "Score",
    View.BEST_OF_N: "Best of n",
    View.LEASH: "The leash",
    View.BREAK: "Break it",
}

SOURCES = {
    "Rankings become pairs: pairs_of": ("lab.preferences.pairs", "pairs_of"),
    "The Bradley-Terry loss: pair_loss": ("lab.preferences.bradley_terry", "pair_loss"),
    "Fitting the head: solve": ("lab.preferences.bradley_terry", "solve"),
}


def build(services: Services) -> Page:
    """Build the tab inside the Blocks under construction."""
    return _RewardPage(services).page


class _RewardPage:
    def __init__(self, services: Services) -> None:
        self._services = services
        gr.HTML(INTRODUCTION)
        shared = Shared(
            services,
            Learner(services.store, services.embedder),
            gr.Textbox("", visible=False, label="session"),
            services.class_code if services.class_code is not None else gr.Textbox("", visible=False),
            gr.State(()),
        )
        view = gr.State(View.RANK.value)
        components: dict[str, Any] = {"view": view} | add_learns()
        tabs: dict[View, gr.Tab] = {}
        with (
            gr.Tabs(elem_id="sd-reward-tools", overflow_behavior="wrap") as self._tools,
            gr.Tab(VIEW_TITLES[View.RANK], id=View.RANK.value) as tabs[View.RANK],
        ):
            self._rank = RankPanel(shared)
            components |= self._rank.controls
            mine = MinePanel(shared)
        self._controls = Controls(components)
        self._rank.wire(self._controls, components["source"], mine.changed)
        mine.wire()
        with gr.Row(elem_classes="sd-actions"):
            link_controls("reward", self._query, self._controls.all)
        add_sources(SOURCES)
        for name, tab in tabs.items():
            tab.select(lambda name=name: name.value, None, view, queue=False, **PRIVATE)
        self._mine = mine
        self._auto_run, self._link_notes = gr.State(""), gr.State(())
        outputs = [*self._controls.all, self._tools, self._auto_run, self._link_notes]
        self.page = Page(outputs, self._restore, self._after_restore)

    def _query(self, *values: Any) -> str:
        return self._controls.settings(*values)[0].to_query()

    def _restore(self, query: Mapping[str, str]) -> Sequence[Any]:
        if "tab" not in query and not RewardSettings.names_any(query):  # such as ?__theme=dark
            return [gr.skip()] * (len(self._controls.all) + 3)
        settings, notes = RewardSettings.lenient(query)
        view = settings.view.value
        return [*self._controls.updates(settings), gr.Tabs(selected=view), view, tuple(notes)]

    def _after_restore(self, restored: Any) -> None:
        """After a link has filled the controls, run what it asks for."""
        self._rank.restore(restored, self._mine.changed)
        run = only_if(View.RANK.value, self._rank.run, len(self._rank.outputs))
        restored.then(run, [self._auto_run, self._link_notes, *self._rank.inputs], self._rank.outputs, **PRIVATE)
