"""The parts of the fresh start that can be tried without one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fresh_start import GUARD, answer_of, copy_committed, environment, largest, running, size_of


def test_sizes(tmp_path: Path) -> None:
    assert (size_of(tmp_path), largest(tmp_path)) == (0, 0)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"x" * 10)
    (tmp_path / "a" / "b" / "two").write_bytes(b"x" * 30)
    (tmp_path / "link").symlink_to(tmp_path / "one")
    assert (size_of(tmp_path), largest(tmp_path)) == (40, 30)


def test_an_answer_is_read_from_its_stream() -> None:
    beats = ["event: heartbeat", "data: null", ""]
    assert answer_of([*beats, "event: complete", 'data: [{"columns": [1]}]']) == {"columns": [1]}
    with pytest.raises(RuntimeError, match="error"):
        answer_of(["event: error", 'data: {"error": "no"}'])
    with pytest.raises(RuntimeError, match="broke off"):
        answer_of(beats)


def test_the_guard_refuses_and_notes_every_way_out(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    log = tmp_path / "outside.log"
    code = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
for way in (lambda: socket.create_connection(("192.0.2.1", 80)), lambda: socket.getaddrinfo("example.org", 80)):
    try:
        way()
    except OSError as error:
        print(error)
"""
    options = environment(tmp_path / "home", tmp_path, log)
    run = subprocess.run(
        [sys.executable, "-c", code], env=options, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.splitlines() == ["no network", "no network"]
    assert log.read_text().splitlines() == ["192.0.2.1", "example.org"]


def test_nothing_of_this_user_goes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    made = environment(tmp_path / "home", tmp_path / "guard", tmp_path / "log")
    assert not [name for name in made if name.startswith(("HF_", "GRADIO_"))]
    assert (made["HOME"], made["PATH"]) == (str(tmp_path / "home"), os.environ["PATH"])


def test_only_what_is_committed_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    commit = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"]
    (source / "app.py").write_text("first")
    for command in (["init", "-q"], ["add", "app.py"], commit):
        subprocess.run(["git", *command], cwd=source, check=True)
    (source / "forgotten.py").write_text("not added")
    copy_committed(source, tmp_path / "target")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["app.py"]
    with pytest.raises(subprocess.CalledProcessError):
        copy_committed(tmp_path / "target", tmp_path / "other")


def test_an_app_that_does_not_start_is_told_with_its_words(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text("raise SystemExit('a library is missing')")
    options = {"PATH": os.environ["PATH"]}
    with (
        pytest.raises(RuntimeError, match="a library is missing"),
        running(Path(sys.executable), folder, "http://127.0.0.1:9", options),
    ):
        pass
