"""Each tool with its results on a desk and on a phone, in light and in dark: readable by all, and never too wide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.e2e.visitors import DESKTOP, PHONE, Visitor, Visitors

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]  # a busy machine may need minutes to start

GRAVE = ("serious", "critical")
PROMPT = "The rain had stopped, and the street"
TOOLS: dict[str, dict[str, Any]] = {
    "compare": {
        "columns": "greedy;top_p;beam;temperature(temperature=3)",
        "max_new_tokens": 30,
        "column": 2,
        "step": 3,
    },
    "sampler": {"picks": "300.400.500"},
    "samples": {"samples": 3, "vary_points": 2, "max_new_tokens": 15},
    "beams": {"num_beams": 4, "beam_steps": 8},
}
# What shows that a tool's last result is there.
RESULTS = {
    "compare": "#sd-inside .js-plotly-plot",
    "sampler": ".sd-choices button",
    "samples": ".js-plotly-plot",
    "beams": ".js-plotly-plot",
}
SCREENS = {"desktop": DESKTOP, "phone": PHONE}


@pytest.fixture(scope="module", params=[(screen, tool) for screen in SCREENS for tool in TOOLS], ids="-".join)
def shown(browser: Browser, app_url: str, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    """A visitor who sees a tool's results."""
    screen, tool = request.param
    with Visitors(browser, app_url) as visitors:
        visitor = visitors.new(SCREENS[screen])
        visitor.opens(tab="decoding", view=tool, prompt=PROMPT, **TOOLS[tool])
        expect(visitor.page.locator(RESULTS[tool]).first).to_be_visible()
        visitor.page.add_style_tag(content="* { transition: none !important; }")  # colours are those of the end
        yield visitor


def test_the_page_is_not_wider_than_the_screen(shown: Visitor) -> None:
    assert shown.overflow() <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_grave_violation_of_accessibility_rules(shown: Visitor, scheme: Literal["light", "dark"]) -> None:
    shown.page.emulate_media(color_scheme=scheme)
    shown.page.evaluate("dark => document.body.classList.toggle('dark', dark)", scheme == "dark")
    found = Axe().run(shown.page, options={"resultTypes": ["violations"]}).response["violations"]
    grave = [
        f"{violation['id']} ({violation['impact']}): {node['target']} {node['html'][:200]} {node['failureSummary']}"
        for violation in found
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]
    assert not grave, "\n".join(grave)
