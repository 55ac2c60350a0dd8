"""The threads of an operation soon wait asleep, in the app and in the benchmarks alike."""

from __future__ import annotations

import os
import subprocess
import sys
from ast import literal_eval

import pytest

from lab.source import ROOT

ASKED = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "3000"}


@pytest.mark.parametrize("package", ["lab.text.engine", "benchmarks.decoding"])
def test_threads_do_not_spin_for_long(package: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ASKED}
    told = subprocess.run(
        [sys.executable, "-c", f"import {package}, torch"],
        cwd=ROOT,
        env=environment | {"OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    if "GOMP_SPINCOUNT" not in told:
        pytest.skip("this torch does not use GNU's OpenMP")
    for name, value in ASKED.items():
        assert f"{name} = '{value}'" in told


@pytest.mark.parametrize("module", ["app", "benchmarks.reward", "deploy.page"])
def test_numpy_has_one_thread(module: str) -> None:
    code = f"import {module}, numpy; from threadpoolctl import threadpool_info; print(threadpool_info())"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    pools = [pool for pool in literal_eval(told.stdout.splitlines()[-1]) if pool["internal_api"] == "openblas"]
    assert [pool["num_threads"] for pool in pools] == [1] * len(pools)
