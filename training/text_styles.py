"""The styles for which adapters ship: which texts are trained on, chosen by, and measured by.

Texts to measure by are whole plays, tales or books, since pages of one work resemble each other too much. The base
model has read all books of the prose corpus but the last four, these styles' among them; only Shakespeare is new to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.corpus import read_books, read_text

# How the plays begin that are not trained on: the corpus has no mark between plays.
TITUS, TROILUS = "Noble patricians, patrons of my right", "In Troy, there lies the scene"
JEEVES_STORIES, RIGHT_HO_JEEVES = 20, 64  # positions in the prose corpus, counted from 1
GRIMM = 82
SCIENCE_FICTION = (41, 101, 79)  # The War of the Worlds, A Princess of Mars, The Skylark of Space
WEINBAUM, TRIPLANETARY = 65, 122


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
        own: rank or learning rate instead of the grid's, which was run on Shakespeare. Plays are further from what the
            base has read than any book of prose, and get the next rank. The learning rates of prose were chosen by
            reading: at the grid's, the Jeeves adapter wrote more broken words, for a validation loss 0.01 lower; at
            2e-3, science fiction (of other books, then) was not to be told from the base.
    """

    name: str
    title: str
    works: tuple[str, str, str]
    steps: int
    read: Callable[[list[str], Path], Texts]
    context: int = 64
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
    """Every tenth tale is measured by, and the one five further on is chosen by."""
    tales = books[GRIMM - 1].split("\n\n")
    kinds = {4: "validation", 9: "test"}
    parts = {"training": [], "validation": [], "test": []}
    for number, tale in enumerate(tales):
        parts[kinds.get(number % 10, "training")].append(tale)
    return Texts(**{name: "\n\n".join(tales) for name, tales in parts.items()})


def _science_fiction(books: list[str], _: Path) -> Texts:
    stories = books[WEINBAUM - 1].split("\n\n")
    training = [*(books[number - 1] for number in SCIENCE_FICTION), *stories[:-2]]
    return Texts("\n\n".join(training), "\n\n".join(stories[-2:]), books[TRIPLANETARY - 1])


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
            900,
            _shakespeare,
            context=256,
            own={"rank": 4},
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
                "H. G. Wells, *The War of the Worlds*; Edgar Rice Burroughs, *A Princess of Mars*; E. E. Smith, *The "
                "Skylark of Space*; Stanley G. Weinbaum, short fiction without the last two stories",
                "Stanley G. Weinbaum's last two stories",
                "E. E. Smith, *Triplanetary*",
            ),
            240,
            _science_fiction,
            own={"learning_rate": 5e-3},
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
