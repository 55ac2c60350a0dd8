"""What the store acknowledged must be there: after threads, other processes, and kill -9."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import lab.preferences.database as schema
import lab.preferences.store as module
from lab.errors import VisitorError
from lab.preferences import Item, PreferenceError, StoreError, Tally
from lab.preferences.store import Store

ROOT = Path(__file__).parents[3]
# Writes guesses and says so, until it is killed or has written as many as it was asked for.
WRITER = """
import sys
from lab.preferences.store import Store
store = Store(sys.argv[1])
for n in range(int(sys.argv[3])):
    store.add_guess(sys.argv[2], "melodies", "{}", "bach", str(n))
    print(n, flush=True)
"""
ITEMS = [Item(" blue.", "gpt2"), Item(" green.", "gpt2", "shakespeare"), Item(" wide.")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "preferences.sqlite"


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[Store]:
    store = Store(path if request.param == "file" else None)
    yield store
    store.close()


def write(path: Path, session: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), session, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def answers(path: Path, session: str) -> list[str]:
    store = Store(path)
    found = [guess.answer for guess in store.guesses(session=session)]
    store.close()
    return found


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_kill_loses_nothing_acknowledged(path: Path) -> None:
    process = write(path, "killed", 100_000)
    acknowledged = [process.stdout.readline().strip() for _ in range(50)]
    process.kill()
    acknowledged += process.stdout.read().split("\n")[:-1]  # what was said until the end; a line cut short is no word
    assert process.wait() == -signal.SIGKILL
    kept = answers(path, "killed")
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) <= len(acknowledged) + 1  # written, but killed before it could say so


def test_two_processes_lose_nothing(path: Path) -> None:
    processes = [write(path, session, 80) for session in ("one", "two")]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    for session in ("one", "two"):
        assert answers(path, session) == [str(n) for n in range(80)]


def test_threads_lose_nothing(store: Store) -> None:
    together = threading.Barrier(20)

    def work(thread: int) -> list[int]:
        session = f"thread-{thread}"
        together.wait()
        ids = []
        for n in range(6):
            ids.append(store.add_guess(session, "melodies", "{}", "bach", str(n)).id)
            ranking = store.add_ranking(session, "p", ITEMS, [1, 2, 3])
            assert store.rankings(session=session)[-1] == ranking
            if n % 2:
                assert store.remove_ranking(ranking.id, session)
        return ids

    with ThreadPoolExecutor(20) as pool:
        ids = list(pool.map(work, range(20)))
    assert len({one for some in ids for one in some}) == 120
    assert store.count_guesses() == [Tally("bach", str(n), 20) for n in range(6)]
    assert len(store.rankings()) == 60
    for thread in range(20):
        assert [guess.id for guess in store.guesses(session=f"thread-{thread}")] == ids[thread]


def test_closing_under_load_ends_in_clear_errors(store: Store) -> None:
    started = threading.Barrier(9)

    def work(thread: int) -> str:
        started.wait()
        try:
            while True:
                store.add_ranking(f"t{thread}", "p", ITEMS, [1, 1, 2])
                list(store.export_jsonl(session=f"t{thread}"))
        except StoreError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        results = pool.map(work, range(8))
        started.wait()
        store.close()
        assert set(results) == {"The store of preferences is closed."}
    store.close()


def test_memory_is_the_store_s_own() -> None:
    one, other = Store(None), Store(":memory:")
    one.add_guess("s", "melodies", "{}", "bach", "folk")
    assert len(one.guesses()) == 1
    assert other.guesses() == []
    assert not Path(":memory:").exists()


def test_a_file_is_written_ahead_and_synced(path: Path) -> None:
    store = Store(path)
    pragmas = {
        name: store._connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "user_version")
    }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "user_version": len(schema.MIGRATIONS),
    }
    store.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_opens_while_another_process_writes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch to write-ahead logging is refused at once, not after the timeout, while the file is being written."""
    writer = sqlite3.connect(path, isolation_level=None)
    opened = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(schema.time, "sleep", lambda seconds: None)
    schema._write_ahead(opened)  # gives up, and goes on without
    assert opened.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    monkeypatch.setattr(schema.time, "sleep", lambda seconds: writer.close())
    schema._write_ahead(opened)
    assert opened.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    opened.close()


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("not a database, but long enough to look like one " * 50)
    for path in (file / "x.sqlite", tmp_path, file, tmp_path / "none" / "x.sqlite", "a\0b", tmp_path / "a\ud800"):
        with pytest.raises(VisitorError, match="cannot be kept"):
            Store(path)
    assert file.read_text().startswith("not a database")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anything")
