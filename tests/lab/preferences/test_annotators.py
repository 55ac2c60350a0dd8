"""The rules of the simulated annotators, and how they rank."""

from __future__ import annotations

import numpy as np
import pytest

from lab.preferences.annotators import (
    ANNOTATORS,
    Annotator,
    cheerful,
    dialogue,
    elizabethan,
    short_sentences,
    talk_and_tale,
    ten_words,
)


def test_cheerful_counts_words_of_both_kinds() -> None:
    assert cheerful("She smiled, and smiled again: what a LOVELY day!") == 3
    assert cheerful("“Happy?” he cried. “I am in despair.”") == 1 - 2
    assert cheerful("Unhappily smiles-of-glass") == 1
    assert cheerful("") == 0


def test_short_sentences() -> None:
    assert short_sentences("Go. Now! It is late, is it not?") == pytest.approx(-(1 + 1 + 6) / 3)
    assert short_sentences("One two three") == -3
    assert short_sentences("… ! 12 ?") == short_sentences("") == -100
    assert short_sentences("Wait… what?!") == -1


def test_dialogue_is_the_share_that_is_spoken() -> None:
    assert dialogue("“Come in,” said he. “Sit down.”") == pytest.approx(4 / 6)
    assert dialogue('He said "yes" twice') == pytest.approx(1 / 4)
    assert dialogue("quite so,” said he.") == pytest.approx(2 / 4)  # the prompt had opened the speech
    assert dialogue("He said, “Never again") == pytest.approx(2 / 4)
    assert dialogue("Nobody spoke.") == dialogue("") == 0
    assert dialogue("“Yes.”") == 1


def test_elizabethan_is_a_rate() -> None:
    assert elizabethan("Thou art the man whom I loved") == pytest.approx(200 / 7)
    assert elizabethan("You are the man") == elizabethan("") == 0


def test_what_is_good_in_measure() -> None:
    ten = "a b c d e f g h i j."
    assert ten_words(ten) == ten_words(f"{ten} {ten}") == 0
    assert ten_words("Go. Now.") == -9
    assert ten_words(ten[:-1] + " " + ten) == -10
    assert talk_and_tale("“All talk.”") == talk_and_tale("No talk.") == 0
    assert talk_and_tale("“Half,” said.") == 1
    assert talk_and_tale("“A” quarter of it.") == 0.5


@pytest.mark.parametrize("name", ANNOTATORS)
def test_an_annotator_shows_its_rule(name: str) -> None:
    annotator = ANNOTATORS[name]
    assert annotator.name == name
    assert annotator.source.startswith(f"def {annotator.rule.__name__}(text: str)")
    assert annotator.description.endswith(".")
    assert np.isfinite(annotator.score(""))
    assert np.isfinite(annotator.score("a" * 100_000 + "“" * 1000 + "." * 1000))


def test_without_noise_it_ranks_by_its_rule_with_ties() -> None:
    texts = ("sad", "glad", "table", "glad", "glad joy")
    annotator = ANNOTATORS["cheerful"]
    assert annotator.rank("p", texts) == (4, 2, 3, 2, 1)
    assert annotator.rank("p", texts, seed=5) == annotator.rank("q", texts)
    assert all(type(rank) is int for rank in annotator.rank("p", texts))


def test_noise_is_bradley_terry_s() -> None:
    annotator = Annotator("a", "A", lambda text: float(text), noise=0.5)
    ranks = np.array([annotator.rank("p", ("1", "0.5"), seed) for seed in range(2000)])
    assert np.mean(ranks[:, 0] < ranks[:, 1]) == pytest.approx(1 / (1 + np.exp(-1)), abs=0.03)
    assert annotator.rank("p", ("1", "0.5"), 3) == annotator.rank("p", ("1", "0.5"), 3)
    assert len({annotator.rank(f"p{n}", tuple("123456"), 1) for n in range(20)}) > 3


def test_small_differences_are_ties() -> None:
    annotator = Annotator("a", "A", float, step=0.5)
    assert annotator.rank("p", ("0.2", "0.3", "0.7", "0.8", "-0.2")) == (3, 2, 2, 1, 3)
    assert annotator.score("0.3") == 0.3
    assert ANNOTATORS["dialogue"].rank("p", ("“All talk.”", "Some “talk.”", "None.", "No one.")) == (1, 2, 3, 3)
