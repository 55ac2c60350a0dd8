"""Waiting for a model with something to see."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

from lab.text.errors import ModelUnavailable
from lab.text.models import LanguageModel, Models


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
    messages: queue.SimpleQueue[str | LanguageModel | Exception] = queue.SimpleQueue()

    def load() -> None:
        try:
            messages.put(models.get(name, messages.put))
        except Exception as error:  # it is raised again in the visitor's thread
            messages.put(error)

    threading.Thread(target=load, name="loading", daemon=True).start()
    started, message = time.monotonic(), "Getting the model ready …"
    while True:
        try:
            news = messages.get(timeout=1.0)
        except queue.Empty:
            news = message
        if isinstance(news, LanguageModel):
            yield news
            return
        if isinstance(news, ModelUnavailable):
            raise news
        if isinstance(news, Exception):
            raise ModelUnavailable("The model could not be loaded.") from news
        message = news
        yield f"{message} ({time.monotonic() - started:.0f} s)"
