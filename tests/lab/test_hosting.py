"""A platform gets what it asks for, and a machine of one's own nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from lab import hosting


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What has been declared to the platform's package, which stands in here."""
    found: list[Callable[[], None]] = []
    spaces = ModuleType("spaces")
    spaces.GPU = found.append
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    return found


def test_zero_gpu_is_told_of_a_function(declared: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    hosting.prepare()
    assert len(declared) == 1 and callable(declared[0])


def test_elsewhere_nothing_is_asked_for(declared: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    hosting.prepare()
    assert declared == []
