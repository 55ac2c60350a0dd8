"""Make the pictures in the README, docs/decoding.png and docs/melodies.png, from a running app.

python app.py --port 7860 &
python docs/screenshot.py http://127.0.0.1:7860
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

DECODING = "/?tab=decoding&prompt=Once+upon+a+time+there+was+a+little+girl+who&seed=7&max_new_tokens=60&column=4&step=9"
MELODIES = "/?tab=melodies&voices=folk,lora,full&seed=7"


def main(address: str) -> None:
    """Open a link to each tab in the app at this address and keep a picture of its result."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(address + DECODING)
        page.wait_for_selector(".sd-board[data-state=done]", timeout=60_000)
        page.wait_for_selector("#sd-inside .js-plotly-plot")
        page.wait_for_timeout(1500)  # the plot's own fade-in
        page.screenshot(path=Path(__file__).with_name("decoding.png"), full_page=True)
        page.goto(address + MELODIES)
        page.wait_for_selector("#sd-melodies audio >> nth=2", timeout=60_000)
        page.wait_for_selector(".js-plotly-plot")
        page.wait_for_timeout(1500)
        page.screenshot(path=Path(__file__).with_name("melodies.png"), full_page=True)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
