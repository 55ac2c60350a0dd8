"""A visitor's text to train on: read, cleaned, and turned down with a word where nothing can be learnt from it."""

from __future__ import annotations

import codecs
import re

from lab.errors import TuningError

MAX_BYTES = 1_000_000
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # controls but tab and line feed, half characters
MOSTLY = 0.01  # more of that, and it is no text

TOO_LARGE = "The text has {size:.1f} MB; at most 1 MB can be trained on here. Please take a part of it."
BINARY = "This file is no plain text. Please save it as plain text (.txt, UTF-8) and try again."
EMPTY = "There is no text yet. Paste one, or upload a file with plain text: a few thousand words teach most."


def read_text(data: bytes) -> str:
    """Return the text of an uploaded file: UTF-8, UTF-16 with its mark, or Windows' Western encoding.

    Raises:
        TuningError: if it is too large, or no text.
    """
    if len(data) > MAX_BYTES:
        raise TuningError(TOO_LARGE.format(size=len(data) / 1e6))
    try:
        text = data.decode("utf-16" if data.startswith(UTF_16) else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
        if text.count("\ufffd") > MOSTLY * len(text):
            raise TuningError(BINARY) from None
    if len(NO_TEXT.findall(text.replace("\r", ""))) > MOSTLY * len(text):
        raise TuningError(BINARY)
    return text


def clean_text(text: object) -> tuple[str, list[str]]:
    """Return a text to train on, and notes on what was changed.

    Raises:
        TuningError: if it is empty, too large or no text.
    """
    if not isinstance(text, str) or not text.strip():
        raise TuningError(EMPTY)
    if (size := len(text.encode("utf-8", "surrogatepass"))) > MAX_BYTES:
        raise TuningError(TOO_LARGE.format(size=size / 1e6))
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip() + "\n"
    kept, removed = NO_TEXT.subn("", lines)
    if removed > MOSTLY * len(lines):
        raise TuningError(BINARY)
    notes = [f"{removed} characters that are no text (control characters) were taken out."] if removed else []
    return kept, notes
