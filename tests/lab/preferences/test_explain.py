"""Leaving one sentence out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from lab.preferences.explain import MAX_SENTENCES, explain, sentences
from lab.preferences.pairs import Completion


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three?", 3),
        ("“Go!” he said. “Now?”", 3),
        ("Mr. Hill met Dr. A. Brown … Then he left.", 2),
        ("A line\nand another\n\n", 2),
        (" no end", 1),
        ("3.5 and 4.", 1),
        ("", 0),
        ("word. " * 100, MAX_SENTENCES),
        ("Well...?! No … . Yes", 4),
        ("." * 200_000, 1),  # in a moment
    ],
)
def test_sentences_join_to_the_text(text: str, count: int) -> None:
    found = sentences(text)
    assert len(found) == count
    assert "".join(found) == text


def test_effects_are_differences() -> None:
    def reward(completions: Sequence[Completion]) -> np.ndarray:
        assert {completion.prompt for completion in completions} == {"p"}
        return np.array(
            [completion.text.count("good") - 2.0 * completion.text.count("bad") for completion in completions]
        )

    found = explain("p", "A good day. A bad one. Nothing.", reward)
    assert found.reward == -1
    assert [(effect.text, effect.effect) for effect in found.effects] == [
        ("A good day. ", 1.0),
        ("A bad one. ", -2.0),
        ("Nothing.", 0.0),
    ]
    assert explain("p", "good", reward).effects[0].effect == 1
    assert explain("p", "", reward).effects == ()
