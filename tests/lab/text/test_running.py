"""Rows that write the same are one row that several read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from transformers import GPT2LMHeadModel

from lab.errors import EngineError
from lab.lora import Adapter
from lab.text.engine import Engine
from lab.text.rows import BeamStep, Event, Finished, Row, Step
from lab.text.running import key_of
from lab.text.strategies import Strategy
from tests.lab.text.conftest import (
    BEAM,
    CONTEXT,
    DICE,
    GREEDY,
    PROMPTS,
    count_prefills,
    gated,
    read,
    reference,
    wait_until,
    written,
)
from tests.lab.text.test_adapters import random_adapter
from tests.lab.text.test_engine_failures import cache_bytes_for
from tests.lab.text.test_strategies import CHAINS
from tests.tiny import Anything

pytestmark = pytest.mark.usefixtures("no_thread_is_left_behind")

ROW = Row(PROMPTS[1], DICE, seed=3, max_new_tokens=12, top=2)


def told(events: list[Event], row: int) -> list[Event]:
    """Return what a stream told of one of its rows, as if it had been the first; but for the time that it took."""
    mine = [replace(event, row=0) for event in events if event.row == row]
    return [replace(event, seconds=0.0) if isinstance(event, Finished) else event for event in mine]


@pytest.mark.parametrize("strategy", CHAINS, ids=Strategy.to_text)
def test_thirty_who_ask_for_the_same_cost_as_much_as_one(
    model: GPT2LMHeadModel, engine: Engine, strategy: Strategy
) -> None:
    slots: list[int] = []
    row = replace(ROW, strategy=strategy)
    with gated(engine, before_step=lambda: slots.append(engine._forward.cache.rows)) as gate:
        first = engine.submit([Row(PROMPTS[0], GREEDY, max_new_tokens=2)])
        gate.wait_held()
        streams = [engine.submit([row]) for _ in range(30)]
        gate.open()
        texts = [written(read(stream))[0] for stream in streams]
        read(first)
    assert texts == [reference(model, row)] * 30
    assert max(slots) == row.width  # and none for the other 29


@pytest.mark.parametrize("strategy", [DICE, BEAM, GREEDY], ids=Strategy.to_text)
def test_who_joins_later_is_told_what_happened_so_far(
    model: GPT2LMHeadModel, engine: Engine, strategy: Strategy
) -> None:
    row = replace(ROW, strategy=strategy)
    other = Row(PROMPTS[2], DICE, seed=1, max_new_tokens=4)
    steps: list[int] = []
    with gated(engine, before_step=lambda: steps.append(engine._forward.cache.rows)) as gate:
        first = engine.submit([row])
        for _ in range(5):
            gate.wait_held()
            before = gate.steps
            gate._permits.release()
            wait_until(lambda before=before: gate.steps > before)
        gate.wait_held()
        late = engine.submit([other, row])  # at another place than in the first stream
        gate.open()
        mine, theirs = read(first), read(late)
    assert told(theirs, 1) == told(mine, 0)
    assert sum(isinstance(event, Step | BeamStep) for event in told(theirs, 1)) == 12
    assert written(theirs) == {0: reference(model, other), 1: reference(model, row)}
    assert len(steps) == 11  # it was not begun anew: the first token comes from the prompt


def test_one_who_leaves_takes_the_text_from_nobody(model: GPT2LMHeadModel, engine: Engine) -> None:
    with gated(engine) as gate:
        first = engine.submit([ROW])
        gate.wait_held()
        second, third = engine.submit([ROW]), engine.submit([ROW, ROW])
        first.cancel()
        third.cancel()
        gate.open()
        assert written(read(second))[0] == reference(model, ROW)
        assert not written(read(first))
        assert not written(read(third))
    wait_until(lambda: engine.load == (0, 0))


def test_once_all_have_left_it_ends(engine: Engine) -> None:
    long = replace(ROW, max_new_tokens=50)
    with gated(engine) as gate:
        streams = [engine.submit([long])]
        gate.wait_held()
        streams += [engine.submit([long]) for _ in range(3)]
        for stream in streams:
            stream.cancel()
        gate.open()
        wait_until(lambda: engine.load == (0, 0))
    assert gate.steps <= 2


def test_rows_that_wait_for_memory_wait_once(model: GPT2LMHeadModel) -> None:
    """Of those in line, the equal ones are taken in together."""
    engine = Engine(model, cache_bytes=cache_bytes_for(model, rows=1))
    row = replace(ROW, max_new_tokens=CONTEXT - len(ROW.prompt))
    sizes: list[int] = []
    try:
        with gated(engine, before_step=lambda: sizes.append(engine.load[0])) as gate:
            first = engine.submit([replace(row, seed=1)])
            gate.wait_held()
            streams = [engine.submit([row]) for _ in range(4)]
            assert engine.load == (1, 1)
            gate.open()
            text = reference(model, row)
            assert [written(read(stream))[0] for stream in streams] == [text] * 4
            before = written(read(first))[0]
    finally:
        engine.close()
    assert sizes == [1] * (len(before) - 1 + len(text) - 1)  # one of them at a time, and the four in one


def test_what_is_too_much_for_the_memory_is_shared_as_well(
    model: GPT2LMHeadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six visitors with the same five rows, and room for three of them: five rows are run, one after the other."""
    engine = Engine(model, cache_bytes=cache_bytes_for(model, rows=3))
    rows = [replace(ROW, seed=seed, max_new_tokens=CONTEXT - len(ROW.prompt)) for seed in range(5)]
    prefills = count_prefills(engine, monkeypatch)
    try:
        with gated(engine) as gate:
            first = engine.submit([Row(PROMPTS[0], GREEDY, max_new_tokens=2)])
            gate.wait_held()
            streams = [engine.submit(rows) for _ in range(6)]
            gate.open()
            expected = dict(enumerate(reference(model, row) for row in rows))
            assert [written(read(stream)) for stream in streams] == [expected] * 6
            read(first)
    finally:
        engine.close()
    assert sum(prefills) <= 1 + len(rows)  # rows of one prompt are read together


