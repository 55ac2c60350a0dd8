"""The threads of an operation wait asleep, in the app and in the benchmarks alike."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lab.source import ROOT


@pytest.mark.parametrize("package", ["lab.text.engine", "benchmarks.decoding"])
def test_threads_do_not_spin(package: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    told = subprocess.run(
        [sys.executable, "-c", f"import {package}, torch"],
        cwd=ROOT,
        env=environment | {"OMP_DISPLAY_ENV": "TRUE"},
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    if "OMP_WAIT_POLICY" not in told:
        pytest.skip("this torch does not use OpenMP")
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in told
