"""Compare the ways: what full fine-tuning, the last block, LoRA and prompt tuning train, cost, gain and forget."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import gradio as gr
from gradio.context import Context

from lab.errors import VisitorError
from lab.text.live_training import Phase
from lab.text.live_ways import WAYS, WaysSettings, WaysSnapshot, compare_ways, measured_rates, measured_ways
from lab.text.models import LanguageModel
from tabs.controls import slider
from tabs.loading import wait_for_model
from tabs.lora.render.ways import (
    COLUMNS,
    LIVE_COLUMNS,
    live_points,
    live_table,
    measured_points,
    state_of,
    ways_plot,
    ways_table,
    words_on,
)
from tabs.lora.stopping import Stop
from tabs.lora.texts import TextInput
from tabs.page import PRIVATE, Services
from tabs.rendering import message, notes_html
from tabs.runs import Runs

WIDTHS = ["200px", "130px", "100px", "130px", "110px", "110px", "150px", "150px"]
NO_WAY = "none"  # in a link and in settings
NOT_MEASURED = "The table of all ways is not here. `python -m training.adaptation_methods` makes it."
WORDS = (
    "**Full fine-tuning** moves every weight, **last block** those of the last one. **LoRA** puts thin matrices of "
    "rank r beside all of them and leaves them alone, **prompt tuning** learns a few vectors to stand before the text."
)
LIVE_WORDS = (
    "The same on your own text, with few steps. What is forgotten is measured on texts that the base writes by itself: "
    "how far the adapted model has moved away from what the base would say (KL divergence, nats per token)."
)


class WaysPanel:
    """The plot and table of all ways, and the controls to run some of them."""

    def __init__(self, services: Services) -> None:
        self._models = services.models
        table = measured_ways()
        gr.Markdown(WORDS)
        self._measured = gr.Plot(show_label=False, visible=False)
        if table is not None:
            gr.Dataframe(
                ways_table(table),
                headers=COLUMNS,
                column_widths=WIDTHS,
                interactive=False,
                wrap=True,
                label="All ways, same steps",
            )
            gr.Markdown(words_on(table))
        else:
            gr.Markdown(NOT_MEASURED)
        with gr.Accordion("On your own text", open=False) as self._live:
            gr.Markdown(LIVE_WORDS)
            with gr.Row():
                with gr.Column(scale=3, min_width=300):
                    self._text = TextInput(6, "sd-lora-ways-text")
                with gr.Column(scale=2, min_width=260):
                    self.components = {
                        "ways": gr.CheckboxGroup(
                            [(way.title, name) for name, way in WAYS.items()],
                            value=[way.name for way in WaysSettings().chosen],
                            label="Ways",
                        ),
                        "way_steps": slider(WaysSettings, "way_steps", "steps of each"),
                    }
            with gr.Row(elem_classes="sd-actions"):
                self._start = gr.Button("Compare", variant="primary", min_width=120, scale=0)
                self._stop = gr.Button("Stop", min_width=90, scale=0)
                self._status = gr.HTML("", elem_classes="sd-status", elem_id="sd-lora-comparing")
            self._plot = gr.Plot(show_label=False, visible=False)
            self._table = gr.Dataframe(
                headers=LIVE_COLUMNS,
                column_widths=WIDTHS[: len(LIVE_COLUMNS)],
                interactive=False,
                wrap=True,
                visible=False,
                label="On your text",
            )
        self._runs, self._wish = gr.State(Runs()), gr.State(Stop())
        if isinstance(tab := Context.block, gr.Tab):
            tab.select(self.run, None, self.outputs, **PRIVATE)  # plotly is not there yet when the page is built

    @property
    def outputs(self) -> list[Any]:
        """Components that :meth:`run` sets."""
        return [self._measured, self._status]

    @property
    def restored(self) -> list[Any]:
        """Components that a link fills in."""
        return [*self.components.values(), self._live]

    def wire(self, controls: Any) -> None:
        """Connect everything; of the page's controls the choice of the model is used."""
        self.inputs: list[Any] = []
        model = controls.simple["model"]
        inputs = [self._text.text, model, *self.components.values(), self._runs, self._wish]
        self._start.click(self.start, inputs, [self._status, self._plot, self._table], **PRIVATE)
        self._stop.click(lambda wish: wish.wish(), self._wish, None, queue=False, **PRIVATE)
        self._text.wire(self._status)

    def run(self, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Draw what was measured beforehand. Nobody's link starts a training."""
        table = measured_ways()
        figure = gr.skip() if table is None else gr.update(value=ways_plot(measured_points(table)), visible=True)
        yield [figure, notes_html(notes)]

    def query(self, ways: Sequence[str], steps: Any) -> str:
        """Return what a link says of the controls: nothing where they are as they were at first."""
        return urlencode(_settings(ways, steps)[0].model_dump(exclude_defaults=True))

    def restore(self, query: Mapping[str, str]) -> tuple[list[Any], list[str]]:
        """Return what a link says of ``restored``, nothing new where it says nothing, and notes."""
        named = {name: query[name] for name in self.components if name in query}
        if not named:
            return [gr.skip()] * len(self.restored), []
        settings, notes = WaysSettings.lenient(named)
        unknown = [name for name in settings.ways.split(",") if name.strip() not in {*WAYS, NO_WAY, ""}]
        if unknown:
            notes.append(f"ways: there is no way {unknown[0][:40]!r}; the ways are {', '.join(WAYS)}.")
        chosen = [way.name for way in settings.chosen]
        return [chosen if chosen or not unknown else gr.skip(), settings.way_steps, gr.update(open=True)], notes

    def start(self, *values: Any) -> Iterator[list[Any]]:
        """Train in the chosen ways, and show what each gave."""
        text, name, ways, steps, runs, wish = values
        settings, notes = _settings(ways, steps)
        yield from runs.follow(self._compare(text, name, settings, notes, wish.anew()))

    def _compare(
        self, text: str, name: str, settings: WaysSettings, notes: Sequence[str], stop: threading.Event
    ) -> Iterator[list[Any]]:
        keep = [gr.skip()] * 2
        try:
            model = None
            for news in wait_for_model(self._models, name):
                if isinstance(news, LanguageModel):
                    model = news
                else:
                    yield [message(news), *keep]
            yield [message("Reading the text …"), *keep]
            shown = 0
            for now in compare_ways(model, text, settings, stop, learning_rates=measured_rates(model.name)):
                figures = keep
                if len(now.results) != shown:
                    shown = len(now.results)
                    figures = _figures(now)
                yield [state_of(now) + (notes_html(notes) if now.phase is Phase.DONE else ""), *figures]
        except VisitorError as error:
            yield [message(str(error), alert=True) + notes_html(notes), *keep]


def _settings(ways: Sequence[str], steps: Any) -> tuple[WaysSettings, list[str]]:
    chosen = [name for name in WAYS if name in (ways or ())]  # in their order, whatever was ticked first
    return WaysSettings.lenient({"ways": ",".join(chosen) or NO_WAY, "way_steps": steps})


def _figures(now: WaysSnapshot) -> list[Any]:
    return [
        gr.update(value=ways_plot(live_points(now.results)), visible=True),
        gr.update(value=live_table(now.results), visible=True),
    ]
