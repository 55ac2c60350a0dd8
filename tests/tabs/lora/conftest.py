"""The LoRA tab with a tiny model and two adapters: its panels to be called as Gradio calls them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import pytest

from lab.text.adapters import ShippedAdapter
from lab.text.adapting import AdaptSettings
from lab.text.models import BUILT_IN, GPT2, Models
from tabs.lora.offers import Offers, offers_here
from tabs.lora.page import _LoraPage
from tabs.page import Services

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from tabs.lora.controls import Controls
    from tabs.lora.inside import InsidePanel
    from tabs.lora.toggle import TogglePanel

TITLES = {"shakespeare": "Shakespeare", "fairy-tales": "Fairy tales"}
LAYER = "transformer.h.1.mlp.c_fc"


@pytest.fixture(scope="session")
def models(tiny_tokenizer: PreTrainedTokenizerFast) -> Iterator[Models]:
    """A built-in model with two adapters, and a GPT-2 of the same weights that has none."""
    import torch

    from tests.lab.text.conftest import tiny_gpt2
    from tests.lab.text.test_adapters import random_adapter
    from tests.tiny import SPREAD, language_model_of

    torch.set_num_threads(1)
    network = tiny_gpt2(len(tiny_tokenizer), spread=SPREAD)
    model = language_model_of(network, tiny_tokenizer)
    for seed, name in enumerate(TITLES, 1):
        model.engine.add_adapter(name, random_adapter(network, seed))
    shipped = {name: ShippedAdapter(name, title, Path(), {}) for name, title in TITLES.items()}
    models = Models()
    models.adopt(replace(model, name=BUILT_IN, adapters=shipped))
    models.adopt(replace(model, name=GPT2, title="GPT-2"))
    yield models
    model.engine.close()


@dataclass(frozen=True)
class Tab:
    """The tab, built but not served."""

    page: _LoraPage
    services: Services
    blocks: gr.Blocks

    @property
    def controls(self) -> Controls:
        return self.page._controls

    @property
    def toggle(self) -> TogglePanel:
        return self.page._toggle

    @property
    def inside(self) -> InsidePanel:
        return self.page._inside

    def values(self, offered: Offers | None = None, **settings: Any) -> list[Any]:
        """Return what the controls send when they show these settings."""
        models = self.services.models
        asked = AdaptSettings(**{"max_new_tokens": 8, **settings})
        offered = offers_here(models, asked.model or models.default) if offered is None else offered
        return self.sent(self.controls.updates(asked, models.default, offered), self.controls.outputs)

    def sent(self, updates: list[Any], outputs: list[Any]) -> list[Any]:
        """Return the values of the controls after updates of some components."""
        shown = {
            id(component): new_value(update, component) for component, update in zip(outputs, updates, strict=True)
        }
        return [shown.get(id(component), component.value) for component in self.controls.inputs]


def new_value(update: Any, component: Any) -> Any:
    """Return the value of a component after an update."""
    if isinstance(update, dict) and update.get("__type__") == "update":
        return update.get("value", getattr(component, "value", None))
    return update


@pytest.fixture(scope="session")
def tab(models: Models) -> Tab:
    """The tab."""
    services = Services(models)
    with gr.Blocks(analytics_enabled=False) as blocks:
        return Tab(_LoraPage(services), services, blocks)
