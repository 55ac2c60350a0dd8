"""Sessions that cost little memory."""

from __future__ import annotations

from copy import copy
from typing import Any

from gradio import state_holder

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
        self.STATE_TTL_WHEN_CLOSED = 3600  # seconds in which a page may come back

    def _update_config(self, key: int) -> None:
        pass

    def _update_value_in_config(self, key: int, value: Any) -> None:
        pass


def lighten() -> None:
    """Let all sessions be light ones from now on."""
    state_holder.SessionState = LightSession
