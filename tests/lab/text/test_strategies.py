"""Strategies: their texts, and that their warpers are transformers' own."""

from __future__ import annotations

import random

import pytest
import torch
from transformers import GPT2LMHeadModel

from lab.text.choosing import warp
from lab.text.strategies import (
    EXPLANATIONS,
    MAIN_PARAMETER,
    SAMPLERS,
    TITLES,
    Kind,
    Strategy,
    generate_arguments,
    strategies_from_text,
)
from tests.lab.text.conftest import END_OF_TEXT

CHAINS = [
    Strategy(kind=Kind.GREEDY),
    Strategy(kind=Kind.GREEDY, repetition_penalty=1.7),
    Strategy(kind=Kind.GREEDY, repetition_penalty=0.6),
    Strategy(kind=Kind.TEMPERATURE, temperature=1.0),
    Strategy(kind=Kind.TEMPERATURE, temperature=0.05),
    Strategy(kind=Kind.TEMPERATURE, temperature=5.0, repetition_penalty=3.0),
    Strategy(kind=Kind.TOP_K, top_k=1),
    Strategy(kind=Kind.TOP_K, top_k=7, temperature=0.6),
    Strategy(kind=Kind.TOP_K, top_k=1000, repetition_penalty=1.2),
    Strategy(kind=Kind.TOP_P, top_p=0.9),
    Strategy(kind=Kind.TOP_P, top_p=0.01),
    Strategy(kind=Kind.TOP_P, top_p=1.0, temperature=1.4),
    Strategy(kind=Kind.TOP_P, top_p=0.6, temperature=2.0, repetition_penalty=1.3),
    Strategy(kind=Kind.MIN_P, min_p=0.05),
    Strategy(kind=Kind.MIN_P, min_p=0.0),
    Strategy(kind=Kind.MIN_P, min_p=1.0),
    Strategy(kind=Kind.MIN_P, min_p=0.2, temperature=3.0, repetition_penalty=0.8),
    Strategy(kind=Kind.TYPICAL, typical_p=0.9),
    Strategy(kind=Kind.TYPICAL, typical_p=0.05),
    Strategy(kind=Kind.TYPICAL, typical_p=1.0),
    Strategy(kind=Kind.TYPICAL, typical_p=0.3, temperature=1.8, repetition_penalty=1.5),
]


def random_strategy(rng: random.Random, kinds: tuple[Kind, ...] = tuple(Kind)) -> Strategy:
    """Return a strategy of any kind, with some of its numbers at their defaults and some at their bounds."""
    numbers = {}
    for name, field in Strategy.model_fields.items():
        if name != "kind" and rng.random() < 0.6:
            low, high = Strategy.bounds(name)
            value = rng.choice([low, high, rng.uniform(low, high), round(rng.uniform(low, high), 2)])
            numbers[name] = int(value) if field.annotation is int else min(max(value, low), high)
    return Strategy(kind=rng.choice(kinds), **numbers)


@pytest.mark.parametrize("strategy", CHAINS, ids=Strategy.to_text)
def test_chain_is_that_of_generate(model: GPT2LMHeadModel, strategy: Strategy) -> None:
    prompts = torch.tensor([[5, 9, 9, 30, 2], [61, 7, 40, 41, 42], [3, 3, 3, 3, 3]])
    torch.manual_seed(11)
    output = model.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        max_new_tokens=6,
        pad_token_id=END_OF_TEXT,
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
        **generate_arguments(strategy),
    )
    for place, (logits, scores) in enumerate(zip(output.logits, output.scores, strict=True)):
        texts = output.sequences[:, : prompts.size(1) + place].tolist()
        tempered, final = warp(logits, strategy, texts)
        assert torch.equal(torch.isinf(final), torch.isinf(scores))  # the same tokens are cut
        torch.testing.assert_close(final.softmax(-1), scores.softmax(-1), rtol=0, atol=1e-6)
        assert torch.isfinite(tempered).all()


def test_warping_does_not_change_its_input(model: GPT2LMHeadModel) -> None:
    logits = torch.randn(2, 97, generator=torch.Generator().manual_seed(0))
    before = logits.clone()
    for strategy in CHAINS:
        warp(logits, strategy, [[1, 2, 3], [4]])
        assert torch.equal(logits, before)


def test_repetition_penalty_of_texts_of_different_lengths_is_that_of_each_alone() -> None:
    strategy = Strategy(kind=Kind.GREEDY, repetition_penalty=1.9)
    logits = torch.randn(3, 97, generator=torch.Generator().manual_seed(1))
    texts = [[1, 2, 3, 4, 4, 5], [6], [7, 8, 7]]
    together = warp(logits, strategy, texts)[1]
    for row, text in enumerate(texts):
        assert torch.equal(together[row : row + 1], warp(logits[row : row + 1], strategy, [text])[1])


