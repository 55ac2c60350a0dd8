"""Copies of uploads go, but not before all who have sent the same file have had it read."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from gradio.processing_utils import hash_bytes
from gradio.utils import get_upload_folder

from tabs import uploads


class Waiting:
    """A timer whose time comes when a test says so."""

    made: ClassVar[list[Waiting]] = []

    def __init__(self, seconds: float, act: Any, arguments: list[Any]) -> None:
        assert seconds == uploads.KEPT_SECONDS
        self.ring = lambda: act(*arguments)

    def start(self) -> None:
        Waiting.made.append(self)


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The copy that Gradio has made of a file, an hour ago."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(threading, "Timer", Waiting)
    monkeypatch.setattr(Waiting, "made", [])
    folder = Path(get_upload_folder()) / hash_bytes(b"text")
    folder.mkdir(parents=True)
    file = folder / "mine.txt"
    file.write_bytes(b"text")
    written(file, 3600)
    return file


def written(file: Path, seconds: float) -> None:
    """Let a file, and the folder that it is in, be this old."""
    for path in (file, file.parent):
        os.utime(path, (time.time() - seconds,) * 2)


def test_a_copy_goes_when_its_time_is_over(copy: Path) -> None:
    uploads.forget_upload(b"text")
    assert copy.exists()
    Waiting.made[0].ring()
    assert not copy.parent.exists()
    Waiting.made[0].ring()  # gone already


def test_what_was_sent_again_stays_until_that_is_over_too(copy: Path) -> None:
    uploads.forget_upload(b"text")
    written(copy, 0)  # another visitor, the same file
    Waiting.made[0].ring()
    assert copy.exists()
    uploads.forget_soon(copy)
    written(copy, 3600)
    Waiting.made[1].ring()
    assert not copy.exists() and copy.parent.exists()
