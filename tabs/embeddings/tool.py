"""What the tools of the tab have in common: buttons, a status, results, a run in the background that can be stopped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import gradio as gr

from lab.embeddings import BUILT_IN
from lab.embeddings.settings import EmbeddingSettings
from lab.errors import VisitorError
from tabs.embeddings.controls import Controls
from tabs.page import PRIVATE, Services
from tabs.rendering import message, notes_html
from tabs.runs import Runs
from tabs.waiting import Ready, Tell, wait_for

FAILED = "This could not be computed. What was here before stays."


@dataclass(frozen=True)
class Outcome:
    """What a tool computed, and notes for the visitor."""

    found: Any
    notes: Sequence[str] = ()


class Tool(ABC):
    """A tool of the tab. Subclasses add their controls, ``add_actions``, their ``results``, in this order.

    Attributes:
        controls: by the name of their setting.
        results: components that a run sets, beside the status.
        redraws: names of controls at whose change the tool runs again.
        words: on what is going on, until the run itself tells something.
        sees_anew: whether it runs whenever its tab is opened, not only the first time.
    """

    redraws: ClassVar[Sequence[str]] = ()
    words: ClassVar[str] = "Embedding …"
    sees_anew: ClassVar[bool] = False

    def __init__(self, services: Services) -> None:
        self.services = services
        self.controls: dict[str, Any] = {}
        self.results: list[Any] = []

    @abstractmethod
    def compute(self, settings: EmbeddingSettings, tell: Tell) -> Outcome:
        """Return what the settings ask for. Raises VisitorError on bad input."""

    @abstractmethod
    def show(self, found: Any) -> tuple[str, list[Any]]:
        """Return a line for the status, and the values of ``results``."""

    def add_actions(self, title: str) -> None:
        """Add the buttons and the status."""
        with gr.Row(elem_classes="sd-actions"):
            self.button = gr.Button(title, variant="primary", min_width=140, scale=0)
            self._stop = gr.Button("Stop", min_width=80, scale=0)
            self._status = gr.HTML("", elem_classes="sd-status")
        self._runs, self._seen = gr.State(Runs()), gr.State(False)

    @property
    def outputs(self) -> list[Any]:
        """Components that a run sets, the status first."""
        return [self._status, self._seen, *self.results]

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, once all controls exist."""
        self._controls = controls
        self.inputs = [*controls.all, self._runs]
        self.running = {"fn": self.run, "inputs": self.inputs, "outputs": self.outputs, **PRIVATE}
        self.button.click(**self.running, trigger_mode="multiple")
        self.at_first_sight = {**self.running, "fn": self._first, "inputs": [self._seen, *self.inputs]}
        for name in self.redraws:
            self.controls[name].input(**self.running, trigger_mode="always_last")
        self._stop.click(lambda runs: runs.stop(), self._runs, None, queue=False, **PRIVATE)

    def run(self, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Yield what the tool finds; on bad input a message, and what is shown stays.

        Args:
            values: of all controls, and the runs.
            notes: on the link that asked for it.
        """
        *values, runs = values
        settings, more = self._controls.settings(*values)
        keep = [gr.skip()] * (len(self.outputs) - 1)
        yield from runs.follow(self._updates(settings, [*notes, *more]), lambda update: [message("Stopped."), *keep])

    def _first(self, seen: bool, *values: Any) -> Iterator[list[Any]]:
        """Run when the tool is first seen, so that no visitor finds it empty."""
        if seen and not self.sees_anew:
            yield [gr.skip()] * len(self.outputs)
        else:
            yield from self.run(*values)

    def _updates(self, settings: EmbeddingSettings, notes: Sequence[str]) -> Generator[list[Any], None, None]:
        keep = [gr.skip()] * (len(self.outputs) - 1)
        try:
            for news in wait_for(lambda tell: self._work(settings, tell), self.words, VisitorError(FAILED)):
                if isinstance(news, Ready):
                    (told, values), more = news.value
                    yield [message(told) + notes_html([*notes, *more]), True, *values]
                else:
                    yield [message(news), *keep]
        except VisitorError as error:
            yield [message(str(error), alert=True) + notes_html(notes), *keep]

    def _work(self, settings: EmbeddingSettings, tell: Tell) -> tuple[tuple[str, list[Any]], Sequence[str]]:
        outcome = self.compute(settings, tell)
        return self.show(outcome.found), outcome.notes


def model_of(settings: EmbeddingSettings) -> str:
    """Return the name of the sentence model that the settings ask for."""
    return settings.model or BUILT_IN
