"""The melodies tab with tiny voices: its panels to be called as Gradio calls them, and the tab alone as a server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import gradio as gr
import pytest

from lab.music import morph as morphing
from lab.music.composing import MelodySettings
from lab.music.voices import Voices
from lab.preferences.store import Store
from lab.text.models import Models
from tabs import TABS, launch
from tabs.melodies.page import _MelodiesPage
from tabs.page import Services
from tabs.runs import Runs
from tests.lab.music.conftest import voices_of, write_models
from tests.tabs.conftest import Server
from tests.tabs.pages import Page

if TYPE_CHECKING:
    from tabs.melodies.blind import BlindPanel
    from tabs.melodies.compare import ComparePanel
    from tabs.melodies.controls import Controls
    from tabs.melodies.morph import MorphPanel


@pytest.fixture(scope="session", autouse=True)
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the tab serves is written to a folder of the tests'."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        yield


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Voices]:
    """All voices, each a tiny model of its own."""
    import torch

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("melodies")
    write_models(folder)
    voices = voices_of(folder)
    yield voices
    voices.close()


@dataclass(frozen=True)
class Tab:
    """The tab, built but not served."""

    page: _MelodiesPage
    services: Services
    blocks: gr.Blocks

    @property
    def controls(self) -> Controls:
        return self.page._controls

    @property
    def compare(self) -> ComparePanel:
        return self.page._compare

    @property
    def morph(self) -> MorphPanel:
        return self.page._morph

    @property
    def blind(self) -> BlindPanel:
        return self.page._blind

    def values(self, **settings: Any) -> list[Any]:
        """Return what the controls send when they show these settings, each checked as the server does."""
        updates = self.controls.updates(MelodySettings(**settings))
        return [component.preprocess(value) for component, value in zip(self.controls.all, updates, strict=True)]


@pytest.fixture(scope="session")
def tab(voices: Voices) -> Tab:
    """The tab."""
    services = Services(Models(), voices, Store(None))
    with gr.Blocks(analytics_enabled=False) as blocks:
        return Tab(_MelodiesPage(services), services, blocks)


@pytest.fixture(scope="session")
def server(voices: Voices) -> Iterator[Server]:
    """The tab alone, served as ``python -m tabs.melodies`` does."""
    from gradio_client import Client

    services = Services(Models(), voices, Store(None))
    app = launch.build(services, [tab for tab in TABS if tab.slug == "melodies"])
    _, url, _ = app.launch(
        prevent_thread_lock=True,
        quiet=True,
        run_history=False,
        max_threads=launch.WORKER_THREADS,
        max_file_size=launch.MAX_UPLOAD,
    )
    yield Server(url.rstrip("/"), services, Client(url, verbose=False, analytics_enabled=False))
    app.close(verbose=False)


@pytest.fixture
def few_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer melodies for the averages."""
    monkeypatch.setattr(morphing, "SEEDS", 4)


def articles(html: str) -> list[dict[str, str | None]]:
    """Return the attributes of each card."""
    return [attributes for attributes, _ in Page(html).find("article")]


def titles(html: str) -> list[str]:
    """Return the cards' titles."""
    return [text for _, text in Page(html).find("h3")]


def files(html: str) -> list[Path]:
    """Return the sounds that cards play, as files on this machine."""
    return [Path(unquote((audio["src"] or "").partition("file=")[2])) for audio, _ in Page(html).find("audio")]


def is_alert(update: Any) -> bool:
    """Tell whether a status says what went wrong, and nothing of how the code looks inside."""
    html = update if isinstance(update, str) else update["value"]
    assert "Traceback" not in html
    return 'role="alert"' in html


def run_compare(tab: Tab, **settings: Any) -> list[list[Any]]:
    """Return all that a run of Compare sends to the page."""
    return list(tab.compare.run(*tab.values(**settings), Runs()))
