"""The app on Ray Serve on one machine: two replicas share the rows, one may die, and the page is served."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="Ray is an optional extra: deploy/requirements-ray.txt")

# Read when ray.serve is imported: a busy machine takes longer than the 5 seconds after which a new proxy is given up.
os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "50")

pytestmark = [pytest.mark.smoke, pytest.mark.timeout(900)]  # four processes import torch, one more after the loss

PORT = 8017
URL = f"http://127.0.0.1:{PORT}"
PATIENCE = 240.0  # seconds; where all is well nothing waits for them
ASK = {"prompt": "Once upon a time", "columns": "greedy;top_p(top_p=0.9)", "max_new_tokens": 12, "seed": 3}


@pytest.fixture(scope="module")
def served() -> Iterator[Any]:
    from ray import serve

    from deploy.ray_serve import app

    # The replicas ask for a core each, whether the machine has them or not: one that has two can carry the test.
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=200_000_000)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    yield serve.run(app, name="app")
    serve.shutdown()
    ray.shutdown()


def client() -> Any:
    """Return a client that waits while the page is busy with warming up."""
    from gradio_client import Client

    return Client(URL, verbose=False, httpx_kwargs={"timeout": PATIENCE})


def written(visitor: Any, **changes: Any) -> list[str]:
    """Return the texts of the columns."""
    answer = visitor.predict(**ASK | changes, api_name="/decode")
    return [column["text"] for column in answer["columns"]]


def states() -> dict[int, tuple[int, int]]:
    """Return by process how many submissions each replica was sent, and its rows. Asked often, so that all answer."""
    from ray import serve

    handle = serve.get_deployment_handle("TextModel", app_name="app")
    found: dict[int, tuple[int, int]] = {}
    together = threading.Barrier(8)

    def ask(_: int) -> tuple[int, int, int]:
        together.wait()
        return handle.state.remote().result()

    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            for process, count, rows in pool.map(ask, range(8)):
                found[process] = max(count, found.get(process, (0, 0))[0]), rows
    return found


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_what_nobody_reads_any_more_is_not_written(served: Any) -> None:
    """Closing a submission's rows, as the page does when a visitor stops, frees their places in the replica."""
    from ray import serve

    from lab.text.rows import Row
    from lab.text.strategies import Kind, Strategy

    handle = serve.get_deployment_handle("TextModel", app_name="app").options(stream=True)
    beam = Strategy(kind=Kind.BEAM, num_beams=8)
    rows = [Row((first, 5), beam, max_new_tokens=250) for first in range(1, 201)]  # minutes of work
    response = handle.run.remote(rows, {})

    def held() -> int:
        return sum(count for _, count in states().values())

    try:
        next(iter(response))
        until(lambda: held() >= len(rows))  # perhaps with the few of the examples, which are written at the start
        started = time.monotonic()
    finally:
        response.cancel()
    until(lambda: held() < len(rows) // 2)
    print(f"\nrows are gone {time.monotonic() - started:.1f} s after their reader")


def test_two_replicas_share_the_rows_and_one_may_die(served: Any) -> None:
    first = written(client())
    assert len(first) == 2 and all(first)

    # Of many at once both replicas have their share, and all read the same. A page that is asked for the very same
    # again answers from what it kept: so each asks for a text of another length, of which the beginning is compared.
    visitors = [client() for _ in range(3)]
    lengths = range(13, 25)
    started = time.monotonic()
    with ThreadPoolExecutor(len(lengths)) as pool:
        texts = list(pool.map(lambda n: written(visitors[n % 3], max_new_tokens=n), lengths))
    print(f"\n{len(lengths)} visitors at once: {time.monotonic() - started:.1f} s")
    for answer in texts:
        for text, beginning in zip(answer, first, strict=True):
            assert text.startswith(beginning)
    shares = states()
    counts = sorted(count for count, _ in shares.values())
    print(f"submissions by replica: {counts}")
    assert len(counts) == 2 and min(counts) >= 2

    # One dies: who asks then is served by the other, and a new one comes.
    lost = min(shares)
    os.kill(lost, signal.SIGKILL)
    started = time.monotonic()
    until(lambda: _again(visitors[0], seed=4))
    print(f"served again {time.monotonic() - started:.1f} s after a replica was killed")
    until(lambda: len(states().keys() - {lost}) == 2)
    print(f"two replicas again after {time.monotonic() - started:.1f} s")
    assert written(visitors[1], max_new_tokens=30)[0].startswith(first[0])


def _again(visitor: Any, **changes: Any) -> bool:
    """Return whether there is an answer; a submission that was with the lost replica is told in words."""
    from gradio_client.exceptions import AppError

    try:
        return all(written(visitor, **changes))
    except AppError as error:
        assert "cannot be reached just now" in str(error)
        return False
