"""What may happen to an engine: steps that fail, rows that do not fit, too many at once, its end."""

from __future__ import annotations

import random
import threading
from dataclasses import replace

import pytest
import torch
from transformers import GPT2LMHeadModel

from lab.lora import Adapter, Mix, sizes
from lab.text import engine as engine_module
from lab.text import waiting as waiting_module
from lab.text.engine import CROWD, Engine, EngineError
from lab.text.forward import CachedGPT2
from lab.text.rows import BeamStep, Row, Step
from tests.lab.text.conftest import (
    BEAM,
    CONTEXT,
    DICE,
    GREEDY,
    PATIENCE,
    PROMPTS,
    count_prefills,
    engine_threads,
    gated,
    read,
    reference,
    run_alone,
    wait_until,
    written,
)
from tests.lab.text.test_adapters import random_adapter
from tests.tiny import Anything

pytestmark = pytest.mark.usefixtures("no_thread_is_left_behind")


def broken(*_: object) -> torch.Tensor:
    raise RuntimeError("broken for a test")


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
        second = engine.submit([replace(row, prompt=PROMPTS[1])])
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
                read(engine.submit([replace(row, max_new_tokens=CONTEXT - n) for n in (1, 2, 3)]))
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
    """But not those who ask for what others wait for: they take no place of their own."""
    monkeypatch.setattr(waiting_module, "MAX_WAITING_ROWS", 3)
    rows = [Row(PROMPTS[0], DICE, seed=seed, max_new_tokens=3) for seed in range(6)]
    with gated(engine) as gate:
        running = engine.submit(rows[:1])
        gate.wait_held()
        waiting = engine.submit(rows[1:3])
        with pytest.raises(EngineError, match="try again"):
            engine.submit(rows[3:5])
        last = engine.submit(rows[3:4])
        with pytest.raises(EngineError, match="try again"):
            engine.submit(rows[4:5])
        same = engine.submit(rows[1:4])
        assert engine.load == (1, 3)
        gate.open()
        assert [len(written(read(stream))) for stream in (running, waiting, last, same)] == [1, 2, 1, 3]
    assert len(run_alone(engine, rows[5])) == 3


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


def gone(*_: object) -> list[int]:
    raise SystemExit  # which is no Exception


def test_a_line_that_cannot_be_looked_through_is_given_up(engine: Engine, model: GPT2LMHeadModel) -> None:
    """Such as by rules whose comparison fails: nobody waits for what was being taken in, and the next is served."""
    row = Row(PROMPTS[0], GREEDY, max_new_tokens=30)
    other = Row(PROMPTS[1], DICE, seed=1, max_new_tokens=5)
    with gated(engine) as gate:
        running = engine.submit([replace(row, rules=Incomparable())])
        gate.wait_held()
        waiting = engine.submit([other, replace(row, rules=Incomparable())])
        gate.open()
        for stream in (running, waiting):
            with pytest.raises(EngineError, match="failed on this text"):
                read(stream)
    assert engine.alive
    assert run_alone(engine, other) == reference(model, other)


class Incomparable(Anything):
    """Rules that look alike and cannot be compared."""

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("broken for a test")


def test_nobody_waits_for_an_engine_whose_thread_has_died(
    model: GPT2LMHeadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(model)
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)  # as it is meant to
    row = Row(PROMPTS[0], GREEDY, max_new_tokens=50)
    assert engine.alive
    with gated(engine) as gate:
        running = engine.submit([row])
        gate.wait_held()
        monkeypatch.setattr(engine, "_step", gone)
        waiting = engine.submit([replace(row, max_new_tokens=length) for length in (40, 63)])
        gate.open()
        wait_until(lambda: not engine.alive)
        for stream in (running, waiting):
            with pytest.raises(EngineError, match="closed"):
                read(stream)
    with pytest.raises(EngineError, match="closed"):
        engine.submit([row])
    engine.close()


def test_a_crowd_is_served_by_more_threads_than_one_visitor(model: GPT2LMHeadModel) -> None:
    """And gets what each gets alone; on a machine of one core all stays as it is."""
    seen: dict[int, int] = {}
    rows = [Row(PROMPTS[0], DICE, seed=seed, max_new_tokens=3) for seed in range(CROWD)]
    engine = Engine(model, threads=1, crowd_threads=2)
    try:
        step = engine._step

        def watched(next_tokens: list[int], admitted: list[object]) -> list[int]:
            seen[len(engine._running) + len(admitted)] = torch.get_num_threads()
            return step(next_tokens, admitted)

        engine._step = watched
        run_alone(engine, rows[0])
        crowd = written(read(engine.submit(rows)))
    finally:
        engine.close()
    assert seen == {1: 1, CROWD: 2}
    assert crowd == {place: reference(model, row) for place, row in enumerate(rows)}


@pytest.mark.parametrize("length", [8, 20])
def test_a_row_whose_numbers_overflow_spoils_nobody(model: GPT2LMHeadModel, length: int) -> None:
    """What it left in the cache is longer than the next row there, and the row beside that looks back further."""
    engine = Engine(model, cache_bytes=cache_bytes_for(model, rows=2))
    huge = random_adapter(model, 1, scale=1e300)
    engine.add_adapter("huge", Adapter({name: (a * 1e300, b) for name, (a, b) in huge.matrices.items()}, 1e300, 3, 3.0))
    beside = Row(PROMPTS[3], GREEDY, max_new_tokens=CONTEXT - len(PROMPTS[3]))
    after = Row(PROMPTS[0], DICE, max_new_tokens=4)  # for which there is room once the broken one is gone
    try:
        with gated(engine) as gate:
            first = engine.submit([beside])
            gate.wait_held()
            broken_ones = engine.submit([Row(tuple(range(2, 2 + length)), GREEDY, max_new_tokens=9, adapter="huge")])
            last = engine.submit([after])
            gate.open()
            with pytest.raises(EngineError, match="overflowed"):
                read(broken_ones)
            assert written(read(last))[0] == reference(model, after)
            assert written(read(first))[0] == reference(model, beside)
    finally:
        engine.close()


def test_padding_that_overflows_spoils_nobody(model: GPT2LMHeadModel) -> None:
    """A prompt that is padded in its prefill leaves zeros behind its end, whatever the padding came to."""
    forward = CachedGPT2(model)
    module = model.transformer.h[0].attn.c_attn
    a = torch.full((sizes(module)[0], 1), 1e300, dtype=model.dtype)
    adapter = Adapter({"transformer.h.0.attn.c_attn": (a, a.new_full((1, sizes(module)[1]), 1e300))}, 1.0, 1, 1.0)
    forward.prefill([(5, 6), tuple(range(1, 9))], [1, 1], Mix([((adapter, 1.0),), ()]))
    assert not forward.cache.keys[:, 0, :, 2:].any() and not forward.cache.values[:, 0, :, 2:].any()
    assert forward.cache.keys[:, 1].isfinite().all()
