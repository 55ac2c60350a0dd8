"""The engine writes what ``generate`` writes, whoever else is being served, and survives what may happen to it."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from transformers import GPT2LMHeadModel

from lab.text import engine as engine_module
from lab.text.engine import CROWD, Engine, EngineError
from lab.text.rows import BeamStep, Finished, Reason, Row, Step
from lab.text.strategies import Kind, Strategy
from lab.text.stream import Stream
from tests.lab.text.conftest import (
    CONTEXT,
    END_OF_TEXT,
    PATIENCE,
    gated,
    read,
    reference,
    run_alone,
    wait_until,
    written,
)
from tests.lab.text.test_strategies import CHAINS, random_strategy

GREEDY = Strategy(kind=Kind.GREEDY)
DICE = Strategy(kind=Kind.TEMPERATURE)
BEAM = Strategy(kind=Kind.BEAM, num_beams=3)
PROMPTS = [(5,), (6, 7, 8, 9), (11, 3, 3, 40, 11, 3, 3), tuple(range(1, 31))]


@pytest.fixture(autouse=True)
def no_thread_is_left_behind() -> Iterator[None]:
    """After each test, and its engines' close(), there are as many engine threads as before."""
    before = engine_threads()
    yield
    wait_until(lambda: engine_threads() == before)


def broken(*_: object) -> torch.Tensor:
    raise RuntimeError("broken for a test")


def engine_threads() -> int:
    return sum(thread.name == "decoding-engine" for thread in threading.enumerate())


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
    with gated(engine, before_step=lambda: rows_in_step.append(engine._forward.cache.rows)) as gate:
        first = engine.submit(
            [Row(PROMPTS[0], BEAM, max_new_tokens=30), kept, Row(PROMPTS[2], DICE, max_new_tokens=30)]
        )
        gate.wait_held()
        second = engine.submit([kept])
        first.cancel()
        gate.open()
        assert written(read(second))[0] == reference(model, kept)
    assert rows_in_step[0] == 7
    assert set(rows_in_step[1:]) <= {0, 3}


