"""Rankings as rows of the database, within a transaction of the store."""

from __future__ import annotations

import sqlite3
from itertools import groupby

from lab.preferences import Item, Origin, Parts, Ranking, checked_filters
from lab.preferences.database import where


def insert(connection: sqlite3.Connection, origin: Origin, parts: Parts) -> Ranking:
    """Keep a ranking and its items, and return it."""
    prompt, items, ranks = parts
    added = connection.execute(
        "INSERT INTO ranking (time, session, class_code, prompt) VALUES (?, ?, ?, ?)", (*origin, prompt)
    ).lastrowid
    connection.executemany(
        "INSERT INTO item (ranking, place, completion, model, adapter, rank) VALUES (?, ?, ?, ?, ?, ?)",
        [(added, n, i.completion, i.model, i.adapter, ranks[n]) for n, i in enumerate(items)],
    )
    return Ranking(added, *origin, *parts)


def select(
    connection: sqlite3.Connection,
    class_code: str | None,
    session: str | None,
    after: int = 0,
    limit: int = -1,
    prompt: str | None = None,
) -> list[Ranking]:
    """Return rankings, oldest first, as ``Store.rankings`` does; ``prompt`` is one more filter."""
    filters = {**checked_filters(class_code, session), "prompt": prompt}
    rows = connection.execute(
        "SELECT id, time, session, class_code, prompt, completion, model, adapter, rank FROM"
        f" (SELECT * FROM ranking WHERE id > :after AND {where(filters)}"
        " ORDER BY id LIMIT :limit) JOIN item ON item.ranking = id ORDER BY id, place",
        {**filters, "after": after, "limit": limit},
    ).fetchall()
    grouped = [(key, list(group)) for key, group in groupby(rows, key=lambda row: row[:5])]
    return [Ranking(*key, tuple(Item(*r[5:8]) for r in part), tuple(r[8] for r in part)) for key, part in grouped]


def parts_of(ranking: Ranking) -> Parts:
    """Return what a ranking says, without who gave it and when."""
    return ranking.prompt, ranking.items, ranking.ranks
