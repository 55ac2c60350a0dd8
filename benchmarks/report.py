"""How every benchmark reports: a table for people, and with --json one JSON object as the last line for programs."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Figure(NamedTuple):
    """One measured number: its name for programs, what it says for people, and the aim it is held against, if any."""

    name: str
    meaning: str
    value: float
    unit: str = ""
    aim: str = ""


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks share."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", action="store_true", help="print the figures as one JSON object on the last line")
    options.add_argument("--save", type=Path, help="write them to a file: docs/figures/NAME.json feeds the documents")
    return options


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action takes."""
    before = time.perf_counter()
    action()
    return time.perf_counter() - before


def report(
    figures: Sequence[Figure],
    *,
    facts: Mapping[str, str] | None = None,
    as_json: bool = False,
    save: Path | None = None,
) -> None:
    """Print figures as a table, after the facts about what was measured.

    Args:
        figures: in the order in which they are to stand.
        facts: what the figures depend on, such as the model and the machine.
        as_json: add the JSON line.
        save: file that takes them with meanings, units and aims, for ``docs/tables.py``.
    """
    facts = facts or {}
    for name, fact in facts.items():
        print(f"{name}: {fact}")
    cells = [(f.meaning, f"{f.value:.3g} {f.unit}".strip(), f.aim) for f in figures]
    widths = [max(len(row[column]) for row in [*cells, ("", "", "aim")]) for column in range(3)]
    for meaning, value, aim in [("", "", "aim"), *cells]:
        print(f"{meaning:<{widths[0]}}  {value:>{widths[1]}}  {aim}".rstrip())
    if as_json:
        print(json.dumps({**facts, **{figure.name: round(figure.value, 6) for figure in figures}}))
    if save:
        rows = [{**figure._asdict(), "value": round(figure.value, 6)} for figure in figures]
        save.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"facts": facts, "figures": rows}, ensure_ascii=False, indent=1)
        save.write_text(text + "\n", encoding="utf-8")
