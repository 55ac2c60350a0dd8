"""What is a text to train on, and what is turned down."""

from __future__ import annotations

import pytest

from lab.errors import TuningError
from lab.text.training_text import MAX_BYTES, clean_text, read_text

TEXT = "“Aye,” said he.\nSo be it."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_reads_what_people_save(encoding: str) -> None:
    assert read_text(TEXT.encode(encoding)) == TEXT


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, "no plain text"),
        (b"\x00\x01" * 300, "no plain text"),
        (b"\xff\xfe" + b"\x00\xd8" * 50, "no plain text"),  # halves of characters
        (b"a" * (MAX_BYTES + 1), "at most 1 MB"),
    ],
    ids=["png", "numbers", "utf-16 that is none", "too large"],
)
def test_turns_down_what_is_no_text(data: bytes, words: str) -> None:
    with pytest.raises(TuningError, match=words):
        read_text(data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no text yet"),
        (" \n\t", "no text yet"),
        (None, "no text yet"),
        (7, "no text yet"),
        ("é" * 600_000, "1.2 MB"),
        ("\x00\x01\x02", "no plain text"),
    ],
)
def test_turns_down_what_nothing_can_be_learnt_from(text: object, words: str) -> None:
    with pytest.raises(TuningError, match=words):
        clean_text(text)


def test_takes_out_what_is_no_text() -> None:
    cleaned, notes = clean_text("  one\r\ntwo\x07\ud800 three\r" + "four " * 99)
    assert cleaned.startswith("one\ntwo three\nfour four") and cleaned.endswith("four\n")
    assert notes == ["2 characters that are no text (control characters) were taken out."]
