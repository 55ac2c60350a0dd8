"""Files that the tab makes are served where their address says, also under a root path, and do not pile up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import fastapi
import gradio as gr
import pytest
from starlette.testclient import TestClient

from tabs.melodies import files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "a b"))
    files._kept.clear()
    return tmp_path / "a b"


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    with gr.Blocks(analytics_enabled=False) as app:
        gr.HTML("")
    with TestClient(gr.mount_gradio_app(fastapi.FastAPI(), app, path="/some/where")) as client:
        yield client


def test_what_is_kept_is_served_below_the_page(client: TestClient) -> None:
    url = files.served(b"RIFF....WAVE", "../../Es war’ ein <König>.wav")
    assert url.startswith("gradio_api/file=") and url.endswith("/Es-war-ein-K-nig-.wav")
    answer = client.get(f"/some/where/{url}")
    assert (answer.status_code, answer.content) == (200, b"RIFF....WAVE")
    assert answer.headers["content-type"] in ("audio/wav", "audio/x-wav")
    part = client.get(f"/some/where/{url}", headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"....")
    Path(unquote(url.partition("file=")[2])).unlink()
    assert client.get(f"/some/where/{url}").status_code in (403, 404)
    again = files.served(b"RIFF....WAVE", "../../Es war’ ein <König>.wav")
    assert again.startswith(f"{url}?") and client.get(f"/some/where/{again}").content == b"RIFF....WAVE"


def test_the_same_bytes_are_kept_once() -> None:
    assert files.served(b"1", "a.mid") == files.served(b"1", "a.mid") != files.served(b"2", "a.mid")


def test_what_was_longest_not_asked_for_goes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 25)
    first, second = (files.served(bytes([n]) * 10, "a.wav") for n in (1, 2))
    assert files.served(bytes([1]) * 10, "a.wav") == first  # asked for again
    third = files.served(bytes([3]) * 10, "a.wav")
    left = {path.parent.name for path in folder.rglob("*.wav")}
    assert left == {url.split("/")[-2] for url in (first, third)}
    again, _, query = files.served(bytes([2]) * 10, "a.wav").partition("?")
    assert again == second and query  # made anew, it is back; a player that could not load the old one tries again
    assert files.served(bytes([2]) * 10, "a.wav") == f"{again}?{query}"
    assert len(files.served(b"x" * 100, "large.wav")) and len(list(folder.rglob("*.wav"))) == 1


@pytest.mark.parametrize(
    ("name", "safe"),
    [("a.wav", "a.wav"), ("..", "file"), ("", "file"), (".hidden", "hidden"), ("x" * 200 + ".mid", "x" * 76 + ".mid")],
)
def test_names_are_safe(name: str, safe: str) -> None:
    assert files.safe_name(name) == safe
