"""Measures: small cases by hand, self-BLEU against sacrebleu, and what they say of nothing at all."""

from __future__ import annotations

import math
import random

import pytest
import sacrebleu

from lab.text.measures import distinct, distinct_over, measure, ngrams, repeated, self_bleu
from lab.text.rows import Token


def tokens(*pairs: tuple[int, float]) -> list[Token]:
    return [Token(identity, log_p, 1.0, 1, 0.5) for identity, log_p in pairs]


@pytest.mark.parametrize(
    ("ids", "n", "share"),
    [
        ([1, 2, 3, 4], 1, 1.0),
        ([1, 1, 1, 1], 1, 0.25),
        ([1, 2, 1, 2, 1], 1, 0.4),
        ([1, 2, 1, 2, 1], 2, 0.5),  # 12 21 12 21
        ([1, 2, 1, 2, 1], 3, 2 / 3),  # 121 212 121
        ([1, 2, 1, 2, 1], 5, 1.0),
        ([1, 2], 3, 1.0),  # too short for a run of three: nothing is repeated
        ([7], 2, 1.0),
        ([], 1, 1.0),
    ],
)
def test_distinct_and_repeated(ids: list[int], n: int, share: float) -> None:
    assert distinct(ids, n) == pytest.approx(share)
    assert repeated(ids, n) == pytest.approx(1 - share)


def test_repeated_counts_runs_that_occurred_before() -> None:
    """The definition, carried out naively."""
    chooser = random.Random(0)
    for _ in range(100):
        ids = [chooser.randrange(4) for _ in range(chooser.randint(3, 30))]
        runs = ngrams(ids, 3)
        again = sum(run in runs[:place] for place, run in enumerate(runs))
        assert repeated(ids, 3) == pytest.approx(again / len(runs))


def test_ngrams_are_in_order() -> None:
    assert ngrams([1, 2, 3, 4], 2) == [(1, 2), (2, 3), (3, 4)]
    assert ngrams([1, 2], 2) == [(1, 2)]
    assert ngrams([1], 2) == []


def test_distinct_over_texts_does_not_run_across_their_borders() -> None:
    assert distinct_over([[1, 2], [3, 1, 2]], 2) == pytest.approx(2 / 3)  # 12, 31, 12; not 23
    assert distinct_over([[1, 2]] * 4, 2) == pytest.approx(0.25)
    assert distinct_over([[1], [2]], 2) == 1.0
    assert distinct_over([], 2) == 1.0


def test_measure() -> None:
    made = measure(tokens((5, -1.0), (5, -3.0), (6, -2.0), (5, -2.0)), seconds=0.5)
    assert made.tokens == 4
    assert made.mean_log_probability == pytest.approx(-2.0)
    assert made.perplexity == pytest.approx(math.exp(2.0))
    assert made.distinct_1 == pytest.approx(0.5)
    assert made.distinct_2 == pytest.approx(1.0)
    assert made.repeated_3 == 0.0
    assert made.tokens_per_second == pytest.approx(8.0)


def test_measure_of_extremes_is_finite() -> None:
    certain = measure(tokens((1, 0.0)), seconds=0.0)  # a clock too coarse to tell
    assert certain.perplexity == 1.0
    assert math.isfinite(certain.tokens_per_second)
    impossible = measure(tokens((1, -1e6)), seconds=1.0)
    assert math.isfinite(impossible.perplexity)
    with pytest.raises(ValueError, match="nothing to measure"):
        measure([], 1.0)


TEXTS = {
    "different": ["The house was empty.", "A cat sat on my old mat.", "Nobody knows where they went."],
    "alike": ["The house was empty that night.", "The house was empty all day.", "The house was full that night."],
    "equal": ["The house was empty that night."] * 3,
    "other scripts": ["日本語 の 文章 です", "שלום עולם טוב", "日本語 の 文章"],
    "empty ones": ["", "The house was empty that night.", ""],
    "very short": ["a", "b", "a"],
    "two": ["one two three four five", "one two three four six"],
}


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS.keys())
def test_self_bleu_is_sacrebleus(texts: list[str]) -> None:
    direct = [
        sacrebleu.sentence_bleu(
            text, [other for m, other in enumerate(texts) if m != n], use_effective_order=True
        ).score
        for n, text in enumerate(texts)
    ]
    assert self_bleu(texts) == pytest.approx(sum(direct) / len(texts) / 100)


def test_self_bleu_is_high_where_samples_are_alike() -> None:
    assert self_bleu(TEXTS["equal"]) == pytest.approx(1.0)
    assert self_bleu(TEXTS["different"]) < 0.1 < self_bleu(TEXTS["alike"]) < 0.9


def test_self_bleu_of_little() -> None:
    assert math.isnan(self_bleu([]))
    assert math.isnan(self_bleu(["alone"]))
    assert self_bleu(["", ""]) == 0.0
    assert 0 <= self_bleu([" ", "\n", "�"]) <= 1