def count_prefills(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which every prefill from now on adds the number of its rows."""
    prefill, rows = engine._forward.prefill, []

    def counted(prompts: list[tuple[int, ...]], copies: list[int], *mix: object) -> torch.Tensor:
        rows.append(sum(copies))
        return prefill(prompts, copies, *mix)

    monkeypatch.setattr(engine._forward, "prefill", counted)
    return rows


def test_cancelling_while_in_line(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    prefills = count_prefills(engine, monkeypatch)
    with gated(engine) as gate:
        running = engine.submit([Row(PROMPTS[0], GREEDY, max_new_tokens=3)])
        gate.wait_held()
        waiting = engine.submit([Row(PROMPTS[1], GREEDY, max_new_tokens=30)] * 3)
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


# --- what may go wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["step", "prefill"])
def test_a_step_that_fails_fails_those_in_it_and_no_one_else(
    engine: Engine, model: GPT2LMHeadModel, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    row = Row(PROMPTS[1], DICE, seed=5, max_new_tokens=9)
    with monkeypatch.context() as patch:
        patch.setattr(engine._forward, method, broken)
        stream = engine.submit([row, row])
        with pytest.raises(EngineError, match="failed on this text") as caught:
            read(stream)
        assert "broken for a test" not in str(caught.value)  # visitors are not shown the inside
        wait_until(lambda: engine.load == (0, 0))
        assert stream.drain() is None
    assert run_alone(engine, row) == reference(model, row)


def test_a_failing_step_fails_also_the_rows_that_were_about_to_join(engine: Engine) -> None:
    """They have left the line but are not in the batch yet: they must not be forgotten between the two."""
    row = Row(PROMPTS[0], GREEDY, max_new_tokens=30)
    with gated(engine) as gate:
        first = engine.submit([row])
        gate.wait_held()
        second = engine.submit([row])
        working, engine._forward.step = engine._forward.step, broken
        gate.open()
        for stream in (first, second):
            with pytest.raises(EngineError):
                read(stream)
        engine._forward.step = working
    assert len(run_alone(engine, row)) == 30


def test_rows_in_line_of_a_stream_that_failed_are_not_run(
    model: GPT2LMHeadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(model, cache_bytes=cache_bytes_for(model, rows=1))
    row = Row(PROMPTS[0], GREEDY, max_new_tokens=CONTEXT - 1)
    prefills = count_prefills(engine, monkeypatch)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(engine._forward, "step", broken)
            with pytest.raises(EngineError):
                read(engine.submit([row, row, row]))
            wait_until(lambda: engine.load == (0, 0))
        assert len(run_alone(engine, row)) == CONTEXT - 1
        assert prefills == [1, 1]  # the first of the three, and the one after
    finally:
        engine.close()


@pytest.mark.parametrize(
    "row",
    [
        Row(()),
        Row((1,), max_new_tokens=0),
        Row((1,), max_new_tokens=-3),
        Row((1,), max_new_tokens=CONTEXT),
        Row((1,) * CONTEXT, max_new_tokens=1),
        Row((1,) * (CONTEXT + 1), max_new_tokens=1),
        Row((1, 97)),
        Row((-1,)),
        Row((1,), top=-1),
        Row((1,), top=3, include=(97,)),
        Row((1,), top=3, include=(-1,)),
        Row((1,), seed=-(2**63) - 1),
        Row((1,), seed=2**64),
        Row((1,), forced=(97,)),
        Row((1,), BEAM, forced=(1,)),
        Row((1,), adapter="nobody"),
    ],
)
def test_rows_that_no_step_could_carry_out_are_refused(engine: Engine, row: Row) -> None:
    good = Row((1,), max_new_tokens=4)
    with pytest.raises(ValueError, match=r"\w"):
        engine.submit([good, row])
    assert engine.load == (0, 0)
    assert len(run_alone(engine, good)) == 4


def test_a_row_larger_than_the_memory_is_refused(model: GPT2LMHeadModel) -> None:
    engine = Engine(model, cache_bytes=cache_bytes_for(model, rows=1))
    try:
        with pytest.raises(ValueError, match="memory"):
            engine.submit([Row((1,), BEAM, max_new_tokens=CONTEXT - 1)])
    finally:
        engine.close()


def cache_bytes_for(model: GPT2LMHeadModel, rows: int) -> int:
    """Return the memory of so many rows of full length, and not of one more."""
    return engine_module.CachedGPT2(model).cache.bytes_for(rows, CONTEXT)


def test_rows_beyond_the_memory_wait_and_are_served_in_order(model: GPT2LMHeadModel) -> None:
    cache_bytes = cache_bytes_for(model, rows=3)
    engine = Engine(model, cache_bytes=cache_bytes)
    rows_in_step: list[int] = []
    bytes_in_step: list[int] = []

    def look() -> None:
        cache = engine._forward.cache
        rows_in_step.append(cache.rows)
        bytes_in_step.append(cache.keys.nbytes + cache.values.nbytes)

    rng = random.Random(5)
    row_lengths = [rng.choice([3, 60]) for _ in range(24)]
    rows = [Row((3,), DICE, seed=seed, max_new_tokens=length) for seed, length in enumerate(row_lengths)]
    rows[7] = Row((3,), BEAM, max_new_tokens=60)
    try:
        with gated(engine, before_step=look) as gate:
            streams = [engine.submit([row]) for row in rows]
            gate.wait_held()
            running, waiting = engine.load
            assert running >= 1
            assert waiting >= 15
            gate.open()
            texts = [written(read(stream))[0] for stream in streams]
        assert texts == [reference(model, row) for row in rows]
        assert max(rows_in_step) > 1
        assert max(bytes_in_step) <= cache_bytes

        events = read(engine.submit(rows))
        starts = dict.fromkeys(event.row for event in events if isinstance(event, (Step, BeamStep)))
        assert list(starts) == list(range(len(rows)))  # nobody overtakes, not even a short row a wide one
    finally:
        engine.close()


def test_prompts_are_read_a_few_at_a_time(
    model: GPT2LMHeadModel, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crowd's prompts are spread over several steps, and those of similar length are read together."""
    monkeypatch.setattr(engine_module, "PREFILL_TOKENS", 64)
    lengths_read: list[list[int]] = []
    prefill = engine._forward.prefill

    def counted(prompts: list[tuple[int, ...]], copies: list[int], *mix: object) -> torch.Tensor:
        lengths_read.append([len(prompt) for prompt in prompts])
        return prefill(prompts, copies, *mix)

    monkeypatch.setattr(engine._forward, "prefill", counted)
    rows = [Row((first, *PROMPTS[length % 4]), DICE, max_new_tokens=8) for length, first in enumerate(range(20, 50))]
    texts = written(read(engine.submit(rows)))
    assert max(map(sum, lengths_read)) <= 64
    assert max(map(len, lengths_read)) > 1
    assert all(lengths == sorted(lengths) for lengths in lengths_read)
    assert texts == {index: reference(model, row) for index, row in enumerate(rows)}


def test_too_many_in_line_are_turned_away(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "MAX_WAITING_ROWS", 3)
    row = Row(PROMPTS[0], GREEDY, max_new_tokens=3)
    with gated(engine) as gate:
        running = engine.submit([row])
        gate.wait_held()
        waiting = engine.submit([row, row])
        with pytest.raises(EngineError, match="try again"):
            engine.submit([row, row])
        last = engine.submit([row])
        with pytest.raises(EngineError, match="try again"):
            engine.submit([row])
        gate.open()
        assert [len(written(read(stream))) for stream in (running, waiting, last)] == [1, 2, 1]
    assert len(run_alone(engine, row)) == 3


def test_close_fails_those_under_way_and_those_in_line(model: GPT2LMHeadModel) -> None:
    before = engine_threads()
    engine = Engine(model)
    assert engine_threads() == before + 1
    row = Row(PROMPTS[0], GREEDY, max_new_tokens=50)
    with gated(engine) as gate:
        running = engine.submit([row])
        gate.wait_held()
        waiting = engine.submit([row])
        closing = threading.Thread(target=engine.close)
        closing.start()
        wait_until(lambda: engine._closed)
        gate.open()
        closing.join(PATIENCE)
    assert not closing.is_alive()
    for stream in (running, waiting):
        with pytest.raises(EngineError, match="closed"):
            read(stream)
    with pytest.raises(EngineError, match="closed"):
        engine.submit([row])
    engine.close()  # again: nothing happens
    assert engine_threads() == before
    assert engine.load == (0, 0)


def test_a_crowd_is_served_by_more_threads_than_one_visitor(model: GPT2LMHeadModel) -> None:
    """And gets what each gets alone; on a machine of one core all stays as it is."""
    seen: dict[int, int] = {}
    rows = [Row(PROMPTS[0], GREEDY, max_new_tokens=3)] * CROWD
    engine = Engine(model, threads=1, crowd_threads=2)
    try:
        step = engine._step

        def watched(next_tokens: list[int], admitted: list[object]) -> list[int]:
            seen[len(engine._running) + len(admitted)] = torch.get_num_threads()
            return step(next_tokens, admitted)

        engine._step = watched
        alone = run_alone(engine, rows[0])
        crowd = written(read(engine.submit(rows)))
    finally:
        engine.close()
    assert seen == {1: 1, CROWD: 2}
    assert crowd == dict.fromkeys(range(CROWD), alone)
