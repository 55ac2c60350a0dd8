"""What programs and browsers send: whatever it is, the answer is a result with notes or a sentence, and soon."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from gradio_client.exceptions import AppError

from lab.source import ROOT
from lab.text import decoding
from lab.text.decoding import ResultCache
from lab.text.models import BUILT_IN, GPT2
from tests.tabs.conftest import PROMPT, TIMEOUT, Server, decode, shortened
from tests.tabs.test_hostile import NAMES


def next_token(server: Server, **arguments: Any) -> dict[str, Any]:
    arguments = {"prompt": PROMPT} | arguments
    return server.client.submit(**arguments, api_name="/next_token").result(timeout=TIMEOUT)


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