def test_who_asks_for_what_runs_does_not_stand_in_line(model: GPT2LMHeadModel) -> None:
    engine = Engine(model, cache_bytes=cache_bytes_for(model, rows=1))
    long = replace(ROW, max_new_tokens=CONTEXT - len(ROW.prompt))
    try:
        with gated(engine) as gate:
            first = engine.submit([long])
            gate.wait_held()
            blocked = engine.submit([replace(long, seed=9)])
            same = engine.submit([long])
            gate.open()
            assert written(read(same))[0] == reference(model, long)
            assert written(read(first)) == written(read(engine.submit([long])))
            assert written(read(blocked))[0] == reference(model, replace(long, seed=9))
    finally:
        engine.close()


def test_all_are_told_of_a_failure(engine: Engine) -> None:
    def fails() -> None:
        raise RuntimeError("no memory")

    with gated(engine, before_step=fails) as gate:
        first = engine.submit([ROW])
        gate.wait_held()
        others = [engine.submit([ROW]) for _ in range(3)]
        gate.open()
        for stream in (first, *others):
            with pytest.raises(EngineError, match="failed on this text"):
                read(stream)


def test_a_text_that_overflows_fails_those_who_read_it_alone(model: GPT2LMHeadModel, engine: Engine) -> None:
    huge = random_adapter(model, 1, scale=1e300)
    engine.add_adapter("huge", Adapter({name: (a * 1e300, b) for name, (a, b) in huge.matrices.items()}, 1e300, 3, 3.0))
    broken = Row(PROMPTS[2], GREEDY, max_new_tokens=9, adapter="huge")
    with gated(engine) as gate:
        first = engine.submit([Row(PROMPTS[0], GREEDY, max_new_tokens=3)])
        gate.wait_held()
        both, only_broken, only_sound = (engine.submit(rows) for rows in ([ROW, broken], [broken], [ROW]))
        gate.open()
        for stream in (both, only_broken):
            with pytest.raises(EngineError, match="overflowed"):
                read(stream)
        assert written(read(only_sound))[0] == reference(model, ROW)
        read(first)


DIFFERENT: dict[str, Callable[[Row], Row]] = {
    "prompt": lambda row: replace(row, prompt=PROMPTS[2]),
    "strategy": lambda row: replace(row, strategy=GREEDY),
    "temperature": lambda row: replace(row, strategy=DICE.model_copy(update={"temperature": 0.7})),
    "seed": lambda row: replace(row, seed=4),
    "length": lambda row: replace(row, max_new_tokens=11),
    "top": lambda row: replace(row, top=3),
    "include": lambda row: replace(row, include=(5,)),
    "forced": lambda row: replace(row, forced=(5,)),
    "rules": lambda row: replace(row, rules=Anything()),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_rows_that_differ_are_not_one(what: str) -> None:
    assert key_of(DIFFERENT[what](ROW), ()) != key_of(ROW, ())


class Unhashable(Anything):
    """Rules that no key can hold."""

    __hash__ = None


def test_rules_that_cannot_be_hashed_are_refused_where_they_are_submitted(
    model: GPT2LMHeadModel, engine: Engine
) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        engine.submit([replace(ROW, rules=Unhashable())])
    assert written(read(engine.submit([ROW])))[0] == reference(model, ROW)


def test_equal_rules_are_kept_to_together(model: GPT2LMHeadModel, engine: Engine) -> None:
    """Each row has a progress of its own in the rules, and those who share a row share that."""
    sizes: list[int] = []
    rules = Anything()
    with gated(engine, before_step=lambda: sizes.append(engine.load[0])) as gate:
        first = engine.submit([replace(ROW, rules=rules)])
        gate.wait_held()
        others = [engine.submit([replace(ROW, rules=rules)]), engine.submit([replace(ROW, rules=Anything())])]
        gate.open()
        texts = [written(read(stream))[0] for stream in (first, *others)]
    assert texts == [reference(model, ROW)] * 3
    assert max(sizes) == 2  # equal is what says so of itself


def test_rows_in_other_adapters_or_strengths_are_not_one(model: GPT2LMHeadModel) -> None:
    one, other = random_adapter(model, 1), random_adapter(model, 1)  # equal numbers, but who can tell
    keys = {
        key_of(ROW, worn) for worn in ((), ((one, 1.0),), ((other, 1.0),), ((one, 0.5),), ((one, 1.0), (other, 1.0)))
    }
    assert len(keys) == 5


def test_what_a_strategy_does_not_use_makes_no_difference() -> None:
    greedy = replace(ROW, strategy=GREEDY)
    assert key_of(replace(greedy, seed=9), ()) == key_of(greedy, ())
    unused = replace(ROW, strategy=DICE.model_copy(update={"top_k": 7, "num_beams": 9}))
    assert key_of(unused, ()) == key_of(ROW, ())
