"""The source that the app shows is the source that runs, as ``inspect`` would give it, but without importing it."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import textwrap

import pytest

from lab.source import ROOT, source_of, source_of_processor
from tabs.decoding.page import SOURCES

NAMES = [
    ("lab.text.choosing", "choose"),
    ("lab.text.strategies", "truncation"),
    ("lab.text.beam", "BeamSearch"),
    ("lab.text.beam", "BeamSearch.advance"),
    ("lab.text.forward", "CachedGPT2.step"),  # decorated
    ("lab.text.rows", "Row"),  # a decorated class
    ("lab.text.rows", "Row.width"),  # a property
    ("lab.text.strategies", "Strategy.from_text"),  # a class method
    ("lab.source", "source_of"),
]


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_source_is_that_of_inspect(module: str, name: str) -> None:
    found = importlib.import_module(module)
    for part in name.split("."):
        found = inspect.getattr_static(found, part)
    if isinstance(found, property):
        found = found.fget
    if isinstance(found, classmethod):
        found = found.__func__
    assert source_of(module, name) == textwrap.dedent(inspect.getsource(found))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("lab.source", "nothing"),
        ("lab.source", ""),
        ("lab.text.beam", "BeamSearch.nothing"),
        ("lab.source", "ROOT"),
        ("lab.nothing", "x"),
        ("lab", "x"),
        ("", "x"),
        ("lab.text.beam", "advance"),
    ],
)
def test_what_is_not_there_is_a_lookup_error(module: str, name: str) -> None:
    with pytest.raises(LookupError):
        source_of(module, name)


def test_source_of_a_processor_of_transformers() -> None:
    from transformers import TopPLogitsWarper

    assert source_of_processor("TopPLogitsWarper") == textwrap.dedent(inspect.getsource(TopPLogitsWarper.__call__))
    with pytest.raises(LookupError, match="transformers has no Nothing"):
        source_of_processor("Nothing")


@pytest.mark.parametrize("title", SOURCES)
def test_all_that_the_page_offers_is_there(title: str) -> None:
    place = SOURCES[title]
    text = source_of(*place) if place else source_of_processor(title.removeprefix("transformers: "))
    assert "def " in text
    assert not text.startswith((" ", "\n"))


def test_nothing_is_imported_for_it() -> None:
    code = (
        "import sys; from lab.source import source_of; source_of('lab.text.choosing', 'choose'); "
        "print([name for name in ('torch', 'transformers', 'lab.text') if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert shown.stdout.strip() == "[]"
