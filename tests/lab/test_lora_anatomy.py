"""LoRA taken apart: ranks, energies and costs are those of the matrices, and the pictures are of their entries."""

from __future__ import annotations

import pytest
import torch

from lab.errors import VisitorError
from lab.lora_anatomy import anatomy, cost, part_costs, part_of, sample, spectrum, total
from tests.lab.text.conftest import tiny_gpt2
from tests.lab.text.test_adapters import random_adapter

LAYER = "transformer.h.1.mlp.c_fc"


def matrix(rows: int, columns: int, rank: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(*size, generator=generator).double() for size in ((rows, rank), (rank, columns)))
    return a @ b


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_the_rank_is_counted(rank: int) -> None:
    found = spectrum(matrix(12, 8, rank))
    assert found.rank == rank
    assert len(found.values) == 8
    assert list(found.values) == sorted(found.values, reverse=True)
    assert found.energy(rank) == pytest.approx(1)
    assert found.energy(0) == 0
    assert found.norm == pytest.approx(float(matrix(12, 8, rank).norm()))


def test_a_matrix_of_zeros_has_no_rank_and_no_energy() -> None:
    found = spectrum(torch.zeros(4, 3))
    assert (found.rank, found.norm, found.energy(2)) == (0, 0, 0)


def test_a_sample_is_of_entries_as_they_are() -> None:
    whole = torch.arange(12.0).view(3, 4)
    assert sample(whole).values == tuple(map(tuple, whole.tolist()))
    assert (sample(whole).row_step, sample(whole).column_step) == (1, 1)
    some = sample(torch.arange(70.0).view(7, 10), rows=3, columns=5)
    assert (some.row_step, some.column_step) == (3, 2)
    assert some.values == ((0, 2, 4, 6, 8), (30, 32, 34, 36, 38), (60, 62, 64, 66, 68))


def test_a_layer_is_taken_apart_and_left_as_it_was() -> None:
    model = tiny_gpt2()
    adapter = random_adapter(model, 1, rank=3, scale=2.0)
    before = model.get_submodule(LAYER).weight.detach().clone()
    found = anatomy(model, adapter, LAYER)
    a, b = adapter.matrices[LAYER]
    assert torch.equal(model.get_submodule(LAYER).weight, before)
    assert (found.inputs, found.outputs, found.rank) == (32, 128, 3)
    assert (found.weight.rank, found.change.rank) == (32, 3)
    assert found.change.norm == pytest.approx(float((2 * a @ b).norm()))
    assert found.weight.norm == pytest.approx(float(before.norm()))
    assert found.change_sample.values[1][1] == pytest.approx(float((2 * a @ b)[1, found.change_sample.column_step]))
    assert found.cost.low_rank == a.numel() + b.numel()


@pytest.mark.parametrize("layer", ["transformer.h.9.mlp.c_fc", "", "transformer.wte"])
def test_a_layer_that_is_not_changed_is_refused_in_words(layer: str) -> None:
    model = tiny_gpt2()
    with pytest.raises(VisitorError, match="does not change"):
        anatomy(model, random_adapter(model, 1), layer)


def test_the_courses_example_costs_86_percent_less() -> None:
    found = cost(512, 64, 8)
    assert (found.full, found.low_rank) == (32_768, 4_608)
    assert f"{found.saved:.0%}" == "86%"
    assert found.break_even == 56
    assert cost(512, 64, 56).saved > 0 > cost(512, 64, 57).saved


@pytest.mark.parametrize(
    ("inputs", "outputs", "rank", "words"),
    [(0, 5, 1, "from 1 on"), (5, 5, 0, "from 1 on"), (5, -1, 1, "from 1 on"), (64, 8, 9, "at most 8")],
)
def test_a_rank_that_cannot_be_is_refused_in_words(inputs: int, outputs: int, rank: int, words: str) -> None:
    with pytest.raises(VisitorError, match=words):
        cost(inputs, outputs, rank)


def test_a_models_layers_are_counted_by_their_parts() -> None:
    layers = {f"transformer.h.{n}.{part}": size for n in range(3) for part, size in (("a.x", (4, 6)), ("b.y", (9, 2)))}
    costs = part_costs(layers, rank=5)
    assert [(one.part, one.count, one.cost.rank) for one in costs] == [("a.x", 3, 4), ("b.y", 3, 2)]
    assert total(costs) == (3 * (24 + 18), 3 * (4 * 10 + 2 * 11))
    assert part_of("transformer.h.11.mlp.c_fc") == "mlp.c_fc"
