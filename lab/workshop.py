"""A class that works with one code: who is there, what it has given, and what that tells. Pooled, never by person.

A code is a name to share, not a secret: whoever knows it sees the class's counts and may add to them.
"""

from __future__ import annotations

import json
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lab.preferences import Ranking, checked_class_code, to_line
from lab.preferences.statistics import wilson_interval
from lab.preferences.store import Store

SIGNAL_SECONDS = 30.0  # from one sign of life of a page to its next
HERE_SECONDS = 100.0  # without a sign after which a page counts as gone; browsers slow down what is in the background
MAX_CLASSES, MAX_PAGES = 500, 2_000  # that are kept in mind at once
ADJECTIVES = "amber brisk calm clear crisp early fresh gentle golden green keen kind lively lucid mellow quiet silver"
NOUNS = "alder birch brook cedar clover crane finch fern harbour heron lark maple meadow otter poplar river thrush wren"


def new_code() -> str:
    """Return a code for a class, such as ``calm-heron-382``: easy to read out, unlikely to be another class's."""
    words = (secrets.choice(ADJECTIVES.split()), secrets.choice(NOUNS.split()))
    return "-".join((*words, str(secrets.randbelow(900) + 100)))


class Presence:
    """How many pages are open in each class, by their signs of life. In memory, without names, safe for threads.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, dict[str, float]] = {}
        self._lock = threading.Lock()

    def beat(self, class_code: str, page: str) -> None:
        """Note that a page is open in a class. Raises PreferenceError for a code of the wrong form."""
        code, now = checked_class_code(class_code), self._clock()
        if not code:
            return
        with self._lock:
            self._forget(now)
            pages = self._seen.setdefault(code, {})
            if page in pages or len(pages) < MAX_PAGES:
                pages[page] = now
            while len(self._seen) > MAX_CLASSES:  # somebody invents codes: the class that was quiet longest goes
                del self._seen[min(self._seen, key=lambda code: max(self._seen[code].values()))]

    def leave(self, page: str) -> None:
        """Note that a page was closed."""
        with self._lock:
            for pages in self._seen.values():
                pages.pop(page, None)
            self._seen = {code: pages for code, pages in self._seen.items() if pages}

    def count(self, class_code: str) -> int:
        """Return how many pages are open in a class."""
        with self._lock:
            self._forget(self._clock())
            return len(self._seen.get(class_code, ()))

    def _forget(self, now: float) -> None:
        for code, pages in list(self._seen.items()):
            here = {page: seen for page, seen in pages.items() if now - seen < HERE_SECONDS}
            if here:
                self._seen[code] = here
            else:
                del self._seen[code]


@dataclass(frozen=True)
class Fooled:
    """How often a model's work was taken for a person's: ``taken`` of ``guesses``, with the 95 % Wilson interval."""

    model: str
    taken: int
    guesses: int

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the share, from 0 to 1."""
        return wilson_interval(self.taken, self.guesses)


@dataclass(frozen=True)
class ClassResults:
    """What a class has given, pooled.

    Attributes:
        people: sessions with at least one guess or ranking; each browser tab is one, which outlives a reload.
        right: guesses of ``guesses`` that were right.
        fooled: for each model, the most guessed at first.
        alpha: Krippendorff's, of the rankings of what several have ranked; None if nothing can be compared.
    """

    class_code: str
    people: int
    guesses: int
    right: int
    fooled: tuple[Fooled, ...]
    rankings: int
    alpha: float | None = None


def class_results(store: Store, class_code: str, machine: str = "machine") -> ClassResults:
    """Return what a class has given so far.

    Args:
        machine: the truth of a clip that a model made.

    Raises:
        PreferenceError: if the code has the wrong form.
        StoreError: if the store cannot be read.
    """
    guesses = store.guesses(class_code=class_code)
    rankings = store.rankings(class_code=class_code)
    counts: dict[str, list[int]] = {}
    for guess in guesses:
        if guess.truth == machine:
            model = str(json.loads(guess.clip).get("model") or "")
            entry = counts.setdefault(model, [0, 0])
            entry[0] += guess.answer != machine
            entry[1] += 1
    fooled = [Fooled(model, taken, total) for model, (taken, total) in counts.items()]
    return ClassResults(
        class_code=class_code,
        people=len({given.session for given in (*guesses, *rankings)}),
        guesses=len(guesses),
        right=sum(guess.truth == guess.answer for guess in guesses),
        fooled=tuple(sorted(fooled, key=lambda row: (-row.guesses, row.model))),
        rankings=len(rankings),
        alpha=_alpha(rankings),
    )


def _alpha(rankings: Sequence[Ranking]) -> float | None:
    from lab.preferences.agreement import alpha

    found = alpha(rankings)
    return None if math.isnan(found) else found


def guess_lines(store: Store, class_code: str) -> Iterator[str]:
    """Yield a line of JSON for each guess of a class, oldest first, without the sessions."""
    for guess in store.guesses(class_code=class_code):
        clip = json.loads(guess.clip)
        yield to_line(time=guess.time, experiment=guess.experiment, clip=clip, truth=guess.truth, answer=guess.answer)
