"""The API name ``melody``: whatever is sent, the answer is JSON with notes or a sentence, and the files can be read."""

from __future__ import annotations

import base64
import inspect
import io
import json
import math
import wave
from typing import Any

import defusedxml.ElementTree
import mido
import pytest
from gradio_client.exceptions import AppError

from lab.music.composing import MelodySettings
from lab.music.measures import MEASURES
from lab.source import ROOT
from tests.tabs.conftest import TIMEOUT, Server

NAN, INFINITY = math.nan, math.inf
DEFAULTS = {name: MelodySettings.default(name) for name in (
    "opening", "meter", "mode", "phrases", "temperature", "top_p", "seed", "mask", "voices", "strength", "instrument",
    "tempo", "transpose", "cadence", "originality",
)}  # fmt: skip
SHORT = {"voices": "folk", "phrases": 1}


def ask(server: Server, **arguments: Any) -> dict[str, Any] | str:
    """Return the result, or the message of the error; without the client, which refuses to send some things."""
    event, data = server.call("melody", *(DEFAULTS | SHORT | arguments).values())
    return data[0] if event == "complete" else data["error"]


@pytest.fixture(scope="module")
def answer(server: Server) -> dict[str, Any]:
    """What comes when nothing is said."""
    return server.client.submit(api_name="/melody").result(timeout=TIMEOUT)


def test_defaults(server: Server, answer: dict[str, Any]) -> None:
    assert answer["notes"] == []
    assert MelodySettings.model_validate(answer["settings"]) == MelodySettings()
    assert [melody["voice"] for melody in answer["melodies"]] == ["folk", "lora", "full"]
    listed = server.client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(listed) == {"/melody"}
    parameters = {p["parameter_name"]: p["parameter_default"] for p in listed["/melody"]["parameters"]}
    assert parameters == DEFAULTS | {"mode": "major", "mask": True, "cadence": True, "originality": True}
    for name in parameters:
        assert name in inspect.signature(MelodySettings).parameters


def test_notes_and_figures(answer: dict[str, Any]) -> None:
    for melody in answer["melodies"]:
        assert (melody["meter"], melody["mode"]) == ("4/4", "major")
        assert melody["strength"] == (1.0 if melody["voice"] == "lora" else 0.0)
        end = 0.0
        for note in melody["notes"]:
            assert note["start"] == end
            assert note["pitch"] is None or 36 <= note["pitch"] <= 96
            end += note["duration"]
        given = [note["pitch"] for note in melody["notes"] if note["opening"]]
        assert given == [67, 72]
        assert 0 < melody["complete_bars"] <= melody["bars"]
        assert melody["mean_log_probability"] < 0
        assert set(melody["probability_of_bach"]) == {"all", "pitch"}
        assert all(0 <= share <= 1 for share in melody["probability_of_bach"].values())
        run = melody["longest_copied_run"]
        assert run["intervals"] >= 0 and (run["tune"] is None) is (run["intervals"] == 0)
        assert set(melody["measures"]) == {measure.name for measure in MEASURES}


def test_the_answer_is_json(server: Server) -> None:
    """A measure that a melody leaves open would be NaN, which JSON does not have."""

    def refused(constant: str) -> None:
        raise AssertionError(constant)

    for arguments in ({}, {"opening": "c", "temperature": 0.05}, {"opening": "c8|", "meter": "4/1"}):
        found = ask(server, **arguments)
        json.loads(json.dumps(found), parse_constant=refused)
        assert isinstance(found, dict)
        for melody in found["melodies"]:
            assert all(value is None or math.isfinite(value) for value in melody["measures"].values())


def test_the_files_can_be_read(answer: dict[str, Any]) -> None:
    for melody in answer["melodies"]:
        pitches = [note["pitch"] for note in melody["notes"] if note["pitch"] is not None]
        seconds = sum(note["duration"] for note in melody["notes"]) * 60 / 96
        with wave.open(io.BytesIO(base64.b64decode(melody["wav"], validate=True))) as sound:
            assert sound.getframerate() == 44100 and sound.getsampwidth() == 2
            assert sound.getnframes() / 44100 == pytest.approx(seconds, abs=1.0)
            samples = memoryview(sound.readframes(sound.getnframes())).cast("h")
            assert max(samples) > 20_000
        file = mido.MidiFile(file=io.BytesIO(base64.b64decode(melody["midi"], validate=True)))
        assert [m.note for m in file if m.type == "note_on" and m.velocity] == pitches
        assert [round(mido.tempo2bpm(m.tempo)) for m in file if m.type == "set_tempo"] == [96]
        assert [m.program for m in file if m.type == "program_change"] == [19]
        score = defusedxml.ElementTree.fromstring(melody["musicxml"].encode(), forbid_dtd=False)
        assert score.tag == "score-partwise"
        steps = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
        written = []
        for note in score.iter("note"):
            tied = [tie.get("type") for tie in note.findall("tie")]
            if note.find("pitch") is not None and "stop" not in tied:
                octave, alter = int(note.findtext("pitch/octave", "")), int(note.findtext("pitch/alter", "0"))
                written.append(12 * (octave + 1) + steps[note.findtext("pitch/step", "")] + alter)
        assert written == pitches


