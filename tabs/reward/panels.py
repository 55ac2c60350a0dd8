"""What Train, Best of n and The leash have in common: stories to click, plots beside tables, following the controls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import gradio as gr

from lab.errors import VisitorError
from lab.preferences.choosing import held_out_prompts
from lab.preferences.overoptimisation import CURE, EXAMPLE
from lab.preferences.settings import RewardSettings, View
from tabs.page import PRIVATE
from tabs.rendering import message, notes_html
from tabs.reward.shared import Controls
from tabs.waiting import wait_for

T = TypeVar("T")

LEARNS = ("source", "annotator", "rankings", "head", "features")  # settings of what the reward model learns from
OVERDONE, CURED = (example.model_dump(mode="json", include=set(LEARNS)) for example in (EXAMPLE, CURE))


def prompt_choices() -> list[tuple[str, int]]:
    """Return the pool's held-out prompts, each with its number from 1."""
    return [(f"{number}. {prompt} …", number) for number, prompt in enumerate(held_out_prompts(), 1)]


class Panel(Protocol):
    """A tool of the tab, once it is wired. ``board`` is what shows that nothing was run yet."""

    inputs: list[Any]
    board: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """Components that a run sets."""

    def run(self, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Yield what the page is to show."""


def wire_stories(
    buttons: Sequence[tuple[gr.Button, Mapping[str, Any]]], controls: Controls, panel: Panel, view: View
) -> None:
    """Let each story set what it is about, leave all else as it is, and run."""
    for button, changes in buttons:

        def tell(*values: Any, changes: Mapping[str, Any] = changes) -> list[Any]:
            return controls.updates(changed(controls.settings(*values)[0], view, changes))

        told = button.click(tell, controls.all, controls.all, queue=False, **PRIVATE)
        told.then(panel.run, panel.inputs, panel.outputs, **PRIVATE)


def changed(settings: RewardSettings, view: View, changes: Mapping[str, Any]) -> RewardSettings:
    """Return settings of which only the tool and what a story is about are others."""
    return RewardSettings.lenient(settings.model_dump() | {"view": view} | dict(changes))[0]


def left_by_a_story(settings: RewardSettings, story: Mapping[str, Any]) -> bool:
    """Return whether what the reward model learns from is as a story sets it, all that it leaves alone being as it
    was at first."""
    return all(getattr(settings, name) == story.get(name, RewardSettings.default(name)) for name in LEARNS)


def at_first_sight(
    tab: gr.Tab,
    controls: Controls,
    panel: Panel,
    view: View,
    story: Mapping[str, Any],
    linked: gr.State,
    trained: gr.HTML,
) -> None:
    """Let a tool that is opened for the first time show something: what the visitor's own choice comes to; and if
    nothing was chosen or trained yet, a story. What another tool's story has set was not chosen by the visitor.

    Args:
        linked: the tool that a link asked for and that runs by itself, empty without a link.
        trained: what Train shows.
    """
    untrained, blank = trained.value, panel.board.value

    def begin(linked: str, trained: str, shown: str, *values: Any) -> list[Any]:
        settings, _ = controls.settings(*values)
        chosen = not any(left_by_a_story(settings, one) for one in ({}, OVERDONE))
        learns = linked not in ("", View.RANK)  # ranking learns nothing, so a link to it says nothing of the model
        if learns or chosen or trained != untrained or shown != blank:
            return [gr.skip()] * len(controls.all)
        return controls.updates(changed(settings, view, story))

    def first(linked: str, shown: str, *values: Any) -> Iterator[list[Any]]:
        if linked == view or shown != blank:
            yield [gr.skip()] * len(panel.outputs)
        else:
            yield from panel.run(*values)

    begun = tab.select(begin, [linked, trained, panel.board, *controls.all], controls.all, **PRIVATE)
    begun.then(first, [linked, panel.board, *panel.inputs], panel.outputs, **PRIVATE)


def follow(controls: Controls, panel: Panel, view: View, names: Sequence[str]) -> None:
    """Run a tool again when one of these settings is changed while the tool is open."""

    def again(*values: Any) -> Iterator[list[Any]]:
        settings, _ = controls.settings(*values)
        if settings.view is view:
            yield from panel.run(*values)
        else:
            yield [gr.skip()] * len(panel.outputs)

    # "input", not "release": the keyboard moves sliders, too.
    for name in names:
        controls.components[name].input(again, panel.inputs, panel.outputs, trigger_mode="always_last", **PRIVATE)


def show_when_ready(
    work: Callable[[], T], shown: Callable[[T], list[Any]], outputs: int, notes: Sequence[str]
) -> Iterator[list[Any]]:
    """Work in the background and yield what comes of it; after a second say that it takes a while.

    What goes wrong is told in the status, which is the first output, and all else stays.
    """
    keep = [gr.skip()] * (outputs - 1)
    failure = VisitorError("The reward model could not be trained. Please try again.")
    try:
        for news in wait_for(lambda tell: work(), "Learning from the rankings …", failure):
            yield [message(news), *keep] if isinstance(news, str) else shown(news.value)
    except VisitorError as error:
        yield [message(str(error), alert=True) + notes_html(notes), *keep]


def add_plot(words: str, columns: Sequence[str], label: str) -> tuple[gr.Plot, gr.Dataframe]:
    """Add words, a plot, and beside it the same as a table."""
    gr.Markdown(words)
    with gr.Row(elem_classes="sd-reward-train-pair"):
        with gr.Column(scale=3, min_width=300):
            plot = gr.Plot(show_label=False)
        with gr.Column(scale=2, min_width=300):
            table = gr.Dataframe(
                headers=list(columns), interactive=False, label=label, show_search="none", max_height=340
            )
    return plot, table
