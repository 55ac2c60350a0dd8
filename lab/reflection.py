"""Looking back over the course: what the table of all ways is asked for, and questions with room for notes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pydantic import Field

from lab.arc import MELODIES, PROSE, Row
from lab.settings import Settings

MAX_NOTE = 20_000  # characters
NO_LETTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class Measure(StrEnum):
    """What the plot shows upwards."""

    GAIN = "gain"
    FORGETTING = "forgetting"


class Across(StrEnum):
    """What the plot shows across, on a logarithmic scale."""

    TRAINABLE = "trainable"
    SHARE = "share"


class Subject(StrEnum):
    """Which models are compared."""

    ALL = "all"
    MELODIES = MELODIES
    PROSE = PROSE


class ReflectionSettings(Settings):
    """All that can be set about the table and its plot."""

    measure: Measure = Measure.GAIN
    across: Across = Across.TRAINABLE
    subject: Subject = Subject.ALL
    control: int = Field(0, ge=0, le=1)  # 1: with the models trained from scratch on the new style alone


def compared(rows: Sequence[Row], settings: ReflectionSettings) -> tuple[Row, ...]:
    """Return the rows that the settings ask for."""
    return tuple(row for row in rows if settings.subject in (Subject.ALL, row.subject))


def plotted(rows: Sequence[Row], settings: ReflectionSettings) -> list[tuple[Row, float, float]]:
    """Return each row that has a point in the plot, with its place across (a number above 0) and upwards (a share)."""
    points = []
    for row in compared(rows, settings):
        upwards = getattr(row, settings.measure)
        across = row.trainable if settings.across is Across.TRAINABLE else row.share
        if upwards is not None and across > 0 and (settings.control or not row.is_control):
            points.append((row, float(across), upwards))
    return points


@dataclass(frozen=True)
class Question:
    """A question to discuss.

    Attributes:
        tab: slug of the tab that it is about.
        experiment: what the link says that it does.
        query: of the link to the experiment that speaks to it.
    """

    slug: str
    tab: str
    text: str
    experiment: str
    query: Mapping[str, str]


QUESTIONS = (
    Question(
        "kin",
        "embeddings",
        "Nobody ever told the encoder what a waltz or a tango is, and still they lie side by side. Where does that "
        "come from? What would lie beside them if it had read only cookbooks?",
        "See the concepts on the map",
        {"view": "map"},
    ),
    Question(
        "context",
        "embeddings",
        "Is the meaning of “bass” in the word or in what stands around it? Which sentence with it would lie half way?",
        "“bass” alone, and sentences with it",
        {"view": "senses", "word": "bass"},
    ),
    Question(
        "author",
        "decoding",
        "Not one weight moves here, and yet the text goes from endless loops to nonsense. Who is the author of a text: "
        "the model, or the rule that picks its tokens?",
        "From greedy to hot, with the same seed",
        {
            "prompt": "The detective opened the letter.",
            "columns": "greedy;temperature(temperature=0.7);temperature(temperature=1.5)",
        },
    ),
    Question(
        "quality",
        "decoding",
        "Which setting would you choose for a weather report, and which for a poem? Is there one that is both probable "
        "and diverse?",
        "Measure quality against diversity",
        {"view": "samples", "prompt": "It was a dark night, and"},
    ),
    Question(
        "transfer",
        "melodies",
        "“From scratch” has the same size and the same chorales as “Full”. What exactly did the folk songs give it? "
        "Can you hear it, or does only the loss show it?",
        "Hear both from the same opening",
        {"voices": "folk,full,scratch"},
    ),
    Question(
        "asking",
        "melodies",
        "Telling the folk model “four-four time, six phrases” costs nothing. How far does asking get, and what can "
        "only training do? Where is that border for the chatbots you know?",
        "Ask for Bach, and train for Bach",
        {"opening": "", "voices": "folk,header,lora", "seed": "11"},
    ),
    Question(
        "strength",
        "lora",
        "At twice its strength an adapter is not twice as good. What does it hold, then: knowledge, or a direction in "
        "which to go?",
        "Shakespeare at 200 %, to be turned back",
        {"adapters": "shakespeare=2"},
    ),
    Question(
        "forgetting",
        "lora",
        "Switched off, a LoRA has forgotten nothing; a model trained in full cannot go back. Who would want that a "
        "model forgets, and who would want that it cannot?",
        "Compare the ways of training",
        {"view": "ways"},
    ),
    Question(
        "proxy",
        "reward",
        "Does a reward model like what its annotator likes, or something that came along with it, such as length "
        "or exclamation marks? How could you tell without reading its weights?",
        "Look for what it falls for",
        {"view": "break"},
    ),
    Question(
        "goodhart",
        "reward",
        "The harder a text is chosen by its reward, the higher its reward. When does it stop getting better, and who "
        "would notice if nobody read the texts any more?",
        "Choose harder, on a shorter and a longer leash",
        {"view": "leash"},
    ),
    Question(
        "price",
        "reflection",
        "LoRA comes close to training everything with a fraction of the weights. Where is the price? Look at what was "
        "forgotten, and at what “switched off” means.",
        "Plot forgetting instead of gain",
        {"measure": "forgetting"},
    ),
    Question(
        "slightly",
        "reflection",
        "The more a model has read, the less has to be changed. Is there anything you want from a model that no slight "
        "change could give? How would you find out?",
        "See the control that knew nothing before",
        {"control": "1", "subject": "melodies"},
    ),
)


def notes_markdown(notes: Mapping[str, str], links: Mapping[str, str] | None = None, day: date | None = None) -> str:
    """Return the notes as a Markdown document: each question with its link, then what was noted, as it was typed.

    Notes are set as quotations, every mark in them escaped, so that they read as they were typed wherever the file is
    opened, and no note can pass for a part of the document.

    Args:
        notes: by the question's slug; questions without a note are kept, so that the file can be gone on with.
        links: to the experiments, by the question's slug.
        day: that stands at the top.
    """
    lines = ["# Slightly Different: notes", ""]
    if day is not None:
        lines += [day.isoformat(), ""]
    for question in QUESTIONS:
        lines += [f"## {question.text}", ""]
        if links and question.slug in links:
            lines += [f"[{question.experiment}](<{links[question.slug]}>)", ""]
        note = NO_LETTERS.sub("", notes.get(question.slug, "").replace("\r\n", "\n").replace("\r", "\n"))[:MAX_NOTE]
        lines += [f"> {_plain(line)}".rstrip() for line in note.strip().split("\n")] if note.strip() else ["> –"]
        lines.append("")
    return "\n".join(lines)


def _plain(line: str) -> str:
    """Return a line with all that Markdown or HTML could read escaped."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", line.strip())
