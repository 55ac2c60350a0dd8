"""What Best of n and The leash open on: each its own story, in either order, unless the visitor has chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest
from gradio.context import Context

from lab.preferences.settings import RewardSettings, View
from tabs.reward.page import FIRST_SEEN, _RewardPage
from tests.tabs.reward.conftest import values_of

SHOWN = "<p>What a run has shown.</p>"
WANTED = {View.BEST_OF_N: ("n", 64), View.LEASH: ("log_beta", -2.0)}
ORDERS = [list(WANTED), list(WANTED)[::-1]]


def openings(page: _RewardPage) -> dict[View, Callable[..., list[Any]]]:
    """Return what happens when these tools are opened."""
    found = [fn.fn for fn in Context.root_block.fns.values() if fn.name == "begin"]
    return dict(zip(FIRST_SEEN, found, strict=True))


class Visitor:
    """Opens tools, and sees in the controls what that has set."""

    def __init__(self, page: _RewardPage, **chosen: Any) -> None:
        self._page, self._openings = page, openings(page)
        self.values = values_of(page, **chosen)

    def opens(self, view: View, linked: str = "", trained: str | None = None, shown: str | None = None) -> None:
        """Open a tool."""
        trained = self._page._panels[View.TRAIN].board.value if trained is None else trained
        shown = self._page._panels[view].board.value if shown is None else shown
        updates = self._openings[view](linked, trained, shown, *self.values)
        pairs = zip(self.values, updates, strict=True)
        self.values = [value if update == gr.skip() else update for value, update in pairs]

    @property
    def settings(self) -> RewardSettings:
        """What the controls show."""
        settings, notes = self._page._controls.settings(*self.values)
        assert notes == []
        return settings


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order[0]}-first")
def test_each_opens_on_its_own_story_whichever_is_opened_first(page: _RewardPage, order: list[View]) -> None:
    visitor = Visitor(page)
    for view in order:
        name, value = WANTED[view]
        assert getattr(visitor.settings, name) == RewardSettings.default(name) != value
        visitor.opens(view)
        assert getattr(visitor.settings, name) == value
        assert (visitor.settings.view, visitor.settings.annotator) == (view, "ten-words")
    assert (visitor.settings.n, visitor.settings.log_beta) == (64, -2.0)


@pytest.mark.parametrize("view", WANTED)
@pytest.mark.parametrize(
    "chosen",
    [
        {"annotator": "dialogue"},
        {"rankings": 310},
        {"source": "own"},
        {"head": "mlp"},
        {"features": "completion"},
        {"annotator": "ten-words"},  # a story's, but not all that the story sets
    ],
    ids=lambda chosen: "-".join(map(str, *chosen.items())),
)
def test_what_the_visitor_has_chosen_stays(page: _RewardPage, view: View, chosen: dict[str, Any]) -> None:
    visitor = Visitor(page, **chosen)
    before = visitor.settings
    visitor.opens(view)
    assert visitor.settings == before


@pytest.mark.parametrize("view", WANTED)
@pytest.mark.parametrize("state", [{"linked": "train"}, {"trained": SHOWN}, {"shown": SHOWN}], ids="-".join)
def test_a_link_a_training_and_a_run_are_choices(page: _RewardPage, view: View, state: dict[str, str]) -> None:
    visitor = Visitor(page)
    visitor.opens(view, **state)
    assert visitor.settings == RewardSettings()
