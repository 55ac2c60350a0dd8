"""The app on Ray Serve on one machine: two replicas write texts, and the page is served."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="Ray is an optional extra: deploy/requirements-ray.txt")

pytestmark = [pytest.mark.smoke, pytest.mark.timeout(600)]  # four processes import torch

URL = "http://127.0.0.1:8017"


@pytest.fixture(scope="module")
def served() -> Iterator[Any]:
    from ray import serve

    from deploy.ray_serve import app

    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": 8017})
    yield serve.run(app, name="app")
    serve.shutdown()
    ray.shutdown()


def test_two_replicas_write_and_the_page_is_served(served: Any) -> None:
    from gradio_client import Client
    from ray import serve

    client = Client(URL, verbose=False)
    ask = {"prompt": "Once upon a time", "columns": "greedy;top_p(top_p=0.9)", "max_new_tokens": 12, "seed": 3}
    first = client.predict(**ask, api_name="/decode")
    assert all(len(column["tokens"]) == 12 for column in first["columns"])

    # Of many at once both replicas have their share, and all read the same.
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: Client(URL, verbose=False).predict(**ask, api_name="/decode"), range(12)))
    texts = [[column["text"] for column in answer["columns"]] for answer in [first, *answers]]
    assert all(text == texts[0] for text in texts)

    handle = serve.get_deployment_handle("TextModel", app_name="app")
    processes: Counter[int] = Counter()
    together = threading.Barrier(8)

    def where(_: int) -> int:
        together.wait()
        return handle.process.remote().result()

    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            processes.update(pool.map(where, range(8)))
    assert len(processes) == 2
