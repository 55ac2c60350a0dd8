"""Waiting for something slow: the page is told what is going on, then gets it, or a reason in plain words."""

from __future__ import annotations

import threading

import pytest

import tabs.waiting
from lab.errors import PromptError, VisitorError
from tabs.rendering import message
from tabs.waiting import Ready, wait_for

FAILURE = VisitorError("It could not be done.")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabs.waiting, "QUIET", 0.01)


def test_news_come_before_the_outcome() -> None:
    go = threading.Event()

    def work(tell: tabs.waiting.Tell) -> int:
        tell("Half way …")
        assert go.wait(30)
        return 42

    news = wait_for(work, "Starting …", FAILURE)
    heard = [next(news), next(news)]
    go.set()
    *_, last = news
    assert any(message.startswith("Half way …") for message in heard)
    assert last == Ready(42)


def test_without_news_the_message_is_repeated_with_the_time() -> None:
    go = threading.Event()
    news = wait_for(lambda tell: go.wait(30), "Working …", FAILURE)
    assert (first := next(news)) == "Working … (0 s)"
    assert 'Working … <span aria-hidden="true">(0 s)</span>' in message(first)  # as the page shows it
    go.set()
    *_, last = news
    assert last == Ready(True)


def test_what_is_there_at_once_comes_first() -> None:
    assert list(wait_for(lambda tell: "there", "…", FAILURE))[-1] == Ready("there")


def test_a_visitors_error_comes_through_as_it_is() -> None:
    def work(tell: tabs.waiting.Tell) -> None:
        raise PromptError("Please write something.")

    with pytest.raises(PromptError, match="Please write something"):
        list(wait_for(work, "…", FAILURE))


def test_any_other_error_is_told_in_plain_words() -> None:
    def work(tell: tabs.waiting.Tell) -> None:
        raise RuntimeError("secret inside")

    with pytest.raises(VisitorError, match=r"^It could not be done\.$") as caught:
        list(wait_for(work, "…", FAILURE))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_closing_leaves_the_work_going() -> None:
    go, done = threading.Event(), threading.Event()

    def work(tell: tabs.waiting.Tell) -> None:
        assert go.wait(30)
        done.set()

    news = wait_for(work, "…", FAILURE)
    next(news)
    news.close()
    go.set()
    assert done.wait(30)
