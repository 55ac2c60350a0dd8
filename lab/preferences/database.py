"""The file behind the store: opening it, its schema, and bringing an older one up to date."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path

from lab.preferences import StoreError

log = logging.getLogger(__name__)

BUSY_SECONDS = 15.0  # to wait for another process
APPLICATION_ID = 0x511647D1  # in the file's header, so that another program's database is not taken for ours

# The statements that lead from each version of the schema to the next; PRAGMA user_version counts the versions.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # The model is what the clip's JSON says, kept apart to count by.
        """CREATE TABLE guess (
            id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, session TEXT NOT NULL, class_code TEXT NOT NULL,
            experiment TEXT NOT NULL, clip TEXT NOT NULL, truth TEXT NOT NULL, answer TEXT NOT NULL, model TEXT NOT NULL
        )""",
        # AUTOINCREMENT gives no number twice: an undo that comes late cannot hit a later ranking.
        """CREATE TABLE ranking (
            id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, session TEXT NOT NULL, class_code TEXT NOT NULL,
            prompt TEXT NOT NULL
        )""",
        """CREATE TABLE item (
            ranking INTEGER NOT NULL REFERENCES ranking (id) ON DELETE CASCADE, place INTEGER NOT NULL,
            completion TEXT NOT NULL, model TEXT NOT NULL, adapter TEXT NOT NULL, rank INTEGER NOT NULL,
            PRIMARY KEY (ranking, place)
        ) WITHOUT ROWID""",
    ),
    (
        # Both figures are percentiles of the shipped completions, so that attempts on several models compare.
        """CREATE TABLE attempt (
            id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, session TEXT NOT NULL, class_code TEXT NOT NULL,
            annotator TEXT NOT NULL, text TEXT NOT NULL, learned REAL NOT NULL, by_rule REAL NOT NULL
        )""",
        "CREATE INDEX ranking_session ON ranking (session)",
        "CREATE INDEX ranking_class ON ranking (class_code)",
    ),
    (
        "CREATE INDEX guess_session ON guess (session)",
        "CREATE INDEX guess_class ON guess (class_code)",
        "CREATE INDEX attempt_session ON attempt (session)",
        "CREATE INDEX attempt_class ON attempt (class_code)",
    ),
)

# A filter that is None has no part in a condition: for "none is asked for, or it is this one" SQLite uses no index.
CONDITIONS = {name: f"{name} = :{name}" for name in ("experiment", "class_code", "session", "prompt")}


def where(filters: Mapping[str, str | None]) -> str:
    """Return the SQL condition that rows have what the filters say, by the filters' names; None is no filter.

    Raises:
        KeyError: if there is no such filter.
    """
    asked = {name: CONDITIONS[name] for name, value in filters.items() if value is not None}
    if "session" in asked and "class_code" in asked:
        asked["class_code"] = f"+{asked['class_code']}"  # keeps SQLite to the session's index, which has fewer rows
    return " AND ".join(asked.values()) or "TRUE"


def in_words(error: sqlite3.Error) -> str:
    """Return what a visitor is told of an error of the database."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    kept = "What was kept before is safe, and so is what you see on the page."
    if code & 0xFF == sqlite3.SQLITE_FULL:
        return f"The disk is full, so nothing more can be kept. {kept}"
    if code & 0xFF == sqlite3.SQLITE_READONLY:
        return f"The store of preferences can only be read, so nothing can be kept. {kept}"
    return "The preferences cannot be reached just now. Please try again."


def opened(path: str | Path | None) -> sqlite3.Connection:
    """Open a file, or memory, with its schema brought up to date; raises what ``Store`` does."""
    where = ":memory:" if path is None or str(path) == ":memory:" else str(Path(path).absolute())
    connection = None
    try:
        # No isolation level: transactions begin and end where _transaction says so.
        connection = sqlite3.connect(where, BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.executescript("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL")  # synced at every commit
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            _migrate(connection, where)
        _write_ahead(connection)  # only now, since it changes the file, which could have been another program's
    except (StoreError, sqlite3.Error, ValueError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, StoreError):
            raise
        where = f"Preferences cannot be kept in {where!r}: {error}. "
        raise StoreError(f"{where}The file must lie in a folder that exists, and both be open to writing.") from error
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to write-ahead logging, with which other processes can read during a write."""
    for _ in range(20):
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
            return
        time.sleep(0.05)  # while another process writes, SQLite refuses this at once, whatever the timeout
    log.warning("no write-ahead logging here: all is as safe without it, but slower")


def _migrate(connection: sqlite3.Connection, where: str) -> None:
    """Bring the schema up to date, within a transaction; StoreError if the file is of a kind that cannot be."""
    header = "SELECT user_version, application_id FROM pragma_user_version, pragma_application_id"
    version, application = connection.execute(header).fetchone()
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise StoreError(f"{where!r} is the database of another program. Please name another file.")
    if not 0 <= version <= len(MIGRATIONS):
        raise StoreError(
            f"{where!r} has version {version} of the schema, but this app knows only those up to {len(MIGRATIONS)}. "
            "Please update the app or name another file."
        )
    for statement in chain.from_iterable(MIGRATIONS[version:]):
        connection.execute(statement)
    # Written even if they are right already: so a file that can only be read is found out now, not at the first answer.
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")  # a pragma takes no parameters
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
