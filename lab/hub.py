"""Models on the Hub: from the local cache if they are whole there, else from the network, telling how far it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.errors import ModelUnavailable

log = logging.getLogger(__name__)

TIMEOUT = 10  # seconds without an answer after which the Hub counts as unreachable

Progress = Callable[[str], None]


def silent(message: str) -> None:
    """Tell nobody."""


def snapshot(
    name: str, wanted: Sequence[str], unwanted: Sequence[str], is_whole: Callable[[Path], bool], progress: Progress
) -> Path:
    """Return the folder of a model on the Hub.

    Args:
        name: of its repository.
        wanted: patterns of the files to have.
        unwanted: patterns of files to leave out all the same.
        is_whole: says of a folder in the local cache whether all is there: another program may have loaded only a part,
            or have been interrupted.
        progress: is told what a visitor who waits may want to know.

    Raises:
        ModelUnavailable: if it is neither in the cache nor to be had from the Hub.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

    arguments = {"repo_id": name, "allow_patterns": list(wanted), "ignore_patterns": list(unwanted)}
    try:
        folder = Path(snapshot_download(**arguments, local_files_only=True))
        if is_whole(folder):
            return folder
    except (LocalEntryNotFoundError, OSError, ValueError):
        pass
    progress(f"Asking the Hub for {name} …")
    try:
        return Path(snapshot_download(**arguments, etag_timeout=TIMEOUT, tqdm_class=_reporting_bar(progress)))
    except RepositoryNotFoundError as error:
        raise ModelUnavailable(f"The Hub has no model named {name}.") from error
    except Exception as error:  # the Hub's client raises errors of several libraries; here they all mean the same
        log.info("downloading %s failed: %s", name, error)
        raise ModelUnavailable(
            f"{name} is not on this machine, and the Hub cannot be reached from here. "
            "The built-in model goes on working."
        ) from error


def _reporting_bar(progress: Progress) -> type:
    """Return a progress bar class that reports to visitors instead of the terminal."""
    from tqdm import tqdm

    class Bar(tqdm):
        def display(self, *args: object, **kwargs: object) -> None:
            if self.unit == "B" and self.total:
                progress(f"Downloading: {self.n / 1e6:,.0f} of {self.total / 1e6:,.0f} MB …")

    return Bar
