"""Beam search is that of ``generate``, and its steps tell truly how it got there."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from transformers import GPT2LMHeadModel

from lab.text.beam import BeamSearch
from lab.text.engine import Engine
from lab.text.rows import BeamStep, Finished, Reason, Row
from lab.text.strategies import Kind, Strategy
from tests.lab.text.conftest import END_OF_TEXT, read, reference, tiny_gpt2, written

PROMPTS = [(5,), (6, 7, 8, 9), (11, 3, 3, 40, 11, 3, 3)]
STRATEGIES = [
    Strategy(kind=Kind.BEAM, num_beams=num_beams, length_penalty=length_penalty, repetition_penalty=repetition_penalty)
    for num_beams, length_penalty, repetition_penalty in [
        (2, 1.0, 1.0),
        (2, -2.0, 1.0),
        (2, 2.0, 1.5),
        (3, 0.0, 1.0),
        (3, 1.0, 1.3),
        (4, 1.0, 1.0),
        (4, -1.0, 1.0),
        (4, 2.0, 1.0),
        (4, 0.5, 0.7),
        (5, 1.0, 2.0),
        (8, 1.0, 1.0),
        (8, 0.0, 1.2),
        (8, 2.0, 3.0),
    ]
]


def rows(max_new_tokens: int) -> list[Row]:
    return [Row(prompt, s, max_new_tokens=max_new_tokens) for prompt, s in itertools.product(PROMPTS, STRATEGIES)]


def test_equal_to_generate(model: GPT2LMHeadModel, engine: Engine) -> None:
    tried = rows(12)
    texts = written(read(engine.submit(tried)))  # all searches in one batch
    for index, row in enumerate(tried):
        assert texts[index] == reference(model, row), row


def test_equal_to_generate_where_texts_end(ending_model: GPT2LMHeadModel, ending_engine: Engine) -> None:
    tried = rows(16)
    texts = written(read(ending_engine.submit(tried)))
    for index, row in enumerate(tried):
        assert texts[index] == reference(ending_model, row), row
    lengths = {len(text) for text in texts.values()}
    ended = [text[-1] == END_OF_TEXT for text in texts.values()]
    assert min(lengths) < 16  # the search stopped early
    assert any(ended)
    assert not all(ended)


@pytest.mark.parametrize("end_bias", [0.3, 1.5])
def test_equal_to_generate_with_few_tokens(end_bias: float) -> None:
    """With 7 tokens and 8 beams, beams that are not yet any text are among the candidates."""
    few = tiny_gpt2(7, seed=2, end_bias=end_bias)
    engine = Engine(few)
    try:
        for num_beams, length in itertools.product((2, 7, 8), (1, 2, 9)):
            row = Row((3, 1), Strategy(kind=Kind.BEAM, num_beams=num_beams), max_new_tokens=length)
            assert written(read(engine.submit([row])))[0] == reference(few, row), row
    finally:
        engine.close()


def test_steps_lead_to_the_text(ending_model: GPT2LMHeadModel, ending_engine: Engine) -> None:
    row = Row(PROMPTS[1], Strategy(kind=Kind.BEAM, num_beams=3), max_new_tokens=9)
    *steps, finished = read(ending_engine.submit([row]))
    assert isinstance(finished, Finished)
    beams: list[tuple[int, ...]] = [()] * 3  # followed from the events alone
    totals = [0.0] * 3
    for step in steps:
        assert isinstance(step, BeamStep)
        assert [c.score for c in step.candidates] == sorted((c.score for c in step.candidates), reverse=True)
        going_on: dict[int, tuple[tuple[int, ...], float]] = {}
        for candidate in step.candidates:
            text = (*beams[candidate.parent], candidate.token.id)
            total = totals[candidate.parent] + candidate.token.log_probability
            assert candidate.score == pytest.approx(total, abs=1e-4)
            assert not (candidate.ended and candidate.beam is not None)
            assert candidate.ended is (candidate.token.id == END_OF_TEXT or len(text) == row.max_new_tokens)
            if candidate.beam is not None:
                going_on[candidate.beam] = text, candidate.score
        if going_on:
            assert sorted(going_on) == [0, 1, 2]
            beams, totals = [going_on[beam][0] for beam in range(3)], [going_on[beam][1] for beam in range(3)]
            if step is not steps[-1]:
                assert tuple(token.id for token in step.best) == beams[0]
    assert tuple(t.id for t in steps[-1].best) == tuple(t.id for t in finished.tokens)


def test_facts_about_the_tokens(model: GPT2LMHeadModel, engine: Engine) -> None:
    row = Row(PROMPTS[2], Strategy(kind=Kind.BEAM, num_beams=4, repetition_penalty=1.4), max_new_tokens=7)
    finished = read(engine.submit([row]))[-1]
    assert isinstance(finished, Finished)
    assert finished.reason is Reason.LENGTH
    text = list(row.prompt)
    for token in finished.tokens:
        with torch.inference_mode():
            raw = model(torch.tensor([text])).logits[0, -1].float().log_softmax(-1)
        assert token.log_probability == pytest.approx(float(raw[token.id]), abs=1e-5)  # without the penalty
        assert token.rank == 1 + int((raw > raw[token.id]).sum())
        assert token.entropy == pytest.approx(-float((raw.exp() * raw).sum()), abs=1e-5)
        assert token.strategy_probability == 1.0
        text.append(token.id)


def test_at_first_only_one_beam_counts() -> None:
    search = BeamSearch(Row((1,), Strategy(kind=Kind.BEAM, num_beams=3), max_new_tokens=4), end_of_text=None)
    logits = torch.tensor([[0.1, 0.4, 0.3, 0.2]]).log().repeat(3, 1)
    parents, tokens, candidates = search.advance(logits)
    assert parents == [0, 0, 0]
    assert tokens == [1, 2, 3]
    assert [c.token.id for c in candidates] == [1, 2, 3, 0]  # nothing of the beams that are no texts yet
    assert [c.beam for c in candidates] == [0, 1, 2, None]
    assert math.exp(candidates[0].score) == pytest.approx(0.4, abs=1e-6)
    assert not search.done
