"""Waiting for a model with something to see."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import gradio as gr

from lab.errors import ModelUnavailable, VisitorError
from lab.text.models import LanguageModel, Models
from tabs.rendering import message as show
from tabs.waiting import Ready, wait_for


def wait_for_model(models: Models, name: str) -> Iterator[str | LanguageModel]:
    """Load a model in the background; yield what is going on in plain words about once a second, and last the model.

    Closing the generator leaves the load going: the next visitor will want it too.

    Raises:
        ModelUnavailable: if it cannot be had.
    """
    name = name or models.default
    if models.is_loaded(name):
        yield models.get(name)
        return
    loading = wait_for(
        lambda tell: models.get(name, tell),
        "Getting the model ready …",
        ModelUnavailable("The model could not be loaded."),
    )
    for news in loading:
        yield news.value if isinstance(news, Ready) else news


def run_with_model(
    models: Models, name: str, run: Callable[[LanguageModel], Iterator[list[Any]]], outputs: int
) -> Generator[list[Any], None, None]:
    """Wait for a model, then yield what ``run`` yields; what goes wrong is told in the status and all else stays.

    Args:
        outputs: number of components that are set, the status first.
    """
    keep = [gr.skip()] * (outputs - 1)
    try:
        for news in wait_for_model(models, name):
            if isinstance(news, str):
                yield [show(news), *keep]
            else:
                yield from run(news)
    except VisitorError as error:
        yield [show(str(error), alert=True), *keep]