@pytest.mark.parametrize("seed", range(4))
def test_text_reads_back_as_the_same_strategy(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(150):
        strategy = random_strategy(rng)
        text = strategy.to_text()
        assert Strategy.from_text(text) == (strategy.canonical(), [])
        assert strategy.canonical().to_text() == text
        assert strategy.canonical().canonical() == strategy.canonical()


def test_several_strategies_in_one_text() -> None:
    rng = random.Random(9)
    for count in range(1, 7):
        strategies = tuple(random_strategy(rng).canonical() for _ in range(count))
        assert strategies_from_text(";".join(s.to_text() for s in strategies)) == (strategies, [])
    kept, notes = strategies_from_text("greedy; ;nonsense(top_k=3);top_k( top_k = 5 , top_k=99999 )")
    assert [s.to_text() for s in kept] == ["greedy", "top_k(top_k=1000)"]
    assert len(notes) == 2


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("top_k(5)", ["5"]),
        ("top_p(p=0.5)", ["p=0.5"]),
        ("greedy(top_k=5)", ["top_k=5"]),
        ("top_p(top_p=0.5,7,x=1)", ["7", "x=1"]),
        ("top_k(top_k)", ["top_k"]),
        ("temperature(kind=greedy)", ["kind=greedy"]),
        ("top_k()", []),
        ("top_k(top_k=5,)", []),
    ],
)
def test_what_a_kind_does_not_take_is_left_out_with_a_note(text: str, left_out: list[str]) -> None:
    strategy, notes = Strategy.from_text(text)
    assert strategy == strategy.canonical()
    assert strategy.kind == text.partition("(")[0]
    assert len(notes) == len(left_out)
    for note, argument in zip(notes, left_out, strict=True):
        assert f"{argument!r} is left out" in note
        assert all(name in note for name in strategy.parameters)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(",
        "greedy(",
        "top_p)",
        "GREEDY",
        "top_p(top_p=0.9",
        "a" * 10_000,
        "top_p(" * 1000,
        "\0",
        "\ud800",
        "=,=",
        "_",
    ],
)
def test_unknown_text_is_none_with_a_note(text: str) -> None:
    strategy, notes = Strategy.from_text(text)
    assert strategy is None
    assert len(notes) == 1
    assert len(notes[0]) < 300


@pytest.mark.parametrize(
    "text",
    [
        "top_p(top_p=nan)",
        "top_p(top_p=)",
        "top_p(=,=,==)",
        "top_p(kind=\ud800)",
        "top_p(top_p=1e999,temperature=-1e999)",
    ],
)
def test_hostile_numbers_give_a_valid_strategy(text: str) -> None:
    strategy, _ = Strategy.from_text(text)
    assert strategy is not None
    Strategy.model_validate(strategy.model_dump())


def test_text_and_label_show_the_numbers_in_use() -> None:
    strategy = Strategy(kind=Kind.TOP_P, top_p=0.9, temperature=0.7, num_beams=7)
    assert strategy.to_text() == "top_p(top_p=0.9,temperature=0.7)"
    assert strategy.label == "Top-p 0.9 · temperature 0.7"
    beam = Strategy(kind=Kind.BEAM, length_penalty=2.0, temperature=0.7)
    assert beam.to_text() == "beam(num_beams=4,length_penalty=2)"
    assert beam.label == "Beam search 4 · length penalty 2"
    assert Strategy(kind=Kind.GREEDY).label == "Greedy"
    assert Strategy(kind=Kind.GREEDY).to_text() == "greedy"


def test_canonical_forgets_numbers_that_change_nothing() -> None:
    one = Strategy(kind=Kind.GREEDY, temperature=3.0, top_k=4, num_beams=2)
    assert one.canonical() == Strategy(kind=Kind.GREEDY)
    kept = Strategy(kind=Kind.TOP_K, temperature=3.0, top_k=4, repetition_penalty=2.0)
    assert kept.canonical() == kept


def test_every_kind_is_described() -> None:
    assert set(TITLES) == set(EXPLANATIONS) == set(Kind)
    assert set(MAIN_PARAMETER) == set(Kind) - {Kind.GREEDY}
    assert {kind for kind in Kind if Strategy(kind=kind).samples} == SAMPLERS
    for kind in Kind:
        for name in Strategy(kind=kind).parameters:
            Strategy.bounds(name)
