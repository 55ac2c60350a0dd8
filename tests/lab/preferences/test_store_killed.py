"""Eight threads write a thousand rankings, and the process is killed in the middle: nothing acknowledged is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.preferences import Item
from lab.preferences.store import Store

ROOT = Path(__file__).parents[3]
THREADS, EACH = 8, 125
WRITER = f"""
import os, sys, threading
from lab.preferences import Item
from lab.preferences.store import Store
store = Store(sys.argv[1])
def work(thread):
    for n in range({EACH}):
        items = [Item(f"a{{n}}"), Item(f"b{{n}}"), Item("c")]
        store.add_ranking(f"thread-{{thread}}", f"prompt {{n}}", items, [2, 1, 2])
        os.write(1, f"{{thread}} {{n}}\\n".encode())  # one system call, so that lines of two threads do not mix
threads = [threading.Thread(target=work, args=(thread,)) for thread in range({THREADS})]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
@pytest.mark.parametrize("after", [10, 400])
def test_eight_threads_killed_in_the_middle(tmp_path: Path, after: int) -> None:
    path = tmp_path / "preferences.sqlite"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, cwd=ROOT)
    acknowledged = [process.stdout.readline() for _ in range(after)]
    process.kill()
    acknowledged += process.stdout.read().splitlines(keepends=True)
    assert process.wait() == -signal.SIGKILL
    told = {tuple(map(int, line.split())) for line in acknowledged if line.endswith(b"\n")}
    assert after <= len(told) < THREADS * EACH  # it was in the middle

    store = Store(path)
    kept = [(int(ranking.session.removeprefix("thread-")), ranking) for ranking in store.rankings()]
    written = {(thread, int(ranking.prompt.removeprefix("prompt "))) for thread, ranking in kept}
    assert told <= written
    assert len(kept) == len(written) <= len(told) + THREADS  # written, but killed before it could say so
    for _, ranking in kept:  # whole, not in part
        number = ranking.prompt.removeprefix("prompt ")
        assert ranking.items == (Item(f"a{number}"), Item(f"b{number}"), Item("c"))
        assert ranking.ranks == (2, 1, 2)
    for thread in range(THREADS):
        numbers = sorted(number for mine, number in written if mine == thread)
        assert numbers == list(range(len(numbers)))  # no gap
    assert store.add_ranking("next", "p", [Item("a"), Item("b")], [1, 2]).id > max(ranking.id for _, ranking in kept)
    assert len(list(store.export_jsonl())) == 2 * len(kept) + 1
    store.close()
