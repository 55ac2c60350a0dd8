"""Settings: whatever a visitor sends, what comes out is valid, and a link reads back as what was written."""

from __future__ import annotations

import math
import random
from enum import StrEnum
from urllib.parse import parse_qsl

import pytest
from pydantic import Field, ValidationError

from lab.settings import Bounds, Settings, number_text
from lab.text.strategies import Kind, Strategy


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Sample(Settings):
    """One field of each sort that settings may have."""

    count: int = Field(3, ge=1, le=2**31)
    share: float = Field(0.25, ge=-1.5, le=1e6)
    text: str = Field("hello", max_length=12)
    colour: Colour = Colour.RED


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


def endless() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


HOSTILE = {
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "nan text": "nan",
    "inf text": "-Infinity",
    "1e999": "1e999",
    "none": None,
    "list": [1, 2],
    "dict": {"a": 1},
    "huge int": 10**400,
    "int too long to print": 10**10_000,
    "negative int too long to print": -(10**10_000),
    "huge digits": "9" * 100_000,
    "huge text": "x" * 1_000_000,
    "empty": "",
    "space": " ",
    "nul": "a\0b",
    "nul number": "1\0",
    "surrogate": "\ud800",
    "surrogate inside": "red\udfff",
    "true": True,
    "false": False,
    "bytes": b"1.5",
    "bad bytes": b"\xff\xfe",
    "complex": 1j,
    "object": object(),
    "type": int,
    "deep": nested(100_000),
    "endless": endless(),
    "tiny": 5e-324,
    "minus zero": "-0.0",
    "underscores": "1_0",
    "other digits": "٧",
    "script": "<script>alert(1)</script>",
    "set": {1},
    "function": len,
}


@pytest.mark.parametrize("settings", [Sample, Strategy])
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_lenient_takes_anything(settings: type[Settings], value: object) -> None:
    for name in settings.model_fields:
        made, notes = settings.lenient({name: value})
        settings.model_validate(made.model_dump())
        assert all(isinstance(note, str) and len(note) < 300 for note in notes)
        for note in notes:
            note.encode()  # a lone surrogate would break the page later
        made.to_query().encode("ascii")
        for number, field in settings.model_fields.items():
            if field.annotation in (int, float):
                low, high = settings.bounds(number)
                assert type(getattr(made, number)) is field.annotation
                assert low <= getattr(made, number) <= high
        if getattr(made, name) == settings.default(name) and value is not None:
            assert notes or value == settings.default(name)


def test_lenient_takes_all_at_once() -> None:
    rng = random.Random(4)
    values = list(HOSTILE.values())
    for _ in range(200):
        made, _ = Strategy.lenient({name: rng.choice(values) for name in (*Strategy.model_fields, "unknown", "v")})
        Strategy.model_validate(made.model_dump())


@pytest.mark.parametrize(
    ("name", "raw", "value", "noted"),
    [
        ("count", "7", 7, False),
        ("count", 7.4, 7, False),
        ("count", "7.6", 8, False),
        ("count", "0", 1, True),
        ("count", 1e300, 2**31, True),
        ("share", "-9", -1.5, True),
        ("share", math.inf, 1e6, True),
        ("share", "1e999", 1e6, True),
        ("share", "0.5", 0.5, False),
        ("share", math.nan, 0.25, True),
        ("share", "a half", 0.25, True),
        ("count", [3], 3, True),
        ("text", "hi", "hi", False),
        ("text", "", "", False),
        ("text", "far too long a text", "hello", True),
        ("text", "\ud800", "hello", True),
        ("colour", "blue", Colour.BLUE, False),
        ("colour", "green", Colour.RED, True),
        ("share", None, 0.25, False),
    ],
)
def test_lenient_clamps_what_is_out_of_range_and_refuses_what_cannot_be_read(
    name: str, raw: object, value: object, noted: bool
) -> None:
    made, notes = Sample.lenient({name: raw})
    assert getattr(made, name) == value
    assert bool(notes) is noted
    assert all(note.startswith(f"{name}: ") for note in notes)


def test_lenient_keeps_good_values_beside_bad_ones_and_drops_unknown_names() -> None:
    made, notes = Sample.lenient({"count": "x", "share": 0.5, "utm_source": "mail", "v": "1", "__class__": "x"})
    assert made == Sample(share=0.5)
    assert len(notes) == 1


def test_strict_validation_refuses_what_lenient_mends() -> None:
    for wrong in ({"count": 0}, {"share": math.nan}, {"share": math.inf}, {"unknown": 1}, {"colour": "green"}):
        with pytest.raises(ValidationError):
            Sample.model_validate(wrong)
    with pytest.raises(ValidationError):
        Sample().count = 4  # frozen: settings are values, shared by threads


def test_bounds_and_default_come_from_the_field() -> None:
    assert Sample.bounds("share") == Bounds(-1.5, 1e6)
    assert Strategy.bounds("num_beams") == (2, 8)
    assert Strategy.default("top_k") == 40
    with pytest.raises(KeyError):
        Sample.bounds("text")


def random_settings(rng: random.Random) -> Sample:
    share = rng.choice([rng.uniform(-1.5, 1e6), rng.random() * 10.0 ** rng.randint(-12, 5), 1e6, -1.5, 0.1 + 0.2, 2.0])
    characters = "aé ¡&=?#%+;/\\\"'<>\0\n\t😀\u200f,()"
    text = "".join(rng.choice(characters) for _ in range(rng.randint(0, 12)))
    return Sample(count=rng.randint(1, 2**31), share=share, text=text, colour=rng.choice(list(Colour)))


@pytest.mark.parametrize("seed", range(4))
def test_query_reads_back_as_what_was_written(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        settings = random_settings(rng)
        made, notes = Sample.lenient(dict(parse_qsl(settings.to_query(), keep_blank_values=True, strict_parsing=True)))
        assert made == settings
        assert notes == []


def test_query_carries_the_version_and_leaves_defaults_out() -> None:
    assert Sample().to_query() == "v=1"
    assert Sample(share=2.0, colour=Colour.BLUE).to_query() == "v=1&share=2&colour=blue"
    assert Strategy(kind=Kind.TOP_K, top_k=5).to_query() == "v=1&kind=top_k&top_k=5"


def test_number_text_is_short_and_exact() -> None:
    assert [number_text(value) for value in (1.0, 0.7, 10.0, -2.0, 1e-7, 3)] == ["1", "0.7", "10", "-2", "1e-07", "3"]
    rng = random.Random(1)
    for _ in range(300):
        value = rng.uniform(-1, 1) * 10.0 ** rng.randint(-300, 300)
        assert float(number_text(value)) == value
