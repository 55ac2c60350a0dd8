"""Rows that wear adapters, however they are mixed, are what the model with merged weights writes."""

from __future__ import annotations

import copy
import json
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import GPT2LMHeadModel

from lab.lora import CONFIG_FILE, Adapter, oriented, save_peft, sizes
from lab.text.adapters import FIGURES, WEIGHTS, add_shipped, folder_of
from lab.text.engine import Engine
from lab.text.rows import Finished, Row
from lab.text.strategies import Kind, Strategy
from lab.text.stream import Stream
from tests.lab.text.conftest import PATIENCE, gated, read, reference, run_alone, wait_until, written

GREEDY = Strategy(kind=Kind.GREEDY)
DICE = Strategy(kind=Kind.TEMPERATURE)
NUCLEUS = Strategy(kind=Kind.TOP_P, top_p=0.8, temperature=1.5)
BEAM = Strategy(kind=Kind.BEAM, num_beams=3)
STRATEGIES = [GREEDY, DICE, NUCLEUS, BEAM, Strategy(kind=Kind.GREEDY, repetition_penalty=1.3)]
PROMPTS = [(5,), (6, 7, 8, 9), (11, 3, 3, 40, 11, 3, 3)]
TARGETS = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
STRENGTHS = [1.0, 1.0, 0.5, 0.0, -1.0, 2.0]


def random_adapter(
    model: GPT2LMHeadModel, seed: int, targets: Sequence[str] = TARGETS, rank: int = 3, scale: float = 0.5
) -> Adapter:
    """A change of a model large enough to be seen, in the model's precision."""
    generator = torch.Generator().manual_seed(seed)
    matrices = {}
    for name, module in model.named_modules():
        if any(name.endswith("." + target) for target in targets):
            inputs, outputs = sizes(module)
            a = torch.randn(inputs, rank, generator=generator, dtype=model.dtype)
            matrices[name] = a, torch.randn(rank, outputs, generator=generator, dtype=model.dtype) * 0.1
    return Adapter(matrices, scale, rank, scale * rank)


def merged(model: GPT2LMHeadModel, adapter: Adapter | None, strength: float) -> GPT2LMHeadModel:
    """A copy of a model with the change added to its weights."""
    model = copy.deepcopy(model)
    if adapter is not None:
        for name, (a, b) in adapter.matrices.items():
            module = model.get_submodule(name)
            module.weight.data += oriented(module, a @ b) * adapter.scale * strength
    return model


class Wardrobe:
    """The adapters of a test, an engine that has them, and what a row should write, by merged weights."""

    def __init__(self, model: GPT2LMHeadModel, engine: Engine) -> None:
        self.model = model
        self.engine = engine
        self.adapters = {
            "one": random_adapter(model, 1),
            "two": random_adapter(model, 2, ["mlp.c_fc", "attn.c_attn"], rank=5),
            "three": random_adapter(model, 3, ["h.1.mlp.c_proj"], rank=1, scale=4.0),
        }
        for name, adapter in self.adapters.items():
            engine.add_adapter(name, adapter)
        self._merged: dict[tuple[tuple[str, float], ...], GPT2LMHeadModel] = {}

    def expected(self, row: Row) -> list[int]:
        if row.wishes not in self._merged:
            model = self.model
            for name, strength in row.wishes:
                model = merged(model, self.adapters[name], strength)
            self._merged[row.wishes] = model
        return reference(self._merged[row.wishes], row)

    def random_row(self, rng: random.Random) -> Row:
        return Row(
            rng.choice(PROMPTS),
            rng.choice(STRATEGIES),
            seed=rng.choice([1, 2]),
            max_new_tokens=rng.randint(1, 9),
            adapter=rng.choice([None, "one", "two", "three"]),
            strength=rng.choice(STRENGTHS),
            blended=rng.choice([(), (), (("two", 0.5),), (("three", 1.0), ("two", -0.5))]),
        )


@pytest.fixture
def wardrobe(model: GPT2LMHeadModel, engine: Engine) -> Wardrobe:
    return Wardrobe(model, engine)