def test_read_only(path: Path) -> None:
    Store(path).close()
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with pytest.raises(VisitorError, match=r"cannot be kept.*readonly"):
            Store(path)
    finally:
        path.parent.chmod(0o700)


def test_an_older_schema_is_migrated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(path)
    store.add_guess("s", "melodies", "{}", "bach", "folk")
    store.close()
    later = ("ALTER TABLE guess ADD COLUMN seconds REAL", "UPDATE guess SET seconds = 2")
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, (later[0], "no SQL")))
        with pytest.raises(StoreError, match="syntax error"):
            Store(path)
    assert len(answers(path, "s")) == 1  # the failed migration left no trace
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, later))
        for _ in range(2):
            store = Store(path)
            assert store._connection.execute("SELECT answer, seconds FROM guess").fetchall() == [("folk", 2.0)]
            store.close()
    with pytest.raises(StoreError, match=f"version {len(schema.MIGRATIONS) + 1} of the schema"):
        Store(path)


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE guess (id)", "PRAGMA user_version = 1", "PRAGMA application_id = 7"]
)
def test_another_program_s_file_is_left_alone(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        Store(path)
    assert path.read_bytes() == before


def test_guesses_are_filtered_and_counted(store: Store) -> None:
    heard = [("folk", "bach", "lora"), ("machine", "bach", "lora"), ("machine", "bach", "full"), ("bach", "bach", None)]
    for truth, answer, model in heard * 2:
        store.add_guess("s1", "melodies", json.dumps({"model": model, "seed": 3}), truth, answer, "7b")
    store.add_guess("s2", "melodies", "{}", "bach", "machine")
    store.add_guess("s2", "other", '{"seed": 1, "seed": 2}', "bach", "folk")
    assert len(store.guesses()) == 10
    assert [guess.answer for guess in store.guesses(class_code="")] == ["machine", "folk"]
    assert [guess.answer for guess in store.guesses("other", "", "s2")] == ["folk"]
    (last,) = store.guesses("other")
    assert (last.session, last.class_code, last.clip, last.time[-6:]) == ("s2", "", '{"seed": 1, "seed": 2}', "+00:00")
    assert store.count_guesses("melodies") == [
        Tally("bach", "bach", 2),
        Tally("bach", "machine", 1),
        Tally("folk", "bach", 2),
        Tally("machine", "bach", 4),
    ]
    assert store.count_guesses(class_code="7b", by_model=True) == [
        Tally("bach", "bach", 2, ""),
        Tally("machine", "bach", 2, "full"),
        Tally("folk", "bach", 2, "lora"),
        Tally("machine", "bach", 2, "lora"),
    ]
    assert store.count_guesses(session="nobody") == []


def test_pairs_without_ties(store: Store) -> None:
    store.add_ranking("s1", "The sky is", ITEMS, [2, 1, 2], "7b")
    store.add_ranking("s2", "All alike", ITEMS, [3, 3, 3], "7b")
    store.add_ranking("s3", "Other", ITEMS[:2], [1, 12])
    assert [json.loads(line) for line in store.export_jsonl(class_code="7b")] == [
        {"prompt": "The sky is", "chosen": " green.", "rejected": " blue."},
        {"prompt": "The sky is", "chosen": " green.", "rejected": " wide."},
    ]
    assert [json.loads(line)["prompt"] for line in store.export_jsonl(session="s3")] == ["Other"]
    assert len(list(store.export_jsonl())) == 3


def test_a_slow_reader_holds_up_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    for n in range(5):
        store.add_ranking("s", str(n), ITEMS[:2], [1, 2])
    reader = store.export_jsonl()
    lines = [next(reader)]
    assert store.remove_ranking(store.rankings(limit=4)[-1].id, "s")
    store.add_ranking("s", "late", ITEMS[:2], [1, 2])
    lines += reader
    assert [json.loads(line)["prompt"] for line in lines] == ["0", "1", "2", "4", "late"]


def test_rankings_come_back_as_they_went(store: Store) -> None:
    odd = "“ß” \u2028 \x85 \n\t 𝄞 \"'; DROP TABLE ranking; -- %s ? :a \\u0000"
    store.add_ranking("s1", odd, [Item(odd, odd, odd), Item("")], [1, 1], "7b")
    store.add_ranking("s1", "", [Item(str(n)) for n in range(12)], list(range(12, 0, -1)))
    store.add_ranking("s1", "p" * 4000, [Item("𝄞" * 4000)] * 12, [1] * 12)
    exported = "\n".join(store.export_jsonl(full=True))
    other = Store(None)
    imported = other.import_jsonl(exported.splitlines(), "s2", "8a")
    assert imported.problems == ()
    assert list(imported.added) == other.rankings("8a", "s2")
    before, after = (
        [(ranking.prompt, ranking.items, ranking.ranks) for ranking in one.rankings()] for one in (store, other)
    )
    assert before == after
    assert before[0] == (odd, (Item(odd, odd, odd), Item("")), (1, 1))
    pairs = list(store.export_jsonl())
    assert len(pairs) == 66
    again = Store(None)
    assert len(again.import_jsonl(pairs, "s3").added) == 66
    assert list(again.export_jsonl()) == pairs


def test_bad_lines_are_reported_and_good_ones_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    good = '{"prompt": "a", "chosen": "b", "rejected": "c", "extra": [1]}'
    two = '"items": [{"completion": "a"}, {"completion": "b"}]'
    bad = {
        "{": "not valid JSON",
        "[1]": "must be a JSON object",
        "[" * 100_000: "not valid JSON",
        '{"prompt": ' + "9" * 5000 + "}": "not valid JSON",
        '{"prompt": NaN, "chosen": "b", "rejected": "c"}': "not valid JSON",
        '{"prompt": "a", "chosen": "b"}': "no rejected",
        '{"prompt": "a", "chosen": [{"role": "user"}], "rejected": "c"}': "completion must be text",
        '{"prompt": "a", "chosen": "' + "b" * 4001 + '", "rejected": "c"}': "4,001 characters",
        '{"prompt": "a", ' + two + "}": "list of ranks",
        '{"prompt": "a", ' + two + ', "ranks": [1]}': "2 completions, but 1 ranks",
        '{"prompt": "a", ' + two + ', "ranks": [1, 2.0]}': "whole numbers",
        '{"prompt": "a", ' + two + ', "ranks": [1, true]}': "whole numbers",
        '{"prompt": "a", ' + two + ', "ranks": [1, 99999999999999999999]}': "whole numbers",
        '{"prompt": "a", "items": ["a", "b"], "ranks": [1, 2]}': "each an object",
        '{"prompt": "a", "items": [{}, {}], "ranks": [1, 2]}': "must be text",
        "{" + two + ', "ranks": [1, 2]}': "prompt must be text",
    }
    imported = store.import_jsonl(["\ufeff" + good, "", *bad, good + "\n"], "s", "7b")
    assert [number for number, _ in imported.problems] == list(range(3, len(bad) + 3))
    for (_, message), expected in zip(imported.problems, bad.values(), strict=True):
        assert expected in message
    assert len(imported.added) == 2
    assert store.rankings("7b") == list(imported.added)
    monkeypatch.setattr("lab.preferences.MAX_LINES", 2)
    imported = store.import_jsonl([good] * 5, "s2")
    assert (len(imported.added), [number for number, _ in imported.problems]) == (2, [3])


def test_undo_only_by_its_session(store: Store) -> None:
    ranking = store.add_ranking("mine", "p", ITEMS, [1, 2, 3])
    kept = store.add_ranking("other", "p", ITEMS, [1, 2, 3])
    assert not store.remove_ranking(ranking.id, "other")
    assert store.remove_ranking(ranking.id, "mine")
    assert not store.remove_ranking(ranking.id, "mine")
    assert store.rankings() == [kept]
    assert store.remove_ranking(kept.id, "other")
    assert store._connection.execute("SELECT COUNT(*) FROM item").fetchone() == (0,)
    assert store.add_ranking("mine", "p", ITEMS, [1, 2, 3]).id > kept.id  # an id is never given again
    for odd in (0, -1, 10**30, "1 OR 1=1", None):
        assert not store.remove_ranking(odd, "mine")


def test_what_cannot_be_written_is_replaced(store: Store) -> None:
    guess = store.add_guess("s", "a\0b", '{"model": "\\ud800x\\u0000", "a": "\udfff"}', "b\ud800", "c'--")
    assert (guess.experiment, guess.clip, guess.truth) == ("a�b", '{"model": "\\ud800x\\u0000", "a": "�"}', "b�")
    assert store.guesses("a\0b") == [guess]
    assert store.count_guesses(by_model=True) == [Tally("b�", "c'--", 1, "�x�")]
    imported = store.import_jsonl(['{"prompt": "\\ud83d", "chosen": "\\ud83c\\udfb5", "rejected": "\\u0000"}'], "s")
    assert imported.added[0].items == (Item("🎵"), Item("�"))
    assert store.rankings() == list(imported.added)


@pytest.mark.parametrize(
    "change",
    [
        {"session": ""},
        {"session": "a b"},
        {"session": "s\n"},
        {"session": None},
        {"session": "s" * 65},
        {"class_code": "7b\n"},
        {"class_code": "ü"},
        {"class_code": "c" * 33},
        {"class_code": "'; DROP"},
        {"class_code": None},
        {"experiment": " "},
        {"experiment": "e" * 101},
        {"truth": ""},
        {"answer": 3},
        {"clip": "x"},
        {"clip": "[]"},
        {"clip": '{"a": NaN}'},
        {"clip": '{"model": 3}'},
        {"clip": '{"a": "' + "x" * 1992 + '"}'},
        {"clip": '{"a":' + "[" * 1900},
        {"clip": {"model": "lora"}},
    ],
)
def test_guesses_out_of_bounds(store: Store, change: dict) -> None:
    guess = {"session": "s", "experiment": "melodies", "clip": "{}", "truth": "a", "answer": "b", "class_code": "7b"}
    with pytest.raises(PreferenceError) as caught:
        store.add_guess(**guess | change)
    assert isinstance(caught.value, VisitorError)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 200
    assert store.guesses() == []


def test_bounds_are_within() -> None:
    store = Store(None)
    clip = '{"a": "' + "x" * 1991 + '"}'
    assert store.add_guess("s" * 64, "e" * 100, clip, "t" * 100, "a" * 100, "-" * 32).clip == clip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": "p" * 4001}, "prompt has 4,001"),
        ({"items": [Item("c" * 4001), Item("")], "ranks": [1, 2]}, "completion has 4,001"),
        ({"items": [Item("c", "m" * 101), Item("")], "ranks": [1, 2]}, "model has 101"),
        ({"items": [Item("c")] * 13, "ranks": [1] * 13}, "not 13"),
        ({"items": [Item("c")], "ranks": [1]}, "not 1"),
        ({"ranks": [1, 2]}, "3 completions, but 2 ranks"),
        ({"ranks": [0, 1, 2]}, "whole numbers"),
        ({"ranks": [1, 2, 13]}, "whole numbers"),
        ({"ranks": ["1", 2, 3]}, "whole numbers"),
        ({"class_code": "a_b"}, "class code"),
    ],
)
def test_rankings_out_of_bounds(change: dict, message: str) -> None:
    store = Store(None)
    ranking = {"session": "s", "prompt": "p", "items": ITEMS, "ranks": [1, 2, 3], "class_code": ""}
    with pytest.raises(PreferenceError, match=message):
        store.add_ranking(**ranking | change)
    assert store.rankings() == []


