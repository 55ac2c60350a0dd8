"""Sessions that cost little memory, and memory that goes back to the system."""

from __future__ import annotations

import ctypes
from copy import copy
from typing import Any

from gradio import state_holder

# What glibc's mallopt calls them, and what they are set to.
ARENA_MAX, ARENAS = -8, 2
MMAP_THRESHOLD, LARGE = -3, 1 << 20  # bytes
COMES_BACK = 3600  # seconds for which what a page has is kept when its connection ends: a locked phone may be back
CAPACITY = 2000  # sessions of which something is kept; the one that was quiet the longest is forgotten first


class Forgetful(dict):
    """Takes everything and keeps nothing."""

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


class LightSession(state_holder.SessionState):
    """A session without a copy of every component's configuration.

    Gradio keeps that copy for its deep links, which this app does not use: 1.7 MB for each page that is opened, and for
    each call of a program that names no session.
    """

    def __init__(self, blocks: Any) -> None:
        self.blocks_config = copy(blocks.default_config)
        self.config_values = Forgetful()
        self.state_data = {}
        self._state_ttl = {}
        self.is_closed = False
        self.STATE_TTL_WHEN_CLOSED = COMES_BACK

    def _update_config(self, key: int) -> None:
        pass

    def _update_value_in_config(self, key: int, value: Any) -> None:
        pass


def lighten() -> None:
    """Let all sessions be light ones from now on."""
    state_holder.SessionState = LightSession


def return_memory() -> bool:
    """Let large pieces of memory go back to the system when they are freed; return whether that can be had here.

    Sounds and answers of some megabytes come and go in many threads. By default glibc gives threads heaps of their own
    and learns to keep ever larger pieces in them: with thirty visitors the app grew by 32 MB a minute.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc
        return False
    return bool(mallopt(ARENA_MAX, ARENAS)) and bool(mallopt(MMAP_THRESHOLD, LARGE))
