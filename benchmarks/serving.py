"""Starting a server for a benchmark, and waiting until its page answers."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 180.0  # seconds until the page must have answered
PAUSE = 0.02  # seconds between two attempts
GOODBYE = 20.0  # seconds in which a server may end by itself


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(
    command: Sequence[str], port: int, patience: float = PATIENCE, **options: Any
) -> Iterator[tuple[subprocess.Popen[Any], bytes]]:
    """Start a server; yield its process and its page once that answers; end it afterwards.

    Args:
        command: which listens at ``port`` of this machine; started in the repository's folder.
        options: of ``subprocess.Popen``. Without any, what it prints is lost.

    Raises:
        RuntimeError: if it ends before its page has answered.
        TimeoutError: if its page does not answer in time.
    """
    options = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | options
    process = subprocess.Popen(command, **options)
    try:
        yield process, _page(f"http://127.0.0.1:{port}/", process, patience)
    finally:
        process.terminate()
        try:
            process.wait(GOODBYE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _page(url: str, process: subprocess.Popen[Any], patience: float) -> bytes:
    deadline = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(url, timeout=patience) as answer:
                return answer.read()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with {process.returncode} before its page answered") from None
            if time.monotonic() > deadline:
                raise TimeoutError(f"the page was not answered within {patience:.0f} s") from None
            time.sleep(PAUSE)
