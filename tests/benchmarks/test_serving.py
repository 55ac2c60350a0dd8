"""Starting a server and waiting for its page."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from benchmarks.serving import free_port, serving

PAGE = """
import http.server, sys, time
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the page")
time.sleep(0.3)
print("listens", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


def command(code: str, port: int) -> list[str]:
    """Return what runs some Python, which finds the port as its argument."""
    return [sys.executable, "-c", code, str(port)]


def test_the_page_is_waited_for_and_the_server_ended() -> None:
    port = free_port()
    with serving(command(PAGE, port), port, stdout=subprocess.PIPE, text=True) as (process, page):
        assert page == b"the page"
        assert process.stdout.readline() == "listens\n"
        assert process.poll() is None
    assert process.poll() is not None
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)


def test_a_failure_of_the_benchmark_ends_the_server_too() -> None:
    port = free_port()
    with pytest.raises(ZeroDivisionError), serving(command(PAGE, port), port) as (process, _):
        raise ZeroDivisionError
    assert process.poll() is not None


def test_a_server_that_ends_or_never_answers_is_told() -> None:
    port = free_port()
    with pytest.raises(RuntimeError, match="ended with 3"), serving(command("raise SystemExit(3)", port), port):
        pass
    silent = "import time; time.sleep(60)"
    with pytest.raises(TimeoutError, match="within 1 s"), serving(command(silent, port), port, patience=0.6):
        pass
