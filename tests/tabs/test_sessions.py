"""Many sessions need little memory, and each keeps what is its own."""

from __future__ import annotations

import platform
import subprocess
import sys
import tracemalloc

import gradio as gr
import pytest
from gradio.state_holder import StateHolder

from lab.source import ROOT
from lab.text.models import Models
from tabs import launch
from tabs.page import Services
from tabs.sessions import LightSession


def test_a_session_is_small_and_has_its_own_state() -> None:
    app = launch.build(Services(Models()))
    sessions = StateHolder()
    sessions.set_blocks(app)
    state = next(block for block in app.blocks.values() if isinstance(block, gr.State))
    sessions["first"]
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(20):
        sessions[str(number)][state._id] = number
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / 20 < 300_000  # with a copy of every component's configuration it would be 1.7 MB
    assert all(isinstance(sessions[str(number)], LightSession) for number in range(20))
    assert [sessions[str(number)][state._id] for number in range(20)] == list(range(20))


def test_what_a_session_changes_is_its_own() -> None:
    app = launch.build(Services(Models()))
    sessions = StateHolder()
    sessions.set_blocks(app)
    box = next(block for block in app.blocks.values() if isinstance(block, gr.Textbox))
    sessions["one"][box._id] = gr.Textbox("changed", render=False)
    assert sessions["one"][box._id].value == "changed"
    assert sessions["two"][box._id] is box


def test_large_pieces_of_memory_go_back_where_there_is_glibc() -> None:
    script = (
        "import pathlib\n"
        "from tabs.sessions import return_memory\n"
        "assert return_memory()\n"
        "def pages(): return int(pathlib.Path('/proc/self/statm').read_text().split()[1])\n"
        "before = pages()\n"
        "for _ in range(8):\n"  # by default the second piece already stays
        "    kept = [bytearray(3_000_000) for _ in range(20)]\n"
        "    small = bytearray(100_000)\n"
        "    del kept\n"
        "assert pages() - before < 2_000\n"
    )
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another C library")
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