def test_filters_are_checked(store: Store) -> None:
    for call in (
        lambda: store.guesses(class_code="' OR 1=1"),
        lambda: store.count_guesses("e" * 101),
        lambda: list(store.export_jsonl(session="\ud800")),
        lambda: store.remove_ranking(1, "' OR 1=1"),
        lambda: store.import_jsonl([], "s", "ü"),
    ):
        with pytest.raises(PreferenceError):
            call()


def test_a_failed_write_leaves_nothing_behind(store: Store) -> None:
    store._connection.execute("DROP TABLE item")
    with pytest.raises(StoreError, match="cannot be reached"):
        store.import_jsonl(['{"prompt": "a", "chosen": "b", "rejected": "c"}'], "s")
    assert store._connection.execute("SELECT COUNT(*) FROM ranking").fetchone() == (0,)
    store.add_guess("s", "melodies", "{}", "bach", "folk")
    assert len(store.guesses()) == 1


def test_a_full_disk_and_one_that_became_read_only(path: Path) -> None:
    store = Store(path)
    kept = store.add_ranking("s", "p", [Item("a"), Item("b")], [1, 2])
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match=r"disk is full.*kept before is safe"):
        for _ in range(100):
            store.add_ranking("s", "p" * 4000, [Item("a" * 4000), Item("b" * 4000)], [1, 2])
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="can only be read"):
        store.add_guess("s", "melodies", "{}", "bach", "folk")
    assert store.rankings()[0] == kept
    store.close()


