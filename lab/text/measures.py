"""Measures of generated text: how probable, how varied, how repetitive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lab.text.rows import Token


@dataclass(frozen=True)
class Measures:
    """Figures of one continuation.

    Attributes:
        tokens: their number.
        mean_log_probability: under the raw model, nats per token.
        perplexity: exp of its negative.
        distinct_1, distinct_2: share of distinct tokens and of distinct pairs of tokens (Li et al., 2016).
        repeated_3: share of runs of three tokens that occurred before.
        tokens_per_second: as served, whoever else was being served.
    """

    tokens: int
    mean_log_probability: float
    perplexity: float
    distinct_1: float
    distinct_2: float
    repeated_3: float
    tokens_per_second: float


def measure(tokens: Sequence[Token], seconds: float) -> Measures:
    """Measure a continuation. Raises ValueError if it has no token."""
    if not tokens:
        raise ValueError("there is nothing to measure")
    ids = [token.id for token in tokens]
    mean = math.fsum(token.log_probability for token in tokens) / len(tokens)
    return Measures(
        tokens=len(tokens),
        mean_log_probability=mean,
        perplexity=math.exp(min(-mean, 700.0)),
        distinct_1=distinct(ids, 1),
        distinct_2=distinct(ids, 2),
        repeated_3=repeated(ids, 3),
        tokens_per_second=len(tokens) / max(seconds, 1e-9),
    )


def ngrams(ids: Sequence[int], n: int) -> list[tuple[int, ...]]:
    """Return the runs of n neighbours, in order."""
    return [tuple(ids[start : start + n]) for start in range(len(ids) - n + 1)]


def distinct(ids: Sequence[int], n: int) -> float:
    """Return the share of distinct n-grams among all, 1 if there is none (Li et al., 2016)."""
    grams = ngrams(ids, n)
    return len(set(grams)) / len(grams) if grams else 1.0


def repeated(ids: Sequence[int], n: int) -> float:
    """Return the share of n-grams that occurred before in the same text."""
    return 1.0 - distinct(ids, n)


def distinct_over(texts: Sequence[Sequence[int]], n: int) -> float:
    """Return the share of distinct n-grams among those of several texts together."""
    grams = [gram for ids in texts for gram in ngrams(ids, n)]
    return len(set(grams)) / len(grams) if grams else 1.0


def self_bleu(texts: Sequence[str]) -> float:
    """Return self-BLEU (Zhu et al., 2018): each text's BLEU against all others, averaged; 0 (all different) to 1.

    sacrebleu's sentence BLEU with effective order, as it recommends for sentences; NaN for fewer than two texts.
    """
    import sacrebleu

    if len(texts) < 2:
        return math.nan
    metric = sacrebleu.BLEU(effective_order=True)
    scores = [metric.sentence_score(text, [*texts[:n], *texts[n + 1 :]]).score for n, text in enumerate(texts)]
    return math.fsum(scores) / len(scores) / 100
