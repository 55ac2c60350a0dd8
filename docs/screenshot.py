"""Make the pictures in the README and in docs/, one of each tab at work, from a running app.

python app.py --port 7860 &
python docs/screenshot.py http://127.0.0.1:7860 [decoding melodies …]
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

# Of each picture: the link that it shows, and what has to be on the page before it is taken.
PICTURES = {
    "embeddings": ("?tab=embeddings", ("#sd-tab-embeddings .js-plotly-plot",)),
    "decoding": (
        "?tab=decoding&prompt=Once+upon+a+time+there+was+a+little+girl+who&seed=8&max_new_tokens=60&column=4&step=9",
        (".sd-board[data-state=done]", "#sd-inside .js-plotly-plot"),
    ),
    "melodies": ("?tab=melodies&voices=folk,lora,full&seed=24", ("#sd-tab-melodies audio >> nth=2", ".js-plotly-plot")),
    "lora": (
        "?tab=lora&prompt=The+king&seed=3&adapters=shakespeare%3D1%3Bfairy-tales%3D1&column=2&step=3",
        (".sd-board[data-state=done]", "#sd-lora-step .js-plotly-plot"),
    ),
    "reward": (
        "?tab=reward&view=best-of-n&annotator=ten-words&rankings=300&features=words&n=64&among=4",
        ("#sd-tab-reward .js-plotly-plot",),
    ),
    "reflection": ("?tab=reflection", (".sd-reflection-plot",)),
}
WIDTH, HEIGHT = 1400, 1000
FADE = 1500  # milliseconds, of the plots


def photograph(page: Page, address: str, name: str) -> None:
    """Open a picture's link in the app at an address, and keep what it shows beside this file."""
    link, signs = PICTURES[name]
    page.goto(address + "/" + link)
    for sign in signs:
        page.locator(sign).first.wait_for(timeout=90_000)
    page.wait_for_timeout(FADE)
    page.screenshot(path=Path(__file__).with_name(f"{name}.png"), full_page=True)


def main(address: str, *names: str) -> None:
    """Take the pictures with these names, by default all."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name in names or PICTURES:
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            photograph(page, address, name)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), *sys.argv[2:])
