"""Choosing: the dice are torch's, the facts about a token are true, and rows do not touch each other."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from transformers import TopPLogitsWarper

from lab.text.choosing import Choice, Dice, choose, cut_top_p, draw, roll, warp
from lab.text.rows import Distribution, Token
from lab.text.strategies import Kind, Strategy
from tests.lab.text.test_strategies import CHAINS, random_strategy

VOCABULARY = 97


def random_logits(rows: int, seed: int = 0, spread: float = 3.0) -> torch.Tensor:
    return spread * torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(seed))


def choice(
    strategy: Strategy, ids: Sequence[int] = (1, 2, 3), seed: int = 0, top: int = 0, include: tuple[int, ...] = ()
) -> Choice:
    return Choice(strategy, strategy.to_text(), list(ids), Dice(seed), top, include)


def probability_of(logits: torch.Tensor) -> list[float]:
    """Softmax by the definition, in double precision."""
    weights = [math.exp(value - float(logits.max())) for value in logits.double().tolist()]
    return [weight / math.fsum(weights) for weight in weights]


@pytest.mark.parametrize("seed", range(5))
def test_draws_are_those_of_torch_multinomial(seed: int) -> None:
    probabilities = random_logits(6, seed).softmax(-1)
    torch.manual_seed(seed)
    expected = [torch.multinomial(row[None], num_samples=1).item() for row in probabilities]
    dice = Dice(seed)
    assert [draw(row[None], roll([dice], VOCABULARY)[0][None]).item() for row in probabilities] == expected


@pytest.mark.parametrize("sides", [1, 97, 8191])
def test_noise_is_that_of_exponential(sides: int) -> None:
    dice = [Dice(seed) for seed in (0, 5, 2**64 - 1, -3)]
    for rolls in range(3):
        for one, noise in zip(dice, roll(dice, sides), strict=True):
            generator = torch.Generator().manual_seed(one.seed)
            for _ in range(rolls + 1):
                expected = torch.empty(sides).exponential_(1, generator=generator)
            torch.testing.assert_close(noise, expected, rtol=2e-7, atol=0)  # the last bit may go either way


def test_dice_do_not_depend_on_what_else_is_rolled() -> None:
    """Same seed at different numbers of rolls, same seed and same number: together as alone."""

    def alone(seed: int, rolls: int) -> torch.Tensor:
        dice = Dice(seed)
        for _ in range(rolls):
            (noise,) = roll([dice], VOCABULARY)
        return noise

    early, late, twin, other = Dice(1), Dice(1), Dice(1), Dice(2)
    roll([early, twin], VOCABULARY)
    for turn in range(1, 4):
        noise = roll([late, early, other, twin], VOCABULARY)
        for one, expected in zip(noise, [(1, turn), (1, turn + 1), (2, turn), (1, turn + 1)], strict=True):
            assert torch.equal(one, alone(*expected))
    assert roll([], VOCABULARY) == []


def test_draws_follow_the_probabilities() -> None:
    probabilities = torch.tensor([[0.5, 0.3, 0.2, 0.0]])
    dice = Dice(0)
    counts = torch.zeros(4)
    for _ in range(4000):
        counts[draw(probabilities, torch.stack(roll([dice], 4)))] += 1
    assert counts[3] == 0
    assert torch.allclose(counts / 4000, probabilities[0], atol=0.03)  # four standard deviations; the seed is fixed


def test_a_certain_token_is_always_drawn() -> None:
    probabilities = torch.zeros(200, VOCABULARY)
    probabilities[:, 5] = 1.0
    assert draw(probabilities, torch.stack(roll([Dice(seed) for seed in range(200)], VOCABULARY))).eq(5).all()


@pytest.mark.parametrize("top_p", [0.01, 0.3, 0.5, 0.9, 0.999])
def test_top_p_is_that_of_transformers_to_the_last_bit(top_p: float) -> None:
    generator = torch.Generator().manual_seed(3)
    peaked = 6 * torch.randn(40, 1000, generator=generator)
    flat = 0.01 * torch.randn(40, 1000, generator=generator)
    tied = torch.randint(0, 4, (60, 1000), generator=generator).float()  # many equal scores on both sides of the limit
    certain = torch.full((2, 1000), -1e9)
    certain[:, 7] = 0.0
    for scores in (peaked, flat, tied, certain, torch.zeros(2, 1000), torch.zeros(1, 1), torch.randn(3, 2)):
        assert torch.equal(cut_top_p(scores, top_p), TopPLogitsWarper(top_p)(None, scores))


@pytest.mark.parametrize("strategy", CHAINS, ids=Strategy.to_text)
def test_facts_about_a_token(strategy: Strategy) -> None:
    logits = random_logits(4, seed=8)
    tokens = choose(logits, [choice(strategy, ids=[row, 5, 6], seed=row) for row in range(4)])
    for row, token in enumerate(tokens):
        raw = probability_of(logits[row])
        assert token.log_probability == pytest.approx(math.log(raw[token.id]), abs=1e-5)
        assert token.rank == 1 + sum(p > raw[token.id] for p in raw)
        assert token.entropy == pytest.approx(-math.fsum(p * math.log(p) for p in raw), abs=1e-5)
        final = warp(logits[row : row + 1], strategy, [[row, 5, 6]])[1][0]
        if strategy.samples:
            assert token.strategy_probability == pytest.approx(probability_of(final)[token.id], abs=1e-6)
            assert token.strategy_probability > 0
        else:
            assert token.strategy_probability == 1.0
            assert token.id == int(final.argmax())
        assert token.distribution is None


def test_facts_hold_for_impossible_tokens() -> None:
    """A model may give a token a probability that rounds to nothing; the entropy is then still a number."""
    logits = torch.full((1, VOCABULARY), -1e9)
    logits[0, 3] = 0.0
    (token,) = choose(logits, [choice(Strategy(kind=Kind.TEMPERATURE), top=5, include=(7,))])
    assert (token.id, token.rank, token.log_probability, token.entropy) == (3, 1, 0.0, 0.0)
    assert token.distribution is not None
    assert token.distribution.candidates[0].raw == 1.0


def test_rank_counts_only_tokens_that_are_more_probable() -> None:
    (token,) = choose(torch.zeros(1, VOCABULARY), [choice(Strategy(kind=Kind.GREEDY))])
    assert token.rank == 1
    assert token.entropy == pytest.approx(math.log(VOCABULARY), abs=1e-5)


def table_of(strategy: Strategy, top: int = VOCABULARY, include: tuple[int, ...] = ()) -> tuple[Token, Distribution]:
    (token,) = choose(random_logits(1, seed=2), [choice(strategy, seed=4, top=top, include=include)])
    assert token.distribution is not None
    return token, token.distribution


@pytest.mark.parametrize("strategy", CHAINS, ids=Strategy.to_text)
def test_distribution_adds_up_at_each_stage(strategy: Strategy) -> None:
    token, table = table_of(strategy)
    assert len(table.candidates) == table.vocabulary_size == VOCABULARY
    for stage in ("raw", "tempered", "final"):
        assert math.fsum(getattr(c, stage) for c in table.candidates) == pytest.approx(1.0, abs=1e-5)
    kept = [c for c in table.candidates if c.final > 0]
    assert len(kept) <= table.kept_tokens  # what is kept may still round to nothing
    assert math.fsum(c.tempered for c in kept) == pytest.approx(table.kept_mass, abs=1e-5)
    for candidate in kept:  # what is left is renormalised
        assert candidate.final == pytest.approx(candidate.tempered / table.kept_mass, abs=1e-5)
    # A penalty may change the model's own order: what counts is the order in which the strategy sees the tokens.
    assert [c.tempered for c in table.candidates] == sorted((c.tempered for c in table.candidates), reverse=True)
    drawn = next(c for c in table.candidates if c.id == token.id)
    assert drawn.raw == pytest.approx(math.exp(token.log_probability), abs=1e-6)
    if strategy.samples:
        assert drawn.final == pytest.approx(token.strategy_probability, abs=1e-6)


def by_probability(table: Distribution) -> list[float]:
    return sorted((c.tempered for c in table.candidates), reverse=True)


@pytest.mark.parametrize("top_k", [1, 2, 40, 97, 1000])
def test_top_k_keeps_k(top_k: int) -> None:
    _, table = table_of(Strategy(kind=Kind.TOP_K, top_k=top_k, temperature=0.8))
    assert table.kept_tokens == min(top_k, VOCABULARY)
    assert table.kept_mass == pytest.approx(math.fsum(by_probability(table)[:top_k]), abs=1e-5)
    assert all(c.final == 0 for c in table.candidates[top_k:])
    assert all(c.final > 0 for c in table.candidates[:top_k])


@pytest.mark.parametrize("top_p", [0.01, 0.3, 0.9, 0.99])
def test_top_p_keeps_the_fewest_that_reach_p(top_p: float) -> None:
    _, table = table_of(Strategy(kind=Kind.TOP_P, top_p=top_p, temperature=1.5))
    best = by_probability(table)
    assert table.kept_mass == pytest.approx(math.fsum(best[: table.kept_tokens]), abs=1e-5)
    assert table.kept_mass >= top_p
    assert math.fsum(best[: table.kept_tokens - 1]) < top_p
    assert all(c.final == 0 for c in table.candidates[table.kept_tokens :])


@pytest.mark.parametrize("min_p", [0.0, 0.02, 0.5, 1.0])
def test_min_p_keeps_what_is_near_the_best(min_p: float) -> None:
    _, table = table_of(Strategy(kind=Kind.MIN_P, min_p=min_p, temperature=1.5))
    best = by_probability(table)
    assert table.kept_tokens == sum(p >= min_p * best[0] for p in best)
    assert table.kept_mass == pytest.approx(math.fsum(best[: table.kept_tokens]), abs=1e-5)
    for candidate in table.candidates:
        assert (candidate.final > 0) is (candidate.tempered >= min_p * best[0])


@pytest.mark.parametrize("typical_p", [0.05, 0.4, 0.9])
def test_typical_keeps_what_surprises_as_much_as_expected(typical_p: float) -> None:
    _, table = table_of(Strategy(kind=Kind.TYPICAL, typical_p=typical_p, temperature=1.5))
    entropy = -math.fsum(c.tempered * math.log(c.tempered) for c in table.candidates)
    order = sorted(table.candidates, key=lambda c: abs(-math.log(c.tempered) - entropy))
    assert all(c.final > 0 for c in order[: table.kept_tokens])
    assert all(c.final == 0 for c in order[table.kept_tokens :])
    assert table.kept_mass == pytest.approx(math.fsum(c.tempered for c in order[: table.kept_tokens]), abs=1e-5)
    assert table.kept_mass >= typical_p - 1e-5
    assert math.fsum(c.tempered for c in order[: table.kept_tokens - 1]) < typical_p


def test_distribution_reports_the_top_what_was_asked_for_and_what_was_drawn() -> None:
    logits = random_logits(1, seed=2)
    order = logits[0].argsort(descending=True).tolist()
    strategy = Strategy(kind=Kind.TEMPERATURE, temperature=5.0)
    outside = 0
    for seed in range(20):
        include = (order[90], order[1], order[50])
        (token,) = choose(logits, [choice(strategy, seed=seed, top=3, include=include)])
        assert token.distribution is not None
        expected = {*order[:3], *include, token.id}
        assert [c.id for c in token.distribution.candidates] == [id_ for id_ in order if id_ in expected]
        outside += token.id not in {*order[:3], *include}
    assert outside  # the drawn token was at times one that nobody had asked for


def test_the_top_holds_no_token_that_the_rules_forbid() -> None:
    logits = random_logits(1, seed=2)
    order = logits[0].argsort(descending=True).tolist()
    allowed = torch.zeros(VOCABULARY, dtype=torch.bool)
    allowed[order[4:40:6]] = True  # six tokens, the most probable ones not among them
    for top, expected in ((3, order[4:40:6][:3]), (50, order[4:40:6])):
        ruled = replace(choice(Strategy(kind=Kind.GREEDY), top=top), allowed=allowed)
        (token,) = choose(logits, [ruled])
        assert token.distribution is not None
        assert [c.id for c in token.distribution.candidates] == expected
    seen = replace(choice(Strategy(kind=Kind.GREEDY), top=3, include=(order[0],)), allowed=allowed)
    *_, last = choose(logits, [seen])[0].distribution.candidates  # type: ignore[union-attr]
    assert (last.id, last.final) == (order[0], 0.0)  # unless it is asked for


def test_a_mixed_batch_is_its_rows_alone() -> None:
    rng = random.Random(3)
    sampled = tuple(kind for kind in Kind if kind is not Kind.BEAM)
    rows = [
        (
            random_strategy(rng, sampled),
            [rng.randrange(VOCABULARY) for _ in range(rng.randint(1, 20))],
            rng.choice((0, 4)),
        )
        for _ in range(60)
    ]
    rows += rows[:20]  # several of a strategy, with other texts and dice
    logits = random_logits(len(rows), seed=6)
    together = choose(logits, [choice(s, ids, seed, top) for seed, (s, ids, top) in enumerate(rows)])
    for row, (strategy, ids, top) in enumerate(rows):
        (alone,) = choose(logits[row : row + 1], [choice(strategy, ids, row, top)])
        assert alone.id == together[row].id
        assert alone.rank == together[row].rank
        assert alone.log_probability == pytest.approx(together[row].log_probability, abs=1e-5)
        assert alone.strategy_probability == pytest.approx(together[row].strategy_probability, abs=1e-6)
        assert (alone.distribution is None) is (top == 0)
        if alone.distribution and together[row].distribution:
            assert alone.distribution.kept_tokens == together[row].distribution.kept_tokens
