"""What is compared and plotted, and notes that stay notes in the file."""

from __future__ import annotations

from datetime import date

import pytest

from lab.arc import LORA, MELODIES, PROSE, SCRATCH, Row
from lab.reflection import (
    MAX_NOTE,
    QUESTIONS,
    Across,
    Measure,
    ReflectionSettings,
    Subject,
    compared,
    notes_markdown,
    plotted,
)


def row(name: str, stage: str, subject: str, trainable: int, gain: float | None, forgetting: float | None) -> Row:
    return Row(name, stage, subject, "this", "that", trainable, 1000, "data", 60.0, 100, gain, forgetting)


ROWS = (
    row("base", SCRATCH, MELODIES, 1000, None, None),
    row("control", SCRATCH, MELODIES, 1000, -0.7, 2.0),
    row("adapter", LORA, MELODIES, 60, 0.12, 0.2),
    row("style", LORA, PROSE, 50, 0.3, 0.1),
    row("encoder", "large, pre-trained", "sentences", 0, None, None),
)


def names(settings: ReflectionSettings) -> list[str]:
    return [row.name for row, _, _ in plotted(ROWS, settings)]


def test_what_is_plotted() -> None:
    assert names(ReflectionSettings()) == ["adapter", "style"]
    assert names(ReflectionSettings(control=1)) == ["control", "adapter", "style"]
    assert names(ReflectionSettings(subject=Subject.PROSE, control=1)) == ["style"]
    ((_, across, upwards),) = plotted(ROWS, ReflectionSettings(subject=Subject.PROSE))
    assert (across, upwards) == (50, 0.3)
    shares = ReflectionSettings(subject=Subject.PROSE, across=Across.SHARE, measure=Measure.FORGETTING)
    ((_, across, upwards),) = plotted(ROWS, shares)
    assert (across, upwards) == (0.05, 0.1)


def test_what_is_compared() -> None:
    assert compared(ROWS, ReflectionSettings()) == ROWS
    assert [r.name for r in compared(ROWS, ReflectionSettings(subject=Subject.PROSE))] == ["style"]


def test_an_empty_file_of_notes_has_all_questions() -> None:
    text = notes_markdown({})
    assert text.count("## ") == len(QUESTIONS)
    assert text.count("> –") == len(QUESTIONS)
    for question in QUESTIONS:
        assert question.text in text


def test_notes_stand_below_their_question_with_its_link() -> None:
    first, second = QUESTIONS[:2]
    text = notes_markdown(
        {second.slug: "We think\nthe sentence", first.slug: ""}, {second.slug: "http://x/?tab=a&b=1"}, date(2026, 5, 4)
    )
    assert "2026-05-04" in text
    wanted = f"## {second.text}\n\n[{second.experiment}](<http://x/?tab=a&b=1>)\n\n> We think\n> the sentence\n"
    assert wanted in text


HOSTILE = [
    "# A heading\n---\n- a list",
    "<script>alert(1)</script>",
    "[click](javascript:alert(1)) ![x](http://evil)",
    "```\ncode\n```",
    "> quote\n\n## Another question",
    "**bold** _it_ $x^2$ | a | b |",
    "&lt;b&gt; &#60;b&#62;",
    "a\0b\x1b[31m\ud800c\r\nnew",
]


@pytest.mark.parametrize("note", HOSTILE)
def test_no_note_can_pass_for_a_part_of_the_document(note: str) -> None:
    from html import escape

    from markdown_it import MarkdownIt

    text = notes_markdown({QUESTIONS[0].slug: note})
    text.encode()
    html = MarkdownIt("commonmark", {"html": True}).render(text)
    assert html.count("<h2>") == len(QUESTIONS) and html.count("<h1>") == 1
    for tag in ("<script", "<a ", "<img", "<code", "<ul", "<strong", "<em>", "<hr"):
        assert tag not in html
    for line in note.split("\n"):
        kept = "".join(c for c in line if c.isprintable() and not "\ud800" <= c <= "\udfff").strip()
        assert escape(kept).replace("&#x27;", "'") in html


def test_a_note_is_cut_at_its_limit() -> None:
    assert len(notes_markdown({QUESTIONS[0].slug: "a" * (MAX_NOTE * 3)})) < MAX_NOTE + 10_000
