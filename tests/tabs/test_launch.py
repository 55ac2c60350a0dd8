"""The app is built from its registry, starts light, and its command line refuses what cannot work."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from lab.source import ROOT
from lab.text.models import BUILT_IN, Models
from tabs import TABS, launch
from tabs.page import Services

HEAVY = ("torch", "transformers", "plotly", "safetensors", "sacrebleu", "sklearn", "scipy")


@pytest.fixture(scope="module")
def app() -> gr.Blocks:
    return launch.build(Services(Models()))


def test_the_page_is_built_without_what_is_heavy() -> None:
    """Importing torch and transformers takes longer than anybody waits for a page."""
    code = (
        "import sys, json, tabs.launch; from lab.text.models import Models; from tabs.page import Services; "
        "tabs.launch.build(Services(Models())); print(json.dumps(sorted(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100, check=True
    )
    loaded = set(json.loads(shown.stdout.splitlines()[-1]))
    assert not loaded & set(HEAVY)
    assert "gradio" in loaded  # the list is what it seems to be


def test_the_registry() -> None:
    slugs = [tab.slug for tab in TABS]
    assert len(set(slugs)) == len(slugs)
    for tab in TABS:
        assert re.fullmatch(r"[a-z][a-z0-9-]*", tab.slug)  # it stands in links
        assert tab.title
        assert importlib.util.find_spec(tab.module) is not None
        assert importlib.util.find_spec(f"{tab.module}.__main__") is not None  # each runs alone
        build = importlib.import_module(tab.module).build
        assert list(inspect.signature(build).parameters) == ["services"]


def test_all_tabs_are_in_the_page(app: gr.Blocks) -> None:
    shown = {block.id: block.label for block in app.blocks.values() if isinstance(block, gr.Tab)}
    for tab in TABS:
        assert shown[tab.slug] == tab.title


def test_tabs_can_be_left_out() -> None:
    empty = launch.build(Services(Models()), [])
    assert not any(isinstance(block, gr.Tab) for block in empty.blocks.values())


def test_texts_are_sent_to_the_map_only_where_there_is_one(app: gr.Blocks) -> None:
    def senders(blocks: gr.Blocks) -> int:
        return sum(button.value == "Send to the map" for button in of_kind(blocks, gr.Button))

    assert senders(app) == 3
    alone = [tab for tab in TABS if tab.slug == "decoding"]
    assert senders(launch.build(Services(Models()), alone)) == 0


def of_kind(app: gr.Blocks, *kinds: type) -> Iterator[Any]:
    return (block for block in app.blocks.values() if isinstance(block, kinds))


def test_components_show_text_as_text(app: gr.Blocks) -> None:
    """Tables that read Markdown or HTML, or templates, would run what a model or a visitor has written."""
    for table in of_kind(app, gr.Dataframe):
        kinds = [table.datatype] if isinstance(table.datatype, str) else table.datatype
        assert set(kinds) <= {"str", "number"}, table.label
    for html in of_kind(app, gr.HTML):
        # One of our own may have no place into which Gradio puts text.
        assert html.html_template == gr.HTML().html_template or not re.search(r"{{|\$\{", html.html_template)
    for markdown in of_kind(app, gr.Markdown):
        assert markdown.sanitize_html
    assert len(list(of_kind(app, gr.Dataframe))) >= 5


def test_only_what_programs_may_call_has_a_name(app: gr.Blocks) -> None:
    public = {fn.api_name for fn in app.fns.values() if fn.api_visibility == "public"}
    assert public == {"decode", "next_token", "melody", "adapt", "rank", "reward", "embed", "similarity"}
    assert {fn.api_visibility for fn in app.fns.values()} == {"public", "private"}


def test_a_choice_made_while_another_is_on_its_way_counts(app: gr.Blocks) -> None:
    """Gradio drops the second of two events in a row, and the page would show another choice than what follows it."""
    kinds = (gr.Dropdown, gr.Radio, gr.Checkbox, gr.CheckboxGroup, gr.Slider, gr.Dataframe)
    followed = [
        (app.blocks[block].label, fn.trigger_mode)
        for fn in app.fns.values()
        for block, event in fn.targets
        if fn.fn and event in ("input", "select") and isinstance(app.blocks.get(block), kinds)
    ]
    assert len(followed) > 20
    assert [label for label, mode in followed if mode == "once"] == []


def test_nobody_waits_in_line_for_another_visitors_text(app: gr.Blocks) -> None:
    assert all(fn.concurrency_limit in (None, "default") for fn in app.fns.values())
    assert app._queue.default_concurrency_limit is None


# The command line


def test_without_arguments() -> None:
    options = launch.arguments([])
    assert (options.port, options.share, options.threads, options.model) == (None, False, 1, None)
    assert options.host == "127.0.0.1"  # whoever wants more says so


def test_arguments() -> None:
    options = launch.arguments(["--host", "0.0.0.0", "--port", "8000", "--threads", "4", "--model", "a/b"])
    assert (options.host, options.port, options.threads, options.model) == ("0.0.0.0", 8000, 4, "a/b")
    assert launch.arguments(["--share"]).share


def test_the_host_of_a_space_comes_from_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    assert launch.arguments([]).host == "0.0.0.0"


@pytest.mark.parametrize(
    "argv", [["--threads", "0"], ["--threads", "-1"], ["--threads", "x"], ["--port", "x"], ["--nothing"], ["stray"]]
)
def test_what_cannot_work_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        launch.arguments(argv)
    assert ended.value.code == 2
    assert "usage: app.py" in capsys.readouterr().err


def test_a_model_that_cannot_be_meant_ends_the_start_with_a_sentence() -> None:
    with pytest.raises(SystemExit, match=r"app.py: /no/such/place is neither a folder nor the name of a model"):
        launch.serve(argv=["--model", "/no/such/place"])


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        launch.arguments(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name in ("--host", "--port", "--share", "--threads", "--model", "--store"):
        assert name in text


def test_an_address_that_cannot_be_had_ends_the_start_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(launch, "warm", lambda services: None)
        with pytest.raises(SystemExit, match=r"^app.py: Cannot find empty port"):
            launch.serve(["decoding"], ["--port", str(taken.getsockname()[1])])


class StartedApp:
    """Stands in for the built app: takes down how it is started."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    def launch(self, **options: Any) -> None:
        self.options = options

    def block_thread(self) -> None:
        pass


