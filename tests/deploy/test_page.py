"""The page behind another server than Gradio's: what it was started with, and what it takes."""

from __future__ import annotations

import os
import subprocess
import sys

import gradio as gr
import pytest
from starlette.testclient import TestClient

from deploy.page import web_application
from lab.source import ROOT
from lab.text.models import Models
from tabs import launch
from tabs.page import Services

LOADED = """
import sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("gradio", "numpy"):
            import os
            print(name, os.environ.get("OPENBLAS_NUM_THREADS"), os.environ.get("GRADIO_ANALYTICS_ENABLED"))

sys.meta_path.insert(0, Watch())
import deploy.page
"""


def test_what_is_read_at_loading_is_there_before() -> None:
    ours = ("OPENBLAS_NUM_THREADS", "GRADIO_ANALYTICS_ENABLED")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    told = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert sorted(told.splitlines()) == ["gradio 1 False", "numpy 1 False"]


def test_a_file_that_is_too_large_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[gr.Blocks] = []

    def build(services: Services) -> gr.Blocks:
        with gr.Blocks(analytics_enabled=False) as page:
            gr.File()
        made.append(page)
        return page

    monkeypatch.setattr(launch, "build", build)
    services = Services(Models())
    web_application(services)
    assert made[0].max_file_size == 24 * 1024 * 1024
    assert made[0].max_threads == made[0]._queue.max_thread_count == launch.WORKER_THREADS
    assert made[0].state_session_capacity == launch.CAPACITY
    monkeypatch.setattr(launch, "MAX_UPLOAD", "2kb")
    with TestClient(web_application(services)) as client:
        for size, status in ((1000, 200), (3000, 413)):
            answer = client.post("/gradio_api/upload", files={"files": ("some.txt", b"x" * size)})
            assert answer.status_code == status
