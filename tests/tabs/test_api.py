"""What programs and browsers send: whatever it is, the answer is a result with notes or a sentence, and soon."""

from __future__ import annotations

import http.client
import json
import math
import random
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from gradio_client.exceptions import AppError

from lab.source import ROOT
from lab.text import decoding
from lab.text.decoding import ResultCache
from lab.text.models import BUILT_IN, GPT2
from tests.tabs.conftest import TIMEOUT, Server, Visitor
from tests.tabs.test_hostile import NAMES

PROMPT = "The old house had"


def decode(server: Server, **arguments: Any) -> dict[str, Any]:
    arguments = {"prompt": PROMPT, "max_new_tokens": 8} | arguments
    return server.client.submit(**arguments, api_name="/decode").result(timeout=TIMEOUT)


def next_token(server: Server, **arguments: Any) -> dict[str, Any]:
    arguments = {"prompt": PROMPT} | arguments
    return server.client.submit(**arguments, api_name="/next_token").result(timeout=TIMEOUT)


@pytest.fixture
def fresh_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was computed before must not answer."""
    monkeypatch.setattr(decoding, "_finished", ResultCache())


# Good input


def test_decode(server: Server) -> None:
    answer = decode(server, columns="greedy;top_p(top_p=0.9,temperature=0.8);beam(num_beams=2)", seed=3)
    assert answer["model"] == BUILT_IN
    assert answer["notes"] == []
    assert answer["seed"] == 3
    assert answer["prompt_tokens"] == 5
    strategies = [column["strategy"] for column in answer["columns"]]
    assert strategies == ["greedy", "top_p(top_p=0.9,temperature=0.8)", "beam(num_beams=2)"]
    for column in answer["columns"]:
        assert column["text"] == "".join(token["text"] for token in column["tokens"])
        assert column["ended"] == "length"
        assert len(column["tokens"]) == column["measures"]["tokens"] == 8
        for token in column["tokens"]:
            assert 0 < token["probability"] <= 1
            assert token["log_probability"] == pytest.approx(math.log(token["probability"]))
            assert token["rank"] >= 1
            assert token["entropy"] > 0
        ranks = [token["rank"] for token in column["tokens"]]
        assert column["leaves_greedy"] == next((n for n, rank in enumerate(ranks) if rank > 1), None)
        mean = sum(token["log_probability"] for token in column["tokens"]) / 8
        assert column["measures"]["mean_log_probability"] == pytest.approx(mean)
        assert column["measures"]["perplexity"] == pytest.approx(math.exp(-mean))
        for share in ("distinct_1", "distinct_2", "repeated_3"):
            assert 0 <= column["measures"][share] <= 1
    assert {token["rank"] for token in answer["columns"][0]["tokens"]} == {1}


def test_next_token(server: Server) -> None:
    answer = next_token(server, strategy="top_k(top_k=3,temperature=2)", top=10)
    assert answer["model"] == BUILT_IN
    assert answer["strategy"] == "top_k(top_k=3,temperature=2)"
    assert answer["notes"] == []
    assert answer["kept_tokens"] == 3
    assert 0 < answer["kept_mass"] < 1
    candidates = answer["candidates"]
    assert [c["rank"] for c in candidates] == list(range(1, 11))
    assert [c["raw"] for c in candidates] == sorted((c["raw"] for c in candidates), reverse=True)
    assert [c["final"] > 0 for c in candidates] == [True] * 3 + [False] * 7
    assert sum(c["final"] for c in candidates) == pytest.approx(1.0)
    assert all(c["label"] for c in candidates)
    greedy = decode(server, columns="greedy", max_new_tokens=1)["columns"][0]["tokens"][0]
    assert greedy["id"] == candidates[0]["id"]
    assert greedy["probability"] == pytest.approx(candidates[0]["raw"], rel=1e-5)


def test_the_same_seed_gives_the_same_text(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    for seed in (5, 5, 6):
        monkeypatch.setattr(decoding, "_finished", ResultCache())
        texts.append([column["text"] for column in decode(server, seed=seed, max_new_tokens=20)["columns"]])
    assert texts[0] == texts[1]
    assert texts[0][0] == texts[2][0]
    assert texts[0][1:] != texts[2][1:]


def test_defaults(server: Server) -> None:
    answer = server.client.submit(api_name="/decode").result(timeout=TIMEOUT)
    assert [column["strategy"].partition("(")[0] for column in answer["columns"]] == [
        "greedy",
        "temperature",
        "top_k",
        "top_p",
    ]
    assert len(server.client.submit(api_name="/next_token").result(timeout=TIMEOUT)["candidates"]) == 20


# Hostile input: what it is, and whether the answer is a message, a result with a note, or just a result

EMPTY = "The prompt is empty"
NO_MODEL = "There is no model named"
NOTE, FINE = "a note", "nothing special"
NAN, INFINITY = math.nan, math.inf

DECODE = [
    ({"prompt": ""}, EMPTY),
    ({"prompt": " "}, EMPTY),
    ({"prompt": " \n\t \r\n"}, EMPTY),
    ({"prompt": " " * 100_000}, EMPTY),
    ({"prompt": "\0"}, EMPTY),
    ({"prompt": "\0\x01\x1b\x7f"}, EMPTY),
    ({"prompt": "\ud800"}, EMPTY),
    ({"prompt": "x" * 100_000}, NOTE),
    ({"prompt": "word " * 1_000}, NOTE),
    ({"prompt": "a\0b"}, NOTE),
    ({"prompt": "half \ud83d of it"}, NOTE),
    ({"prompt": 123}, NOTE),
    ({"prompt": 1.5}, NOTE),
    ({"prompt": True}, NOTE),
    ({"prompt": ["a", "b"]}, NOTE),
    ({"prompt": {"text": "a"}}, NOTE),
    ({"prompt": None}, FINE),
    ({"prompt": "😀"}, FINE),
    ({"prompt": "👩‍👩‍👧‍👦 🇩🇪"}, FINE),
    ({"prompt": "שלום עולם"}, FINE),
    ({"prompt": "\u202eevil\u202c"}, FINE),
    ({"prompt": "e\u0301" * 8}, FINE),
    ({"prompt": "<script>alert(1)</script>"}, FINE),
    ({"prompt": "{{7*7}}${7*7}%s"}, FINE),
    ({"prompt": "<|endoftext|>"}, FINE),
    ({"columns": "top_k(top_k=999)"}, FINE),  # more than the vocabulary has
    ({"columns": "top_k(top_k=999999)"}, NOTE),
    ({"columns": "top_k(top_k=0)"}, NOTE),
    ({"columns": "top_k(top_k=-3)"}, NOTE),
    ({"columns": "top_k(top_k=nan)"}, NOTE),
    ({"columns": "top_p(top_p=0)"}, NOTE),
    ({"columns": "top_p(top_p=-1)"}, NOTE),
    ({"columns": "top_p(top_p=2)"}, NOTE),
    ({"columns": "top_p(top_p=nan)"}, NOTE),
    ({"columns": "top_p(top_p=inf)"}, NOTE),
    ({"columns": "top_p(top_p=x)"}, NOTE),
    ({"columns": "temperature(temperature=0)"}, NOTE),
    ({"columns": "temperature(temperature=-1)"}, NOTE),
    ({"columns": "temperature(temperature=1e999)"}, NOTE),
    ({"columns": "temperature(temperature=-inf)"}, NOTE),
    ({"columns": "min_p(min_p=-0.1);typical(typical_p=0)"}, NOTE),
    ({"columns": "beam(num_beams=0)"}, NOTE),
    ({"columns": "beam(num_beams=1000000)"}, NOTE),
    ({"columns": "beam(num_beams=2,length_penalty=1e300)"}, NOTE),
    ({"columns": "greedy(repetition_penalty=0)"}, NOTE),
    ({"columns": "magic"}, NOTE),
    ({"columns": "greedy;magic;top_p"}, NOTE),
    ({"columns": ";".join(["beam(num_beams=8)"] * 50)}, NOTE),
    ({"columns": "greedy(" * 500}, NOTE),
    ({"columns": "x" * 100_000}, NOTE),
    ({"columns": "__import__('os').system('true')"}, NOTE),
    ({"columns": ["greedy"]}, NOTE),
    ({"columns": 7}, NOTE),
    ({"columns": "\ud800"}, NOTE),
    ({"columns": None}, FINE),
    ({"columns": ""}, FINE),
    ({"columns": "top_p"}, FINE),
    ({"seed": -1}, NOTE),
    ({"seed": 2**31}, NOTE),
    ({"seed": 10**30}, NOTE),
    ({"seed": 1e300}, NOTE),
    ({"seed": NAN}, NOTE),
    ({"seed": INFINITY}, NOTE),
    ({"seed": "seven"}, NOTE),
    ({"seed": [7]}, NOTE),
    ({"seed": "7"}, FINE),
    ({"seed": None}, FINE),
    ({"max_new_tokens": 0}, NOTE),
    ({"max_new_tokens": -5}, NOTE),
    ({"max_new_tokens": 201}, NOTE),
    ({"max_new_tokens": 10**9}, NOTE),
    ({"max_new_tokens": NAN}, NOTE),
    ({"max_new_tokens": -INFINITY}, NOTE),
    ({"max_new_tokens": "many"}, NOTE),
    ({"max_new_tokens": {}}, NOTE),
    ({"max_new_tokens": 200}, NOTE),  # in bounds, but more than this model can write after the prompt
    ({"model": "gpt5"}, NO_MODEL),
    ({"model": "../../etc/passwd"}, NO_MODEL),
    ({"model": "/etc"}, NO_MODEL),
    ({"model": " "}, NO_MODEL),
    ({"model": "<img src=x onerror=alert(1)>"}, NO_MODEL),
    ({"model": GPT2}, "the Hub cannot be reached from here"),
    ({"model": "x" * 1_000}, NOTE),
    ({"model": 5}, NOTE),
    ({"model": [BUILT_IN]}, NOTE),
    ({"model": BUILT_IN}, FINE),
]
NEXT_TOKEN = [
    ({"prompt": ""}, EMPTY),
    ({"prompt": "\ud800\0"}, EMPTY),
    ({"prompt": "x" * 100_000}, NOTE),
    ({"prompt": ["a"]}, NOTE),
    ({"prompt": "😀שלום"}, FINE),
    ({"strategy": "magic"}, NOTE),
    ({"strategy": ""}, NOTE),
    ({"strategy": 5}, NOTE),
    ({"strategy": ["greedy"]}, NOTE),
    ({"strategy": "top_p(top_p=nan)"}, NOTE),
    ({"strategy": "x" * 100_000}, NOTE),
    ({"strategy": "beam"}, FINE),
    ({"strategy": "greedy(repetition_penalty=3)"}, FINE),
    ({"top": 0}, NOTE),
    ({"top": -1}, NOTE),
    ({"top": 201}, NOTE),
    ({"top": 10**12}, NOTE),
    ({"top": NAN}, NOTE),
    ({"top": INFINITY}, NOTE),
    ({"top": "x"}, NOTE),
    ({"top": {}}, NOTE),
    ({"top": None}, FINE),
    ({"top": 200}, FINE),
    ({"model": "gpt5"}, NO_MODEL),
    ({"model": "/etc/passwd"}, NO_MODEL),
    ({"model": {}}, NOTE),
]
DEFAULTS = {
    "decode": {"prompt": PROMPT, "columns": "greedy;top_p", "seed": 7, "max_new_tokens": 4, "model": ""},
    "next_token": {"prompt": PROMPT, "strategy": "top_p(top_p=0.9)", "top": 20, "model": ""},
}


def ask(server: Server, name: str, arguments: dict[str, Any]) -> dict[str, Any] | str:
    """Return the result, or the message of the error; without the client, which refuses to send some of this."""
    event, data = server.call(name, *(DEFAULTS[name] | arguments).values())
    return data[0] if event == "complete" else data["error"]


def shortened(value: Any) -> str:
    return ascii(value)[:40]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [("decode", *case) for case in DECODE] + [("next_token", *case) for case in NEXT_TOKEN],
    ids=shortened,
)
def test_hostile_arguments(server: Server, name: str, arguments: dict[str, Any], expected: str) -> None:
    answer = ask(server, name, arguments)
    if expected in (NOTE, FINE):
        assert isinstance(answer, dict), answer
        assert bool(answer["notes"]) is (expected == NOTE), answer["notes"]
        assert all(0 < len(note) < 400 for note in answer["notes"])
        assert 1 <= len(answer.get("columns", [1])) <= 6
        assert all(column["tokens"] for column in answer.get("columns", []))
        assert 1 <= len(answer.get("candidates", [1])) <= 200
    else:
        assert isinstance(answer, str), "a result where a message was due"
        assert expected in answer
        assert len(answer) < 400
    assert "Traceback" not in str(answer)
    assert str(ROOT) not in str(answer)
    event, (following,) = server.call("next_token", PROMPT, "greedy", 1, "")  # the next visitor is served
    assert event == "complete"
    assert len(following["candidates"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": ""}, EMPTY),
        ({"prompt": " " * 100_000}, EMPTY),
        ({"model": "gpt5"}, NO_MODEL),
        ({"model": GPT2}, "the Hub cannot be reached from here"),
    ],
    ids=shortened,
)
def test_the_client_raises_our_message(server: Server, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AppError, match=message):
        decode(server, **arguments)
    with pytest.raises(AppError, match=message):
        next_token(server, **arguments)


def test_the_client_gets_our_notes(server: Server) -> None:
    answer = decode(server, prompt="x" * 100_000, columns="top_p(top_p=0);magic", seed=-1, max_new_tokens=0)
    assert [note.partition(" ")[0] for note in answer["notes"]] == [
        "The",
        "seed:",
        "max_new_tokens:",
        "top_p:",
        "Unknown",
        "The",
    ]
    assert answer["seed"] == 0
    assert [column["strategy"] for column in answer["columns"]] == ["top_p(top_p=0.01)"]
    assert len(answer["columns"][0]["tokens"]) == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"data": []}, {"data": [1] * 50}, {"data": None}, {"data": "x"}, [], None, {"data": {"prompt": "a"}}],
    ids=str,
)
def test_broken_requests(server: Server, body: Any) -> None:
    status, answer = server.post("/gradio_api/call/decode", body)
    assert status < 600
    assert b"Traceback" not in answer
    assert isinstance(ask(server, "decode", {}), dict)


def test_twenty_at_once_get_what_they_would_get_alone(
    server: Server, fresh_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [{"seed": n, "max_new_tokens": 4 + n % 7, "prompt": PROMPT + " the" * (n % 4)} for n in range(20)]

    def texts(arguments: dict[str, Any]) -> list[str]:
        answer = ask(server, "decode", {"columns": "greedy;top_p;beam"} | arguments)
        return [column["text"] for column in answer["columns"]]

    with ThreadPoolExecutor(20) as pool:
        together = list(pool.map(texts, asked, timeout=TIMEOUT))
    monkeypatch.setattr(decoding, "_finished", ResultCache())
    assert together == [texts(arguments) for arguments in asked]
    assert server.services.models.get(BUILT_IN).engine.load == (0, 0)


# What must not be had


def test_only_what_programs_may_call_is_listed(server: Server) -> None:
    listed = server.client.view_api(return_format="dict", print_info=False)
    assert set(listed["named_endpoints"]) == {f"/{name}" for name in NAMES}
    assert not listed["unnamed_endpoints"]
    names = [parameter["parameter_name"] for parameter in listed["named_endpoints"]["/decode"]["parameters"]]
    assert names == ["prompt", "columns", "seed", "max_new_tokens", "model"]
    status, info = server.get("/gradio_api/info")
    assert status == 200
    assert set(json.loads(info)["named_endpoints"]) == {f"/{name}" for name in NAMES}


@pytest.mark.parametrize("name", ["run", "restore", "fill", "turn", "look", "_kind_chosen", "lambda", "nothing"])
def test_private_endpoints_cannot_be_called_by_name(server: Server, name: str) -> None:
    with pytest.raises(ValueError, match="Cannot find a function with"):
        server.client.submit(api_name=f"/{name}").result(timeout=TIMEOUT)


FILES = [
    f"/gradio_api/file={ROOT}/app.py",
    "/gradio_api/file=app.py",
    "/gradio_api/file=./app.py",
    "/gradio_api/file=../main/app.py",
    f"/gradio_api/file={ROOT}/assets/prose-gpt2/tokenizer.json",
    f"/gradio_api/file={ROOT}/tabs/../app.py",
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/file=//etc/passwd",
    "/gradio_api/file=%2Fetc%2Fpasswd",
    "/gradio_api/file=/proc/self/environ",
    "/gradio_api/file/etc/passwd",
    "/file=/etc/passwd",
    "/file/app.py",
    "/assets/prose-gpt2/tokenizer.json",
    "/assets/../../../../../../etc/passwd",
    "/static/../../../../../../../etc/passwd",
    "/static/..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
    "/gradio_api/file=..%2f..%2fetc%2fpasswd",
    "/app.py",
    "/.git/config",
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.replace(str(ROOT), "root"))
def test_files_of_the_machine_are_not_served(server: Server, path: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=TIMEOUT)
    try:
        connection.request("GET", path)  # as it is: urllib would tidy up the path
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    assert answer.status in (400, 403, 404, 405), body[:200]
    assert b"root:" not in body
    assert b"serve()" not in body
    if str(ROOT) not in path:
        assert str(ROOT).encode() not in body


def test_the_page_names_no_place_of_the_machine(server: Server) -> None:
    for path in ("/", "/config", "/gradio_api/info", "/?tab=decoding&prompt=x"):
        status, body = server.get(path)
        assert status == 200
        assert str(ROOT).encode() not in body
        assert str(Path.home()).encode() + b"/" not in body


def test_large_uploads_are_refused(server: Server) -> None:
    def upload(size: int) -> int:
        part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
        request = urllib.request.Request(
            server.url + "/gradio_api/upload",
            part + b"a" * size + b"\r\n--x--\r\n",
            {"Content-Type": "multipart/form-data; boundary=x"},
        )
        try:
            return server._open(request)[0]
        except urllib.error.URLError:  # it was turned away while it was still being sent
            return 413

    assert upload(30_000_000) == 413


# As a browser


def board_of(visitor: Visitor) -> str:
    return visitor.value(elem_id="sd-decoding-board")


def alerts_of(visitor: Visitor) -> list[str]:
    return [str(p["value"]) for p in visitor.properties.values() if 'role="alert"' in str(p.get("value"))]


def link(**query: object) -> str:
    return urlencode({"tab": "decoding"} | query)


def test_an_ordinary_page_waits(server: Server) -> None:
    visitor = Visitor(server)
    assert "Press Generate" in board_of(visitor)
    visitor.click("Generate")
    assert 'data-state="done"' in board_of(visitor)
    assert board_of(visitor).count("sd-card") == 4
    assert alerts_of(visitor) == []


def test_a_link_writes_what_the_api_writes(server: Server, fresh_cache: None) -> None:
    query = {
        "prompt": PROMPT,
        "seed": 9,
        "columns": "greedy;top_k(top_k=4)",
        "max_new_tokens": 8,
        "column": 2,
        "step": 3,
    }
    visitor = Visitor(server, link(**query))
    written = board_of(visitor)
    assert 'data-state="done"' in written
    answer = decode(server, prompt=PROMPT, seed=9, columns="greedy;top_k(top_k=4)", max_new_tokens=8)
    from tests.tabs.test_render import read

    tokens = [
        text for (_, attrs), text in zip(read(written).tags, read(written).of_tag, strict=True) if "data-n" in attrs
    ]
    assert tokens == [token["text"] for column in answer["columns"] for token in column["tokens"]]
    summary = next(p["value"] for p in visitor.properties.values() if str(p.get("value")).startswith("**Token 3 of"))
    assert "4 of 330 tokens stay" in summary


@pytest.mark.parametrize(
    "query",
    [
        {"view": "compare", "column": 6, "step": 200},
        {"view": "compare", "column": 999, "step": -1, "columns": "greedy"},
        {"view": "compare", "columns": "beam(num_beams=8);typical", "max_new_tokens": 9999},
        {"view": "sampler"},
        {"view": "sampler", "picks": "5.6.7"},
        {"view": "samples", "samples": 2, "vary_points": 2, "max_new_tokens": 4},
        {"view": "samples", "vary": "greedy", "samples": "x", "vary_points": 2, "max_new_tokens": 4},
        {"view": "samples", "vary": "top_k", "vary_from": "nan", "vary_to": "inf", "samples": 2, "max_new_tokens": 3},
        {"view": "beams"},
        {"view": "beams", "num_beams": 99, "beam_steps": -1, "length_penalty": "1e9"},
        {"view": "nothing", "model": "/etc/passwd", "seed": "1e999"},
        {"prompt": "<img src=x onerror=alert(1)>${alert(1)}"},
        {"prompt": "x" * 30_000},
        {"top_p": "0.5", "temperature": "0", "__theme": "dark"},
    ],
    ids=shortened,
)
def test_any_link_runs(server: Server, query: dict[str, object]) -> None:
    visitor = Visitor(server, link(**query))  # every event that fires must succeed
    assert alerts_of(visitor) == []
    view = query.get("view")
    shown = {
        "sampler": "sd-choices" in visitor.value(elem_id="sd-game"),
        "samples": visitor.properties[visitor.find(label="Quality against diversity")].get("visible"),
        "beams": visitor.properties[visitor.find(label="What was weighed at each step")].get("visible"),
    }
    assert shown.pop(view, True)
    assert not any(shown.values())  # and the other tools wait
    if view not in ("sampler", "samples", "beams"):
        assert 'data-state="done"' in board_of(visitor)
    assert "<img" not in board_of(visitor)
    visitor.click("Generate")
    assert 'data-state="done"' in board_of(visitor)


@pytest.mark.parametrize(
    ("view", "button"),
    [
        ("compare", "Generate"),
        ("sampler", "Start from the prompt"),
        ("samples", "Draw samples"),
        ("beams", "Grow the tree"),
    ],
)
def test_an_empty_prompt_is_told_and_then_mended(server: Server, view: str, button: str) -> None:
    visitor = Visitor(server, link(view=view, prompt=" ", samples=2, vary_points=2, max_new_tokens=4))
    (alert,) = alerts_of(visitor)
    assert "Please write a few words for the model to continue." in alert
    visitor.set("Once upon", label="Prompt")
    visitor.click(button)
    assert alerts_of(visitor) == []


def test_a_game(server: Server) -> None:
    visitor = Visitor(server)
    visitor.set(PROMPT, label="Prompt")
    visitor.set(8, label="New tokens")
    visitor.click("Start from the prompt")
    assert visitor.value(elem_id="sd-game").count("data-token") == 20
    visitor.trigger("pick", {"token": 40}, elem_id="sd-game")
    visitor.trigger("pick", {"token": 41}, elem_id="sd-game")
    assert visitor.value(label="picks") == "40.41"
    for nonsense in ({"token": "x"}, {"token": None}, {"token": []}, {}):
        visitor.trigger("pick", nonsense, elem_id="sd-game")
    assert visitor.value(label="picks") == "40.41"
    visitor.trigger("pick", {"token": 10**6}, elem_id="sd-game")
    assert "does not exist in this model" in alerts_of(visitor)[0]
    assert visitor.value(label="picks") == "40.41"
    visitor.click("Undo")
    assert visitor.value(label="picks") == "40"
    assert alerts_of(visitor) == []
    visitor.click("Column 1 goes on (20 tokens)")
    assert visitor.value(label="picks").startswith("40.")
    assert visitor.value(label="picks").count(".") == 20
    for _ in range(23):
        visitor.click("Undo")
    assert visitor.value(label="picks") == ""


@pytest.mark.parametrize("picks", ["9999999", "5.329.330", "1.2.999999"])
def test_picks_from_another_model_are_told(server: Server, picks: str) -> None:
    visitor = Visitor(server, link(view="sampler", picks=picks, prompt=PROMPT))
    assert "Start again from the prompt" in alerts_of(visitor)[0]
    visitor.click("Column 1 goes on (20 tokens)")
    assert "Start again from the prompt" in alerts_of(visitor)[0]
    visitor.click("Start from the prompt")
    assert alerts_of(visitor) == []
    assert visitor.value(label="picks") == ""


def test_a_model_that_cannot_be_had_is_told_and_the_choice_goes_back(server: Server) -> None:
    visitor = Visitor(server)
    visitor.set(GPT2, label="Model")
    visitor.trigger("input", label="Model")
    assert "The built-in model goes on working." in alerts_of(visitor)[0]
    assert visitor.value(label="Model") == BUILT_IN
    visitor.click("Generate")
    assert 'data-state="done"' in board_of(visitor)


@pytest.mark.parametrize(
    ("view", "wrong", "told"),
    [
        ("compare", {"max_new_tokens": 999}, "max_new_tokens: 999 is outside 1 to 200"),
        ("compare", {"columns": "greedy(5)"}, "5&#x27; is left out"),
        ("sampler", {"seed": -4}, "seed: -4 is outside 0 to"),
        ("samples", {"vary_points": 2, "samples": 1}, "samples: 1 is outside 2 to 32"),
        ("beams", {"num_beams": 99}, "num_beams: 99 is outside 2 to 6"),
        ("beams", {"model": "gpt5"}, "model: gpt5 is not offered here"),
    ],
    ids=shortened,
)
def test_what_was_changed_in_a_link_is_told_once(server: Server, view: str, wrong: dict[str, Any], told: str) -> None:
    def notes() -> str:
        shown = [str(p["value"]) for p in visitor.properties.values() if "sd-notes" in str(p.get("value"))]
        return "".join(shown)

    visitor = Visitor(server, link(view=view, prompt=PROMPT, **{"max_new_tokens": 4} | wrong))
    assert told in notes()
    buttons = {"compare": "Generate", "sampler": "Undo", "samples": "Draw samples", "beams": "Grow the tree"}
    visitor.click(buttons[view])  # the controls have shown the changed value since
    assert told not in notes()


@pytest.mark.parametrize(
    ("button", "named"),
    [("Generate", True), ("Start from the prompt", True), ("Draw samples", True), ("Grow the tree", False)],
)
def test_a_seed_below_zero_is_told_where_it_matters(server: Server, button: str, named: bool) -> None:
    visitor = Visitor(server, link(view="sampler", prompt=PROMPT, max_new_tokens=4, samples=2, vary_points=2))
    visitor.set(-4, label="Seed")
    visitor.click(button)
    told = [p for p in visitor.properties.values() if "seed: -4 is outside 0 to" in str(p.get("value"))]
    assert len(told) == named
    assert alerts_of(visitor) == []


def test_without_any_column_one_is_asked_for(server: Server) -> None:
    visitor = Visitor(server, link(prompt=PROMPT, columns="greedy", max_new_tokens=4))
    before = board_of(visitor)
    visitor.set("", label="Column 1")
    visitor.trigger("input", label="Column 1")
    for button in ("Generate", "Column 1 goes on (20 tokens)"):
        visitor.click(button)
        assert "Add a column first" in alerts_of(visitor)[-1]
    assert board_of(visitor) == before
    visitor.click("+ column")
    visitor.click("Generate")
    assert 'aria-label="Top-p 0.6"' in board_of(visitor)


@pytest.mark.parametrize("query", ["__theme=dark", "fbclid=abc", "utm_source=mail&v=1"])
def test_a_query_of_others_makes_nothing_run(server: Server, query: str) -> None:
    assert "Press Generate" in board_of(Visitor(server, query))


def test_two_texts_are_never_mixed_in_a_game(server: Server) -> None:
    visitor = Visitor(server, link(view="sampler", picks="5.6", prompt=PROMPT, max_new_tokens=4))
    for button in ("Undo", "Column 1 goes on (20 tokens)", None):
        visitor.set("Once upon", label="Prompt")
        visitor.click("Copy link")
        assert "picks" not in visitor.value(label="Link to exactly this")
        if button:
            visitor.click(button)
        else:
            visitor.trigger("pick", {"token": 40}, elem_id="sd-game")
        assert visitor.value(label="picks") == ""
        assert '<span class="sd-prompt">Once upon</span><span class="sd-caret"' in visitor.value(elem_id="sd-game")
        assert sum("the text starts again" in str(p.get("value")) for p in visitor.properties.values()) == 1
        visitor.set(PROMPT, label="Prompt")
        visitor.click("Start from the prompt")
        visitor.trigger("pick", {"token": 40}, elem_id="sd-game")
    assert visitor.value(label="picks") == "40"
    visitor.click("Greedy against beams")
    visitor.set(4, label="New tokens")
    visitor.trigger("pick", {"token": 41}, elem_id="sd-game")
    assert visitor.value(label="picks") == ""
    assert "I do not know" in visitor.value(elem_id="sd-game")


def test_a_text_too_long_for_a_link_is_told(server: Server) -> None:
    visitor = Visitor(server, link(prompt=PROMPT, columns="greedy", max_new_tokens=4))
    visitor.click("Copy link")
    dice = random.Random(0)  # a text in which nothing repeats, so that packing it does not help
    visitor.set("".join(chr(dice.randrange(0x4E00, 0x9FA5)) for _ in range(40_000)), label="Prompt")
    visitor.click("Copy link")
    assert ["too long for a link" in alert for alert in alerts_of(visitor)] == [True]
    assert visitor.value(label="Link to exactly this") == ""
    assert visitor.properties[visitor.find(label="Link to exactly this")]["visible"] is False
    visitor.set(PROMPT, label="Prompt")
    visitor.click("Copy link")
    assert alerts_of(visitor) == []


def test_an_example_runs(server: Server) -> None:
    visitor = Visitor(server)
    visitor.click("Greedy against beams")
    assert 'aria-label="Beam search 6"' in board_of(visitor)
    assert visitor.value(label="Prompt").startswith("“I do not know,”")


def test_the_copied_link_opens_the_same(server: Server) -> None:
    visitor = Visitor(server, link(prompt=PROMPT, seed=77, columns="top_p(top_p=0.35)", max_new_tokens=6))
    visitor.click("Copy link")
    copied = visitor.value(label="Link to exactly this")
    assert copied.startswith("?tab=decoding&v=1&")
    again = Visitor(server, copied.removeprefix("?"))
    assert board_of(again) == board_of(visitor)
