"""The attack climbs, keeps to its budget, and leaves the rest of the text alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.preferences.attack import TRIED, attack, frequent_words, insertions
from lab.preferences.pairs import Completion


def likes_roses(completions: Sequence[Completion]) -> np.ndarray:
    """Two for each rose, one for each lily, a little less for each other word; the first place is best."""
    found = []
    for completion in completions:
        words = completion.text.split()
        score = 2.0 * words.count("rose") + words.count("lily") - 0.01 * len(words)
        found.append(score + 0.5 * (words[:1] == ["rose"]))
    return np.array(found)


def test_it_finds_the_hole() -> None:
    words = ["stone", "lily", "rose", *(f"word{n}" for n in range(40))]
    steps = list(attack("p", "It was a dull day.", likes_roses, words, 3, lambda text: -text.count("rose")))
    assert [step.number for step in steps] == [0, 1, 2, 3]
    assert steps[0].text == "It was a dull day."
    assert steps[1].text == "rose It was a dull day."
    assert [step.word for step in steps] == ["", "rose", "rose", "rose"]
    assert [step.true_score for step in steps] == [0, -1, -2, -3]
    rewards = [step.reward for step in steps]
    assert rewards == sorted(rewards)
    for step in steps[1:]:
        assert step.text[step.start :].startswith(step.word)
        assert step.text.replace("rose ", "").replace(" rose", "") == "It was a dull day."
    assert steps[-1].reward == likes_roses([Completion("p", steps[-1].text)])[0]
    assert steps[1].tried == 1 + len(words) + TRIED * 4


def test_it_ends_when_nothing_helps() -> None:
    assert len(list(attack("p", "A rose", likes_roses, ["stone", "moss"], 5))) == 1
    assert len(list(attack("p", "A rose", likes_roses, [], 5))) == 1
    assert len(list(attack("p", "A rose", likes_roses, ["rose"], 0))) == 1
    assert next(attack("p", "", likes_roses, ["rose"], 1)).true_score is None


def test_insertions_cover_the_text() -> None:
    assert insertions("a b c", "X", 2) == [("X a b c", 0), ("a b c X", 6)]
    assert insertions("", "X") == [("X ", 0), (" X", 1)]
    assert [text for text, _ in insertions("a b c d e f", "X", 4)] == [
        "X a b c d e f",
        "a b X c d e f",
        "a b c d X e f",
        "a b c d e f X",
    ]


def test_frequent_words() -> None:
    assert frequent_words(["The rose. The rose, the lily", "an an an lily"], 2) == ["the", "lily"]
