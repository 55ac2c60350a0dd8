"""A start reaches for nothing outside this machine, not even a name server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Every way out that Python has goes through these two; whatever is not this machine is noted and refused.
SCRIPT = """
import socket, sys, urllib.request

outside = []
real_connect, real_lookup = socket.socket.connect, socket.getaddrinfo

def local(host):
    return host in (None, "", "localhost", "0.0.0.0", "::1") or str(host).startswith("127.")

def connect(self, address):
    if isinstance(address, tuple) and not local(address[0]):
        outside.append(address)
        raise OSError("no network")
    return real_connect(self, address)

def lookup(host, *arguments, **options):
    if not local(host.decode() if isinstance(host, bytes) else host):
        outside.append(host)
        raise socket.gaierror("no network")
    return real_lookup(host, *arguments, **options)

socket.socket.connect, socket.getaddrinfo = connect, lookup

import tabs.launch as launch
from lab.text.models import Models
from tabs.page import Services

services = Services(Models())
app = launch.build(services)
_, address, _ = app.launch(prevent_thread_lock=True, quiet=True)
page = urllib.request.urlopen(address).read().decode()
launch.warm(services)
assert services.models.is_loaded(services.models.default), "the built-in model did not load"
print("OUTSIDE", outside)
print("LINKS", [part.split('"')[0] for part in page.split('src="')[1:] if part.startswith(("http", "//"))])
app.close()
services.models.close()
"""


@pytest.mark.smoke
def test_a_start_makes_no_call_outside() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert "OUTSIDE []" in run.stdout
    assert "LINKS []" in run.stdout
