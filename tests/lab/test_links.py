"""Links: short ones can be read, long ones are packed, and whatever comes instead of one is refused in a sentence."""

from __future__ import annotations

import base64
import importlib
import pkgutil
import random
import time
import zlib
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

import pytest
from pydantic import Field

import lab
from lab.links import DAMAGED, MAX_PACKED, MAX_UNPACKED, PACKED, PLAIN, read_query, write_query
from lab.settings import Settings

PROSE = (
    "The morning was cold, and there was nobody in the street. He walked slowly along the river with his hands in his "
    "pockets, and thought about the letter which had come the day before. It was not a long letter, but he had read "
)


def parsed(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))


def test_a_short_query_can_be_read() -> None:
    assert write_query({"v": "1", "prompt": "Once upon"}) == "v=1&prompt=Once+upon"
    assert read_query({"v": "1", "prompt": "Once upon"}) == ({"v": "1", "prompt": "Once upon"}, [])


def texts(length: int) -> Iterator[str]:
    rng = random.Random(length)
    yield (PROSE * (length // len(PROSE) + 1))[:length]
    yield "".join(rng.choices("äöüß שלום 😀 &=?#%+;\n", k=length))
    yield "".join(rng.choice(PROSE.split()) + " " for _ in range(length // 5))


@pytest.mark.parametrize("length", [0, 39, 500, 1700, 1800, 3000, 20_000])
def test_what_is_packed_comes_out_as_it_was(length: int) -> None:
    for text in texts(length):
        values = {"v": "1", "view": "map", "seed": "7", "prompt": text, "other": text[::-1], "empty": ""}
        query = write_query(values)
        query.encode("ascii")
        again, notes = read_query(parsed(query))
        assert (again, notes) == (values, [])
        assert len(query) <= len(urlencode(values))
        assert (PACKED in parsed(query)) == (len(urlencode(values)) > PLAIN)


def test_prose_of_two_thousand_characters_makes_a_link_below_two_thousand() -> None:
    rng = random.Random(1)
    words = " ".join("".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 7))) for _ in range(380))
    assert len(words) > 1800
    assert len(write_query({"v": "1", "prompt": words})) < 2000
    assert len(write_query({"v": "1", "prompt": "“Ärger”, " * 250})) < 400  # 5,000 characters if it stood plain


def test_what_stands_beside_the_packed_part_counts() -> None:
    packed = parsed(write_query({"prompt": PROSE * 20, "seed": "7"}))
    assert read_query(packed | {"seed": "9", "prompt": "other"})[0] == {"seed": "9", "prompt": "other"}


def pack(data: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(data, 9)).decode().rstrip("=")


WHOLE = pack(b"prompt=" + PROSE.encode() * 3)
REFUSED = {
    "empty": "",
    "no base64": "%%%%",
    "wrong length": "a",
    "no zlib": base64.urlsafe_b64encode(b"hello").decode(),
    "cut off": WHOLE[:-8],
    "changed": WHOLE[:10] + "AAAA" + WHOLE[14:],
    "other letters": "é" * 10,
    "plain base64 letters": "+/+/",
    "bomb": pack(b"prompt=" + b"a" * 40_000_000),
    "too long": "A" * (MAX_PACKED + 1),
    "many values": pack(b"&".join(b"a%d=1" % n for n in range(1000))),
    "no ascii": pack("prompt=ä".encode()),
    "number": 7,
    "list": ["x"],
}


@pytest.mark.parametrize("packed", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_unpacked_is_told_at_once(packed: Any) -> None:
    started = time.perf_counter()
    assert read_query({PACKED: packed, "seed": "3"}) == ({"seed": "3"}, [DAMAGED])
    assert time.perf_counter() - started < 1.0


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    reader = zlib.decompressobj

    class Reader:
        def __init__(self) -> None:
            self.inner = reader()

        def decompress(self, data: bytes, limit: int) -> bytes:
            out = self.inner.decompress(data, limit)
            sizes.append(len(out))
            return out

        @property
        def eof(self) -> bool:
            return self.inner.eof

    monkeypatch.setattr(zlib, "decompressobj", Reader)
    read_query({PACKED: REFUSED["bomb"]})
    assert sizes == [MAX_UNPACKED]


def test_what_could_not_be_unpacked_is_not_packed() -> None:
    assert PACKED not in parsed(write_query({"prompt": "a" * (MAX_UNPACKED + 1)}))


# Every settings class that there is


def all_settings() -> list[type[Settings]]:
    """Return each settings class of the project that makes links."""
    for module in pkgutil.walk_packages(lab.__path__, "lab."):
        importlib.import_module(module.name)
    found, waiting = [], [Settings]
    while waiting:
        for made in waiting.pop().__subclasses__():
            waiting.append(made)
            if made.__module__.startswith("lab."):
                found.append(made)
    return sorted(set(found), key=lambda made: (made.__module__, made.__qualname__))


CHARACTERS = "abc é&=?#%+;,()\"'<>/\\\n\t😀שλ\u200f\u0301ß"
# Fields whose text has a form of its own, which chance would not hit.
FORMS = {
    "columns": ["greedy", "greedy;top_p(top_p=0.5,temperature=1.2)", "beam(num_beams=3,length_penalty=-1)"],
    "picks": ["", "1.2.3", ".".join(str(n * 37) for n in range(1300))],
    "strategy": ["greedy", "top_p(top_p=0.5)"],
    "adapters": ["shakespeare=1", "shakespeare=0.5+fairy-tales=0.5;fairy-tales=2", ""],
    "voices": ["folk", "folk,lora", "scratch"],
    "meter": ["3/4", "6/8"],
    "opening": ["", "c2 d2 | e4", "c2 " * 600],
}


def random_values(settings: type[Settings], rng: random.Random) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, field in settings.model_fields.items():
        kind = field.annotation
        if rng.random() < 0.25:
            continue
        if name in FORMS:
            values[name] = rng.choice(FORMS[name])
        elif kind in (int, float):
            low, high = settings.bounds(name)
            inside = rng.randint(int(low), int(high)) if kind is int else rng.uniform(low, high)
            values[name] = rng.choice([low, high, inside, inside])
        elif isinstance(kind, type) and issubclass(kind, StrEnum):
            values[name] = rng.choice(list(kind))
        elif kind is str:
            longest = next((m.max_length for m in field.metadata if hasattr(m, "max_length")), 100)
            length = rng.choice([0, 3, 30, min(longest, 4000)])
            values[name] = "".join(rng.choices(CHARACTERS, k=min(length, longest)))
        else:
            raise AssertionError(f"{settings.__name__}.{name}: {kind} is of no kind that a link can carry")
    return values


@pytest.mark.parametrize("settings", all_settings(), ids=lambda made: made.__name__)
def test_every_control_comes_back_from_a_link(settings: type[Settings]) -> None:
    rng = random.Random(settings.__name__)
    packed = 0
    for _ in range(25):
        wanted, _ = settings.lenient(random_values(settings, rng))
        query = wanted.to_query()
        query.encode("ascii")
        again, notes = settings.lenient(parsed(query))
        assert again == wanted
        assert notes == []
        packed += PACKED in parsed(query)
        assert settings.lenient(read_query(parsed(query))[0])[0] == wanted  # as the app hands it on
    metadata = [one for field in settings.model_fields.values() for one in field.metadata]
    longest = max((one.max_length for one in metadata if hasattr(one, "max_length")), default=0)
    assert bool(packed) or longest < 2000


def test_there_are_settings_to_test() -> None:
    assert {"DecodingSettings", "MelodySettings", "ReflectionSettings"} <= {made.__name__ for made in all_settings()}


# Versions


class Third(Settings):
    """Settings whose links have had two forms before."""

    VERSION: ClassVar[int] = 3
    temperature: float = Field(1.0, ge=0.0, le=2.0)
    prompt: str = Field("", max_length=5000)

    @classmethod
    def migrate(cls, values: dict[str, Any], version: int) -> dict[str, Any]:
        if version == 1 and "heat" in values:  # in the first, it was called heat
            values = {name: value for name, value in values.items() if name != "heat"} | {"warmth": values["heat"]}
        if version == 2 and "warmth" in values:  # in the second, it was in per cent
            warmth = values.pop("warmth")
            values = values | {"temperature": float(warmth) / 100}
        return values


@pytest.mark.parametrize(
    ("query", "temperature", "notes"),
    [
        ("v=1&heat=50", 0.5, []),
        ("v=2&warmth=150", 1.5, []),
        ("v=3&temperature=0.25", 0.25, []),
        ("temperature=0.25", 0.25, []),
        ("v=2&temperature=0.25", 0.25, []),
        ("v=4&temperature=0.25&more=1", 0.25, ["v: this link was made by a newer release"]),
        ("v=x&temperature=0.25", 0.25, []),
        ("v=-1&heat=50", 0.5, []),
        ("v=" + "9" * 5000 + "&temperature=0.25", 0.25, []),
    ],
)
def test_links_of_other_versions_open(query: str, temperature: float, notes: list[str]) -> None:
    made, said = Third.lenient(parsed(query))
    assert made.temperature == temperature
    assert len(said) == len(notes)
    assert all(one.startswith(start) for one, start in zip(said, notes, strict=True))


def test_a_packed_link_of_an_old_version_opens() -> None:
    old = parsed(write_query({"v": "1", "heat": "50", "prompt": PROSE * 15}))
    assert PACKED in old
    assert Third.lenient(old) == (Third(temperature=0.5, prompt=PROSE * 15), [])
    assert parsed(Third(temperature=0.5).to_query()) == {"v": "3", "temperature": "0.5"}
