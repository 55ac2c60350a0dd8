"""Train your own: a text, a few numbers, and an adapter that grows while one looks on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from lab.errors import VisitorError
from lab.text.live_training import LiveSettings, Phase, Snapshot, estimate, train
from lab.text.models import LanguageModel
from lab.text.tuning_settings import Targets
from tabs.controls import slider
from tabs.loading import wait_for_model
from tabs.lora.own import OwnPanel, session_of
from tabs.lora.render.train import (
    LOSS_COLUMNS,
    duration,
    loss_plot,
    loss_table,
    samples_html,
    state_of,
)
from tabs.lora.stopping import Stop
from tabs.lora.texts import TextInput
from tabs.page import PRIVATE, Services, link_controls
from tabs.rendering import message, notes_html
from tabs.runs import Runs

TARGET_TITLES = {
    Targets.ALL: "all four matrices of a block",
    Targets.ATTENTION: "attention",
    Targets.MLP: "MLP",
    Targets.INPUTS: "first of attention and MLP",
    Targets.QUERY_KEY_VALUE: "query, key, value",
}
WORDS = (
    "Paste a text, or upload one: plain text up to 1 MB, at least a page, better a chapter. A tenth of it is held out "
    "to measure by. It is used for this training and kept nowhere."
)
LONGEST_TITLE, LONGEST_PROMPT = 40, 300
NAMES = ("rank", "alpha", "targets", "steps", "learning_rate")
ESTIMATED_TOKENS = 20_000  # of the text; how long it takes hardly depends on it


class TrainPanel:
    """The controls, the progress and the results of a visitor's own training.

    ``own`` holds the visitor's adapters, names in the engine and titles; ``components`` the controls by setting.
    """

    def __init__(self, services: Services) -> None:
        self._models = services.models
        gr.Markdown(WORDS)
        with gr.Row():
            with gr.Column(scale=3, min_width=300):
                self._text = TextInput(14, "sd-lora-text")
            with gr.Column(scale=2, min_width=260):
                self._title = gr.Textbox("My adapter", label="Title", max_lines=1)
                self._prompt = gr.Textbox("The night was", label="Samples go on from", max_lines=1)
                self.components = _add_numbers()
        with gr.Row(elem_classes="sd-actions"):
            self._start = gr.Button("Train", variant="primary", min_width=120, scale=0)
            self._stop = gr.Button("Stop, keep the best", min_width=150, scale=0)
            self._status = gr.HTML("", elem_classes="sd-status", elem_id="sd-lora-training")
        with gr.Row():
            with gr.Column(min_width=300, visible=False) as self._losses:
                self._plot = gr.Plot(show_label=False)
                with gr.Accordion("The same as a table", open=False):
                    self._table = gr.Dataframe(headers=LOSS_COLUMNS, interactive=False, label="Losses, nats per token")
            with gr.Column(min_width=300):
                self._samples = gr.HTML(samples_html(None, ""), elem_id="sd-lora-samples")
        self._runs, self._wish = gr.State(Runs()), gr.State(Stop())
        self._own = OwnPanel(services)
        self.own = self._own.state

    @property
    def outputs(self) -> list[Any]:
        """Components that :meth:`run` sets."""
        return [self._status]

    @property
    def restored(self) -> list[Any]:
        """Components that a link fills in."""
        return list(self.components.values())

    def wire(self, controls: Any) -> None:
        """Connect everything; of the page's controls the choice of the model is used."""
        model = controls.simple["model"]
        self._own.wire(model)
        numbers = list(self.components.values())
        self.inputs = [model, *numbers]
        inputs = [self._text.text, self._title, self._prompt, *self.inputs, self._runs, self._wish]
        shown = [self._status, self._losses, self._plot, self._table, self._samples, *self._own.outputs]
        self._start.click(self.start, inputs, shown, **PRIVATE)
        self._stop.click(lambda wish: wish.wish(), self._wish, None, queue=False, **PRIVATE)
        for component in numbers:
            component.input(self.run, self.inputs, self.outputs, trigger_mode="always_last", **PRIVATE)
        self._text.wire(self._status, self._title)
        with gr.Row(elem_classes="sd-actions"):
            link_controls("lora", self._query, self.inputs)

    def restore(self, query: Mapping[str, str]) -> tuple[list[Any], list[str]]:
        """Return what a link says about the numbers of a training, nothing new where it says nothing, and notes."""
        if not any(name in query for name in NAMES):
            return [gr.skip()] * len(self.components), []
        settings, notes = LiveSettings.lenient({name: query[name] for name in NAMES if name in query})
        return [_shown(settings, name) for name in self.components], notes

    def run(self, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Say how long a training would take. Nobody's link starts one."""
        name, *numbers = values
        settings, more = _settings(numbers)
        yield [self._estimate(name, settings) + notes_html([*notes, *more])]

    def start(self, request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        """Train, and show how it goes."""
        text, title, prompt, name, *numbers, runs, wish = values
        settings, notes = _settings(numbers)
        title = " ".join(str(title or "").split())[:LONGEST_TITLE] or "My adapter"
        prompt = str(prompt or "")[:LONGEST_PROMPT].strip()
        updates = self._train(session_of(request), text, title, prompt, name, settings, notes, wish.anew())
        yield from runs.follow(updates)

    def _train(
        self,
        session: str,
        text: str,
        title: str,
        prompt: str,
        name: str,
        settings: LiveSettings,
        notes: Sequence[str],
        stop: threading.Event,
    ) -> Iterator[list[Any]]:
        nothing = [gr.skip()] * len(self._own.outputs)
        keep = [gr.skip()] * 4 + nothing
        now: Snapshot | None = None
        try:
            model = None
            for news in wait_for_model(self._models, name):
                if isinstance(news, LanguageModel):
                    model = news
                else:
                    yield [message(news), *keep]
            yield [message("Reading the text …"), *keep]
            drawn = written = -1
            for now in train(model, text, settings, stop, prompt=prompt):
                update = [state_of(now) + notes_html(notes), *keep]
                if now.phase is Phase.TRAINING and now.step != drawn:
                    drawn = now.step
                    update[1:4] = _figures(now)
                if len(now.samples) != written:
                    written = len(now.samples)
                    update[4] = samples_html(now, prompt)
                if now.phase is Phase.DONE:
                    update[1:4] = _figures(now)
                    update[5:] = self._keep(session, model, now, title)
                yield update
        except VisitorError as error:
            yield [message(str(error), alert=True) + notes_html(notes), *keep]

    def _keep(self, session: str, model: LanguageModel, now: Snapshot, title: str) -> list[Any]:
        from lab.text.adapter_card import card

        self._own.add(session, model, now.adapter, title, card(now, model, title))
        return self._own.shown(session)

    def _estimate(self, name: str, settings: LiveSettings) -> str:
        name = name or self._models.default
        if not self._models.is_loaded(name):
            return message(f"{settings.steps} steps.")
        seconds = estimate(self._models.get(name), settings, ESTIMATED_TOKENS)
        return message(f"{settings.steps} steps: {duration(seconds)} on this machine once it is your turn.")

    def _query(self, name: str, *numbers: Any) -> str:
        settings = _settings(numbers)[0].model_dump(include=set(NAMES))
        model = "" if name in (None, "", self._models.default) else f"&{urlencode({'model': name})}"
        return f"view=train{model}&{LiveSettings(**settings).to_query()}"


def _add_numbers() -> dict[str, Any]:
    """Add what a training is asked to be."""
    default = LiveSettings.default
    found: dict[str, Any] = {}
    with gr.Row():
        found["rank"] = slider(LiveSettings, "rank", "rank r", min_width=120)
        found["alpha"] = slider(LiveSettings, "alpha", "alpha", step=0.5, min_width=120)
    with gr.Row():
        found["steps"] = slider(LiveSettings, "steps", "steps", min_width=120)
        # Without bounds of its own, beyond which Gradio would put up an error: the settings clamp it with a note.
        found["learning_rate"] = gr.Number(default("learning_rate"), label="learning_rate", min_width=120)
    found["targets"] = gr.Dropdown(
        [(words, str(target)) for target, words in TARGET_TITLES.items()],
        value=str(default("targets")),
        label="targets",
        min_width=160,
    )
    return {name: found[name] for name in NAMES}


def _settings(numbers: Sequence[Any]) -> tuple[LiveSettings, list[str]]:
    return LiveSettings.lenient(dict(zip(NAMES, numbers, strict=True)))


def _shown(settings: LiveSettings, name: str) -> Any:
    value = getattr(settings, name)
    return str(value) if name == "targets" else value


def _figures(now: Snapshot) -> list[Any]:
    return [gr.update(visible=True), loss_plot(now), loss_table(now)]
