"""The app as ``python app.py`` starts it, in this process and with a tiny model, and ways to talk to it."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gradio_client import Client

    from tabs.page import Services

PROMPT = "The old house had"
TIMEOUT = 60  # seconds after which an answer counts as missing; none takes a hundredth of it


@dataclass(frozen=True)
class Server:
    """The running app."""

    url: str
    services: Services
    client: Client

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of a page."""
        return self._open(urllib.request.Request(self.url + path))

    def post(self, path: str, body: Any) -> tuple[int, bytes]:
        """Return status and body of the answer to a JSON body; NaN and halves of characters are sent as they are."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        return self._open(request)

    def call(self, name: str, *arguments: Any) -> tuple[str, Any]:
        """Call a named endpoint without the client, which refuses to send some things; return event and data."""
        status, body = self.post(f"/gradio_api/call/{name}", {"data": arguments})
        assert status == 200, body
        event = ""
        with urllib.request.urlopen(
            f"{self.url}/gradio_api/call/{name}/{json.loads(body)['event_id']}", timeout=TIMEOUT
        ) as lines:
            for line in lines:
                field, _, value = line.decode().strip().partition(": ")
                if field == "event":
                    event = value
                elif field == "data" and event in ("complete", "error"):
                    return event, json.loads(value)
        raise AssertionError("the answer broke off")

    @staticmethod
    def _open(request: urllib.request.Request) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app, started once. Its built-in model is a tiny one in double precision; the Hub is out of reach."""
    import gradio as gr
    import huggingface_hub
    from gradio_client import Client
    from huggingface_hub.errors import LocalEntryNotFoundError

    import lab.text.engine
    from lab.text import models
    from tabs import launch
    from tests.tiny import save_tiny

    assets = tmp_path_factory.mktemp("assets")
    save_tiny(assets / models.BUILT_IN)
    started: list[tuple[gr.Blocks, Services]] = []
    build, engine = launch.build, lab.text.engine.Engine

    def offline(**arguments: object) -> str:
        raise LocalEntryNotFoundError("no network in tests")

    def remembered(services: Services, tabs: Any) -> gr.Blocks:
        started.append((build(services, tabs), services))
        return started[0][0]

    with pytest.MonkeyPatch.context() as until_the_end, pytest.MonkeyPatch.context() as until_it_runs:
        until_the_end.setattr(huggingface_hub, "snapshot_download", offline)
        until_it_runs.setattr(models, "ASSETS", assets)
        # Texts are compared that were written in batches of other sizes: see tests/lab/text/conftest.py.
        until_it_runs.setattr(lab.text.engine, "Engine", lambda model, **options: engine(model.double(), **options))
        until_it_runs.setattr(launch, "build", remembered)
        until_it_runs.setattr(gr.Blocks, "block_thread", lambda self: None)
        launch.serve(argv=["--store", "memory"])
        ((app, services),) = started
        services.models.get(models.BUILT_IN)
        until_it_runs.undo()
        url = app.local_url.rstrip("/")
        yield Server(url, services, Client(url, verbose=False, analytics_enabled=False))
        app.close(verbose=False)
        services.models.close()


def shortened(value: Any) -> str:
    """Return the id of a case: its value in ASCII, or the start of it."""
    return ascii(value)[:40]


def decode(server: Server, **arguments: Any) -> dict[str, Any]:
    """Return the answer to a program that decodes eight tokens, if it asks for nothing else."""
    arguments = {"prompt": PROMPT, "max_new_tokens": 8} | arguments
    return server.client.submit(**arguments, api_name="/decode").result(timeout=TIMEOUT)


def _below(node: dict[str, Any], wanted: Callable[[dict[str, Any]], bool], inside: bool = False) -> Iterator[int]:
    """Yield the ids of all components below those that are wanted."""
    for child in node.get("children") or []:
        if inside:
            yield child["id"]
        yield from _below(child, wanted, inside or wanted(child))


