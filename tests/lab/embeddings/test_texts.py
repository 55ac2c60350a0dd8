"""Visitors' lines: nothing is lost without a word."""

from __future__ import annotations

import pytest

from lab.embeddings.texts import MAX_CHARACTERS, MAX_LINES, OWN, Line, cut, read_items, read_lines


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("bandoneon, Instruments", Line("bandoneon", "Instruments")),
        ("well, I never, feelings", Line("well, I never", "feelings")),
        ("well\tmy category", Line("well", "my category")),
        ("one word", Line("one word", OWN)),
        ("It rained, so we stayed at home all day.", Line("It rained, so we stayed at home all day.", OWN)),
        ("word,", Line("word", OWN)),
        (", category", Line("category", OWN)),
        ("a, " + "c" * 50, Line("a, " + "c" * 50, OWN)),
        ("猫, Animals", Line("猫", "Animals")),
    ],
)
def test_a_line(raw: str, line: Line) -> None:
    assert read_lines(raw)[0] == [line]


def test_empty_lines_and_duplicates_are_told() -> None:
    lines, notes = read_lines("a, x\n\n  \na, x\na, y\n")
    assert lines == [Line("a", "x"), Line("a", "y")]
    assert notes == ["2 empty lines were passed over.", "1 line was there before and counts once."]
    assert read_lines("") == ([], [])


def test_the_line_after_the_last_is_told() -> None:
    lines, (note,) = read_lines("\n".join(f"word {n}" for n in range(MAX_LINES + 1)))
    assert len(lines) == MAX_LINES
    assert note == "There is room for 500 lines; 1 line after them is not on the map. They stay in the box."


def test_a_line_of_a_hundred_thousand_characters_is_cut() -> None:
    lines, (note,) = read_lines("short\n" + "x" * 100_000)
    assert len(lines[1].text) == MAX_CHARACTERS
    assert note == "Line 2: only the first 2,000 characters are read."
    text, (note,) = cut(" " + "y" * 100_000, "The query")
    assert len(text) == MAX_CHARACTERS
    assert note.startswith("The query has 100,000 characters; only the first 2,000 are read")


def test_other_scripts_are_taken_with_a_warning() -> None:
    lines, (note,) = read_lines("скрипка, Instruments\nviolin, Instruments\n小提琴, Instruments")
    assert len(lines) == 3
    assert note.startswith("2 texts are in a script that the built-in model has hardly read")
    assert read_lines("Klänge über Größe, Ähnliches")[1] == []


def test_items() -> None:
    assert read_items("a, b ,a,,c") == (["a", "b", "c"], ["1 item was there before and counts once."])
    assert read_items("a, b\nc") == (["a, b", "c"], [])
    assert read_items("a, b", commas=False) == (["a, b"], [])
    items, (note,) = read_items(",".join(map(str, range(9))), most=4)
    assert items == ["0", "1", "2", "3"]
    assert note == "There is room for 4 items; the other 5 are left out here. They stay in the box."
    assert read_items("  ,  ") == ([], [])
