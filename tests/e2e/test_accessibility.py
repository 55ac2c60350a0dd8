"""Each tool with its results on a desk and on a phone, in light and in dark: readable by all, and never too wide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.visitors import DESKTOP, PHONE, SCHEMES, Scheme, Visitor, Visitors, grave_violations, in_scheme

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]  # a busy machine may need minutes to start

PROMPT = "The rain had stopped, and the street"
LINK: dict[str, Any] = {
    "tab": "decoding",
    "view": "sampler",
    "prompt": PROMPT,
    "columns": "greedy;top_p;beam;temperature(temperature=3)",
    "max_new_tokens": 30,
    "column": 2,
    "step": 3,
    "picks": "300.400.500",
    "samples": 3,
    "vary_points": 2,
    "num_beams": 4,
    "beam_steps": 8,
}
# What makes each tool's result, where the link has not, and what shows that the last of it is there.
TOOLS = {
    "You are the sampler": (None, ".sd-choices button"),
    "Compare": ("Generate", "#sd-inside .js-plotly-plot"),
    "Many samples": ("Draw samples", ".js-plotly-plot"),
    "Beam search as a tree": ("Grow the tree", ".js-plotly-plot"),
}
SCREENS = {"desktop": DESKTOP, "phone": PHONE}


def sees(visitor: Visitor, tool: str) -> None:
    """Open a tool and wait for its result."""
    visitor.page.get_by_role("tab", name=tool).click()
    button, result = TOOLS[tool]
    shown = visitor.page.locator(result).filter(visible=True).first
    if button is not None and not shown.is_visible():
        visitor.press(button)
    expect(shown).to_be_visible()


@pytest.fixture(scope="module", params=SCREENS)
def visitor(browser: Browser, app_url: str, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    """A visitor at a desk or with a phone."""
    with Visitors(browser, app_url) as visitors:
        visitor = visitors.new(SCREENS[request.param]).opens(**LINK)
        yield visitor


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("tool", TOOLS)
def test_all_tools_fit_and_can_be_used_by_all(visitor: Visitor, tool: str, scheme: Scheme) -> None:
    page = visitor.page
    in_scheme(page, scheme)
    sees(visitor, tool)
    assert visitor.overflow() <= 0
    grave = grave_violations(page)
    assert not grave, "\n".join(grave)
