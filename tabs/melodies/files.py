"""Files that the tab makes (sound, MIDI, scores), kept for a while where Gradio serves them."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from gradio.utils import get_upload_folder

MAX_BYTES = 1_000_000_000  # half a minute of sound has 2.6 MB: this is what 30 people make in some ten runs each
LONGEST_NAME = 80

# Size and query of each file, the one least recently asked for first.
_kept: OrderedDict[Path, tuple[int, str]] = OrderedDict()
_lock = threading.Lock()


def served(data: bytes, name: str) -> str:
    """Keep bytes as a file and return its URL, relative to the page, so that it also holds under a root path.

    The same bytes under the same name have the same URL while they are kept. Past a billion bytes the files that were
    longest not asked for go; Gradio's own ``delete_cache`` does not know about them. One that is made once more gets a
    query, which Gradio passes over: a player that could not load it tries again only for another address.

    Args:
        name: what a download is called, with an ending such as ``.wav``, which tells Gradio the type; characters that
            could mean something in a path or a URL become hyphens.
    """
    # Gradio serves whatever lies in this folder, and it is where its own components put their files.
    folder = Path(get_upload_folder()).absolute() / "melodies" / sha256(data).hexdigest()[:32]
    path = folder / safe_name(name)
    with _lock:
        query = _kept[path][1] if path in _kept else ""
        if not path.exists():
            query = f"?{time.time_ns()}" if folder.exists() else ""  # a folder stays when its file goes
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(path.name + ".part")
            unfinished.write_bytes(data)
            unfinished.replace(path)  # a visitor who asks just now gets the whole file
        _kept[path] = len(data), query
        _kept.move_to_end(path)
        while len(_kept) > 1 and sum(size for size, _ in _kept.values()) > MAX_BYTES:
            _kept.popitem(last=False)[0].unlink(missing_ok=True)
    return f"gradio_api/file={quote(path.as_posix(), safe='/:')}{query}"


def safe_name(name: str) -> str:
    """Return a file name of letters, digits, dots, hyphens and underscores, its ending kept."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name)[-LONGEST_NAME:].lstrip(".-") or "file"
