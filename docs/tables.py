"""Write the tables of figures in README.md and docs/*.md from what the benchmarks have measured.

    python -m benchmarks.decoding --save docs/figures/decoding.json
    python docs/tables.py

A table stands between ``<!-- figures: decoding crowd_ratio one_stream_ratio -->`` and ``<!-- end of figures -->``: the
name of a file in docs/figures/, then the figures to show, all if none is named.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "docs" / "figures"
TABLE = re.compile(r"(<!-- figures: (\w+)((?: \w+)*) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def documents() -> list[Path]:
    """Return all documents in which tables may stand."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def rendered(text: str, folder: Path = FIGURES) -> str:
    """Return a document with its tables written anew.

    Raises:
        OSError: if a file of figures is missing.
        KeyError: if it lacks a figure.
    """
    return TABLE.sub(lambda found: found[1] + table(found[2], found[3].split(), folder) + found[4], text)


def table(name: str, wanted: list[str], folder: Path = FIGURES) -> str:
    """Return a table of figures in Markdown; see :func:`rendered`."""
    saved = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    figures = {figure["name"]: figure for figure in saved["figures"]}
    rows = ["| | measured | aim |", "| --- | ---: | ---: |"]
    for figure in [figures[key] for key in wanted or figures]:
        unit = f" {figure['unit']}" if figure["unit"] else ""
        rows.append(f"| {figure['meaning']} | {number(figure['value'])}{unit} | {figure['aim'].replace('<', '&lt;')} |")
    facts = ", ".join(f"{key} {fact}" for key, fact in saved["facts"].items())
    source = f"`benchmarks/{name}.py`" + (f" ({facts})" if facts else "")
    return "\n".join([*rows, "", f"Measured by {source}.", ""])


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
