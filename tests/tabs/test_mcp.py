"""The app as an MCP server, started as ``python app.py --mcp``: its names are tools that a language model can call."""

from __future__ import annotations

import ast
import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from benchmarks.serving import free_port
from lab.source import ROOT
from tests.serving import wait_until_it_answers
from tests.tabs.test_hostile import NAMES

pytestmark = [pytest.mark.smoke, pytest.mark.timeout(300)]  # a process imports gradio and torch


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the tools."""
    pytest.importorskip("mcp", reason="MCP is an optional extra: requirements-mcp.txt")
    log, port = tmp_path_factory.mktemp("mcp") / "app.log", free_port()
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "app.py", "--mcp", "--store", "memory", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}/gradio_api/mcp/"
    finally:
        process.terminate()
        process.wait(20)
    assert "Traceback" not in log.read_text(errors="replace")


def visit(url: str, do: Callable[[Any], Awaitable[Any]]) -> Any:
    """Return what is done in a session with the server."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def run() -> Any:
        async with streamable_http_client(url) as (reads, writes, _), ClientSession(reads, writes) as session:
            await session.initialize()
            return await do(session)

    return asyncio.run(run())


def test_every_name_is_a_tool_that_says_what_it_does(url: str) -> None:
    tools = {tool.name: tool for tool in visit(url, lambda session: session.list_tools()).tools}
    assert set(tools) == set(NAMES)
    for tool in tools.values():
        assert len(tool.description) > 60
        assert tool.inputSchema["properties"]
    assert "adapters" in tools["adapt"].inputSchema["properties"]


def test_tools_answer(url: str) -> None:
    async def call(session: Any) -> list[Any]:
        return [
            await session.call_tool("decode", {"prompt": "Once", "columns": "greedy;top_p", "max_new_tokens": 3}),
            await session.call_tool("similarity", {"first": "a waltz", "second": "a tango"}),
            await session.call_tool("decode", {"prompt": " "}),
            await session.call_tool("decode", {"prompt": "Once", "max_new_tokens": 2}),
        ]

    decoded, similar, refused, after = visit(url, call)
    assert not decoded.isError
    columns = ast.literal_eval(decoded.content[0].text)["columns"]
    assert [len(column["tokens"]) for column in columns] == [3, 3]
    assert 0.3 < ast.literal_eval(similar.content[0].text)["cosine"] <= 1
    assert refused.isError and "prompt is empty" in refused.content[0].text
    assert not after.isError


def test_the_extra_fits_beside_the_pins() -> None:
    """What is pinned twice, or bounded by an extra, could not be installed by the documents' words."""
    pinned = {line.partition("==")[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}
    extra = [line for line in (ROOT / "requirements-mcp.txt").read_text().splitlines() if not line.startswith("#")]
    assert extra and all("==" in line for line in extra)
    assert not pinned & {line.partition("==")[0].partition("[")[0] for line in extra}
