"""Training an adapter in the page: progress, a switch of one's own, a zip that goes and comes; and leaving midway."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from lab.text.live_training import the_line
from lab.text.models import Models
from tabs import TABS
from tabs.launch import MAX_UPLOAD, build
from tabs.page import Services
from tests.e2e.visitors import DESKTOP, PHONE, Visitors
from tests.tiny import SENTENCES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # a busy machine may need minutes to start a process

TEXT = "\n".join(SENTENCES * 6)
PATIENCE = 240_000  # milliseconds until a process has its libraries, on a busy machine
DEADLINE = 15.0  # seconds after which a place in the line must be free that would be taken for minutes


class TrainingApp:
    """The tab in this process, with a tiny model that can be looked at."""

    def __init__(self, folder: Path, files: Path) -> None:
        self.files = files
        self._services = Services(Models(str(folder)))
        self.engine = self._services.models.get(self._services.models.default).engine
        self._app = build(self._services, [tab for tab in TABS if tab.slug == "lora"])
        _, url, _ = self._app.launch(prevent_thread_lock=True, quiet=True, run_history=False, max_file_size=MAX_UPLOAD)
        self.url = url.rstrip("/")

    @property
    def own(self) -> list[str]:
        """The adapters that the engine has of visitors."""
        return [name for name in self.engine._adapters if name.startswith("own-")]

    def close(self) -> None:
        """End server and engine."""
        self._app.close(verbose=False)
        self._services.models.close()


@pytest.fixture(scope="module")
def app(browser: Browser, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingApp]:
    files = tmp_path_factory.mktemp("gradio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(files))
        patch.setattr("tabs.lora.own.COMES_BACK", 0)  # so that what is left behind can be looked for at once
        patch.setattr("tabs.uploads.KEPT_SECONDS", 1.0)
        app = TrainingApp(tiny_folder, files)
        yield app
        app.close()


def wait_for(app: TrainingApp, *, in_line: int, own: int) -> None:
    """Wait until so many are in the line and the engine has so many adapters of visitors."""
    begun = time.monotonic()
    while (len(the_line()), len(app.own)) != (in_line, own):
        assert time.monotonic() - begun < DEADLINE, f"in the line: {len(the_line())}, adapters: {app.own}"
        time.sleep(0.05)


def starts(page: Page, url: str, steps: int) -> None:
    """Open the panel, fill in the text and press Train."""
    page.goto(f"{url}/?tab=lora&view=train&rank=2&steps={steps}")
    expect(page.get_by_label("number input for steps").first).to_have_value(str(steps))
    page.locator("#sd-lora-text textarea").fill(TEXT)
    page.get_by_role("button", name="Train", exact=True).click()


def test_trains_uses_saves_and_reads_an_adapter_and_leaves_nothing(
    browser: Browser, app: TrainingApp, tmp_path: Path
) -> None:
    with Visitors(browser, app.url) as visitors:
        page = visitors.new(DESKTOP).page
        status = page.locator("#sd-lora-training")
        starts(page, app.url, 200)  # a few would be over before the page has looked once
        expect(status).to_contain_text("Step", timeout=PATIENCE)
        expect(status).to_contain_text("Done: on the held-out part", timeout=PATIENCE)
        expect(page.locator(".js-plotly-plot:visible")).to_contain_text("held out")
        expect(page.locator("#sd-lora-samples")).to_contain_text("After step 200")
        wait_for(app, in_line=0, own=1)

        with page.expect_download() as saving:
            page.get_by_role("button", name="Save as a zip").click()
        zipped = tmp_path / saving.value.suggested_filename
        saving.value.save_as(zipped)
        upload = page.locator("input[type=file][accept*=zip]")
        upload.set_input_files(zipped)
        expect(page.locator("#sd-lora-own li")).to_have_count(2)
        upload.set_input_files({"name": "x.zip", "mimeType": "application/zip", "buffer": b"PK no zip"})
        expect(page.get_by_role("alert").filter(has_text="damaged")).to_be_visible()
        wait_for(app, in_line=0, own=2)

        page.get_by_role("tab", name="Toggle").click()
        switch = page.get_by_label("My adapter").first
        expect(switch).to_be_visible()
        page.close()
        wait_for(app, in_line=0, own=0)
    begun = time.monotonic()
    while left := [path for path in app.files.rglob("*") if path.is_file()]:
        assert time.monotonic() - begun < DEADLINE, left
        time.sleep(0.05)


def test_closing_the_page_lets_the_next_one_train(browser: Browser, app: TrainingApp) -> None:
    with Visitors(browser, app.url) as visitors:
        first, second = visitors.new(DESKTOP).page, visitors.new(PHONE).page
        starts(first, app.url, 400)
        expect(first.locator("#sd-lora-training")).to_contain_text("Starting")
        starts(second, app.url, 1)
        status = second.locator("#sd-lora-training")
        expect(status).to_contain_text("You are 2nd in the line")
        assert second.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        first.close()
        expect(status).to_contain_text("Starting")
        second.goto("about:blank")
        wait_for(app, in_line=0, own=0)