def test_the_same_arguments_give_the_same_notes(server: Server) -> None:
    first, second, other = (ask(server, voices="folk,lora", phrases=3, seed=seed) for seed in (5, 5, 6))
    assert first == second
    assert [m["notes"] for m in first["melodies"]] != [m["notes"] for m in other["melodies"]]


def test_instrument_tempo_and_key_do_not_change_the_melody(server: Server) -> None:
    plain, other = ask(server), ask(server, instrument="Flute", tempo=60, transpose=5)
    one, two = plain["melodies"][0], other["melodies"][0]
    assert [n["duration"] for n in one["notes"]] == [n["duration"] for n in two["notes"]]
    assert [n["pitch"] and n["pitch"] + 5 for n in one["notes"]] == [n["pitch"] for n in two["notes"]]
    assert one["wav"] != two["wav"]


NUMBERS = ("phrases", "temperature", "top_p", "seed", "strength", "tempo", "transpose")
WORDS = ("meter", "mode", "instrument", "voices")


def all_of(names: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return arguments with the same value."""
    return dict.fromkeys(names, value)


CASES: list[tuple[dict[str, Any], int | str]] = [  # with the number of notes that the answer has, or what it says
    (all_of(NUMBERS, NAN), 7),
    (all_of(NUMBERS, 1e10), 7),
    (all_of(NUMBERS, -INFINITY), 7),
    (all_of(NUMBERS, 10**30), 7),
    (all_of((*NUMBERS, *WORDS, "mask"), "impossible"), 12),
    (all_of((*NUMBERS, *WORDS, "mask", "opening"), [1]), 13),
    (all_of((*NUMBERS, *WORDS, "mask", "opening"), {"a": "b"}), 13),
    (all_of((*WORDS, "opening"), "\ud800"), 5),
    (all_of((*NUMBERS, *WORDS, "mask"), "\0"), 12),
    (all_of((*WORDS, "opening"), "<img src=x onerror=alert(1)>" * 1000), 5),
    (all_of((*WORDS, "opening"), 5), 5),
    (all_of((*NUMBERS, *WORDS, "mask", "opening"), None), 0),
    ({"seed": "7", "tempo": "96", "mask": False, "opening": "c" * 64}, 0),
    ({"mask": NAN}, 1),
    ({"mask": 1e9}, 1),
    ({"meter": "7/8"}, 1),
    ({"voices": "folk,impossible"}, 1),
    ({"voices": ",,folk,,folk"}, 0),
    ({"voices": "", "opening": ""}, 0),
    ({"opening": " | \n | "}, 0),
    ({"opening": "c" * 100_000}, 1),
    ({"opening": "\0"}, "cannot be read"),
    ({"opening": "c2 \0 d"}, "cannot be read"),
    ({"opening": "impossible"}, "cannot be read"),
    ({"opening": "c/0"}, "not a multiple"),
    ({"opening": "z8"}, "only rests"),
    ({"opening": "c" * 65}, "65 notes"),
    ({"opening": "c" * 1500}, "too long"),
    ({"opening": "c,,,,,,,,"}, "never met"),
    ({"opening": "^c'''''''''''''''"}, "never met"),
    ({"opening": "<script>alert(1)</script>"}, "cannot be read"),
    ({"opening": "c16 " * 64}, ""),
]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [*CASES, *(({"opening": f"{note}{10**30}c"}, "too long") for note in "cz")],
    ids=lambda value: ascii(value)[:40],
)
def test_hostile_arguments(server: Server, arguments: dict[str, Any], expected: int | str) -> None:
    found = ask(server, **arguments)
    if isinstance(expected, int):
        assert isinstance(found, dict), found
        assert len(found["notes"]) == expected, found["notes"]
        assert all(0 < len(note) < 400 for note in found["notes"])
        assert found["melodies"] and all(melody["notes"] for melody in found["melodies"])
    else:
        assert isinstance(found, str), "a result where a message was due"
        assert expected in found
        assert len(found) < 400
    assert "Traceback" not in str(found) and str(ROOT) not in str(found)


def test_header_continues_openings_of_other_meters(server: Server) -> None:
    """Folk, asked for Bach, reads them in 4/4, where notes reach over other bar lines."""
    for meter, opening in (("3/4", "c6 c6 d2"), ("6/8", "e3 c3 d6"), ("3/2", "c12 | d12"), ("3/8", "c3 d3 e3 f3")):
        found = ask(server, voices="header", meter=meter, opening=opening)
        if isinstance(found, str):  # nobody has met such a part of a tied note
            assert "never met" in found, found
        else:
            assert found["melodies"][0]["meter"] == "4/4"


def test_a_failure_without_words_gets_some(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("tabs.melodies.api.compose", fails)
    found = ask(server)
    assert isinstance(found, str) and "secret" not in found
    assert "could not be written" in found


def test_the_client_raises_our_message(server: Server) -> None:
    with pytest.raises(AppError, match="cannot be read"):
        server.client.submit(opening="impossible", api_name="/melody").result(timeout=TIMEOUT)


@pytest.mark.parametrize("body", [{}, {"data": []}, {"data": None}, [], None, {"data": [1] * 50}], ids=str)
def test_broken_requests(server: Server, body: Any) -> None:
    status, found = server.post("/gradio_api/call/melody", body)
    assert status < 600
    assert b"Traceback" not in found
    assert isinstance(ask(server), dict)
