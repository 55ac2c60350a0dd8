"""Uploaded files: Gradio keeps a copy of each in a folder named after what is in it, and never deletes it."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

from gradio.processing_utils import hash_bytes
from gradio.utils import get_upload_folder

KEPT_SECONDS = 60.0  # for which a copy stays: others may have sent the same file, and their page is still to read it


def forget_upload(data: bytes) -> None:
    """Delete the copy of an uploaded file with this in it, a minute after the last visitor has sent it."""
    forget_soon(Path(get_upload_folder()) / hash_bytes(data))


def forget_soon(path: Path) -> None:
    """Delete a file or folder a minute after it was last written."""
    timer = threading.Timer(KEPT_SECONDS, _forget, [path])
    timer.daemon = True
    timer.start()


def _forget(path: Path) -> None:
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:  # gone already
        return
    if age < KEPT_SECONDS - 1:  # somebody has sent it again, and whoever reads that comes back here
        return
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
