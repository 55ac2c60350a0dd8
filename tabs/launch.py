"""Building the app from tabs, and starting it from the command line."""

from __future__ import annotations

import os

# Before gradio is imported: no look-up of any kind may leave the machine at start.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Else a table of all events so far is made after each one, for a page of statistics that is switched off.
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")

import argparse
import importlib
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from lab.embeddings import Embedder
from lab.errors import ModelUnavailable, VisitorError
from lab.music.voices import Voices
from lab.preferences import PreferenceError, checked_class_code
from lab.preferences.store import Store
from lab.text.models import GPT2, Models
from tabs import TABS, Tab
from tabs.page import Page, Services
from tabs.theme import style, theme

log = logging.getLogger(__name__)

TITLE = "Slightly Different"
WORKER_THREADS = 200  # a visitor who watches a text grow holds one while it is rendered
MAX_UPLOAD = "2mb"  # as lab.music.upload takes


def build(services: Services, tabs: Sequence[Tab] = TABS) -> gr.Blocks:
    """Return the app with these tabs."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as app:
        gr.HTML(
            f'<header class="sd-header"><h1>{TITLE}</h1><p>How can a model that already knows a lot do something '
            "slightly different? What is frozen, what is changed, and why?</p></header>",
            elem_id="sd-top",
        )
        class_code = gr.Textbox("", label="Class code", visible=False, elem_id="sd-class")
        services = replace(services, class_code=class_code, made=gr.State(()))
        pages: dict[str, Page] = {}
        with gr.Tabs(elem_id="sd-tabs", overflow_behavior="wrap") as bar:
            for tab in tabs:
                with gr.Tab(tab.title, id=tab.slug):
                    pages[tab.slug] = importlib.import_module(tab.module).build(services)

        def open_tab(request: gr.Request) -> Any:
            slug = request.query_params.get("tab", "")
            return gr.Tabs(selected=slug) if slug in pages else gr.skip()

        if len(tabs) > 1:
            app.load(open_tab, None, bar, api_visibility="private", show_progress="hidden")
        for slug, page in pages.items():
            restored = app.load(
                _restorer(slug, page, only=len(tabs) == 1),
                None,
                list(page.outputs),
                api_visibility="private",
                show_progress="hidden",
            )
            page.after_restore(restored)
        app.load(_class_code, None, class_code, api_visibility="private", show_progress="hidden")
    app.queue(default_concurrency_limit=None, max_size=None)
    return app


def _class_code(request: gr.Request) -> Any:
    code = request.query_params.get("class", "")
    try:
        return checked_class_code(code)
    except PreferenceError:
        return gr.skip()


def _restorer(slug: str, page: Page, only: bool) -> Any:
    def restore(request: gr.Request) -> list[Any]:
        query: Mapping[str, str] = dict(request.query_params)
        mine = query.get("tab", slug if only else "") == slug
        return list(page.restore(query if mine else {}))

    return restore


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="app.py", description=f"{TITLE}: steer and adapt language models with your own hands."
    )
    parser.add_argument(
        "--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), help="address to listen on"
    )
    parser.add_argument("--port", type=int, default=None, help="port (default: the first free one from 7860 on)")
    parser.add_argument("--share", action="store_true", help="make a public link through Gradio's tunnel")
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        choices=range(1, 65),
        metavar="N",
        help="threads of each model; 1 is fastest on shared cores",
    )
    parser.add_argument(
        "--model",
        default=None,
        help=f"a folder with a GPT-2, or its name on the Hub, such as {GPT2}; it is then the default",
    )
    parser.add_argument(
        "--store",
        default=os.environ.get("SLIGHTLY_DIFFERENT_STORE", "preferences.sqlite3"),
        metavar="FILE",
        help="where guesses and votes are kept, without names; “memory” for nowhere (default: %(default)s)",
    )
    return parser.parse_args(argv)


def serve(slugs: Sequence[str] | None = None, argv: Sequence[str] | None = None) -> None:
    """Start the app (with some tabs only, if named) and serve until interrupted."""
    options = arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        models = Models(options.model, options.threads)
    except ValueError as error:
        raise SystemExit(f"app.py: {error}") from None
    services = Services(models, Voices(options.threads), open_store(options.store), Embedder(options.threads))
    app = build(services, [tab for tab in TABS if slugs is None or tab.slug in slugs])
    try:
        app.launch(
            server_name=options.host,
            server_port=options.port,
            share=options.share,
            theme=theme(),
            css=style(),
            run_history=False,
            max_threads=WORKER_THREADS,
            max_file_size=MAX_UPLOAD,
            enable_monitoring=False,
            prevent_thread_lock=True,
            quiet=False,
        )
    except OSError as error:  # the port is in use, or the address is none of this machine
        raise SystemExit(f"app.py: {error}") from None
    threading.Thread(target=warm, args=[services], name="warming", daemon=True).start()
    app.block_thread()


def open_store(path: str) -> Store:
    """Open the file of guesses and votes; where none can be written they are kept in memory, and the log says so."""
    if path == "memory":
        return Store(None)
    try:
        return Store(path)
    except VisitorError as error:
        log.warning("%s Guesses and votes are forgotten when the app ends.", error)
        return Store(None)


def warm(services: Services) -> None:
    """Load what the first visitor will need: the page is up already, this happens behind it."""
    try:
        model = services.models.get(services.models.default)
    except ModelUnavailable as error:
        log.warning("%s", error)
        return
    log.info("%s is ready", model.title)
    for warm_up in services.warm_ups:
        warm_up()
