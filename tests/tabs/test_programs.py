"""The examples of docs/programs.md run as they stand there, and every name that is offered has one."""

from __future__ import annotations

import json
import re

import pytest

from lab.source import ROOT
from tests.tabs.conftest import Server

TEXT = (ROOT / "docs" / "programs.md").read_text(encoding="utf-8")
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