# --- the same as merged weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES, ids=Strategy.to_text)
def test_a_row_writes_what_merged_weights_write(wardrobe: Wardrobe, strategy: Strategy) -> None:
    texts = set()
    for name, strength in [("one", 1.0), ("one", -1.0), ("two", 2.0), ("three", 1.0), (None, 1.0)]:
        row = Row(PROMPTS[1], strategy, seed=7, max_new_tokens=10, adapter=name, strength=strength)
        text = run_alone(wardrobe.engine, row)
        assert text == wardrobe.expected(row), row
        texts.add(tuple(text))
    assert len(texts) == 5  # adapters and strengths do make a difference


def test_many_adapters_and_strengths_in_one_batch(wardrobe: Wardrobe) -> None:
    rng = random.Random(1)
    rows = [wardrobe.random_row(rng) for _ in range(24)]
    assert len({row.wishes for row in rows}) > 10
    texts = written(read(wardrobe.engine.submit(rows)))
    for index, row in enumerate(rows):
        assert texts[index] == wardrobe.expected(row), row


def test_a_blend_writes_what_a_model_with_both_merged_writes(wardrobe: Wardrobe) -> None:
    row = Row(PROMPTS[1], DICE, seed=7, max_new_tokens=12, adapter="one", strength=0.75, blended=(("two", 1.5),))
    rows = [row, replace(row, blended=()), replace(row, adapter=None), replace(row, adapter=None, blended=())]
    texts = written(read(wardrobe.engine.submit(rows)))
    assert [texts[index] for index in range(len(rows))] == [wardrobe.expected(row) for row in rows]
    assert len({tuple(text) for text in texts.values()}) == 4


def test_rows_of_one_prompt_wear_each_its_own(wardrobe: Wardrobe) -> None:
    """Prompts are read once for rows that are alike; what they wear is part of being alike."""
    rows = [
        Row(PROMPTS[2], strategy, seed=3, max_new_tokens=8, adapter=adapter, strength=strength)
        for strategy in (GREEDY, DICE)
        for adapter in (None, "one", "two")
        for strength in (1.0, -1.0, 0.0)
    ]
    texts = written(read(wardrobe.engine.submit(rows)))
    assert [texts[index] for index in range(len(rows))] == [wardrobe.expected(row) for row in rows]


def test_rows_that_join_while_others_run(wardrobe: Wardrobe) -> None:
    rng = random.Random(2)
    groups = [[wardrobe.random_row(rng) for _ in range(3)] for _ in range(4)]
    streams: list[Stream] = []

    def submit_next() -> None:
        if len(streams) < len(groups):
            streams.append(wardrobe.engine.submit(groups[len(streams)]))

    with gated(wardrobe.engine, before_step=submit_next) as gate:
        submit_next()
        streams.append(wardrobe.engine.submit(groups[1]))
        gate.open()
        wait_until(lambda: len(streams) == len(groups))
        texts = [written(read(stream)) for stream in streams]
    for group, texts_of_group in zip(groups, texts, strict=True):
        for index, row in enumerate(group):
            assert texts_of_group[index] == wardrobe.expected(row), row


def test_beams_wear_the_adapter_of_their_row(wardrobe: Wardrobe) -> None:
    rows = [
        Row(PROMPTS[1], BEAM, max_new_tokens=10, adapter="one"),
        Row(PROMPTS[1], BEAM, max_new_tokens=10),
        Row(PROMPTS[0], Strategy(kind=Kind.BEAM, num_beams=5), max_new_tokens=7, adapter="two", strength=-1.0),
        Row(PROMPTS[1], DICE, max_new_tokens=10, adapter="one", strength=2.0),
    ]
    texts = written(read(wardrobe.engine.submit(rows)))
    assert [texts[index] for index in range(len(rows))] == [wardrobe.expected(row) for row in rows]


def test_probabilities_are_those_of_the_adapted_model(wardrobe: Wardrobe) -> None:
    forced = (40, 8, 41)
    row = Row(PROMPTS[1], GREEDY, max_new_tokens=3, forced=forced, adapter="one", strength=0.5)
    *_, finished = read(wardrobe.engine.submit([row]))
    assert isinstance(finished, Finished)
    adapted = merged(wardrobe.model, wardrobe.adapters["one"], 0.5)
    with torch.inference_mode():
        raw = adapted(torch.tensor([[*row.prompt, *forced]])).logits[0, -4:-1].float().log_softmax(-1)
    for place, token in enumerate(finished.tokens):
        assert token.id == forced[place]
        assert token.log_probability == pytest.approx(float(raw[place, token.id]), abs=1e-5)
        assert token.rank == 1 + int((raw[place] > raw[place, token.id]).sum())


