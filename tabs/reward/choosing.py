"""What Best of n and The leash have in common: a reward model may choose, and the true rule looks on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import gradio as gr

from lab.preferences.choosing import Choice, Held
from lab.preferences.learning import Learnt
from lab.preferences.settings import RewardSettings, View
from tabs.asking import add_examples
from tabs.page import PRIVATE
from tabs.rendering import notes_html
from tabs.reward.panels import LEARNS, add_plot, follow, show_when_ready, wire_stories
from tabs.reward.shared import Controls, Shared
from tabs.runs import Runs

Found = TypeVar("Found", Choice, Held)


class ChoosingPanel(ABC, Generic[Found]):
    """Stories, controls and a button; below, what was found on a board, its plot and table, and what a tool adds.

    Attributes:
        slug: in the ids of the page, ``sd-reward-<slug>-go`` and ``-board``.
        verb: what the button says.
        empty: what the board shows before the first run, HTML.
        plotted: what is said of the plot, Markdown.
        columns: headers of the table beside it.
        stories: title and settings of each example to click.
    """

    view: ClassVar[View]
    slug: ClassVar[str]
    introduction: ClassVar[str]
    verb: ClassVar[str]
    empty: ClassVar[str]
    plotted: ClassVar[str]
    columns: ClassVar[Sequence[str]]
    stories: ClassVar[Sequence[tuple[str, Mapping[str, Any]]]]

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        gr.Markdown(self.introduction)
        self._stories = add_examples(self.stories)
        with gr.Row():
            self.controls = self.add_controls()
        with gr.Row(elem_classes="sd-actions"):
            self.button = gr.Button(
                self.verb, variant="primary", min_width=120, scale=0, elem_id=f"sd-reward-{self.slug}-go"
            )
            self._status = gr.HTML("", elem_classes="sd-status")
        self.board = gr.HTML(self.empty, elem_id=f"sd-reward-{self.slug}-board")
        self._runs = gr.State(Runs())
        # In the page from the start: what is sent to parts that are only being made gets lost.
        with gr.Column(visible="hidden") as self._details:
            self._parts = [*add_plot(self.plotted, self.columns, "Expectations"), *self.add_parts()]

    @abstractmethod
    def add_controls(self) -> dict[str, Any]:
        """Add the tool's own controls; return them by the name of their setting."""

    @abstractmethod
    def add_parts(self) -> list[Any]:
        """Add what stands below the plot and its table."""

    @abstractmethod
    def find(self, learnt: Learnt, settings: RewardSettings) -> Found:
        """Let the reward model choose. Raises what :mod:`lab.preferences.choosing` does."""

    @abstractmethod
    def show(self, found: Found) -> tuple[str, str, list[Any]]:
        """Return the status and the board, as HTML, and values of plot, table and the parts below them."""

    def remarks(self, found: Found, settings: RewardSettings) -> list[str]:
        """Return what is to be noted of what was found."""
        return []

    @property
    def outputs(self) -> list[Any]:
        """Components that a run sets."""
        return [self._status, self.board, self._details, *self._parts]

    def wire(self, controls: Controls) -> None:
        """Connect button, sliders and stories."""
        self._controls = controls
        self.inputs = [*controls.all, *self._shared.inputs, self._runs]
        self.button.click(self.run, self.inputs, self.outputs, trigger_mode="multiple", **PRIVATE)
        follow(controls, self, self.view, [*LEARNS, *self.controls])
        wire_stories(self._stories, controls, self, self.view)

    def run(self, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Show what comes of the reward model's choice."""
        *values, session, class_code, added, runs = values
        settings, more = self._controls.settings(*values)
        told = [*notes, *more]

        def work() -> Found:
            return self.find(self._shared.learn(settings, session, class_code, added), settings)

        def shown(found: Found) -> list[Any]:
            status, board, parts = self.show(found)
            said = [*told, *self.remarks(found, settings), *found.learnt.notes]
            return [status + notes_html(said), board, gr.update(visible=True), *parts]

        yield from runs.follow(show_when_ready(work, shown, len(self.outputs), told))
