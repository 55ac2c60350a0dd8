"""What many ask for at the same moment is made once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.once import Once
from tests.lab.text.conftest import wait_until


def test_thirty_who_ask_together_get_what_one_has_made() -> None:
    once: Once[object] = Once(4)
    made, go = [], threading.Event()

    def make() -> object:
        assert go.wait(30)
        made.append(object())
        return made[-1]

    with ThreadPoolExecutor(30) as pool:
        asking = [pool.submit(once.get, "key", make) for _ in range(30)]
        wait_until(lambda: pool._work_queue.empty())
        go.set()
        got = {id(one.result(30)) for one in asking}
    assert len(made) == 1 and got == {id(made[0])}


def test_other_keys_do_not_wait() -> None:
    once: Once[str] = Once(4)
    begun, go = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert go.wait(30)
        return "slow"

    with ThreadPoolExecutor(1) as pool:
        slowly = pool.submit(once.get, "slow", slow)
        assert begun.wait(30)
        assert once.get("quick", lambda: "quick") == "quick"
        assert once.results() == ["quick"]  # what is being made is none yet
        go.set()
        assert slowly.result(30) == "slow"


def test_what_fails_is_told_to_all_and_tried_again() -> None:
    once: Once[str] = Once(4)
    begun, go = threading.Event(), threading.Event()

    def fails() -> str:
        begun.set()
        assert go.wait(30)
        raise ValueError("no")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(once.get, "key", fails)
        assert begun.wait(30)
        second = pool.submit(once.get, "key", lambda: pytest.fail("it is being made already"))
        wait_until(lambda: second.running())
        go.set()
        for one in (first, second):
            with pytest.raises((ValueError, pytest.fail.Exception)):
                one.result(30)
    assert once.get("key", lambda: "yes") == "yes"


def test_the_longest_not_asked_for_gives_way() -> None:
    once: Once[str] = Once(5, len)
    for word in ("one", "ab"):
        once.get(word, lambda word=word: word)
    once.get("one", lambda: pytest.fail("it is kept"))
    once.get("c", lambda: "c")
    assert once.results() == ["one", "c"]
    once.get("larger than all", lambda: "larger than all")
    assert once.results() == ["larger than all"]
    once.clear()
    assert once.results() == []
