"""Write the tables of figures in README.md and docs/*.md from what the benchmarks have measured.

    python -m benchmarks.decoding --save docs/figures/decoding.json
    python docs/tables.py

A table stands between ``<!-- figures: decoding crowd_ratio one_stream_ratio -->`` and ``<!-- end of figures -->``: the
name of a file in docs/figures/, then the figures to show, all if none is named.

Where many figures are alike, a grid shows them: with rows by the beginning of their figures' names, and columns in
which ``*`` stands for it::

    <!-- grid: reward
    rule
    = dialogue: dialogue
    = ten_words: sentences of ten words
    | *_10: 10
    | *_300_low to *_300_high: 300
    -->
    <!-- end of figures -->
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "docs" / "figures"
TABLE = re.compile(r"(<!-- figures: (\w+)((?: \w+)*) -->\n).*?(<!-- end of figures -->)", re.DOTALL)
GRID = re.compile(r"(<!-- grid: (\w+)\n(.*?)-->\n).*?(<!-- end of figures -->)", re.DOTALL)


def documents() -> list[Path]:
    """Return all documents in which tables may stand."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def rendered(text: str, folder: Path = FIGURES) -> str:
    """Return a document with its tables written anew.

    Raises:
        OSError: if a file of figures is missing.
        KeyError: if it lacks a figure.
    """
    text = TABLE.sub(lambda found: found[1] + table(found[2], found[3].split(), folder) + found[4], text)
    return GRID.sub(lambda found: found[1] + grid(found[2], found[3].splitlines(), folder) + found[4], text)


def read(name: str, folder: Path) -> tuple[dict[str, dict[str, Any]], str]:
    """Return figures by their names, and what to say of where they come from."""
    saved = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    facts = ", ".join(f"{key} {fact}" for key, fact in saved["facts"].items())
    source = f"`benchmarks/{name}.py`" + (f" ({facts})" if facts else "")
    return {figure["name"]: figure for figure in saved["figures"]}, f"Measured by {source}."


def table(name: str, wanted: list[str], folder: Path = FIGURES) -> str:
    """Return a table of figures in Markdown; see :func:`rendered`."""
    figures, source = read(name, folder)
    rows = ["| | measured | aim |", "| --- | ---: | ---: |"]
    for figure in [figures[key] for key in wanted or figures]:
        unit = f" {figure['unit']}" if figure["unit"] else ""
        rows.append(f"| {figure['meaning']} | {number(figure['value'])}{unit} | {figure['aim'].replace('<', '&lt;')} |")
    return "\n".join([*rows, "", source, ""])


def grid(name: str, spec: list[str], folder: Path = FIGURES) -> str:
    """Return a grid of figures in Markdown, three digits after the point; see the top of this file."""
    figures, source = read(name, folder)
    corner, *lines = (line for line in spec if line.strip())
    pairs = [(line[:1], *line[1:].strip().split(": ")) for line in lines]
    columns = [(cell, title) for sign, cell, title in pairs if sign == "|"]
    rows = [f"| {' | '.join([corner, *(title for _, title in columns)])} |", "| --- |" + " ---: |" * len(columns)]
    for key, title in [(key, title) for sign, key, title in pairs if sign == "="]:
        found = [
            re.sub(r"\*\w*", lambda one, key=key: f"{figures[key + one[0][1:]]['value']:.3f}", cell)
            for cell, _ in columns
        ]
        rows.append(f"| {' | '.join([title, *found])} |")
    return "\n".join([*rows, "", source, ""])


def number(value: float) -> str:
    """Return a figure with three digits, and with all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main() -> int:
    """Rewrite what has changed; return 1 if something had, 0 otherwise."""
    changed = 0
    for path in documents():
        before = path.read_text(encoding="utf-8")
        after = rendered(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"{path.relative_to(ROOT)} rewritten")
            changed = 1
    return changed


if __name__ == "__main__":
    sys.exit(main())
