"""Building the app from tabs, and starting it from the command line."""

from __future__ import annotations

import os

# Before gradio is imported: no look-up of any kind may leave the machine at start.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Else a table of all events so far is made after each one, for a page of statistics that is switched off.
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")

import argparse
import importlib.util
import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from lab import hosting
from lab.embeddings import Embedder
from lab.errors import ModelUnavailable, VisitorError
from lab.links import read_query
from lab.music.voices import Voices
from lab.preferences.store import Store
from lab.text.models import GPT2, Models
from tabs import TABS, Tab
from tabs.page import PRIVATE, Page, Services
from tabs.quick import quick_serving, remember_signatures, settle
from tabs.sessions import CAPACITY, lighten, return_memory
from tabs.theme import head, style, theme
from tabs.visitor import session_box
from tabs.workshop.banner import Banner

log = logging.getLogger(__name__)

TITLE = "Slightly Different"
FIRST_PAGE = 1.0  # seconds in which the first page is answered, and nothing else is done
WORKER_THREADS = 200  # a visitor who watches a text grow holds one while it is rendered
MAX_UPLOAD = "24mb"  # as lab.text.adapter_files takes; other readers turn down less


HEADER = """
<a class="sd-skip" href="#sd-tabs">Skip to the open tab</a>
<header class="sd-header"><h1><span>Slightly</span> <em>Different</em></h1>
<p>What is <b class="sd-frozen">frozen</b>, what is <b class="sd-changed">changed</b>, and why?</p></header>
"""
NETWORK_JS = Path(__file__).with_name("network.js").read_text(encoding="utf-8")
SHELL_JS = Path(__file__).with_name("shell.js").read_text(encoding="utf-8")
# In the browser, at once: an answer of the server may have to wait behind thirty others.
OPEN_TAB_JS = """
() => {
    const titles = %s, hidden = %s, only = titles.length === 1 ? titles[0] : "";
    const slug = new URLSearchParams(window.location.search).get("tab") ?? only;
    const shown = hidden.map(name => ({__type__: "update", visible: name === slug}));
    const links = titles.map(name => name === slug ? window.location.search || "?" : "");
    return [titles.includes(slug) ? {__type__: "update", selected: slug} : {__type__: "update"}, ...shown, ...links];
}
"""
# The tab that a page opens on is selected before the page has loaded: two ways to one link, which must say the same.
# It is the link of the load, as a tab that is opened by hand writes its name into the address at once. A browser that
# hides such times has only the address.
FIRST_SEEN_JS = """
link => {
    const search = new URL(performance.getEntriesByType("navigation")[0]?.name ?? window.location.href).search;
    const slug = new URLSearchParams(search).get("tab") ?? %s;
    return link || (slug === %s && search || "?");
}
"""


def build(services: Services, tabs: Sequence[Tab] = TABS) -> gr.Blocks:
    """Return the app with these tabs."""
    remember_signatures()
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as app:
        app.queue(default_concurrency_limit=None, max_size=None)  # while it is empty: this makes a web application
        gr.HTML(HEADER, elem_id="sd-top")
        banner = Banner(services)
        # Texts are sent to the map only where there is one.
        texts = gr.State(()) if any(tab.slug == "embeddings" for tab in tabs) else None
        services = replace(
            services,
            class_code=banner.class_code,
            class_banner=banner.shown,
            session=session_box(services),
            made=texts,
        )
        pages: dict[str, Page] = {}
        shown: dict[str, gr.Tab] = {}
        # Of each tab: the link by which it was opened, "?" if by hand. Tabs that nobody opens do nothing: every event
        # costs a browser time, and with those of all tabs a link took half a minute to show its result.
        links = {
            tab.slug: gr.Textbox("", visible="hidden", elem_id=f"sd-link-{tab.slug}", container=False) for tab in tabs
        }
        with gr.Tabs(elem_id="sd-tabs", overflow_behavior="wrap") as bar:
            for tab in tabs:
                with gr.Tab(tab.title, id=tab.slug, elem_id=f"sd-tab-{tab.slug}", visible=not tab.hidden) as made:
                    pages[tab.slug] = importlib.import_module(tab.module).build(services)
                shown[tab.slug] = made
        for js in (NETWORK_JS, SHELL_JS):
            app.load(None, None, None, js=js, **PRIVATE)
        hidden = [tab.slug for tab in tabs if tab.hidden]
        js = OPEN_TAB_JS % (json.dumps(list(pages)), json.dumps(hidden))
        app.load(None, None, [bar, *(shown[slug] for slug in hidden), *links.values()], js=js, **PRIVATE)
        banner.wire(app)
        for slug, page in pages.items():
            link = links[slug]
            only = slug if len(tabs) == 1 else ""
            shown[slug].select(None, link, link, js=FIRST_SEEN_JS % (json.dumps(only), json.dumps(slug)), **PRIVATE)
            page.after_restore(link.change(_restorer(page), link, list(page.outputs), **PRIVATE))
    lighten()
    return app


def _restorer(page: Page) -> Any:
    def restore(link: str) -> Any:
        query = dict(parse_qsl(link.removeprefix("?"), keep_blank_values=True))
        unpacked, unreadable = read_query(query)
        # A link that cannot be unpacked goes on as it is: the settings tell the visitor.
        values = list(page.restore(query if unreadable else unpacked))
        return values[0] if len(values) == 1 else values

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
    parser.add_argument(
        "--mcp",
        action="store_true",
        help="offer the API names as tools of an MCP server too; needs requirements-mcp.txt",
    )
    return parser.parse_args(argv)


def serve(slugs: Sequence[str] | None = None, argv: Sequence[str] | None = None) -> None:
    """Start the app (with some tabs only, if named) and serve until interrupted."""
    options = arguments(argv)
    if options.mcp and importlib.util.find_spec("mcp") is None:
        raise SystemExit("app.py: --mcp needs the extra: pip install -r requirements-mcp.txt")
    return_memory()
    hosting.prepare()
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
            **appearance(),
            app_kwargs=quick_serving(),
            run_history=False,
            max_threads=WORKER_THREADS,
            max_file_size=MAX_UPLOAD,
            enable_monitoring=False,
            mcp_server=options.mcp,
            state_session_capacity=CAPACITY,
            prevent_thread_lock=True,
            quiet=False,
            # Else Gradio asks for its own page and gives up the start where a busy machine takes over 3 s to answer.
            _frontend=False,
        )
    except OSError as error:  # the port is in use, or the address is none of this machine
        raise SystemExit(f"app.py: {error}") from None
    settle()
    threading.Thread(target=warm, args=[services, FIRST_PAGE], name="warming", daemon=True).start()
    app.block_thread()


def appearance() -> dict[str, Any]:
    """Return how the page looks, as arguments of ``launch`` and of ``mount_gradio_app``."""
    return {"theme": theme(), "css": style(), "head": head()}


def open_store(path: str) -> Store:
    """Open the file of guesses and votes; where none can be written they are kept in memory, and the log says so."""
    if path == "memory":
        return Store(None)
    try:
        return Store(path)
    except VisitorError as error:
        log.warning("%s Guesses and votes are forgotten when the app ends.", error)
        return Store(None)


def warm(services: Services, after: float = 0.0) -> None:
    """Load what the first visitor will need: the page is up already, this happens behind it, after some seconds."""
    time.sleep(after)
    try:
        model = services.models.get(services.models.default)
    except ModelUnavailable as error:
        log.warning("%s", error)
        return
    log.info("%s is ready", model.title)
    for warm_up in services.warm_ups:
        warm_up()
    settle()
