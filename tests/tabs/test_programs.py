"""The examples of docs/programs.md run as they stand there, every name has one, and its defaults are the page's."""

from __future__ import annotations

import inspect
import json
import re
from importlib import import_module

import gradio as gr
import pytest

from lab.source import ROOT
from lab.text.models import Models
from tabs.page import Services
from tests.tabs.conftest import Server
from tests.tabs.test_experiments import SETTINGS

TEXT = (ROOT / "docs" / "programs.md").read_text(encoding="utf-8")
OTHER_MEANINGS = {("reward", "rankings")}  # of a program's argument: in the page they are counted, here they are given
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_examples_run(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    found: dict[str, object] = {}
    for block in BLOCKS:
        code = block.replace("http://127.0.0.1:7860", server.url)
        exec(compile(code, "docs/programs.md", "exec"), found)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) >= len(BLOCKS) - 1
    assert "384 2" in printed


def test_every_name_has_an_example(server: Server) -> None:
    status, body = server.get("/gradio_api/info")
    assert status == 200
    offered = set(json.loads(body)["named_endpoints"])
    assert offered == set(re.findall(r'api_name="(/\w+)"', TEXT))


@pytest.mark.parametrize("slug", SETTINGS)
def test_programs_have_the_page_s_defaults(slug: str) -> None:
    settings = SETTINGS[slug]
    with gr.Blocks(analytics_enabled=False) as blocks:
        import_module(f"tabs.{slug}").build(Services(Models()))
    offered = [fn for fn in blocks.fns.values() if fn.api_visibility == "public"]
    assert offered or slug == "reflection"
    for one in offered:
        for name, parameter in inspect.signature(one.fn).parameters.items():
            if name not in settings.model_fields or (one.api_name, name) in OTHER_MEANINGS:
                continue
            if parameter.default is not inspect.Parameter.empty:
                assert parameter.default == settings.default(name), (one.api_name, name)
