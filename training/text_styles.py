"""The styles for which adapters ship: which texts are trained on, chosen by, and measured by.

Texts to measure by are whole plays, tales or books, since pages of one work resemble each other too much; of the one
novel that is cut they are whole chapters. The base model has read all books of the prose corpus but the last four,
these styles' among them; only Shakespeare is new to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.corpus import read_books, read_text

# How the plays begin that are not trained on: the corpus has no mark between plays.
TITUS, TROILUS = "Noble patricians, patrons of my right", "In Troy, there lies the scene"
BATCH_TOKENS = 1024  # of a step
JEEVES_STORIES, RIGHT_HO_JEEVES = 20, 64  # positions in the prose corpus, counted from 1
GRIMM = 82
TWENTY_THOUSAND_LEAGUES = 47


@dataclass(frozen=True)
class Texts:
    """What a style is trained on, chosen by (rank, targets, best step) and measured by."""

    training: str
    validation: str
    test: str


@dataclass(frozen=True)
class Style:
    """A voice to be learnt.

    Attributes:
        name: of the adapter.
        title: for people.
        works: what is read, in words, for the card: to train on, to choose by, to measure by.
        steps: of training; smaller texts need fewer.
        context: tokens of a window to train on. Visitors' prompts are short; in a long window of a book that the base
            has read, the text before tells it the style already, and the adapter learns little.
        batch_tokens: of a step.
        own: rank or learning rate instead of the grid's, which was run on Shakespeare. Plays are further from what the
            base has read than any book of prose, and get a higher rank and larger batches. The learning rates of
            prose were chosen by reading (docs/LOG.md).
    """

    name: str
    title: str
    works: tuple[str, str, str]
    steps: int
    read: Callable[[list[str], Path], Texts]
    context: int = 64
    batch_tokens: int = BATCH_TOKENS
    own: Mapping[str, Any] = field(default_factory=lambda: {"learning_rate": 2e-3})


def _shakespeare(_: list[str], file: Path) -> Texts:
    text = read_text(file)
    first, second = (_start_of_speech(text, line) for line in (TITUS, TROILUS))
    return Texts(text[:first], text[first:second], text[second:])


def _start_of_speech(text: str, line: str) -> int:
    """Return where the speech with this line begins, its speaker's name included. Raises ValueError without it."""
    if text.count(line) != 1:
        raise ValueError(f"this is not the Shakespeare corpus: “{line}” is in it {text.count(line)} times")
    return text.rfind("\n\n", 0, text.index(line)) + 2


def _fairy_tales(books: list[str], _: Path) -> Texts:
    return _every_tenth(books[GRIMM - 1])


def _science_fiction(books: list[str], _: Path) -> Texts:
    return _every_tenth(books[TWENTY_THOUSAND_LEAGUES - 1])


def _every_tenth(book: str) -> Texts:
    """Return a book's tales or chapters: every tenth to measure by, those five further on to choose by."""
    kinds = {4: "validation", 9: "test"}
    parts: dict[str, list[str]] = {"training": [], "validation": [], "test": []}
    for number, chapter in enumerate(book.split("\n\n")):
        parts[kinds.get(number % 10, "training")].append(chapter)
    return Texts(**{name: "\n\n".join(chapters) for name, chapters in parts.items()})


def _jeeves(books: list[str], _: Path) -> Texts:
    stories = books[JEEVES_STORIES - 1].split("\n\n")
    return Texts("\n\n".join(stories[:-3]), "\n\n".join(stories[-3:]), books[RIGHT_HO_JEEVES - 1])


STYLES = {
    style.name: style
    for style in (
        Style(
            "shakespeare",
            "Shakespeare",
            (
                "33 plays of Shakespeare (the first 33 by title)",
                "*Titus Andronicus*",
                "*Troilus and Cressida* and *Twelfth Night*",
            ),
            1350,
            _shakespeare,
            context=256,
            batch_tokens=2048,
            own={"rank": 7},
        ),
        Style(
            "fairy-tales",
            "Fairy tales",
            (
                "Jacob and Wilhelm Grimm, *Household Tales*: eight of every ten tales",
                "every tenth tale, from the fifth on",
                "every tenth tale, from the tenth on",
            ),
            240,
            _fairy_tales,
        ),
        Style(
            "science-fiction",
            "Early science fiction",
            (
                "Jules Verne, *Twenty Thousand Leagues Under the Seas*: eight of every ten chapters",
                "every tenth chapter, from the fifth on",
                "every tenth chapter, from the tenth on",
            ),
            180,
            _science_fiction,
            own={"learning_rate": 4e-3},
        ),
        Style(
            "jeeves",
            "Jeeves",
            (
                "P. G. Wodehouse, *Jeeves Stories*, without the last three",
                "the last three *Jeeves Stories*",
                "P. G. Wodehouse, *Right Ho, Jeeves*",
            ),
            240,
            _jeeves,
        ),
    )
}


def read_style(style: Style, prose: Path, shakespeare: Path) -> Texts:
    """Return a style's texts. Raises what ``read_text`` does, IndexError or ValueError for other corpora."""
    return style.read([] if style.name == "shakespeare" else read_books(prose), shakespeare)
