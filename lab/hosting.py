"""What a platform asks of an app before it lets it run."""

from __future__ import annotations

import importlib
import os


def prepare() -> None:
    """Do what the platform asks for; nothing on a machine of one's own.

    A Space on ZeroGPU is refused unless some function of it may ask for a GPU. Ours are so small that the processor is
    faster, so the one that is declared is never called, and costs nothing.
    """
    if os.environ.get("SPACES_ZERO_GPU"):
        importlib.import_module("spaces").GPU(_never_called)


def _never_called() -> None:
    raise AssertionError("no model of this app runs on a GPU")
