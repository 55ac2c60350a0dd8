"""The layout of the Reward model tab, and how its parts hang together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from lab.preferences.learning import Learner
from lab.preferences.settings import RewardSettings, View
from tabs.asking import add_examples
from tabs.page import PRIVATE, Page, Services, link_controls, only_if
from tabs.reward import best_of_n, leash
from tabs.reward.api import add_api
from tabs.reward.best_of_n import BestOfNPanel
from tabs.reward.break_it import BreakPanel
from tabs.reward.examples import EXAMPLES
from tabs.reward.learns import add_learns, warm
from tabs.reward.leash import LeashPanel
from tabs.reward.mine import MinePanel
from tabs.reward.panels import at_first_sight
from tabs.reward.rank import RankPanel
from tabs.reward.score import ScorePanel
from tabs.reward.shared import Controls, Shared
from tabs.reward.train import TrainPanel
from tabs.sources import add_sources
from tabs.visitor import session_box

INTRODUCTION = """
<div class="sd-why">
<p><b class="sd-frozen">Frozen</b> The language model that writes, and the sentence encoder that reads: 22.7 million
weights that turn a text into 384 numbers for what it says, and 384 for the words it is made of.</p>
<p><b class="sd-changed">Changed</b> 768 weights: how much each of those numbers counts for the reward. They are all
that is learned from rankings. (384, if the head sees one of the two alone.)</p>
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
PANELS = {
    View.RANK: RankPanel,
    View.TRAIN: TrainPanel,
    View.SCORE: ScorePanel,
    View.BEST_OF_N: BestOfNPanel,
    View.LEASH: LeashPanel,
    View.BREAK: BreakPanel,
}

# What these tools open on, unless the visitor has chosen or trained something before.
FIRST_SEEN = {View.BEST_OF_N: best_of_n.STORIES[0][1], View.LEASH: leash.STORIES[0][1]}

SOURCES = {
    "Rankings become pairs: pairs_of": ("lab.preferences.pairs", "pairs_of"),
    "The Bradley-Terry loss: pair_loss": ("lab.preferences.bradley_terry", "pair_loss"),
    "Fitting the head: solve": ("lab.preferences.bradley_terry", "solve"),
    "Best of n: best_of_n": ("lab.preferences.best_of_n", "best_of_n"),
    "The KL-regularised choice: leash": ("lab.preferences.leash", "leash"),
    "The attack: attack": ("lab.preferences.attack", "attack"),
    "Agreement: krippendorff_alpha": ("lab.preferences.agreement", "krippendorff_alpha"),
}


def build(services: Services) -> Page:
    """Build the tab inside the Blocks under construction."""
    return _RewardPage(services).page


class _RewardPage:
    def __init__(self, services: Services) -> None:
        gr.HTML(INTRODUCTION)
        shared = Shared(
            services,
            Learner(services.store, services.embedder),
            session_box(services),
            services.class_code if services.class_code is not None else gr.Textbox("", visible=False),
            gr.State(()),
        )
        self._example_buttons = add_examples(EXAMPLES)
        self._view = gr.State(View.RANK.value)
        self._learns_box, learns = add_learns()
        components: dict[str, Any] = {"view": self._view} | learns
        self._panels: dict[View, Any] = {}
        tabs: dict[View, gr.Tab] = {}
        with gr.Tabs(elem_id="sd-reward-tools", overflow_behavior="wrap") as self._tools:
            for view, panel in PANELS.items():
                with gr.Tab(VIEW_TITLES[view], id=view.value) as tabs[view]:
                    self._panels[view] = panel(shared)
                    components |= self._panels[view].controls
                    if view is View.RANK:
                        self._mine = MinePanel(shared)
        self._controls = Controls(components)
        self._auto_run, self._link_notes = gr.State(""), gr.State(())
        rank, score, breaking = (self._panels[view] for view in (View.RANK, View.SCORE, View.BREAK))
        rank.wire(self._controls, components["source"], self._mine.changed)
        for view, panel in self._panels.items():
            if view is not View.RANK:
                panel.wire(self._controls)
        self._mine.wire()
        with gr.Row(elem_classes="sd-actions"):
            link_controls("reward", self._query, self._controls.all)
        add_sources(SOURCES)
        add_api(shared)
        services.warm_ups.append(lambda: warm(shared.learner))
        for view, tab in tabs.items():
            tab.select(
                lambda view=view: self._opened(view), None, [self._view, self._learns_box], queue=False, **PRIVATE
            )
        tabs[View.SCORE].select(score.offer, shared.session, score.ranking, **PRIVATE)
        tabs[View.BREAK].select(**breaking.show_board, **PRIVATE)
        for view, story in FIRST_SEEN.items():
            at_first_sight(
                tabs[view],
                self._controls,
                self._panels[view],
                view,
                story,
                self._auto_run,
                self._panels[View.TRAIN].board,
            )
        self._wire_examples()
        outputs = [*self._controls.all, self._tools, self._learns_box, self._auto_run, self._link_notes]
        self.page = Page(outputs, self._restore, self._after_restore)

    @staticmethod
    def _opened(view: View) -> list[Any]:
        """Return the open tool; where nothing learns, the controls of learning are out of the way."""
        return [view.value, gr.update(visible=view is not View.RANK)]

    def _query(self, *values: Any) -> str:
        return self._controls.settings(*values)[0].to_query()

    def _wire_examples(self) -> None:
        for button, settings in self._example_buttons:

            def fill(settings: RewardSettings = settings) -> list[Any]:
                shown = gr.update(visible=settings.view is not View.RANK)
                return [*self._controls.updates(settings), gr.Tabs(selected=settings.view.value), shown]

            outputs = [*self._controls.all, self._tools, self._learns_box]
            filled = button.click(fill, None, outputs, queue=False, **PRIVATE)
            panel = self._panels[settings.view]
            ran = filled.then(panel.run, panel.inputs, panel.outputs, **PRIVATE)
            if settings.view is View.BREAK:
                panel.after(ran)

    def _restore(self, query: Mapping[str, str]) -> Sequence[Any]:
        if "tab" not in query and not RewardSettings.names_any(query):  # such as ?__theme=dark
            return [gr.skip()] * (len(self._controls.all) + 4)
        settings, notes = RewardSettings.lenient(query)
        view = settings.view
        shown = gr.update(visible=view is not View.RANK)
        # A link to a tool without the text that it needs opens the tool, and there is nothing to complain about.
        idle = not notes and not {View.SCORE: settings.text, View.BREAK: settings.attempt}.get(view, "given").strip()
        run = "" if idle else view.value
        return [*self._controls.updates(settings), gr.Tabs(selected=view.value), shown, run, tuple(notes)]

    def _after_restore(self, restored: Any) -> None:
        """After a link has filled the controls, find the visitor's rankings and run what the link asks for."""
        found = self._panels[View.RANK].restore(restored, self._mine.changed)
        for view, panel in self._panels.items():
            run = only_if(view.value, panel.run, len(panel.outputs))
            ran = found.then(run, [self._auto_run, self._link_notes, *panel.inputs], panel.outputs, **PRIVATE)
            if view is View.BREAK:
                panel.after(ran)
