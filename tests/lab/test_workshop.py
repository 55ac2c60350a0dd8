"""A class: who is there by the clock of the test, and what it has given, pooled."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.preferences import Item, PreferenceError, StoreError, checked_class_code
from lab.preferences.statistics import wilson_interval
from lab.preferences.store import Store
from lab.workshop import HERE_SECONDS, MAX_CLASSES, MAX_PAGES, Fooled, Presence, class_results, guess_lines, new_code


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def presence(clock: Clock) -> Presence:
    return Presence(clock)


def test_codes_can_be_read_out_and_differ() -> None:
    codes = [new_code() for _ in range(200)]
    for code in codes:
        assert checked_class_code(code) == code
        assert re.fullmatch(r"[a-z]+-[a-z]+-\d{3}", code)
    assert len(set(codes)) > 190


def test_pages_are_counted_once_as_long_as_they_are_open(presence: Presence, clock: Clock) -> None:
    for page in ("a", "b", "a"):
        presence.beat("one", page)
    presence.beat("two", "c")
    assert (presence.count("one"), presence.count("two"), presence.count("three")) == (2, 1, 0)
    clock.now = HERE_SECONDS - 1
    presence.beat("one", "a")
    clock.now = HERE_SECONDS + 1
    assert (presence.count("one"), presence.count("two")) == (1, 0)
    presence.leave("a")
    presence.leave("nobody")
    assert presence.count("one") == 0
    assert presence._seen == {}


def test_no_class_is_not_counted_and_no_code_is_refused(presence: Presence) -> None:
    presence.beat("", "a")
    assert presence._seen == {}
    for code in ("no spaces", "x" * 33, "<b>", None):
        with pytest.raises(PreferenceError):
            presence.beat(code, "a")


def test_invented_codes_do_not_fill_the_memory(presence: Presence, clock: Clock) -> None:
    presence.beat("quiet", "a")
    clock.now = 1
    for number in range(MAX_CLASSES + 50):
        presence.beat(f"code-{number}", "a")
    assert len(presence._seen) <= MAX_CLASSES
    assert presence.count("quiet") == 0 and presence.count(f"code-{MAX_CLASSES + 49}") == 1
    for number in range(MAX_PAGES + 50):
        presence.beat("one", str(number))
    assert presence.count("one") == MAX_PAGES


def test_thirty_at_once(presence: Presence) -> None:
    with ThreadPoolExecutor(30) as pool:
        list(pool.map(lambda n: presence.beat("one", str(n % 30)), range(3000)))
    assert presence.count("one") == 30


@pytest.fixture
def store() -> Store:
    return Store(None)


def guess(store: Store, session: str, truth: str, answer: str, model: str = "", code: str = "one") -> None:
    clip = json.dumps({"model": model, "id": "x"})
    store.add_guess(session, "melodies", clip, truth, answer, class_code=code)


def test_results_are_pooled_by_class(store: Store) -> None:
    guess(store, "anna", "machine", "bach", "lora")
    guess(store, "anna", "bach", "bach")
    guess(store, "ben", "machine", "machine", "lora")
    guess(store, "ben", "machine", "folk", "folk")
    guess(store, "cleo", "machine", "bach", "lora", code="two")
    guess(store, "dan", "machine", "bach", "lora", code="")
    items = [Item("a"), Item("b"), Item("c")]
    store.add_ranking("ben", "p", items, [1, 2, 3], class_code="one")
    store.add_ranking("eve", "p", items, [1, 2, 3], class_code="one")
    store.add_ranking("finn", "p", items, [3, 2, 1], class_code="two")
    found = class_results(store, "one")
    assert (found.people, found.guesses, found.right, found.rankings) == (3, 4, 2, 2)
    assert found.fooled == (Fooled("lora", 1, 2), Fooled("folk", 1, 1))
    assert found.fooled[0].interval == wilson_interval(1, 2)
    assert found.alpha == pytest.approx(1.0)
    assert class_results(store, "two").alpha is None  # there is nobody to agree with


def test_a_class_that_has_given_nothing(store: Store) -> None:
    found = class_results(store, "one")
    assert (found.people, found.guesses, found.right, found.rankings, found.fooled) == (0, 0, 0, 0, ())
    assert list(guess_lines(store, "one")) == []


def test_an_export_holds_the_classs_guesses_and_no_session(store: Store) -> None:
    guess(store, "secretsession", "machine", "bach", "lora")
    guess(store, "other", "machine", "bach", "lora", code="two")
    (line,) = guess_lines(store, "one")
    assert "secretsession" not in line
    read = json.loads(line)
    assert read["clip"] == {"model": "lora", "id": "x"}
    assert (read["truth"], read["answer"], read["experiment"]) == ("machine", "bach", "melodies")


def test_what_cannot_be_read_is_told(store: Store) -> None:
    with pytest.raises(PreferenceError):
        class_results(store, "no spaces")
    store.close()
    with pytest.raises(StoreError):
        class_results(store, "one")