def test_the_weights_of_the_model_stay_as_they_are(wardrobe: Wardrobe) -> None:
    before = {name: tensor.clone() for name, tensor in wardrobe.model.state_dict().items()}
    rng = random.Random(3)
    read(wardrobe.engine.submit([wardrobe.random_row(rng) for _ in range(20)]))
    after = wardrobe.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_an_adapter_in_single_precision_harms_nobody(wardrobe: Wardrobe) -> None:
    """As adapters come from files, whatever the model computes in."""
    one = wardrobe.adapters["one"]
    matrices = {name: (a.float(), b.float()) for name, (a, b) in one.matrices.items()}
    wardrobe.engine.add_adapter("from a file", replace(one, matrices=matrices))
    beside = Row(PROMPTS[1], DICE, seed=1, adapter="two")
    texts = written(read(wardrobe.engine.submit([Row(PROMPTS[1], GREEDY, adapter="from a file"), beside])))
    assert texts[0] == wardrobe.expected(Row(PROMPTS[1], GREEDY, adapter="one"))
    assert texts[1] == wardrobe.expected(beside)


# --- what is refused ------------------------------------------------------------------------------------------------


def test_an_unknown_adapter_is_refused(wardrobe: Wardrobe) -> None:
    row = Row(PROMPTS[0], GREEDY, max_new_tokens=5)
    for name in ("four", "", "ONE"):
        with pytest.raises(ValueError, match="is not there any more"):
            wardrobe.engine.submit([row, replace(row, adapter=name)])
        with pytest.raises(ValueError, match="is not there any more"):
            wardrobe.engine.submit([row, replace(row, adapter="one", blended=((name, 1.0),))])
    assert run_alone(wardrobe.engine, row) == wardrobe.expected(row)
    assert wardrobe.engine.load == (0, 0)


@pytest.mark.parametrize("strength", [float("nan"), float("inf"), float("-inf")])
def test_a_strength_that_is_no_number_is_refused(wardrobe: Wardrobe, strength: float) -> None:
    with pytest.raises(ValueError, match="strength"):
        wardrobe.engine.submit([Row(PROMPTS[0], GREEDY, adapter="one", strength=strength)])
    with pytest.raises(ValueError, match="strength"):
        wardrobe.engine.submit([Row(PROMPTS[0], GREEDY, adapter="one", blended=(("two", strength),))])


def misfits(model: GPT2LMHeadModel) -> Iterator[tuple[str, Adapter]]:
    good = random_adapter(model, 1)
    name = "transformer.h.1.mlp.c_fc"
    a, b = good.matrices[name]
    for what, matrices in {
        "too wide": {name: (a, torch.cat([b, b], 1))},
        "the other way round": {name: (b.T, a.T)},
        "two ranks": {name: (a[:, :2], b)},
        "a layer too many": {"transformer.h.2.mlp.c_fc": (a, b)},
        "no such module": {"transformer.h.1.mlp.gate": (a, b)},
        "embeddings": {"transformer.wte": (torch.zeros(97, 1).double(), torch.zeros(1, 32).double())},
        "the head, which no row could change alone": {
            "lm_head": (torch.zeros(32, 1).double(), torch.zeros(1, 97).double())
        },
    }.items():
        yield what, replace(good, matrices=good.matrices | matrices)


def test_an_adapter_that_does_not_fit_is_refused(wardrobe: Wardrobe) -> None:
    for what, adapter in misfits(wardrobe.model):
        with pytest.raises(ValueError, match="'one' does not fit"):
            wardrobe.engine.add_adapter("one", adapter)
            pytest.fail(what)
    row = Row(PROMPTS[0], GREEDY, max_new_tokens=8, adapter="one")
    assert run_alone(wardrobe.engine, row) == wardrobe.expected(row)  # the old one is still there


# --- replacing ------------------------------------------------------------------------------------------------------


