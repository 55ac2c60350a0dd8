"""The embeddings tab with a toy for a model: its tools to be called as Gradio calls them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
import pytest

from lab.embeddings.settings import EmbeddingSettings
from lab.preferences.store import Store
from lab.text.models import Models
from tabs.embeddings.page import _EmbeddingsPage
from tabs.embeddings.tool import Tool
from tabs.page import Services
from tabs.runs import Runs
from tests.lab.embeddings.conftest import ToyEmbedder


@pytest.fixture(scope="session", autouse=True)
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the tab serves is written to a folder of the tests'."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        yield


@dataclass(frozen=True)
class Tab:
    """The tab, built but not served."""

    page: _EmbeddingsPage
    services: Services
    blocks: gr.Blocks

    def values(self, **settings: Any) -> list[Any]:
        """Return what the controls send when they show these settings."""
        return [
            () if isinstance(component, gr.State) and isinstance(value, dict) else component.preprocess(value)
            for component, value in zip(
                self.page._controls.all, self.page._controls.updates(EmbeddingSettings(**settings)), strict=True
            )
        ]

    def tool(self, name: str) -> Tool:
        """Return a tool by the name of its class."""
        return next(tool for _, tool in self.page._panels if type(tool).__name__ == name)

    def run(self, name: str, **settings: Any) -> tuple[str, list[Any]]:
        """Run a tool; return its last status and what it has set."""
        tool = self.tool(name)
        *_, last = tool.run(*self.values(**settings), Runs())
        assert len(last) == len(tool.outputs)
        return last[0], last[2:]

    def api(self, name: str) -> Any:
        """Return a function that programs can call."""
        return next(fn.fn for fn in self.blocks.fns.values() if fn.api_name == name)


@pytest.fixture(scope="session")
def tab() -> Iterator[Tab]:
    """The tab."""
    embedder = ToyEmbedder()
    with gr.Blocks(analytics_enabled=False) as blocks:
        services = Services(Models(), store=Store(None), embedder=embedder, made=gr.State(()))
        page = _EmbeddingsPage(services)
    yield Tab(page, services, blocks)
    embedder.close()
