"""LoRA taken apart: a weight W beside its change ΔW = BA, their singular values, and what the change costs.

A matrix of low rank has few singular values that are not zero. W has as many as it has rows or columns; the change has
as many as the adapter's rank, whatever its size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import VisitorError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from lab.lora import Adapter

SHOWN_ROWS, SHOWN_COLUMNS = 64, 96  # most entries of a matrix that a picture shows


@dataclass(frozen=True)
class Spectrum:
    """Singular values of a matrix, the largest first.

    Attributes:
        rank: how many of them are not zero, up to the rounding of double precision.
    """

    values: tuple[float, ...]
    rank: int

    @property
    def norm(self) -> float:
        """Frobenius norm of the matrix: the root of the sum of its squared entries."""
        return sum(value * value for value in self.values) ** 0.5

    def energy(self, first: int) -> float:
        """Return the share of the squared norm that the first singular values hold; 0 for a matrix of zeros."""
        total = sum(value * value for value in self.values)
        return sum(value * value for value in self.values[:first]) / total if total else 0.0


@dataclass(frozen=True)
class Sample:
    """Every so-many-th entry of a matrix, as it is: nothing is averaged, which would blur what is low-rank about it.

    Attributes:
        values: rows of entries.
        row_step, column_step: 1 where all are shown.
    """

    values: tuple[tuple[float, ...], ...]
    row_step: int
    column_step: int


@dataclass(frozen=True)
class Anatomy:
    """A layer with the change that an adapter adds to it at full strength; both matrices are (inputs, outputs)."""

    layer: str
    inputs: int
    outputs: int
    rank: int
    weight: Spectrum
    change: Spectrum
    weight_sample: Sample
    change_sample: Sample

    @property
    def cost(self) -> Cost:
        """What the change of this layer costs."""
        return cost(self.inputs, self.outputs, self.rank)


@dataclass(frozen=True)
class Cost:
    """Numbers that a change of a layer has: as a full matrix, and as A and B."""

    inputs: int
    outputs: int
    rank: int
    full: int
    low_rank: int

    @property
    def saved(self) -> float:
        """Share of the numbers that are saved; negative if there are more."""
        return 1 - self.low_rank / self.full

    @property
    def break_even(self) -> int:
        """The highest rank at which A and B have fewer numbers than the full matrix; 0 for none."""
        return (self.full - 1) // (self.inputs + self.outputs)


def spectrum(matrix: torch.Tensor) -> Spectrum:
    """Return the singular values of a matrix, computed in double precision."""
    import torch

    values = torch.linalg.svdvals(matrix.double())
    threshold = float(values[0]) * max(matrix.shape) * torch.finfo(torch.float64).eps  # as NumPy's matrix_rank
    return Spectrum(tuple(values.tolist()), int((values > threshold).sum()))


def sample(matrix: torch.Tensor, rows: int = SHOWN_ROWS, columns: int = SHOWN_COLUMNS) -> Sample:
    """Return at most so many rows and columns of a matrix, evenly spread."""
    row_step, column_step = -(-matrix.size(0) // rows), -(-matrix.size(1) // columns)
    picked = matrix[::row_step, ::column_step].float()
    return Sample(tuple(tuple(row) for row in picked.tolist()), row_step, column_step)


def anatomy(network: nn.Module, adapter: Adapter, layer: str) -> Anatomy:
    """Take a layer apart. The network's weights are read, not changed.

    Raises:
        VisitorError: if the adapter does not change the layer.
    """
    import torch

    from lab.lora import oriented

    if layer not in adapter.matrices:
        raise VisitorError(f"This adapter does not change {layer[:60]!r}.")
    module = network.get_submodule(layer)
    with torch.no_grad():
        a, b = (matrix.double() for matrix in adapter.matrices[layer])
        change = (a @ b) * adapter.scale
        weight = oriented(module, module.weight.detach()).double()
        return Anatomy(
            layer=layer,
            inputs=change.size(0),
            outputs=change.size(1),
            rank=a.size(1),
            weight=spectrum(weight),
            change=spectrum(change),
            weight_sample=sample(weight),
            change_sample=sample(change),
        )


def cost(inputs: int, outputs: int, rank: int) -> Cost:
    """Return what a change of rank ``rank`` costs beside a layer of this size.

    Raises:
        VisitorError: if there is no such layer, or no such rank in it.
    """
    if min(inputs, outputs, rank) < 1:
        raise VisitorError("Inputs, outputs and rank are whole numbers from 1 on.")
    if rank > min(inputs, outputs):
        raise VisitorError(
            f"A matrix of {inputs:,} × {outputs:,} has a rank of at most {min(inputs, outputs):,}: "
            f"a rank of {rank:,} would add numbers, but nothing that it could express."
        )
    return Cost(inputs, outputs, rank, inputs * outputs, rank * (inputs + outputs))


@dataclass(frozen=True)
class PartCost:
    """What a change of one part costs, such as ``mlp.c_fc``, in each of the ``count`` blocks that have it."""

    part: str
    count: int
    cost: Cost


def part_costs(layers: Mapping[str, tuple[int, int]], rank: int) -> list[PartCost]:
    """Return what changes of a model's layers cost, those of the same part and size together.

    Args:
        layers: inputs and outputs by the layer's full name.
        rank: cut to what a layer can have.
    """
    counts = Counter((part_of(name), size) for name, size in layers.items())
    return [PartCost(part, count, cost(*size, min(rank, *size))) for (part, size), count in counts.items()]


def part_of(layer: str) -> str:
    """Return a layer's name within its block, such as ``mlp.c_fc``."""
    return ".".join(layer.split(".")[-2:])


def total(costs: Sequence[PartCost]) -> tuple[int, int]:
    """Return the numbers of all layers together, as full matrices and as A and B."""
    full = sum(one.count * one.cost.full for one in costs)
    return full, sum(one.count * one.cost.low_rank for one in costs)