def test_serve_starts_what_the_command_line_says(monkeypatch: pytest.MonkeyPatch) -> None:
    started, built, warmed = StartedApp(), [], []

    def build(services: Services, tabs: list[Any]) -> StartedApp:
        built.append((services, [tab.slug for tab in tabs]))
        return started

    monkeypatch.setattr(launch, "build", build)
    monkeypatch.setattr(launch, "warm", lambda services, after: warmed.append(services))
    launch.serve(["decoding", "nothing"], ["--port", "8123", "--threads", "2", "--model", "some/model"])
    ((services, slugs),) = built
    assert slugs == ["decoding"]
    assert services.models.default == "some/model"
    assert started.options["server_port"] == 8123
    assert started.options["share"] is False
    assert started.options["run_history"] is False
    assert not started.options.get("allowed_paths")  # no folder of the machine is served
    assert started.options["theme"]
    assert ".sd-" in started.options["css"]
    launch.serve(None, [])
    assert built[1][1] == [tab.slug for tab in TABS]
    assert built[1][0].models.default == BUILT_IN


class Model:
    title = "A model"


def test_warming_loads_the_default_model_and_then_what_tabs_want(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    services = Services(Models())
    monkeypatch.setattr(services.models, "get", lambda name: done.append(name) or Model())
    services.warm_ups.append(lambda: done.append("tab"))
    launch.warm(services)
    assert done == [BUILT_IN, "tab"]


def test_a_model_that_cannot_be_had_leaves_the_page_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from lab.errors import ModelUnavailable

    services = Services(Models())

    def get(name: str) -> None:
        raise ModelUnavailable("It is not here.")

    monkeypatch.setattr(services.models, "get", get)
    services.warm_ups.append(lambda: pytest.fail("there is nothing to warm up with"))
    launch.warm(services)
    assert "It is not here." in caplog.text


def test_a_store_that_cannot_be_written_is_kept_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "a-file"
    file.write_text("no folder")
    store = launch.open_store(str(file / "store.sqlite3"))
    store.add_guess("abc", "melodies", "{}", "bach", "folk")
    assert len(store.guesses()) == 1
    assert "forgotten" in caplog.text


def test_a_store_keeps_what_it_was_given(tmp_path: Path) -> None:
    path = str(tmp_path / "store.sqlite3")
    store = launch.open_store(path)
    store.add_guess("abc", "melodies", "{}", "bach", "folk")
    store.close()
    assert len(launch.open_store(path).guesses()) == 1
    assert launch.open_store("memory").guesses() == []
