"""The tab's panels over a store of their own, a pool made of words, and no language model."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from lab.preferences import Item
from lab.preferences.rounds import Round
from lab.preferences.store import Store
from lab.text.models import Models
from tabs.page import Services
from tabs.reward.page import _RewardPage
from tests.tabs.reward.made_pool import embed, made_pool

FOUND = Round(
    "Prompt", (Item(" happy joy smile", "m"), Item(" road stone", "m", "bard"), Item(" dead grief", "m")), done=True
)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[_RewardPage]:
    """The tab, built but not served."""
    pool = made_pool()
    monkeypatch.setattr("lab.preferences.pool.load_pool", lambda: pool)
    with gr.Blocks(analytics_enabled=False):
        yield _RewardPage(Services(Models(), store=Store(None), embedder=SimpleNamespace(embed=embed)))


def store_of(page: _RewardPage) -> Store:
    """Return where the tab keeps things."""
    return page._mine._shared.services.store


def values_of(page: _RewardPage, **changes: Any) -> list[Any]:
    """Return the values of all controls, as an event brings them."""
    shown = {name: getattr(component, "value", None) for name, component in page._controls.components.items()}
    return list((shown | changes).values())


@pytest.fixture
def found() -> Round:
    """Three completions, ready to be ranked."""
    return FOUND