class Visitor:
    """What a page in a browser does, without the browser: holds the components' properties and fires events.

    Args:
        query: of the link that is opened.
    """

    def __init__(self, server: Server, query: str = "") -> None:
        self._server = server
        self._query = query
        self._session = uuid.uuid4().hex
        status, body = server.get("/config")
        assert status == 200
        config = json.loads(body)
        self.properties: dict[int, dict[str, Any]] = {c["id"]: c["props"] for c in config["components"]}
        self._decoding = set(_below(config["layout"], lambda node: self.properties[node["id"]].get("id") == "decoding"))
        self._events = {event["id"]: event for event in config["dependencies"]}
        for event in config["dependencies"]:
            if any(trigger == "load" for _, trigger in event["targets"]):
                self._fire_all(event["id"])
        slug = dict(urllib.parse.parse_qsl(query)).get("tab")
        if any(properties.get("elem_id") == f"sd-link-{slug}" for properties in self.properties.values()):
            self.set(f"?{query}", elem_id=f"sd-link-{slug}")  # as the page's script does
            self.trigger("change", elem_id=f"sd-link-{slug}")

    def find(self, **wanted: Any) -> int:
        """Return the component that has these properties; of several tabs' the Decoding tab's, else the first tab's."""
        found = [
            identity
            for identity, properties in self.properties.items()
            if all(properties.get(name) == value for name, value in wanted.items())
        ]
        return next((identity for identity in found if identity in self._decoding), found[0])

    def value(self, **wanted: Any) -> Any:
        """Return the value of the component that has these properties."""
        return self.properties[self.find(**wanted)]["value"]

    def set(self, value: Any, **wanted: Any) -> None:
        """Type or choose a value."""
        self.properties[self.find(**wanted)]["value"] = value

    def click(self, text: str) -> None:
        """Click the button with this text."""
        self.trigger("click", value=text)

    def trigger(self, kind: str, event_data: dict[str, Any] | None = None, **wanted: Any) -> None:
        """Let a component trigger an event, and what follows on it."""
        target = [self.find(**wanted), kind]
        fired = [identity for identity, event in self._events.items() if target in event["targets"]]
        assert fired, f"nothing happens on {target}"
        for identity in fired:
            if not self._events[identity]["cancels"]:
                self._fire_all(identity, event_data)

    def _fire_all(self, identity: int, event_data: dict[str, Any] | None = None) -> None:
        self._fire(identity, event_data)
        for following, event in self._events.items():
            if event["trigger_after"] == identity:
                self._fire_all(following)

    def _fire(self, identity: int, event_data: dict[str, Any] | None) -> None:
        from gradio_client.utils import apply_diff

        event = self._events[identity]
        if not event["backend_fn"]:
            return
        body = {
            "data": [self.properties[component].get("value") for component in event["inputs"]],
            "fn_index": identity,
            "session_hash": self._session,
            "event_data": event_data,
            "trigger_id": event["targets"][0][0],
        }
        status, answer = self._server.post(f"/gradio_api/queue/join?{self._query}", body)
        assert status == 200, answer
        address = f"{self._server.url}/gradio_api/queue/data?session_hash={self._session}"
        outputs: list[Any] = []  # as last sent: what is streamed are the differences from it
        with urllib.request.urlopen(address, timeout=TIMEOUT) as lines:
            for line in lines:
                news = json.loads(line[5:]) if line.startswith(b"data:") else {"msg": ""}
                if news["msg"] in ("process_generating", "process_completed"):
                    assert news["success"], f"{event['api_name']}: {news['output']}"
                    sent = news["output"]["data"]
                    if news["msg"] == "process_generating" and outputs:
                        sent = [apply_diff(old, difference) for old, difference in zip(outputs, sent, strict=True)]
                    outputs = sent
                    self._take(event["outputs"], outputs)
                if news["msg"] == "process_completed":
                    return
        raise AssertionError(f"{event['api_name']} broke off")

    def _take(self, components: list[int], updates: list[Any]) -> None:
        for component, update in zip(components, updates, strict=True):
            if isinstance(update, dict) and update.get("__type__") == "update":
                self.properties[component] |= {key: part for key, part in update.items() if key != "__type__"}
            else:
                self.properties[component]["value"] = update


@pytest.fixture(autouse=True)
def no_analytics(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reports to anybody."""
    monkeypatch.setitem(os.environ, "GRADIO_ANALYTICS_ENABLED", "False")


@pytest.fixture
def fresh_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was computed before must not answer."""
    from lab.text import decoding

    monkeypatch.setattr(decoding, "_finished", decoding.ResultCache())
