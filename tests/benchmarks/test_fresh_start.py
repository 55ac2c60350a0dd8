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


WAYS_OUT = {  # what is called, and what the guard notes of it
    "socket.create_connection(('192.0.2.1', 80))": "192.0.2.1",
    "socket.socket().connect(('192.0.2.2', 80))": "192.0.2.2",
    "ssl.create_default_context().wrap_socket(socket.socket(), server_hostname='a').connect(('192.0.2.3', 443))": (
        "192.0.2.3"
    ),
    "sys.exit('passed') if not socket.socket().connect_ex(('192.0.2.4', 80)) else refuse()": "192.0.2.4",
    "socket.socket(type=socket.SOCK_DGRAM).sendto(b'a', ('192.0.2.5', 53))": "192.0.2.5",
    "socket.socket(type=socket.SOCK_DGRAM).sendto(b'a', 0, ('192.0.2.6', 53))": "192.0.2.6",
    "socket.socket(type=socket.SOCK_DGRAM).sendmsg([b'a'], [], 0, ('192.0.2.7', 53))": "192.0.2.7",
    "socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80, 0, 0))": "2001:db8::1",
    "socket.getaddrinfo('a.example', 80)": "a.example",
    "socket.getaddrinfo(host=b'b.example', port=80)": "b'b.example'",
    "socket.gethostbyname('c.example')": "c.example",
    "socket.gethostbyname_ex('d.example')": "d.example",
    "socket.gethostbyaddr('192.0.2.8')": "192.0.2.8",
    "socket.getnameinfo(('192.0.2.9', 80), 0)": "192.0.2.9",
    "asyncio.run(asyncio.open_connection('192.0.2.10', 80))": "192.0.2.10",
    "urllib.request.urlopen('http://e.example/')": "e.example",
}
INSIDE = """
with socket.create_server(("127.0.0.1", 0)) as server:
    address = server.getsockname()
    socket.create_connection(address).close()
    assert socket.socket().connect_ex(address) == 0
    urllib.request.socket.getaddrinfo(None, 80)
assert socket.gethostbyname("localhost").startswith("127.")
with socket.socket(type=socket.SOCK_DGRAM) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
    receiver.bind(("127.0.0.1", 0))
    sender.sendto(b"one", receiver.getsockname())
    sender.sendmsg([b"two"], [], 0, receiver.getsockname())
    assert (receiver.recv(9), receiver.recv(9)) == (b"one", b"two")
one, other = socket.socketpair()
one.sendmsg([b"three"])
assert other.recv(9) == b"three"
"""


def test_the_guard_refuses_and_notes_every_way_out(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    log = tmp_path / "outside.log"
    tries = "".join(f"tried(lambda: {way})\n" for way in WAYS_OUT)
    code = f"""
import asyncio, socket, ssl, sys, urllib.request
{INSIDE}
def refuse():
    raise OSError("no network")
def tried(way):
    try:
        way()
    except OSError as error:
        print(error)
{tries}
"""
    options = environment(tmp_path / "home", tmp_path, log)
    run = subprocess.run([sys.executable, "-c", code], env=options, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert log.read_text().splitlines() == list(WAYS_OUT.values())
    answers = run.stdout.splitlines()
    assert len(answers) == len(WAYS_OUT) and all("no network" in answer for answer in answers)


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
