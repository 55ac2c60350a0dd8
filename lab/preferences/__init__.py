"""What visitors prefer: guesses in a listening test and rankings of completions, and what may be in them.

Nothing personal is kept: a session is the random id of a visitor's page, a class code what a teacher put into a link.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any

from lab.errors import VisitorError

MAX_CLIP, MAX_PROMPT, MAX_COMPLETION, MAX_NAME = 2000, 4000, 4000, 100  # characters
MAX_ITEMS = 12
MAX_LINES, MAX_LINES_CHARACTERS = 10_000, 10_000_000  # of an import
CLASS_CODE = re.compile(r"[A-Za-z0-9-]{1,32}")
SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
# NUL ends a text for some of SQLite's functions, halves of characters cannot be encoded. Models write both at times,
# and a ranking should not be lost to them.
UNWRITABLE = re.compile("[\0\ud800-\udfff]")


class PreferenceError(VisitorError, ValueError):
    """A guess, a ranking or a filter that cannot be taken."""


class StoreError(VisitorError):
    """The store cannot be opened, read or written."""


@dataclass(frozen=True)
class Guess:
    """What a visitor took a clip for.

    ``time`` is UTC in ISO 8601; ``class_code`` is empty for none; ``clip`` is a JSON object that says what was heard.
    """

    id: int
    time: str
    session: str
    class_code: str
    experiment: str
    clip: str
    truth: str
    answer: str


@dataclass(frozen=True)
class Tally:
    """How many guesses took ``truth`` for ``answer``.

    ``model`` is the clip's, empty for a clip without one, and None when all models are counted together.
    """

    truth: str
    answer: str
    count: int
    model: str | None = None


@dataclass(frozen=True)
class Item:
    """A completion, and what wrote it."""

    completion: str
    model: str = ""
    adapter: str = ""


Origin = tuple[str, str, str]  # time, session and class code
Parts = tuple[str, tuple[Item, ...], tuple[int, ...]]  # a ranking's prompt, items and ranks


@dataclass(frozen=True)
class Ranking:
    """Completions of a prompt and a rank for each: 1 is best, equal ranks are ties.

    ``time`` is UTC in ISO 8601; ``class_code`` is empty for none.
    """

    id: int
    time: str
    session: str
    class_code: str
    prompt: str
    items: tuple[Item, ...]
    ranks: tuple[int, ...]

    def pairs(self) -> Iterator[str]:
        """Yield a line of JSON for each two completions that are not tied, as TRL reads it."""
        ranked = sorted(zip(self.ranks, self.items, strict=True), key=lambda pair: pair[0])
        for (better, chosen), (worse, rejected) in product(ranked, ranked):
            if better < worse:
                yield to_line(prompt=self.prompt, chosen=chosen.completion, rejected=rejected.completion)

    def line(self) -> str:
        """Return the ranking as a line of JSON that :func:`parse_line` reads."""
        return to_line(prompt=self.prompt, items=[asdict(item) for item in self.items], ranks=self.ranks)


@dataclass(frozen=True)
class Imported:
    """What became of an import: the rankings added, lines that were not, by number from 1, with the reason, and how
    many were passed over since they are kept already."""

    added: tuple[Ranking, ...]
    problems: tuple[tuple[int, str], ...]
    repeated: int = 0


@dataclass(frozen=True)
class Attempt:
    """A text written to please a reward model without being what its annotator wants.

    ``learned`` and ``true`` are the shares, in percent, of the shipped completions that it beats by the model's reward
    and by the annotator's rule. ``time`` is UTC in ISO 8601; ``class_code`` is empty for none.
    """

    id: int
    time: str
    session: str
    class_code: str
    annotator: str
    text: str
    learned: float
    true: float

    @property
    def gap(self) -> float:
        """By how much the model is fooled, in percentage points."""
        return self.learned - self.true


def to_line(**values: Any) -> str:
    """Return a JSON object without line ends, not even the odd ones of Unicode, at which ``splitlines`` would cut."""
    return json.dumps(values, ensure_ascii=True)


def parse_lines(lines: Iterable[str]) -> tuple[list[Parts], tuple[tuple[int, str], ...]]:
    """Return what :func:`parse_line` makes of each line, and the lines it refuses, by number from 1, with the reason.

    Empty lines are passed over. Reading ends, with a note, when there are too many lines or characters.
    """
    good, problems, characters = [], [], 0
    for number, line in enumerate(lines, 1):
        characters += len(line)
        if number > MAX_LINES or characters > MAX_LINES_CHARACTERS:
            room = f"{MAX_LINES:,} lines and {MAX_LINES_CHARACTERS:,} characters"
            problems.append((number, f"There is room for {room}; from here on nothing was read."))
            break
        if number == 1:
            line = line.removeprefix("\ufeff")  # some editors mark a file of UTF-8 with it
        if line.strip():
            try:
                good.append(parse_line(line))
            except PreferenceError as error:
                problems.append((number, str(error)))
    return good, tuple(problems)


def parse_line(line: str) -> Parts:
    """Return prompt, items and ranks of a line of JSON: a full ranking, or a pair with chosen and rejected.

    Raises:
        PreferenceError: if it is neither, or beyond the bounds.
    """
    values = json_object(line, "line")
    if "items" not in values:
        missing = [name for name in ("prompt", "chosen", "rejected") if name not in values]
        if missing:
            raise PreferenceError(f"The line has no {' and no '.join(missing)}.")
        return checked_ranking(values["prompt"], [Item(values["chosen"]), Item(values["rejected"])], [1, 2])
    items, ranks = values["items"], values.get("ranks")
    if not isinstance(items, list) or not isinstance(ranks, list) or not all(isinstance(item, dict) for item in items):
        raise PreferenceError("A ranking needs a list of items, each an object, and a list of ranks.")
    made = [Item(item.get("completion"), item.get("model", ""), item.get("adapter", "")) for item in items]
    return checked_ranking(values.get("prompt"), made, ranks)


def checked_ranking(prompt: str, items: Sequence[Item], ranks: Sequence[int]) -> Parts:
    """Return prompt, items and ranks fit to be kept.

    Raises:
        PreferenceError: if a text is too long or not text, or if there are not 2 to 12 items with a rank for each.
    """
    if not 2 <= len(items) <= MAX_ITEMS:
        raise PreferenceError(f"A ranking has 2 to {MAX_ITEMS} completions, not {len(items)}.")
    if len(ranks) != len(items):
        raise PreferenceError(f"There are {len(items)} completions, but {len(ranks)} ranks.")
    if not all(type(rank) is int and 1 <= rank <= MAX_ITEMS for rank in ranks):  # True is an int as well
        raise PreferenceError(f"Ranks are whole numbers from 1, the best, to {MAX_ITEMS}.")
    checked = tuple(
        Item(
            checked_text(item.completion, "completion", MAX_COMPLETION),
            checked_text(item.model, "name of a model", MAX_NAME),
            checked_text(item.adapter, "name of an adapter", MAX_NAME),
        )
        for item in items
    )
    return checked_text(prompt, "prompt", MAX_PROMPT), checked, tuple(ranks)


def checked_guess(experiment: str, clip: str, truth: str, answer: str) -> tuple[tuple[str, str, str, str], str]:
    """Return the four fit to be kept, and the name under ``model`` in the clip, empty if there is none.

    Raises:
        PreferenceError: if a text is too long or no text, a name is empty, or the clip is no JSON object.
    """
    clip = checked_text(clip, "clip", MAX_CLIP)
    model = json_object(clip, "clip").get("model")
    model = "" if model is None else checked_text(model, "name of the clip's model", MAX_NAME)
    names = {"experiment": experiment, "truth": truth, "answer": answer}
    experiment, truth, answer = (checked_text(name, what, MAX_NAME, empty=False) for what, name in names.items())
    return (experiment, clip, truth, answer), model


def checked_attempt(annotator: str, text: str, learned: float, true: float) -> tuple[str, str, float, float]:
    """Return the four fit to be kept.

    Raises:
        PreferenceError: if a text is too long or empty, or a number is no percentage.
    """
    if not all(isinstance(number, int | float) and 0 <= number <= 100 for number in (learned, true)):
        raise PreferenceError("An attempt is measured in percent, from 0 to 100.")
    return (
        checked_text(annotator, "name of the annotator", MAX_NAME, empty=False),
        checked_text(text, "text", MAX_COMPLETION, empty=False),
        float(learned),
        float(true),
    )


def checked_origin(session: str, class_code: str) -> Origin:
    """Return the time, which is UTC in ISO 8601, the session and the class code.

    Raises:
        PreferenceError: if session or class code have the wrong form.
    """
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    return time, checked_session(session), checked_class_code(class_code)


def checked_filters(
    class_code: str | None, session: str | None, experiment: str | None = None
) -> dict[str, str | None]:
    """Return the filters by name; those that are None let everything pass.

    Raises:
        PreferenceError: if nothing that is kept could pass.
    """
    return {
        "class_code": None if class_code is None else checked_class_code(class_code),
        "session": None if session is None else checked_session(session),
        "experiment": None if experiment is None else checked_text(experiment, "experiment", MAX_NAME),
    }


def checked_text(value: object, what: str, limit: int, empty: bool = True) -> str:
    """Return a text of at most ``limit`` characters with � for each NUL and each half of a character.

    Raises:
        PreferenceError: if it is longer or no text, or if it may not be ``empty`` and is.
    """
    if not isinstance(value, str):
        raise PreferenceError(f"The {what} must be text.")
    if len(value) > limit:
        raise PreferenceError(f"The {what} has {len(value):,} characters; there is room for {limit:,}.")
    if not empty and not value.strip():
        raise PreferenceError(f"The {what} is empty.")
    return UNWRITABLE.sub("�", value)


def checked_class_code(value: object) -> str:
    """Return a class code; the empty one means no class.

    Raises:
        PreferenceError: if it has other characters than letters, digits and hyphens, or more than 32.
    """
    if value == "" or (isinstance(value, str) and CLASS_CODE.fullmatch(value)):
        return value
    raise PreferenceError("A class code has 1 to 32 characters, all of them letters from A to Z, digits or hyphens.")


def checked_session(value: object) -> str:
    """Return the id of a session.

    Raises:
        PreferenceError: if it has other characters than letters, digits, hyphens and underscores, or more than 64.
    """
    if isinstance(value, str) and SESSION.fullmatch(value):
        return value
    raise PreferenceError("The page has no valid session id. Please reload it.")


def json_object(text: str, what: str) -> dict[str, Any]:
    """Read a JSON object. NaN and Infinity, which are no JSON, are refused though Python reads them.

    Raises:
        PreferenceError: if the text is no JSON object.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise PreferenceError(f"The {what} is not valid JSON: {error.msg} at character {error.pos + 1}.") from error
    except (ValueError, RecursionError) as error:  # NaN, a number of thousands of digits, a thousand brackets
        raise PreferenceError(f"The {what} is not valid JSON.") from error
    if not isinstance(value, dict):
        raise PreferenceError(f"The {what} must be a JSON object, in curly brackets.")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(constant)
