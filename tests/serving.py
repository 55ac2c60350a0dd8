"""Starting the app as a process of its own, for tests with a browser and without one."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

START_DEADLINE = 100.0  # seconds; importing gradio and torch takes most of it on a busy machine


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once a page answers; the test fails with the end of the log if it does not in time."""
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(url, timeout=5) as answer:
                assert answer.status == 200
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the app did not start:\n{log.read_text(errors='replace')[-3000:]}")
