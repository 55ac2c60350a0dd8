"""The text adapters that ship: which there are for which base model, where they lie, and their figures.

``adapters/text.json`` says, for each base model, what was trained on it; training/text_adapters.py writes it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.text.engine import Engine

log = logging.getLogger(__name__)

ADAPTERS = Path(__file__).resolve().parents[2] / "adapters"
FIGURES = "text.json"
WEIGHTS = "adapter_model.safetensors"
BUILT_IN = "prose-gpt2"  # its adapters' folders bear the style's name alone, those of other bases the base's as well


@dataclass(frozen=True)
class ShippedAdapter:
    """An adapter that ships.

    Attributes:
        name: of the style, by which rows name it.
        title: for people.
        figures: as they stand in ``text.json``, among them rank, alpha, targets, trainable_parameters, share (of the
            base's parameters), bytes, and losses in nats per token: own_base and own_adapter on held-out text of the
            style, prose_base and prose_adapter on held-out plain prose.
    """

    name: str
    title: str
    folder: Path
    figures: Mapping[str, Any] = field(repr=False)


def folder_of(style: str, base: str, root: Path = ADAPTERS) -> Path:
    """Return the folder of a style's adapter for a base model; a Hub name's owner is left out."""
    return root / (style if base == BUILT_IN else f"{style}-{base.rpartition('/')[2]}")


def shipped_adapters(base: str, root: Path = ADAPTERS) -> dict[str, ShippedAdapter]:
    """Return the adapters that are there for a base model, by name in their order; none is an answer, not an error."""
    file = root / FIGURES
    table = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    found = {}
    for name, figures in table.get(base, {}).get("adapters", {}).items():
        folder = folder_of(name, base, root)
        if (folder / WEIGHTS).is_file():
            found[name] = ShippedAdapter(name, figures["title"], folder, figures)
    return found


def add_shipped(engine: Engine, base: str, root: Path = ADAPTERS) -> dict[str, ShippedAdapter]:
    """Let an engine's rows name the adapters that ship for its model, and return those that fit it.

    A model of another size under a base's name gets none, and one that is damaged is left out; the log says why.
    """
    from lab.lora import load_peft

    added = {}
    try:
        shipped = shipped_adapters(base, root)
    except Exception as error:  # a table of another form: the model is of use without its adapters
        log.warning("the adapters of %s are left out: %s", base, error)
        return {}
    for name, adapter in shipped.items():
        try:
            engine.add_adapter(name, load_peft(adapter.folder))
        except Exception as error:  # files, JSON and safetensors have each errors of their own
            log.warning("the adapter %s is left out: %s", name, error)
        else:
            added[name] = adapter
    return added
