"""Slightly Different on Ray Serve: one page, and as many replicas of the language model as machines can carry.

    pip install -r requirements.txt -r deploy/requirements-ray.txt
    serve run deploy.ray_serve:app

The page is one deployment of one replica, since a visitor's session lives in its memory. What takes time, the rows of
the built-in language model, is run by another deployment, ``TextModel``, with two replicas or more; Ray sends each
submission to the one that has the least to do. The music, the sentence encoder and trainings stay with the page.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from ray import serve
from ray.serve.handle import DeploymentHandle

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lab.lora import Adapter
    from lab.text.rows import Event, Row

REPLICAS = int(os.environ.get("SLIGHTLY_DIFFERENT_REPLICAS", "2"))
MODEL = os.environ.get("SLIGHTLY_DIFFERENT_MODEL")  # as --model
VISITORS = 200  # at the same time


@serve.deployment(num_replicas=REPLICAS, max_ongoing_requests=VISITORS, ray_actor_options={"num_cpus": 1})
class TextModel:
    """One replica: a language model with the engine that owns it."""

    def __init__(self) -> None:
        from lab.text.models import Models

        models = Models(MODEL)
        self._model = models.get(models.default)
        self._submissions = 0
        self._readers = ThreadPoolExecutor(VISITORS, "reader")  # one waits for each stream that is read

    async def run(self, rows: Sequence[Row], adapters: Mapping[str, Adapter]) -> AsyncIterator[list[Event]]:
        """Yield the events of rows step by step. A visitor's own adapters come with the rows and go with them."""
        self._submissions += 1
        engine = self._model.engine
        foreign = {name: adapter for name, adapter in adapters.items() if engine.adapter(name) is None}
        try:
            for name, adapter in foreign.items():
                engine.add_adapter(name, adapter)
            stream = engine.submit(rows)  # holds on to its adapters from here on
        finally:
            for name in foreign:
                engine.remove_adapter(name)
        try:
            drain = partial(asyncio.get_running_loop().run_in_executor, self._readers, stream.drain)
            while (events := await drain()) is not None:
                yield events
        finally:
            stream.cancel()

    def check_health(self) -> None:
        """Raise if this replica serves no rows any more; Ray asks now and then, and puts a new one in its place."""
        if not self._model.engine.alive:
            raise RuntimeError("the engine's thread has ended")

    def state(self) -> tuple[int, int, int]:
        """Return the number of this replica's process, its submissions so far, and its rows now."""
        return os.getpid(), self._submissions, sum(self._model.engine.load)


@serve.deployment(max_ongoing_requests=VISITORS)
@serve.ingress()
class Page:
    """The page, whose rows go to the replicas behind a handle."""

    def __init__(self, text_model: DeploymentHandle) -> None:
        self._text_model = text_model.options(stream=True)

    def __serve_build_asgi_app__(self) -> FastAPI:  # called by Ray Serve in the process that serves
        from deploy.page import web_application  # first: see there
        from deploy.replicas import replicated
        from lab.text.models import Models
        from tabs import launch
        from tabs.page import Services

        models = Models(MODEL)
        models.adopt(replicated(models.get(models.default), self._rows))
        store = launch.open_store(os.environ.get("SLIGHTLY_DIFFERENT_STORE", "memory"))
        services = Services(models, store=store)
        page = web_application(services)
        threading.Thread(target=launch.warm, args=[services], name="warming", daemon=True).start()
        return page

    def _rows(self, rows: Sequence[Row], adapters: Mapping[str, Adapter]) -> Iterator[list[Event]]:
        response = self._text_model.run.remote(rows, adapters)
        try:
            yield from response
        finally:
            response.cancel()  # closing this generator would leave the replica at work


app = Page.bind(TextModel.bind())
