"""The app as a process of its own, a real browser, and visitors whose pages must stay free of errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.serving import free_port
from tests.e2e.visitors import DESKTOP, PHONE, Visitor, Visitors
from tests.serving import wait_until_it_answers

ROOT = Path(__file__).resolve().parents[2]
SHOTS = Path(__file__).with_name("shots")
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Of several lists the browser takes the last one, so this holds what Playwright's own switches off and matters here.
# The omnibox' are pages of the browser's own: each visitor's window would draw two, for a third of a page's own work.
SWITCHED_OFF = (
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "AimEnabled",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
)
# Nothing here that a browser does for itself may look like a request of the page.
CHROMIUM_ARGUMENTS = [
    f"--disable-features={','.join(SWITCHED_OFF)}",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path."""
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(CHROMIUM_NAMES)} is on the path")
    return found


@pytest.fixture(scope="session")
def app_url(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app with the shipped model, which is ready. The Hub is out of its reach."""
    folder = tmp_path_factory.mktemp("app")
    log, port = folder / "app.log", free_port()
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "hub"),
        "PYTHONUNBUFFERED": "1",
        "SLIGHTLY_DIFFERENT_STORE": "memory",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port)], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        wait_until_it_answers(url, process, log)
        # An answer needs the model, so it comes when the model is there.
        Client(url, verbose=False).predict(prompt="Once", columns="greedy", max_new_tokens=1, api_name="/decode")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """The browser, in which each visitor has a context of their own."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def blank(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Opens an empty page at an address with a query, for scripts that read it; no app takes part."""
    page = browser.new_page()
    page.route("**/*", lambda route: route.fulfill(body="<p>", content_type="text/html"))

    def open_at(query: str) -> Page:
        page.goto(f"http://blank.test/{query}")
        return page

    yield open_at
    page.close()


@pytest.fixture
def visitors(browser: Browser, app_url: str) -> Iterator[Visitors]:
    """Lets visitors come to the app; after the test their pages must have logged no error and left this machine."""
    with Visitors(browser, app_url) as visitors:
        yield visitors


@pytest.fixture
def desktop(visitors: Visitors) -> Visitor:
    """A visitor at a desk."""
    return visitors.new(DESKTOP)


@pytest.fixture
def phone(visitors: Visitors) -> Visitor:
    """A visitor with a phone."""
    return visitors.new(PHONE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep pictures of what the visitors of a failed test saw."""
    report = yield
    if report.when == "call" and report.failed:
        for visitors in item.funcargs.values():
            if isinstance(visitors, Visitors):
                visitors.photograph(SHOTS, item.name)
    return report