def test_the_same_ranking_is_kept_once(store: Store) -> None:
    items = [Item("a", "m"), Item("b")]
    first, new = store.add_ranking_once("s", "p", items, [1, 2], "7b")
    assert new
    assert store.add_ranking_once("s", "p", items, [1, 2], "7b") == (first, False)
    # From somebody else, of another prompt, in another order, or without the class it is another one.
    for session, prompt, ranks in (("other", "p", [1, 2]), ("s", "q", [1, 2]), ("s", "p", [2, 1]), ("s", "p", [1, 2])):
        assert store.add_ranking_once(session, prompt, items, ranks)[1]
    assert len(store.rankings()) == 5
    lines = [first.line(), first.line().replace('"p"', '"new"'), first.line().replace('"p"', '"new"')]
    done = store.import_jsonl(lines, "s", once=True)
    assert (len(done.added), done.repeated, done.problems) == (1, 2, ())


def test_a_double_click_from_many_threads_is_kept_once(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        kept = list(threads.map(lambda _: store.add_ranking_once("s", "p", [Item("a"), Item("b")], [1, 2]), range(40)))
    assert sum(new for _, new in kept) == 1
    assert len({ranking.id for ranking, _ in kept}) == 1


def test_attempts(path: Path) -> None:
    store = Store(path)
    for session, learned, true, code in (
        ("a", 90, 20, "7b"),
        ("a", 99, 90, "7b"),
        ("b", 95, 10, "7b"),
        ("c", 99, 0, ""),
    ):
        store.add_attempt(session, "cheerful", f"text of {session}", learned, true, code)
    store.add_attempt("a", "dialogue", "another rule", 100, 0, "7b")
    store.close()
    store = Store(path)
    best = store.best_attempts("cheerful", class_code="7b")
    assert [(one.session, one.gap) for one in best] == [("b", 85.0), ("a", 70.0)]
    assert [one.session for one in store.best_attempts("cheerful", session="c")] == ["c"]
    assert len(store.best_attempts("cheerful", limit=1)) == 1
    for bad in ({"learned": 101}, {"true": float("nan")}, {"text": " "}, {"text": "x" * 4001}, {"annotator": ""}):
        given = {"session": "a", "annotator": "n", "text": "t", "learned": 1.0, "true": 1.0}
        with pytest.raises(PreferenceError):
            store.add_attempt(**given | bad)
    store.close()


def test_a_store_of_the_first_version_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        store = Store(path)
        store.add_ranking("s", "p", [Item("a"), Item("b")], [1, 2])
        store.close()
    store = Store(path)
    assert len(store.rankings(session="s")) == 1
    store.add_attempt("s", "cheerful", "t", 50, 50)
    store.close()


def test_guesses_that_belong_together_are_kept_as_one(store: Store) -> None:
    good = [('{"model": "lora"}', "machine", "bach"), ("{}", "bach", "bach")]
    added = store.add_guesses("me", "blind", good, "7b")
    assert added == store.guesses() and [guess.truth for guess in added] == ["machine", "bach"]
    with pytest.raises(PreferenceError):
        store.add_guesses("me", "blind", [*good, ("no JSON", "bach", "folk")])
    with pytest.raises(StoreError), patch_third_insert(store):
        store.add_guesses("me", "blind", [*good, *good])
    assert len(store.guesses()) == 2


@contextmanager
def patch_third_insert(store: Store) -> Iterator[None]:
    """Let the third guess of a session fail in the database."""
    counted = "SELECT RAISE(ABORT, 'full') WHERE (SELECT COUNT(*) FROM guess) > 2"
    with store._transaction() as connection:
        connection.execute(f"CREATE TRIGGER third BEFORE INSERT ON guess BEGIN {counted}; END")
    yield
    with store._transaction() as connection:
        connection.execute("DROP TRIGGER third")


@pytest.mark.parametrize("who", [{"session": "me"}, {"class_code": "7b"}, {"class_code": "7b", "session": "me"}])
def test_reading_what_one_or_a_class_gave_uses_an_index(store: Store, who: dict[str, str]) -> None:
    """Else every look at the teacher's page would read all that was ever given."""
    asked: list[str] = []
    store._connection.set_trace_callback(asked.append)
    store.guesses(**who)
    store.count_guesses("blind", **who)
    store.rankings(**who)
    store.best_attempts("cheerful", **who)
    store._connection.set_trace_callback(None)
    queries = [query for query in asked if query.startswith("SELECT")]
    assert len(queries) == 4
    for query in queries:
        plan = " ".join(row[3] for row in store._connection.execute(f"EXPLAIN QUERY PLAN {query}"))
        found = set(re.findall(r"USING INDEX (\w+)", plan)) - {"sqlite_autoindex_item_1"}
        assert {name.rpartition("_")[2] for name in found} == {"session" if "session" in who else "class"}, plan
