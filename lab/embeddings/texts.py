"""Lines that visitors write, read without losing one: what could not be taken is told in a note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_LINES = 500
MAX_CHARACTERS = 2000  # of one text; the model reads 256 tokens, which are fewer
MAX_CATEGORY = 40
OWN = "own lines"  # the category of lines that name none
ENGLISH_LETTERS = 0x250  # the first character beyond Latin letters


@dataclass(frozen=True)
class Line:
    """A text and the category that its writer gave it."""

    text: str
    category: str


def read_lines(written: str) -> tuple[list[Line], list[str]]:
    """Return lines ``text, category``, and notes on what was left out, cut or may surprise.

    The category is what stands after a tab or after the last comma, if that is short and what stands before it is not
    empty; a comma inside a sentence followed by more than three words is no category.
    """
    lines: list[Line] = []
    seen: set[Line] = set()
    empty = duplicates = beyond = 0
    cut: list[int] = []
    for number, raw in enumerate(written.strip("\n").splitlines(), 1):
        raw = raw.strip()
        if not raw:
            empty += 1
            continue
        line = _line(raw)
        if len(line.text) > MAX_CHARACTERS:
            line = Line(line.text[:MAX_CHARACTERS], line.category)
            cut.append(number)
        if line in seen:
            duplicates += 1
        elif len(lines) == MAX_LINES:
            beyond += 1
        else:
            seen.add(line)
            lines.append(line)
    notes = []
    if empty:
        notes.append(_counted(empty, "empty line was", "empty lines were") + " passed over.")
    if duplicates:
        notes.append(
            _counted(duplicates, "line was there before and counts", "lines were there before and count") + " once."
        )
    if beyond:
        notes.append(
            f"There is room for {MAX_LINES} lines; "
            + _counted(beyond, "line after them is", "lines after them are")
            + " not on the map. They stay in the box."
        )
    if cut:
        which = ", ".join(map(str, cut[:5])) + (" …" if len(cut) > 5 else "")
        notes.append(f"Line {which}: only the first {MAX_CHARACTERS:,} characters are read.")
    return lines, [*notes, *about_scripts([line.text for line in lines])]


def read_items(written: str, most: int = 60, commas: bool = True) -> tuple[list[str], list[str]]:
    """Return the items of a short list and notes on what was left out, cut or may surprise.

    Args:
        most: items that are taken.
        commas: whether they divide what stands on one line; line ends always divide.
    """
    parts = written.split(",") if commas and "\n" not in written.strip() else written.splitlines()
    items = list(dict.fromkeys(part.strip()[:MAX_CHARACTERS] for part in parts if part.strip()))
    notes = []
    given = sum(1 for part in parts if part.strip())
    if given > len(items):
        notes.append(
            _counted(given - len(items), "item was there before and counts", "items were there before and count")
            + " once."
        )
    if len(items) > most:
        notes.append(
            f"There is room for {most} items; the other {len(items) - most} are left out here. They stay in the box."
        )
    return items[:most], [*notes, *about_scripts(items[:most])]


def about_scripts(texts: Sequence[str]) -> list[str]:
    """Return a note if much of the texts is in a script of which the built-in model knows little."""
    foreign = [text for text in texts if sum(ord(c) >= ENGLISH_LETTERS and c.isalpha() for c in text) * 2 > len(text)]
    if not foreign:
        return []
    return [
        _counted(len(foreign), "text is", "texts are")
        + " in a script that the built-in model has hardly read: it was trained on English, so expect such points "
        "to lie near each other, whatever they mean."
    ]


def cut(text: str, name: str) -> tuple[str, list[str]]:
    """Return a text without spaces around it, at most MAX_CHARACTERS long, and a note if it was longer."""
    text = text.strip()
    if len(text) <= MAX_CHARACTERS:
        return text, []
    return text[:MAX_CHARACTERS], [
        f"{name} has {len(text):,} characters; only the first {MAX_CHARACTERS:,} are read, "
        "and of them the model takes 256 tokens, some 200 words."
    ]


def _line(raw: str) -> Line:
    text, tab, category = raw.rpartition("\t")
    if not tab:
        text, _, category = raw.rpartition(",")
    text, category = text.strip(), category.strip()
    if not text or not category or len(category) > MAX_CATEGORY or (not tab and len(category.split()) > 3):
        return Line(raw.strip(" \t,") or raw, OWN)
    return Line(text, category.rstrip("."))


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