def test_replacing_an_adapter_does_not_change_rows_under_way(wardrobe: Wardrobe) -> None:
    """Neither one that runs nor one that waits, though it waits beside one that wears the new one."""
    old = Row(PROMPTS[1], GREEDY, max_new_tokens=12, adapter="one")
    shorter = replace(old, max_new_tokens=11)  # a row of its own
    expected_old = wardrobe.expected(old)
    new = random_adapter(wardrobe.model, 11)
    expected_new = reference(merged(wardrobe.model, new, 1.0), old)
    assert expected_old[0] != expected_new[0]
    with gated(wardrobe.engine) as gate:
        running = wardrobe.engine.submit([old])
        gate.wait_held()
        waiting = wardrobe.engine.submit([shorter])
        wardrobe.engine.add_adapter("one", new)
        later = wardrobe.engine.submit([old, replace(old, adapter=None)])
        gate.open()
        assert written(read(running))[0] == expected_old
        assert written(read(waiting))[0] == expected_old[:11]
        texts = written(read(later))
    assert texts[0] == expected_new
    assert texts[1] == reference(wardrobe.model, old)
    assert run_alone(wardrobe.engine, old) == expected_new


def test_removing_an_adapter_does_not_change_rows_under_way(wardrobe: Wardrobe) -> None:
    row = Row(PROMPTS[1], GREEDY, max_new_tokens=12, adapter="one")
    with gated(wardrobe.engine) as gate:
        running = wardrobe.engine.submit([row])
        gate.wait_held()
        waiting = wardrobe.engine.submit([replace(row, max_new_tokens=11)])  # a row of its own
        wardrobe.engine.remove_adapter("one")
        wardrobe.engine.remove_adapter("one")  # gone already: nothing happens
        with pytest.raises(ValueError, match="'one' is not there any more"):
            wardrobe.engine.submit([row])
        gate.open()
        assert written(read(running))[0] == wardrobe.expected(row)
        assert written(read(waiting))[0] == wardrobe.expected(row)[:11]
    other = replace(row, adapter="two")
    assert run_alone(wardrobe.engine, other) == wardrobe.expected(other)


# --- a crowd --------------------------------------------------------------------------------------------------------


def test_forty_threads_that_mix_adapters_and_strengths(wardrobe: Wardrobe) -> None:
    """Each visitor's rows are what the same rows are alone, whoever else is in the batch."""
    rng = random.Random(4)
    groups = [[wardrobe.random_row(rng)] for _ in range(40)]
    assert len({(row.adapter, row.strength) for group in groups for row in group}) >= 12
    alone = {row: run_alone(wardrobe.engine, row) for group in groups for row in group}
    sizes_seen: list[int] = []
    texts: dict[int, dict[int, list[int]]] = {}
    streams: dict[int, Stream] = {}
    start = threading.Barrier(len(groups))

    def visit(visitor: int) -> None:
        start.wait()
        streams[visitor] = wardrobe.engine.submit(groups[visitor])
        texts[visitor] = written(read(streams[visitor]))

    with gated(wardrobe.engine, before_step=lambda: sizes_seen.append(wardrobe.engine.load[0])) as gate:
        threads = [threading.Thread(target=visit, args=(visitor,)) for visitor in range(len(groups))]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(streams) == len(groups))
        gate.open()
        for thread in threads:
            thread.join(PATIENCE)
    assert max(sizes_seen) > 20  # they did share a batch
    for visitor, group in enumerate(groups):
        assert [texts[visitor][index] for index in range(len(group))] == [alone[row] for row in group]
    for row in rng.sample(sorted(alone, key=repr), 6):
        assert alone[row] == wardrobe.expected(row), row


def test_a_damaged_adapter_takes_nothing_else_away(
    model: GPT2LMHeadModel, engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("whole", "cut", "bare"):
        save_peft(random_adapter(model, 1), folder_of(name, "tiny", tmp_path), "tiny")
    weights = folder_of("cut", "tiny", tmp_path) / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-100])
    (folder_of("bare", "tiny", tmp_path) / CONFIG_FILE).write_text('{"peft_type": "LORA"}')
    table = {"tiny": {"adapters": {name: {"title": name.title()} for name in ("cut", "bare", "whole")}}}
    (tmp_path / FIGURES).write_text(json.dumps(table))
    assert list(add_shipped(engine, "tiny", tmp_path)) == ["whole"]
    assert "cut is left out" in caplog.text and "bare is left out" in caplog.text
    (tmp_path / FIGURES).write_text("{")
    assert add_shipped(engine, "tiny", tmp_path) == {}
