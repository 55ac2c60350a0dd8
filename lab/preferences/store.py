"""Guesses and rankings in SQLite, safe from thirty people who press at the same moment and from kill -9."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.preferences import (
    Attempt,
    Guess,
    Imported,
    Item,
    Ranking,
    StoreError,
    Tally,
    checked_attempt,
    checked_filters,
    checked_guess,
    checked_origin,
    checked_ranking,
    checked_session,
    parse_lines,
)
from lab.preferences.database import in_words, opened, where
from lab.preferences.rows import insert, parts_of, select

log = logging.getLogger(__name__)

PAGE = 100  # rankings read at a time for an export


class Store:
    """Guesses and rankings in a file, or in memory, for this object alone, if the path is None or ``":memory:"``.

    Safe to use from any number of threads, and one file from several processes. When an ``add_...`` returns, what it
    added is on the disk. After :meth:`close` every other method raises StoreError. Of the filters of the methods that
    read, None lets everything pass, and class code ``""`` selects what was given without one.

    Raises:
        StoreError: if the file cannot be opened and written, is no store, or was made by a newer version of the app.
    """

    def __init__(self, path: str | Path | None) -> None:
        # One connection under a lock. SQLite lets one write at a time anyway, a write takes milliseconds, and in
        # memory the connection is the database. A connection per thread would let readers pass while a write is
        # synced, but would leave one open for each thread that came and went, and close() could pull one away from
        # under its user. Other processes are waited for by SQLite's own locks.
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = opened(path)

    def close(self) -> None:
        """Close the file after what is under way in other threads; closing twice is fine."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def add_guess(
        self, session: str, experiment: str, clip: str, truth: str, answer: str, class_code: str = ""
    ) -> Guess:
        """Keep a guess. ``clip`` is the text of a JSON object; its ``model``, if it has one, can be counted by.

        Raises:
            PreferenceError: if a text is too long or empty, the clip no JSON object, or a code of the wrong form.
            StoreError: if it cannot be written.
        """
        return self.add_guesses(session, experiment, [(clip, truth, answer)], class_code)[0]

    def add_guesses(
        self, session: str, experiment: str, guesses: Iterable[tuple[str, str, str]], class_code: str = ""
    ) -> list[Guess]:
        """As :meth:`add_guess`, for guesses (clip, truth, answer) that belong together: all are kept, or none."""
        origin = checked_origin(session, class_code)
        checked = [checked_guess(experiment, *guess) for guess in guesses]
        with self._transaction() as connection:
            numbers = [
                connection.execute(
                    "INSERT INTO guess (time, session, class_code, experiment, clip, truth, answer, model)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (*origin, *facts, model),
                ).lastrowid
                for facts, model in checked
            ]
        return [Guess(number, *origin, *facts) for number, (facts, _) in zip(numbers, checked, strict=True)]

    def guesses(
        self, experiment: str | None = None, class_code: str | None = None, session: str | None = None
    ) -> list[Guess]:
        """Return guesses, oldest first.

        Raises:
            PreferenceError: if no guess could have what is asked for.
            StoreError: if they cannot be read.
        """
        filters = checked_filters(class_code, session, experiment)
        with self._transaction("BEGIN") as connection:
            rows = connection.execute(
                "SELECT id, time, session, class_code, experiment, clip, truth, answer FROM guess"
                f" WHERE {where(filters)} ORDER BY id",
                filters,
            ).fetchall()
        return [Guess(*row) for row in rows]

    def count_guesses(
        self,
        experiment: str | None = None,
        class_code: str | None = None,
        session: str | None = None,
        by_model: bool = False,
    ) -> list[Tally]:
        """Return the confusion table of guesses, cells without any left out, sorted by model, truth and answer.

        Raises:
            PreferenceError: if no guess could have what is asked for.
            StoreError: if they cannot be read.
        """
        filters = checked_filters(class_code, session, experiment)
        with self._transaction("BEGIN") as connection:
            rows = connection.execute(
                "SELECT truth, answer, COUNT(*), CASE WHEN :by_model THEN model END AS counted FROM guess"
                f" WHERE {where(filters)} GROUP BY counted, truth, answer ORDER BY 4, 1, 2",
                {**filters, "by_model": by_model},
            ).fetchall()
        return [Tally(*row) for row in rows]

    def add_ranking(
        self, session: str, prompt: str, items: Sequence[Item], ranks: Sequence[int], class_code: str = ""
    ) -> Ranking:
        """Keep a ranking: a rank for each item, 1 is best, equal ranks are ties.

        Raises:
            PreferenceError: if a text is too long, a code of the wrong form, or there are not 2 to 12 ranked items.
            StoreError: if it cannot be written.
        """
        origin = checked_origin(session, class_code)
        parts = checked_ranking(prompt, items, ranks)
        with self._transaction() as connection:
            return insert(connection, origin, parts)

    def add_ranking_once(
        self, session: str, prompt: str, items: Sequence[Item], ranks: Sequence[int], class_code: str = ""
    ) -> tuple[Ranking, bool]:
        """As :meth:`add_ranking`, but what this session has given before is not kept again.

        Return the ranking that is kept, and whether it is new.
        """
        origin = checked_origin(session, class_code)
        parts = checked_ranking(prompt, items, ranks)
        with self._transaction() as connection:
            before = {
                parts_of(ranking): ranking for ranking in select(connection, class_code, session, prompt=parts[0])
            }
            if parts in before:
                return before[parts], False
            return insert(connection, origin, parts), True

    def rankings(
        self, class_code: str | None = None, session: str | None = None, after: int = 0, limit: int = -1
    ) -> list[Ranking]:
        """Return rankings, oldest first: those with an id beyond ``after``, and at most ``limit`` unless it is -1.

        Raises:
            PreferenceError: if no ranking could have what is asked for.
            StoreError: if they cannot be read.
        """
        with self._transaction("BEGIN") as connection:
            return select(connection, class_code, session, after, limit)

    def remove_ranking(self, id: int, session: str) -> bool:
        """Remove a ranking that this session gave; return whether there was one.

        Raises:
            PreferenceError: if the session's id has the wrong form.
            StoreError: if it cannot be written.
        """
        session = checked_session(session)
        if not isinstance(id, int) or id.bit_length() > 63:  # more than SQLite's integers hold
            return False
        with self._transaction() as connection:
            removed = connection.execute("DELETE FROM ranking WHERE id = ? AND session = ?", (id, session))
        return removed.rowcount > 0

    def export_jsonl(
        self, class_code: str | None = None, session: str | None = None, full: bool = False
    ) -> Iterator[str]:
        """Yield lines of JSON: pairs with prompt, chosen and rejected, which TRL reads, ties giving none; or, if
        ``full``, one line per ranking with prompt, items and ranks. :meth:`import_jsonl` reads both.

        Nobody waits for a slow reader, so what is added while it reads comes at the end. Sessions are left out, since
        a session's id entitles to undo.

        Raises:
            PreferenceError: if no ranking could have what is asked for.
            StoreError: if they cannot be read.
        """
        after = 0
        while page := self.rankings(class_code, session, after, PAGE):
            for ranking in page:
                yield from (ranking.line(),) if full else ranking.pairs()
            after = page[-1].id

    def import_jsonl(self, lines: Iterable[str], session: str, class_code: str = "", once: bool = False) -> Imported:
        """Add rankings from lines of JSON, pairs or full rankings, all that are good in one go or, if that fails, none.

        Args:
            once: pass over what this session has given before, or what comes twice in the lines.

        Raises:
            PreferenceError: if a code has the wrong form. Lines that cannot be read are reported in the result.
            StoreError: if they cannot be written.
        """
        origin = checked_origin(session, class_code)
        good, problems = parse_lines(lines)  # before the lock, since lines may come slowly
        fresh = good
        with self._transaction() as connection:
            if once:
                before = {parts_of(ranking) for ranking in select(connection, class_code, session)}
                fresh = [parts for parts in dict.fromkeys(good) if parts not in before]
            added = tuple(insert(connection, origin, parts) for parts in fresh)
        return Imported(added, problems, len(good) - len(fresh))

    def add_attempt(
        self, session: str, annotator: str, text: str, learned: float, true: float, class_code: str = ""
    ) -> Attempt:
        """Keep an attempt to fool a reward model. ``learned`` and ``true`` are percentiles, from 0 to 100.

        Raises:
            PreferenceError: if a text is too long or empty, a number none, or a code of the wrong form.
            StoreError: if it cannot be written.
        """
        origin = checked_origin(session, class_code)
        facts = checked_attempt(annotator, text, learned, true)
        with self._transaction() as connection:
            added = connection.execute(
                "INSERT INTO attempt (time, session, class_code, annotator, text, learned, by_rule)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*origin, *facts),
            )
        return Attempt(added.lastrowid, *origin, *facts)

    def best_attempts(
        self, annotator: str, class_code: str | None = None, session: str | None = None, limit: int = 20
    ) -> list[Attempt]:
        """Return each session's best attempt on an annotator: whose learned percentile exceeds the true one by most.

        Raises:
            PreferenceError: if no attempt could have what is asked for.
            StoreError: if they cannot be read.
        """
        filters = checked_filters(class_code, session)
        with self._transaction("BEGIN") as connection:
            rows = connection.execute(
                "SELECT id, time, session, class_code, annotator, text, learned, by_rule FROM"
                " (SELECT *, ROW_NUMBER() OVER (PARTITION BY session ORDER BY learned - by_rule DESC, id) AS place"
                f" FROM attempt WHERE annotator = :annotator AND {where(filters)})"
                " WHERE place = 1 ORDER BY learned - by_rule DESC, id LIMIT :limit",
                {**filters, "annotator": annotator, "limit": limit},
            ).fetchall()
        return [Attempt(*row) for row in rows]

    @contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """Lend the connection for a transaction: committed at the end, rolled back at an exception."""
        with self._lock:
            if self._connection is None:
                raise StoreError("The store of preferences is closed.")
            try:
                with self._connection as connection:
                    connection.execute(begin)
                    yield connection
            except sqlite3.Error as error:
                log.exception("the store of preferences failed")
                raise StoreError(in_words(error)) from error
