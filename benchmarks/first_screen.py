"""The first screen as a visitor gets it: when something is seen, when it can be used, and what had to be fetched.

The app is started, and Chromium opens it several times, each time with an empty cache: at a desk, and as a phone whose
processor is four times slower, which is how Lighthouse stands in for a mid-range phone. Times are the browser's own,
counted from the moment at which the page was asked for. The connection is this machine's, and is not throttled: what
a slow one would add can be told from the bytes.

- First contentful paint, largest contentful paint, layout shift: as https://web.dev/articles/vitals defines them, of a
  visit in which nothing is touched; of layout shifts the largest session window counts.
- The page can be used once a press on another tab shows that tab. That is tried from the beginning, in a second visit.

Needs Playwright (requirements-dev.txt) and a Chromium on the path.

    python -m benchmarks.first_screen
    python -m benchmarks.first_screen --query "?tab=decoding"
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.report import Figure, parser, report
from benchmarks.serving import PATIENCE, free_port, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession

SETTLED = 2.0  # seconds after which late paints and shifts have happened
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Profile:
    """How the page is opened."""

    name: str
    title: str
    slower: float  # than this machine's processor
    context: Mapping[str, Any]


PROFILES = (
    Profile("desktop", "desktop", 1, {"viewport": {"width": 1350, "height": 940}}),
    Profile(
        "phone",
        "phone, processor 4 times slower",
        4,
        {
            "viewport": {"width": 412, "height": 823},
            "device_scale_factor": 1.75,
            "is_mobile": True,
            "has_touch": True,
        },
    ),
)

# Runs before anything of the page.
OBSERVE = """
window.__seen = {lcp: 0, shifts: [], usable: 0};
new PerformanceObserver(list => {
    for (const entry of list.getEntries()) window.__seen.lcp = entry.startTime;
}).observe({type: "largest-contentful-paint", buffered: true});
new PerformanceObserver(list => {
    for (const entry of list.getEntries())
        if (!entry.hadRecentInput) window.__seen.shifts.push([entry.startTime, entry.value]);
}).observe({type: "layout-shift", buffered: true});
"""
# Presses another tab again and again until it is shown: the moment from which the page can be used.
TRY = """
() => {
    const bar = [...document.querySelectorAll('#sd-tabs > .tab-wrapper [role="tab"]')];
    const other = bar.find(tab => tab.getAttribute("aria-selected") !== "true");
    if (!other) return false;
    if (!window.__pressed) { window.__pressed = other.id; other.click(); return false; }
    const pressed = document.getElementById(window.__pressed);
    if (pressed?.getAttribute("aria-selected") !== "true") { window.__pressed = ""; return false; }
    window.__seen.usable = performance.now();
    return true;
}
"""
READ = """
() => {
    const page = performance.getEntriesByType("navigation")[0];
    const painted = performance.getEntriesByName("first-contentful-paint")[0];
    return {...window.__seen, fcp: painted ? painted.startTime : 0, answered: page.responseStart,
            interactive: page.domInteractive};
}
"""


@dataclass(frozen=True)
class Visit:
    """What one opening of the page came to; times in seconds from the request, bytes as they came over the wire."""

    answered: float
    first_paint: float
    largest_paint: float
    interactive: float
    usable: float
    shift: float
    transferred: int
    requests: int


def layout_shift(shifts: Sequence[tuple[float, float]]) -> float:
    """Return the cumulative layout shift: the largest sum of a session window.

    A window ends with a pause of a second, or when it is five seconds long.

    Args:
        shifts: the time of each in milliseconds, in order, and its score.
    """
    largest = current = 0.0
    began = last = float("-inf")
    for at, score in shifts:
        if at - last >= 1000 or at - began >= 5000:
            current, began = 0.0, at
        current, last = current + score, at
        largest = max(largest, current)
    return largest


def visit_of(read: Mapping[str, Any], usable: float, transferred: int, requests: int) -> Visit:
    """Return what the browser reported, in seconds. Raises ValueError if it has painted nothing."""
    if not read["fcp"] or not read["lcp"]:
        raise ValueError("the browser has painted nothing")
    return Visit(
        read["answered"] / 1000,
        read["fcp"] / 1000,
        read["lcp"] / 1000,
        read["interactive"] / 1000,
        usable / 1000,
        layout_shift(read["shifts"]),
        transferred,
        requests,
    )


def figures_of(profile: Profile, visits: Sequence[Visit]) -> list[Figure]:
    """Return the medians of several visits."""

    def median(name: str) -> float:
        return statistics.median(getattr(visit, name) for visit in visits)

    def figure(name: str, meaning: str, value: float, unit: str = "s") -> Figure:
        return Figure(f"{profile.name}_{name}", f"{profile.title}: {meaning}", value, unit)

    return [
        figure("answered", "first byte", median("answered")),
        figure("first_paint", "first contentful paint", median("first_paint")),
        figure("largest_paint", "largest contentful paint", median("largest_paint")),
        figure("interactive", "DOM interactive", median("interactive")),
        figure("usable", "tabs can be used", median("usable")),
        figure("layout_shift", "cumulative layout shift", median("shift"), ""),
        figure("transferred", "transferred", median("transferred") / MEGABYTE, "MB"),
        figure("requests", "requests", median("requests"), ""),
    ]


class Wire:
    """Counts what comes over the wire for a page."""

    def __init__(self, session: CDPSession) -> None:
        self.transferred = 0
        self.requests = 0
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._asked)
        session.on("Network.loadingFinished", self._came)

    def _asked(self, event: Mapping[str, Any]) -> None:
        if not event["request"]["url"].startswith(("data:", "blob:")):
            self.requests += 1

    def _came(self, event: Mapping[str, Any]) -> None:
        self.transferred += round(event["encodedDataLength"])


def visit(browser: Browser, profile: Profile, url: str) -> Visit:
    """Open the page once, as somebody who has never been there. Raises TimeoutError if it never becomes usable."""
    context = browser.new_context(**profile.context)
    try:
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Emulation.setCPUThrottlingRate", {"rate": profile.slower})
        wire = Wire(session)
        page.add_init_script(OBSERVE)
        page.goto(url, wait_until="commit")
        # Paints and shifts of the screen itself first, in a visit that touches nothing: a press would change both.
        page.wait_for_load_state("load", timeout=PATIENCE * 1000)
        page.wait_for_selector("#sd-tabs [role=tab]", timeout=PATIENCE * 1000)
        page.wait_for_timeout(SETTLED * 1000 * profile.slower)
        read = page.evaluate(READ)
        transferred, requests = wire.transferred, wire.requests
        page.close()  # it would compute beside the second visit
        return visit_of(read, _usable(context, profile, url), transferred, requests)
    finally:
        context.close()


def _usable(context: Any, profile: Profile, url: str) -> float:
    """Return after how many milliseconds a press on another tab works, in a visit of its own with an empty cache."""
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.clearBrowserCache")
    session.send("Emulation.setCPUThrottlingRate", {"rate": profile.slower})
    page.add_init_script(OBSERVE)
    page.goto(url, wait_until="commit")
    page.wait_for_function(TRY, polling=50, timeout=PATIENCE * 1000)
    return page.evaluate("window.__seen.usable")


@contextmanager
def started() -> Iterator[str]:
    """Start the app, and yield its address once its page answers."""
    port = free_port()
    command = [sys.executable, "app.py", "--store", "memory", "--port", str(port)]
    with serving(command, port, env=os.environ | {"HF_HUB_OFFLINE": "1"}):
        yield f"http://127.0.0.1:{port}"


def main() -> None:
    """Measure the first screen and print the figures."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--query", default="", help="what to open instead of the first screen, such as ?tab=decoding")
    options.add_argument("--url", help="an app that runs already, such as a Space")
    options.add_argument(
        "--warm", type=float, default=20.0, help="seconds for the app to warm up before the first visit"
    )
    arguments = options.parse_args()
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        raise SystemExit(f"No browser: none of {', '.join(BROWSERS)} is on the path.")
    figures: list[Figure] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=SWITCHES)
        version = browser.version
        if arguments.url:
            figures = measured(browser, arguments.url.rstrip("/"), arguments.query, arguments.repeats)
        else:
            with started() as url:
                time.sleep(arguments.warm)
                figures = measured(browser, url, arguments.query, arguments.repeats)
        browser.close()
    facts = {"browser": f"Chromium {version}", "visits": str(arguments.repeats)}
    if arguments.query:
        facts["page"] = arguments.query
    report(figures, facts=facts, as_json=arguments.json, save=arguments.save)


def measured(browser: Browser, url: str, query: str, repeats: int) -> list[Figure]:
    """Return the figures of all profiles."""
    address = f"{url}/{query}"
    visit(browser, PROFILES[0], address)  # the first visitor of all lets the server read its files
    return [
        figure
        for profile in PROFILES
        for figure in figures_of(profile, [visit(browser, profile, address) for _ in range(repeats)])
    ]


if __name__ == "__main__":
    main()
