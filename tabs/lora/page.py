"""The layout of the LoRA tab, and how its parts hang together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gradio as gr

from lab.text.adapting import AdaptSettings, View
from lab.text.outfits import Outfit, outfits_to_text
from tabs.asking import add_asking, add_examples, choose_model, with_model_here
from tabs.lora.api import add_api
from tabs.lora.controls import Controls, add_choosing, add_switches, unshown
from tabs.lora.examples import EXAMPLES, warm_examples
from tabs.lora.inside import InsidePanel
from tabs.lora.offers import Offers, offers_here, without_adapters
from tabs.lora.toggle import TogglePanel
from tabs.lora.train import TrainPanel
from tabs.lora.ways import WaysPanel
from tabs.page import PRIVATE, Page, Services, link_controls, only_if
from tabs.sources import add_sources

INTRODUCTION = """
<div class="sd-why">
<p><b class="sd-frozen">Frozen</b> The whole GPT-2. Every weight W of it stays as it is, for everybody at once.</p>
<p><b class="sd-changed">Changed</b> A thin pair of matrices A and B beside some of the W: about one number in a
hundred, learnt from one author.</p>
<p><b>Why</b> A new voice is a small change of what the model already knows. Small changes can be switched, scaled,
added up and sent by mail; and switched off, the model is what it was.</p>
</div>
"""

VIEW_TITLES = {
    View.TOGGLE: "Toggle",
    View.TRAIN: "Train your own",
    View.WAYS: "Compare the ways",
    View.INSIDE: "Inside",
}

SOURCES = {
    "LoRA as a layer: LoRALinear": ("lab.lora", "LoRALinear"),
    "Two thin products: low_rank": ("lab.lora", "low_rank"),
    "Put it into any model: inject": ("lab.lora", "inject"),
    "Each row of a batch its own: Mix": ("lab.lora", "Mix"),
    "Written for PEFT: save_peft": ("lab.lora", "save_peft"),
    "What a blend is: blend": ("lab.text.outfits", "blend"),
    "Taken apart: anatomy": ("lab.lora_anatomy", "anatomy"),
    "Beside PEFT: check_peft": ("lab.lora_checks", "check_peft"),
}


def build(services: Services) -> Page:
    """Build the tab inside the Blocks under construction."""
    return _LoraPage(services).page


class _LoraPage:
    def __init__(self, services: Services) -> None:
        self._services = services
        offered = offers_here(services.models, services.models.default)
        gr.HTML(INTRODUCTION)
        simple: dict[str, Any] = {"view": gr.State(View.TOGGLE.value)}
        asked, self._model_status = add_asking(AdaptSettings, services.models, "sd-lora-prompt")
        simple |= asked
        self._example_buttons = add_examples(EXAMPLES)
        with gr.Tabs(elem_id="sd-lora-tools", overflow_behavior="wrap") as self._tools:
            with gr.Tab(VIEW_TITLES[View.TOGGLE], id=View.TOGGLE.value) as toggle_tab:
                with gr.Row(visible=not offered, elem_classes="sd-actions") as self._absent:
                    self._absent_words = gr.HTML(without_adapters(services.models, services.models.default))
                    to_training = gr.Button("Train one", min_width=110, scale=0)
                switches, blend = add_switches(offered)
                with gr.Accordion("How each next token is chosen", open=False):
                    choosing = add_choosing()
                self._toggle = TogglePanel(services)
            with gr.Tab(VIEW_TITLES[View.TRAIN], id=View.TRAIN.value) as train_tab:
                self._train = TrainPanel(services)
            with gr.Tab(VIEW_TITLES[View.WAYS], id=View.WAYS.value) as ways_tab:
                self._ways = WaysPanel(services)
            with gr.Tab(VIEW_TITLES[View.INSIDE], id=View.INSIDE.value) as inside_tab:
                self._inside = InsidePanel(services, offered)
        tabs = {View.TOGGLE: toggle_tab, View.TRAIN: train_tab, View.WAYS: ways_tab, View.INSIDE: inside_tab}
        panels = (self._toggle, self._train, self._ways, self._inside)
        self._panels: dict[View, Any] = dict(zip(tabs, panels, strict=True))
        simple["column"], simple["step"] = self._toggle.inside.column, self._toggle.inside.step
        simple |= self._inside.components
        self._controls = Controls(simple, choosing, gr.State(offered), switches, blend)
        for view, panel in self._panels.items():
            with tabs[view]:  # a panel may have more to show once it knows the controls
                panel.wire(self._controls)
        with gr.Row(elem_classes="sd-actions") as self._linking:  # a training has a link of its own
            link_controls("lora", self._whole_query, [*self._ways.components.values(), *self._controls.inputs])
        add_sources(SOURCES)
        add_api(services)
        services.warm_ups.append(lambda: warm_examples(services.models))
        for name, tab in tabs.items():
            tab.select(
                lambda name=name: [name.value, gr.Row(visible=name is not View.TRAIN)],
                None,
                [simple["view"], self._linking],
                queue=False,
                **PRIVATE,
            )
        to_training.click(lambda: gr.Tabs(selected=View.TRAIN.value), None, self._tools, queue=False, **PRIVATE)
        self._wire_examples()
        self._wire_offers()
        self._auto_run, self._link_notes = gr.State(""), gr.State(())
        about = [self._absent, self._tools, self._linking, self._auto_run, self._link_notes]
        restored = [*self._controls.outputs, *about, *self._train.restored, *self._ways.restored]
        self.page = Page(restored, self._restore, self._after_restore)

    def _query(self, *values: Any) -> str:
        settings, _ = self._controls.settings(*values)
        models = self._services.models
        # A visitor's own adapters are nobody else's.
        shared = {name for name, _ in offers_here(models, settings.model or models.default)}
        outfits = [outfit for outfit in settings.outfits if shared.issuperset(outfit.names)]
        changes: dict[str, Any] = {"adapters": outfits_to_text(outfits)}
        if settings.adapter not in shared:
            changes["adapter"] = ""
        if settings.model == models.default:
            changes["model"] = ""
        return settings.model_copy(update=changes).to_query()

    def _whole_query(self, ways: Any, steps: Any, *values: Any) -> str:
        return "&".join(filter(None, [self._query(*values), self._ways.query(ways, steps)]))

    def _wire_examples(self) -> None:
        default = self._services.models.default
        for button, settings in self._example_buttons:

            def fill(own: Offers, settings: AdaptSettings = settings) -> list[Any]:
                offered = offers_here(self._services.models, default, own)
                return [
                    *self._controls.updates(settings, default, offered),
                    gr.Row(visible=not offered),
                    self._opened(),
                    gr.update(visible=False),
                ]

            outputs = [*self._controls.outputs, self._absent, self._tools, self._model_status]
            filled = button.click(fill, self._train.own, outputs, queue=False, **PRIVATE)
            self._toggle.inside.mark_after(filled)
            self._toggle.inside.look_after(
                filled.then(self._toggle.run, self._toggle.inputs, self._toggle.outputs, **PRIVATE)
            )

    @staticmethod
    def _opened(view: View = View.TOGGLE) -> gr.Tabs:
        return gr.Tabs(selected=view.value)

    def _wire_offers(self) -> None:
        """Let the switches follow the model and the visitor's own adapters."""
        model, own = self._controls.simple["model"], self._train.own
        offer = [self._absent, self._absent_words, self._inside.adapter, *self._controls.switch_outputs]
        inputs = [own, *self._controls.inputs]
        told = [model, self._model_status]
        chosen = model.input(self._choose_model, model, told, trigger_mode="always_last", **PRIVATE)
        # What is chosen by now: loading takes a while, and an example may have been clicked meanwhile.
        chosen.then(self._offer_model, inputs, offer, **PRIVATE)
        own.change(self._wear_own, inputs, offer, **PRIVATE)

    def _choose_model(self, name: str) -> Iterator[list[Any]]:
        """Load a model when it is chosen, so that a visitor learns at once whether it can be had."""
        yield from choose_model(self._services.models, name)

    def _offer_model(self, own: Offers, *values: Any) -> list[Any]:
        """Let the switches be those of the model that is chosen now."""
        settings, _ = self._controls.settings(*values)
        return self._offer(settings.model or self._services.models.default, own, self._worn(settings, values))

    def _wear_own(self, own: Offers, *values: Any) -> list[Any]:
        """Let new adapters of the visitor's join the switches, switched on."""
        settings, _ = self._controls.settings(*values)
        before = {name for name, _ in self._controls.offers_of(values)}
        name = settings.model or self._services.models.default
        new = [style for style, _ in offers_here(self._services.models, name, own) if style not in before]
        return self._offer(name, own, worn_too(self._worn(settings, values), new))

    def _worn(self, settings: AdaptSettings, values: Sequence[Any]) -> AdaptSettings:
        """Return the settings, with the usual adapters if there was none before that could be switched on or off."""
        if self._controls.offers_of(values):
            return settings
        return settings.model_copy(update={"adapters": AdaptSettings.default("adapters")})

    def _offer(self, name: str, own: Offers, settings: AdaptSettings) -> list[Any]:
        """Return updates of the word on absent adapters, of Inside's choice and of the switches."""
        offered = offers_here(self._services.models, name, own)
        words = without_adapters(self._services.models, name)
        looked_into = self._controls.adapter_update(settings, offered)
        switches = self._controls.switch_updates(settings, offered)
        return [gr.update(visible=not offered), words, looked_into, *switches]

    def _restore(self, query: Mapping[str, str]) -> Sequence[Any]:
        if "tab" not in query and not AdaptSettings.names_any(query):  # such as ?__theme=dark
            return [gr.skip()] * len(self.page.outputs)
        settings, notes = AdaptSettings.lenient(query)
        models = self._services.models
        settings, more = with_model_here(settings, models)
        notes += more
        offered = offers_here(models, settings.model)
        if settings.adapters != AdaptSettings.default("adapters"):
            notes += unshown(settings, offered)
        updates = self._controls.updates(settings, models.default, offered)
        numbers, more = self._train.restore(query)
        ways, others = self._ways.restore(query)
        notes += [*more, *others]
        view = settings.view
        linking = gr.Row(visible=view is not View.TRAIN)
        about = [gr.update(visible=not offered), self._opened(view), linking, view.value, tuple(notes)]
        return [*updates, *about, *numbers, *ways]

    def _after_restore(self, restored: Any) -> None:
        """After a link has filled the controls, run what it asks for."""
        self._toggle.inside.mark_after(restored)
        for view, panel in self._panels.items():
            inputs = [self._auto_run, self._link_notes, *panel.inputs]
            started = restored.then(only_if(view, panel.run, len(panel.outputs)), inputs, panel.outputs, **PRIVATE)
            if view is View.TOGGLE:
                self._toggle.inside.look_after(started)


def worn_too(settings: AdaptSettings, new: Sequence[str]) -> AdaptSettings:
    """Return settings that wear more adapters, each as it was trained."""
    outfits = [*settings.outfits, *(Outfit(((name, 1.0),)) for name in new)]
    return settings.model_copy(update={"adapters": outfits_to_text(outfits)})
