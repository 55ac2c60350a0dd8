"""The engine writes what ``generate`` writes, whoever else is being served."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest
import torch
from transformers import GPT2LMHeadModel

from lab.text.engine import Engine
from lab.text.rows import BeamStep, Finished, Reason, Row, Step
from lab.text.strategies import Kind, Strategy
from lab.text.stream import Stream
from tests.lab.text.conftest import (
    BEAM,
    CONTEXT,
    DICE,
    END_OF_TEXT,
    GREEDY,
    PATIENCE,
    PROMPTS,
    count_prefills,
    gated,
    read,
    reference,
    run_alone,
    wait_until,
    written,
)
from tests.lab.text.test_strategies import CHAINS, random_strategy

pytestmark = pytest.mark.usefixtures("no_thread_is_left_behind")


def random_row(rng: random.Random, vocabulary: int) -> Row:
    length = rng.randint(1, 24)
    return Row(
        prompt=rng.choice(PROMPTS) if rng.random() < 0.5 else tuple(rng.randrange(vocabulary) for _ in range(length)),
        strategy=random_strategy(rng),
        seed=rng.choice([0, 1, 2**64 - 1, rng.randrange(2**32)]),
        max_new_tokens=rng.randint(1, 14),
        top=rng.choice([0, 0, 3]),
        include=tuple(rng.randrange(vocabulary) for _ in range(rng.randint(0, 2))),
    )


# --- the same as generate -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", CHAINS, ids=Strategy.to_text)
def test_equal_to_generate(model: GPT2LMHeadModel, engine: Engine, strategy: Strategy) -> None:
    for prompt in PROMPTS:
        row = Row(prompt, strategy, seed=7, max_new_tokens=12)
        assert run_alone(engine, row) == reference(model, row), row


def test_equal_to_generate_where_texts_end(ending_model: GPT2LMHeadModel, ending_engine: Engine) -> None:
    reasons: Counter[Reason] = Counter()
    for strategy in CHAINS:
        for seed in (1, 2):
            row = Row(PROMPTS[1], strategy, seed=seed, max_new_tokens=10)
            *steps, finished = read(ending_engine.submit([row]))
            assert isinstance(finished, Finished)
            text = [token.id for token in finished.tokens]
            assert text == reference(ending_model, row), row
            assert [step.token for step in steps if isinstance(step, Step)] == list(finished.tokens)
            assert (finished.reason is Reason.END_OF_TEXT) is (text[-1] == END_OF_TEXT)
            reasons[finished.reason] += 1
    assert min(reasons[reason] for reason in Reason) >= 5  # both ends were tried


def test_equal_to_generate_until_the_context_is_full(model: GPT2LMHeadModel, engine: Engine) -> None:
    for strategy in (GREEDY, DICE, BEAM):
        row = Row(PROMPTS[3], strategy, max_new_tokens=CONTEXT - len(PROMPTS[3]))
        assert run_alone(engine, row) == reference(model, row)


def test_the_seed_decides(engine: Engine) -> None:
    texts = {seed: run_alone(engine, Row(PROMPTS[0], DICE, seed=seed, max_new_tokens=12)) for seed in range(8)}
    assert len({tuple(text) for text in texts.values()}) == 8
    assert run_alone(engine, Row(PROMPTS[0], DICE, seed=3, max_new_tokens=12)) == texts[3]
    greedy = {tuple(run_alone(engine, Row(PROMPTS[0], GREEDY, seed=seed))) for seed in range(3)}
    assert len(greedy) == 1


# --- rows do not touch each other -----------------------------------------------------------------------------------


def test_a_mixed_batch_is_its_rows_alone(model: GPT2LMHeadModel, engine: Engine) -> None:
    rng = random.Random(1)
    rows = [random_row(rng, model.config.vocab_size) for _ in range(40)]
    together = written(read(engine.submit(rows)))
    for index, row in enumerate(rows):
        assert together[index] == reference(model, row), row


def test_rows_that_join_later_are_as_alone(model: GPT2LMHeadModel, engine: Engine) -> None:
    """Groups join while earlier ones are under way, between two steps that the test holds apart."""
    rng = random.Random(2)
    groups = [[random_row(rng, model.config.vocab_size) for _ in range(5)] for _ in range(6)]
    streams: list[Stream] = []

    def submit_next() -> None:
        if len(streams) < len(groups):
            streams.append(engine.submit(groups[len(streams)]))

    with gated(engine, before_step=submit_next) as gate:
        submit_next()
        gate.open()
        wait_until(lambda: len(streams) == len(groups))
        texts = [written(read(stream)) for stream in streams]
    for group, texts_of_group in zip(groups, texts, strict=True):
        for index, row in enumerate(group):
            assert texts_of_group[index] == reference(model, row), row


def test_events_tell_the_text(engine: Engine) -> None:
    rows = [
        Row(PROMPTS[0], DICE, seed=4, max_new_tokens=5, top=4, include=(50,)),
        Row(PROMPTS[1], BEAM, max_new_tokens=6),
    ]
    events = read(engine.submit(rows))
    steps = [event for event in events if isinstance(event, Step)]
    beams = [event for event in events if isinstance(event, BeamStep)]
    ends = {event.row: event for event in events if isinstance(event, Finished)}
    assert {step.row for step in steps} == {0}
    assert {step.row for step in beams} == {1}
    assert tuple(step.token for step in steps) == ends[0].tokens
    assert beams[-1].best == ends[1].tokens
    assert all(end.seconds >= 0 for end in ends.values())
    for step in steps:
        assert step.token.distribution is not None
        ids = [candidate.id for candidate in step.token.distribution.candidates]
        assert {50, step.token.id} <= set(ids)
        assert 4 <= len(ids) <= 6


def test_forced_tokens_are_taken_and_told_about(model: GPT2LMHeadModel, engine: Engine) -> None:
    """A text that exists is scored; what follows is written as after a prompt that ends with it."""
    forced = (40, 8, 41, 96)
    row = Row(PROMPTS[1], GREEDY, max_new_tokens=9, forced=forced)
    events = read(engine.submit([Row(PROMPTS[1], DICE), row]))  # beside one that is free
    (tokens,) = (event.tokens for event in events if isinstance(event, Finished) and event.row == 1)
    ids = [token.id for token in tokens]
    assert tuple(ids[:4]) == forced
    assert ids[4:] == reference(model, Row((*PROMPTS[1], *forced), GREEDY, max_new_tokens=5))
    for place, token in enumerate(tokens):
        with torch.inference_mode():
            raw = model(torch.tensor([[*PROMPTS[1], *ids[:place]]])).logits[0, -1].float().log_softmax(-1)
        assert token.log_probability == pytest.approx(float(raw[token.id]), abs=1e-5)
        assert token.rank == 1 + int((raw > raw[token.id]).sum())


def test_a_forced_token_that_is_cut_has_no_probability_under_the_strategy(engine: Engine) -> None:
    (likely,) = run_alone(engine, Row(PROMPTS[0], GREEDY, max_new_tokens=1))
    narrow = Strategy(kind=Kind.TOP_K, top_k=1)
    for token, probability in ((likely, 1.0), (likely % 96 + 1, 0.0)):
        *_, finished = read(engine.submit([Row(PROMPTS[0], narrow, max_new_tokens=1, forced=(token,))]))
        assert isinstance(finished, Finished)
        assert finished.tokens[0].strategy_probability == probability


# --- many at once ---------------------------------------------------------------------------------------------------


def test_twenty_threads_with_cancels(model: GPT2LMHeadModel, engine: Engine) -> None:
    """Everyone who stays gets the text that the row alone gives; the engine is then empty and goes on serving."""
    jobs = {
        name: [random_row(random.Random(f"{name}.{turn}"), model.config.vocab_size) for turn in range(6)]
        for name in range(20)
    }
    alone = {row: None for rows in jobs.values() for row in rows}
    for row in alone:
        alone[row] = run_alone(engine, row)
    wrong: list[str] = []
    served = Counter[str]()
    start = threading.Barrier(len(jobs))

    def visit(name: int, rows: list[Row]) -> None:
        rng = random.Random(name)
        start.wait(PATIENCE)
        for first in range(0, len(rows), 2):
            stream = engine.submit(rows[first : first + 2])
            match rng.randrange(4):
                case 0:  # cancel at once
                    stream.cancel()
                    list(stream)
                    served["cancelled"] += 1
                case 1:  # leave the loop in the middle
                    for place, _ in enumerate(stream):
                        if place == rng.randrange(4):
                            break
                    served["left"] += 1
                case _:
                    texts = written(read(stream))
                    for index, row in enumerate(rows[first : first + 2]):
                        served["read"] += 1
                        if texts.get(index) != alone[row]:
                            wrong.append(f"{row}: {texts.get(index)} instead of {alone[row]}")

    def visit_and_report(name: int, rows: list[Row]) -> None:
        try:
            visit(name, rows)
        except BaseException as error:  # a thread's exception would otherwise be lost
            wrong.append(repr(error))

    threads = [threading.Thread(target=visit_and_report, args=job) for job in jobs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert wrong == []
    assert min(served[how] for how in ("cancelled", "left", "read")) > 5
    wait_until(lambda: engine.load == (0, 0))
    row = next(iter(alone))
    assert run_alone(engine, row) == alone[row]


# --- streams --------------------------------------------------------------------------------------------------------


def test_leaving_the_loop_gives_the_place_back(engine: Engine) -> None:
    with gated(engine) as gate:
        stream = engine.submit([Row(PROMPTS[0], GREEDY, max_new_tokens=50)])
        stays = engine.submit([Row(PROMPTS[1], GREEDY, max_new_tokens=50)])
        for event in stream:
            assert isinstance(event, Step)
            break
        assert stream.cancelled
        gate.open()
        assert len(written(read(stays))[0]) == 50
        assert gate.steps == 49
    wait_until(lambda: engine.load == (0, 0))
    assert read(stream) == []


def test_cancelled_rows_leave_the_batch_at_the_next_step(engine: Engine, model: GPT2LMHeadModel) -> None:
    rows_in_step: list[int] = []
    kept = Row(PROMPTS[1], BEAM, max_new_tokens=9)
    shorter = Row(PROMPTS[1], BEAM, max_new_tokens=8)
    with gated(engine, before_step=lambda: rows_in_step.append(engine._forward.cache.rows)) as gate:
        first = engine.submit(
            [Row(PROMPTS[0], BEAM, max_new_tokens=30), kept, Row(PROMPTS[2], DICE, max_new_tokens=30)]
        )
        gate.wait_held()
        second = engine.submit([shorter])
        first.cancel()
        gate.open()
        assert written(read(second))[0] == reference(model, shorter)
    assert rows_in_step[0] == 7
    assert set(rows_in_step[1:]) <= {0, 3}


def test_cancelling_while_in_line(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    prefills = count_prefills(engine, monkeypatch)
    with gated(engine) as gate:
        running = engine.submit([Row(PROMPTS[0], GREEDY, max_new_tokens=3)])
        gate.wait_held()
        waiting = engine.submit([Row(PROMPTS[1], DICE, seed=seed, max_new_tokens=30) for seed in range(3)])
        assert engine.load == (1, 3)
        waiting.cancel()
        gate.open()
        assert len(written(read(running))[0]) == 3
        assert read(waiting) == []
        wait_until(lambda: engine.load == (0, 0))
    assert prefills == [1]  # nothing was computed for them


def test_drain_waits_no_longer_than_asked(engine: Engine) -> None:
    with gated(engine) as gate:
        stream = engine.submit([Row(PROMPTS[0], GREEDY, max_new_tokens=2)])
        gate.wait_held()
        first = stream.drain(timeout=PATIENCE)
        assert first is not None
        assert len(first) == 1
        assert stream.drain(timeout=0.0) == []
        assert stream.drain(timeout=0.01) == []
        gate.open()
        rest = read(stream)
        assert [type(event) for event in rest] == [Step, Finished]
        assert stream.drain(timeout=0.0) is None
        assert stream.drain() is None
        assert list(stream) == []


def test_no_rows_is_an_empty_stream(engine: Engine) -> None:
    assert engine.submit([]).drain() is None
    assert list(engine.submit([])) == []
