"""The page as a web application of its own, for a server that is not Gradio's."""

from __future__ import annotations

from typing import TYPE_CHECKING

# Before Gradio, and before NumPy that comes with it: both read settings of the environment when they are loaded.
from tabs import launch  # isort: split

import gradio as gr
from fastapi import FastAPI

from tabs.quick import quick_serving

if TYPE_CHECKING:
    from tabs.page import Services


def web_application(services: Services) -> FastAPI:
    """Return the page with the limits that it has when it is started by ``app.py``."""
    page = launch.build(services)
    page.max_threads = page._queue.max_thread_count = launch.WORKER_THREADS  # as its own launch would do
    page.state_session_capacity = launch.CAPACITY
    return gr.mount_gradio_app(
        FastAPI(**quick_serving()),
        page,
        path="",
        run_history=False,
        max_file_size=launch.MAX_UPLOAD,
        enable_monitoring=False,
        **launch.appearance(),
    )
