"""Muon and its orthogonalisation, against torch.optim.Muon."""

from __future__ import annotations

import pytest
import torch

from training.muon import Muon, orthogonalize

STEPS = 6


def gradients(*shape: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator) for _ in range(STEPS)]


def run(optimizer: torch.optim.Optimizer, parameter: torch.Tensor, grads: list[torch.Tensor]) -> torch.Tensor:
    for grad in grads:
        parameter.grad = grad.clone()
        optimizer.step()
    return parameter.detach()


def start(*shape: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("shape", [(48, 48), (24, 48), (48, 24)], ids=["square", "widening", "narrowing"])
def test_it_is_torchs_muon_but_for_the_layout_and_bfloat16(shape: tuple[int, int]):
    ours, theirs = start(*shape), torch.nn.Parameter(start(*shape).detach().T.contiguous())
    hyper = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.5}
    run(Muon([ours], **hyper), ours, gradients(*shape))
    run(torch.optim.Muon([theirs], **hyper), theirs, [grad.T for grad in gradients(*shape)])
    moved = (theirs.T - start(*shape)).norm()
    assert (ours - theirs.T).norm() < 0.02 * moved  # they compute in bfloat16


def test_packed_query_key_and_value_are_three_matrices():
    packed = start(16, 48)
    parts = [torch.nn.Parameter(part.clone()) for part in packed.detach().chunk(3, dim=1)]
    grads = gradients(16, 48)
    run(Muon([packed], lr=0.1, weight_decay=0.1), packed, grads)
    for index, part in enumerate(parts):
        run(Muon([part], lr=0.1, weight_decay=0.1), part, [grad.chunk(3, dim=1)[index] for grad in grads])
    torch.testing.assert_close(packed.detach(), torch.cat([part.detach() for part in parts], dim=1))


def test_a_parameter_without_gradient_stays():
    parameter = start(8, 8)
    Muon([parameter], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(parameter, start(8, 8))


@pytest.mark.parametrize("shape", [(32, 32), (20, 50), (50, 20)])
def test_orthogonalize_brings_singular_values_near_one_and_keeps_the_directions(shape: tuple[int, int]):
    left, _, right = torch.linalg.svd(start(*shape).detach(), full_matrices=False)
    matrix = left @ torch.diag(torch.logspace(0, -1.5, min(shape))) @ right
    result = orthogonalize(matrix)
    in_old_directions = left.T @ result @ right.T
    values = in_old_directions.diagonal()
    assert result.shape == matrix.shape
    assert values.min() > 0.65
    assert values.max() < 1.25
    assert (in_old_directions - values.diag()).abs().max() < 1e-4


def test_orthogonalize_does_not_depend_on_the_scale():
    matrix = start(12, 12).detach()
    torch.testing.assert_close(orthogonalize(matrix), orthogonalize(1000 * matrix), atol=1e-4, rtol=1e-4)
