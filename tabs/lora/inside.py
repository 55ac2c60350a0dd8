"""Inside: W and its low-rank change in a layer, what ranks cost, and two proofs to watch."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.lora_anatomy import Anatomy, anatomy, cost, part_costs
from lab.text.adapting import DEFAULT_LAYER, AdaptSettings
from lab.text.models import LanguageModel
from tabs.loading import run_with_model
from tabs.lora.controls import Controls
from tabs.lora.offers import Offers, loaded
from tabs.lora.render import anatomy as render
from tabs.page import PRIVATE, Services
from tabs.rendering import message, notes_html, plain_markdown
from tabs.runs import Runs, one_at_a_time
from tabs.waiting import Ready, wait_for

NOTHING = "Choose an adapter: its matrices are read from the model that serves this page."
NO_ADAPTERS = "There is no adapter for this model yet. Train one, and look into it here."
CHECK_TOKENS = 60  # of a prompt that the proofs read
WORDS = """
Beside each frozen matrix W stand two thin ones. Their product ΔW = s · A B is as large as W, but all its rows are mixes
of the few rows of B: its **rank** is at most r. The pictures show entries as they are, each with its own scale, and the
singular values count the rank: those of ΔW end after r, those of W go on to the last.
"""
COST_WORDS = "A full change of a layer has inputs × outputs numbers; A and B have r × (inputs + outputs)."
PROOF_WORDS = """
Both run here and now, on a copy of the model: **merging** adds ΔW to W, and the layer then costs what it did before;
and **PEFT**, the library that everybody uses, is asked to compute the same.
"""


class InsidePanel:
    """A layer taken apart, the calculator, the proofs."""

    def __init__(self, services: Services, offered: Offers) -> None:
        self._services = services
        gr.Markdown(WORDS)
        with gr.Row():
            choices = [(title, name) for name, title in offered]
            first = choices[0][1] if choices else None
            self.adapter = gr.Dropdown(choices, value=first, label="Adapter", min_width=180, elem_id="sd-lora-adapter")
            self.layer = gr.Dropdown([DEFAULT_LAYER], value=DEFAULT_LAYER, label="Layer", min_width=220)
        with gr.Row(elem_classes="sd-actions"):
            self._show = gr.Button("Look inside", variant="primary", min_width=130, scale=0)
            self._status = gr.HTML("", elem_classes="sd-status")
        self._summary = gr.Markdown(NOTHING, sanitize_html=True)
        with gr.Row():
            self._weight = gr.Plot(label="W", show_label=False, visible=False, min_width=300)
            self._change = gr.Plot(label="ΔW", show_label=False, visible=False, min_width=300)
        with gr.Row():
            self._spectrum = gr.Plot(label="Singular values", show_label=False, visible=False, min_width=320)
            self._values = gr.Dataframe(
                headers=render.SPECTRUM_COLUMNS,
                label="Singular values",
                visible=False,
                interactive=False,
                max_height=380,
                min_width=320,
                show_search="none",
            )
        with gr.Accordion("What a rank costs", open=True):
            gr.Markdown(COST_WORDS)
            with gr.Row():
                default = AdaptSettings.default
                self.inputs_of_layer, self.outputs_of_layer, self.rank = (
                    gr.Number(default(name), label=label, precision=0, min_width=110)
                    for name, label in (("calc_inputs", "Inputs"), ("calc_outputs", "Outputs"), ("calc_rank", "Rank r"))
                )
            example = cost(default("calc_inputs"), default("calc_outputs"), default("calc_rank"))
            self._cost = gr.Markdown(render.cost_words(example), sanitize_html=True)
            with gr.Row():
                self._cost_plot = gr.Plot(
                    label="Numbers over the rank", show_label=False, visible=False, min_width=300, scale=2
                )
                self._costs = gr.Dataframe(
                    headers=render.COST_COLUMNS,
                    label="The loaded model's own layers at this rank",
                    visible=False,
                    interactive=False,
                    min_width=320,
                    scale=3,
                    show_search="none",
                )
        with gr.Accordion("Proofs", open=True):
            gr.Markdown(PROOF_WORDS)
            with gr.Row(elem_classes="sd-actions"):
                self._merge = gr.Button("Merge and compare", min_width=150, scale=0)
                self._peft = gr.Button("Compare with PEFT", min_width=150, scale=0)
            self._merged = gr.HTML("", elem_classes="sd-lora-proof")
            self._texts = gr.Dataframe(
                headers=["", "text"], label="The same tokens", visible=False, interactive=False, wrap=True,
                show_search="none",
            )  # fmt: skip
            self._equal = gr.HTML("", elem_classes="sd-lora-proof")
            self._equalities = gr.Dataframe(
                headers=render.EQUALITY_COLUMNS,
                label="LoRA from scratch against PEFT",
                visible=False,
                interactive=False,
                show_search="none",
            )
        self._runs = gr.State(Runs())

    @property
    def components(self) -> dict[str, Any]:
        """The controls by the name of their setting."""
        return {
            "adapter": self.adapter,
            "layer": self.layer,
            "calc_inputs": self.inputs_of_layer,
            "calc_outputs": self.outputs_of_layer,
            "calc_rank": self.rank,
        }

    @property
    def inputs(self) -> list[Any]:
        """What a run takes."""
        return [*self._controls.inputs, self._runs]

    @property
    def outputs(self) -> list[Any]:
        """What a run sets."""
        looked = [self._status, self.adapter, self.layer, self._summary, self._weight, self._change]
        return [*looked, self._spectrum, self._values, self._cost, self._cost_plot, self._costs]

    def wire(self, controls: Controls) -> None:
        """Connect the controls, once all exist."""
        self._controls = controls
        look = {
            "fn": self.run,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "trigger_mode": "always_last",
            **PRIVATE,
        }
        self._show.click(**look)
        for control in (self.adapter, self.layer):
            control.input(**look)
        costs = [self._cost, self._cost_plot, self._costs]
        for control in (self.inputs_of_layer, self.outputs_of_layer, self.rank):
            control.input(self.calculate, controls.inputs, costs, trigger_mode="always_last", **PRIVATE)
        proof = {"inputs": controls.inputs, "trigger_mode": "once", **PRIVATE}
        self._merge.click(self.merge, outputs=[self._merged, self._texts], **proof)
        self._peft.click(self.equal, outputs=[self._equal, self._equalities], **proof)

    @one_at_a_time
    def run(self, *values: Any, notes: Sequence[str] = ()) -> Generator[list[Any], None, None]:
        """Yield the layer taken apart; on bad input a message, and what is shown stays."""
        settings, more = self._controls.settings(*values)
        offered = self._controls.offers_of(values)

        def look(model: LanguageModel) -> Iterator[list[Any]]:
            return self._look(model, settings, offered, [*notes, *more])

        yield from run_with_model(self._services.models, settings.model, look, len(self.outputs))

    def _look(
        self, model: LanguageModel, settings: AdaptSettings, offered: Offers, notes: list[str]
    ) -> Iterator[list[Any]]:
        costs = self._costs_of(model, settings)
        titles = loaded(model, offered)
        if not titles:
            yield [message(NO_ADAPTERS), *[gr.skip()] * 7, *costs]
            return
        name = settings.adapter if settings.adapter in titles else next(iter(titles))
        if settings.adapter not in ("", name):
            notes = [*notes, f"There is no adapter named {settings.adapter[:40]!r} here; this is {titles[name]}."]
        adapter = model.engine.adapter(name)
        layers = [layer for layer in model.engine.adaptable() if layer in adapter.matrices]
        layer = settings.layer if settings.layer in layers else layers[0]
        if settings.layer not in (layer, DEFAULT_LAYER):
            notes = [*notes, f"{titles[name]} does not change {settings.layer[:60]!r}; this is {layer}."]
        chosen = [
            gr.update(choices=[(title, name) for name, title in titles.items()], value=name),
            gr.update(choices=layers, value=layer),
        ]
        work = wait_for(
            lambda tell: _anatomy(model.engine, name, layer),
            "Computing singular values …",
            VisitorError("This layer could not be taken apart."),
        )
        for news in work:
            if not isinstance(news, Ready):
                yield [message(news), *chosen, *[gr.skip()] * 5, *costs]
                continue
            found = news.value
            yield [
                notes_html(notes),
                *chosen,
                plain_markdown(render.anatomy_summary(found, titles[name])),
                gr.update(value=render.weight_plot(found), visible=True),
                gr.update(value=render.change_plot(found), visible=True),
                gr.update(value=render.spectrum_plot(found), visible=True),
                gr.update(value=render.spectrum_table(found), visible=True),
                *costs,
            ]

    def calculate(self, *values: Any) -> list[Any]:
        """Return the calculator's words, plot and table; on bad input a message, and plot and table stay."""
        settings, notes = self._controls.settings(*values)
        about = [note for note in notes if note.startswith("calc_")]
        models = self._services.models
        name = settings.model or models.default
        if about:
            return [plain_markdown(" ".join(about).replace("calc_", "")), gr.skip(), gr.skip()]
        return self._costs_of(models.get(name) if models.is_loaded(name) else None, settings)

    @staticmethod
    def _costs_of(model: LanguageModel | None, settings: AdaptSettings) -> list[Any]:
        try:
            one = cost(settings.calc_inputs, settings.calc_outputs, settings.calc_rank)
        except VisitorError as error:
            return [f"**{plain_markdown(str(error))}**", gr.skip(), gr.skip()]
        table = gr.skip()
        if model is not None:
            rows = render.cost_table(part_costs(model.engine.adaptable(), settings.calc_rank))
            table = gr.update(value=rows, visible=True)
        return [render.cost_words(one), gr.update(value=render.cost_plot(one), visible=True), table]

    def merge(self, *values: Any) -> Iterator[list[Any]]:
        """Yield what merging changes of a text that the model writes after the prompt."""

        def check(model: LanguageModel, name: str, layer: str, ids: tuple[int, ...], tell: Any) -> Any:
            from lab.lora_checks import check_merge

            return check_merge(model.engine.network, model.engine.adapter(name), ids, tell=tell)

        def shown(model: LanguageModel, found: Any) -> list[Any]:
            texts = [
                [how, model.vocabulary.text(ids)] for how, ids in (("apart", found.apart), ("merged", found.merged))
            ]
            return [message(render.merge_words(found)), gr.update(value=texts, visible=True)]

        yield from self._proof(values, check, shown, "The merge could not be checked.")

    def equal(self, *values: Any) -> Iterator[list[Any]]:
        """Yield how far LoRA from scratch is from PEFT's."""

        def check(model: LanguageModel, name: str, layer: str, ids: tuple[int, ...], tell: Any) -> Any:
            from lab.lora_checks import check_peft

            adapter = model.engine.adapter(name)
            where = layer if layer in adapter.matrices else next(iter(adapter.matrices))
            return list(check_peft(model.engine.network, adapter, where, ids, tell))

        def shown(model: LanguageModel, found: Any) -> list[Any]:
            return [
                message(render.equality_words(found)),
                gr.update(value=render.equality_table(found), visible=True),
            ]

        yield from self._proof(values, check, shown, "PEFT could not be asked.")

    def _proof(self, values: Sequence[Any], check: Any, shown: Any, failure: str) -> Iterator[list[Any]]:
        """Run a proof behind the page: ``check`` gives a result, ``shown`` what two components show of it."""
        settings, _ = self._controls.settings(*values)
        offered = self._controls.offers_of(values)

        def prove(model: LanguageModel) -> Iterator[list[Any]]:
            titles = loaded(model, offered)
            if not titles:
                yield [message(NO_ADAPTERS), gr.skip()]
                return
            name = settings.adapter if settings.adapter in titles else next(iter(titles))
            ids, _ = model.vocabulary.encode_prompt(settings.prompt, min(CHECK_TOKENS, model.context // 2))
            work = wait_for(
                lambda tell: check(model, name, settings.layer, ids, tell), "Copying the model …", VisitorError(failure)
            )
            for news in work:
                yield shown(model, news.value) if isinstance(news, Ready) else [message(news), gr.skip()]

        yield from run_with_model(self._services.models, settings.model, prove, 2)


@lru_cache(maxsize=64)
def _anatomy(engine: Any, name: str, layer: str) -> Anatomy:
    """Take a layer apart once: the pictures of a link that thirty people open are the same."""
    return anatomy(engine.network, engine.adapter(name), layer)
