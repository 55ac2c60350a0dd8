"""What the server must not hand out or take in: files of the machine, their places, uploads without bound."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lab.source import ROOT
from tests.tabs.conftest import TIMEOUT, Server

FILES = [
    f"/gradio_api/file={ROOT}/app.py",
    "/gradio_api/file=app.py",
    "/gradio_api/file=./app.py",
    "/gradio_api/file=../main/app.py",
    f"/gradio_api/file={ROOT}/assets/prose-gpt2/tokenizer.json",
    f"/gradio_api/file={ROOT}/tabs/../app.py",
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/file=//etc/passwd",
    "/gradio_api/file=%2Fetc%2Fpasswd",
    "/gradio_api/file=/proc/self/environ",
    "/gradio_api/file/etc/passwd",
    "/file=/etc/passwd",
    "/file/app.py",
    "/assets/prose-gpt2/tokenizer.json",
    "/assets/../../../../../../etc/passwd",
    "/static/../../../../../../../etc/passwd",
    "/static/..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
    "/gradio_api/file=..%2f..%2fetc%2fpasswd",
    "/app.py",
    "/.git/config",
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.replace(str(ROOT), "root"))
def test_files_of_the_machine_are_not_served(server: Server, path: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=TIMEOUT)
    try:
        connection.request("GET", path)  # as it is: urllib would tidy up the path
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    assert answer.status in (400, 403, 404, 405), body[:200]
    assert b"root:" not in body
    assert b"serve()" not in body
    if str(ROOT) not in path:
        assert str(ROOT).encode() not in body


def test_the_page_names_no_place_of_the_machine(server: Server) -> None:
    for path in ("/", "/config", "/gradio_api/info", "/?tab=decoding&prompt=x"):
        status, body = server.get(path)
        assert status == 200
        assert str(ROOT).encode() not in body
        assert str(Path.home()).encode() + b"/" not in body


def test_large_uploads_are_refused(server: Server) -> None:
    def upload(size: int) -> int:
        part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
        request = urllib.request.Request(
            server.url + "/gradio_api/upload",
            part + b"a" * size + b"\r\n--x--\r\n",
            {"Content-Type": "multipart/form-data; boundary=x"},
        )
        try:
            return server._open(request)[0]
        except urllib.error.URLError:  # it was turned away while it was still being sent
            return 413

    assert upload(30_000_000) == 413
