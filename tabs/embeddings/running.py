"""How each tool of the tab runs: in the background, with words on what is going on, until another run takes over."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

import gradio as gr

from lab.errors import VisitorError
from tabs.rendering import message
from tabs.runs import Runs
from tabs.waiting import Ready, Tell, wait_for

T = TypeVar("T")

FAILED = VisitorError("This could not be computed. What was here before stays.")


def run_tool(
    runs: Runs, work: Callable[[Tell], T], show: Callable[[T], list[Any]], outputs: int, words: str = "Embedding …"
) -> Iterator[list[Any]]:
    """Yield what a tool shows; on bad input a message, and what is shown stays.

    Args:
        work: computes the result, told where it may tell how far it is.
        show: makes the components' values from the result, the status first.
        outputs: number of components that are set.
        words: on what is going on, before ``work`` tells anything.
    """
    updates = _updates(work, show, outputs, words)
    yield from runs.follow(updates, lambda update: [message("Stopped."), *[gr.skip()] * (outputs - 1)])


def _updates(
    work: Callable[[Tell], T], show: Callable[[T], list[Any]], outputs: int, words: str
) -> Generator[list[Any], None, None]:
    keep = [gr.skip()] * (outputs - 1)
    try:
        for news in wait_for(work, words, FAILED):
            yield show(news.value) if isinstance(news, Ready) else [message(news), *keep]
    except VisitorError as error:
        yield [message(str(error), alert=True), *keep]
