"""Hostile input over every API name and every query parameter: a result or a sentence, never a traceback.

The tables are made from what the app offers, so that a new name, parameter or setting is covered without a line here.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from lab.source import ROOT
from tests.tabs.conftest import Server

USUAL = {"texts": ["a storm"], "first": "a storm", "second": "a waltz"}  # of parameters without a default
SLOW = {"melody"}
NAMES = ("decode", "next_token", "melody", "adapt", "rank", "reward", "embed", "similarity")
MARKUP = "<img src=x onerror=alert(1)>${alert(1)}{{7*7}}"
TEXTS: dict[str, Any] = {
    "empty": "",
    "spaces": " \t\n" * 50,
    "NUL": "a\0b",
    "half a character": "\ud800",
    "emoji": "💥👩‍👩‍👧" * 30,
    "right to left": "\u202eשלום עולם\u202c",
    "markup": MARKUP,
    "a path": "../../../etc/passwd",
    "SQL": "'; DROP TABLE ranking; --",
    "long": "x" * 100_000,
}
NUMBERS: dict[str, Any] = {
    "zero": 0,
    "negative": -1,
    "huge": 10**30,
    "NaN": math.nan,
    "infinite": math.inf,
    "a word": "seven",
}
OTHERS: dict[str, Any] = {"null": None, "a list": [[MARKUP]], "an object": {"path": "/etc/passwd"}, "true": True}
ALL = TEXTS | NUMBERS | OTHERS


def parameters_of(server: Server) -> dict[str, list[Mapping[str, Any]]]:
    """Return the parameters of every API name."""
    status, body = server.get("/gradio_api/info")
    assert status == 200
    return {name.strip("/"): found["parameters"] for name, found in json.loads(body)["named_endpoints"].items()}


def assert_is_told(event: str, data: Any) -> None:
    """An answer is a result, or a sentence for people."""
    text = json.dumps(data)
    assert "Traceback" not in text
    assert str(ROOT) not in text
    if event == "error":
        assert isinstance(data["error"], str) and 10 < len(data["error"]) < 600, data


@pytest.mark.parametrize("name", NAMES)
def test_hostile_arguments(server: Server, name: str) -> None:
    parameters = parameters_of(server)[name]
    usual = [USUAL.get(one["parameter_name"], one["parameter_default"]) for one in parameters]
    cases = 0
    for place, parameter in enumerate(parameters):
        # What stands for a number is mostly tried with numbers and the like, a text with texts.
        is_number = isinstance(usual[place], int | float)
        kinds = list((NUMBERS | OTHERS | {"markup": MARKUP} if is_number else ALL).items())
        if name in SLOW:
            kinds = kinds[place % 4 :: 4]  # its many parameters share the kinds
        for kind, value in kinds:
            arguments = [*usual[:place], value, *usual[place + 1 :]]
            event, data = server.call(name, *arguments)
            try:
                assert_is_told(event, data)
            except AssertionError as error:
                raise AssertionError(f"{name}({parameter['parameter_name']}={kind}): {error}") from error
            cases += 1
    assert cases >= 10
    event, data = server.call(name, *usual)  # the next call works
    assert event == "complete", data


def test_every_name_is_covered(server: Server) -> None:
    assert set(parameters_of(server)) == set(NAMES)


@pytest.fixture(scope="module")
def pages() -> Iterator[dict[str, Any]]:
    """Every tab's page, as the app builds it."""
    from dataclasses import replace

    import gradio as gr

    from lab.text.models import Models
    from tabs import TABS
    from tabs.page import Services

    services = Services(Models())
    built = {}
    with gr.Blocks():
        services = replace(services, class_code=gr.Textbox(visible=False), made=gr.State(()))
        for tab in TABS:
            built[tab.slug] = importlib.import_module(tab.module).build(services)
    yield built
    services.voices.close()


def settings_of() -> dict[str, set[str]]:
    """Return the names of all settings, by the module that has them."""
    from lab.settings import Settings

    def below(kind: type[Settings]) -> Iterator[type[Settings]]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    return {f"{kind.__module__}.{kind.__name__}": set(kind.model_fields) for kind in below(Settings)}


def as_link(value: Any) -> str:
    """Return a value as it arrives in a query string, after a browser has written it and a server read it."""
    text = urlencode({"x": str(value)}, errors="replace")
    return dict(parse_qsl(text, keep_blank_values=True))["x"]


def test_hostile_queries(pages: dict[str, Any]) -> None:
    names = set().union(*settings_of().values()) | {"v", "z", "class", "tab", "view", "__theme"}
    cases = 0
    for slug, page in pages.items():
        for name in sorted(names):
            for kind, value in ALL.items():
                values = page.restore({"tab": slug, name: as_link(value)})
                assert len(values) == len(page.outputs), f"{slug}: {name} = {kind}"
                cases += 1
    assert cases >= 500


def test_everything_at_once(pages: dict[str, Any]) -> None:
    names = set().union(*settings_of().values())
    for slug, page in pages.items():
        for value in ALL.values():
            query = {name: as_link(value) for name in names} | {"tab": slug}
            assert len(page.restore(query)) == len(page.outputs)
