"""The chunked cross-entropy against torch's."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from lab.text import losses
from lab.text.losses import ROWS_AT_ONCE, LinearCrossEntropy, language_model_loss, linear_cross_entropy
from training.language_model import PRESETS, build_model


def case(rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    hidden = torch.randn(rows, 16, generator=generator).requires_grad_()
    weight = torch.randn(40, 16, generator=generator).requires_grad_()
    return hidden, weight, torch.randint(40, (rows,), generator=generator)


@pytest.mark.parametrize("rows", [3, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 7])
def test_value_and_gradients_are_those_of_cross_entropy(rows: int):
    hidden, weight, targets = case(rows)
    expected = cross_entropy(hidden @ weight.T, targets)
    expected_grads = torch.autograd.grad(3 * expected, (hidden, weight))
    loss = LinearCrossEntropy.apply(hidden, weight, targets)
    grads = torch.autograd.grad(3 * loss, (hidden, weight))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(grads, expected_grads, atol=1e-6, rtol=1e-4)


def test_a_frozen_weight_takes_no_gradient_and_leaves_the_others_as_they_were():
    hidden, weight, targets = case(ROWS_AT_ONCE + 3)
    (expected,) = torch.autograd.grad(linear_cross_entropy(hidden, weight, targets), hidden)
    frozen = weight.detach()
    linear_cross_entropy(hidden, frozen, targets).backward()
    torch.testing.assert_close(hidden.grad, expected)
    assert frozen.grad is None


def test_the_weights_gradient_is_that_of_numeric_differences():
    hidden, weight, targets = case(5)
    assert torch.autograd.gradcheck(
        lambda h, w: linear_cross_entropy(h, w, targets), (hidden.detach().double().requires_grad_(), weight.double())
    )


def test_without_gradients_the_same_loss_and_no_work_for_them(monkeypatch: pytest.MonkeyPatch):
    hidden, weight, targets = case(2 * ROWS_AT_ONCE + 7)
    expected = linear_cross_entropy(hidden, weight, targets)
    monkeypatch.setattr(losses.LinearCrossEntropy, "apply", None)  # what computes them
    with torch.no_grad():
        torch.testing.assert_close(linear_cross_entropy(hidden, weight, targets), expected.detach())


def test_language_model_loss_is_that_of_transformers():
    model = build_model(PRESETS["tiny"], 300)
    windows = torch.randint(300, (4, 33), generator=torch.Generator().manual_seed(0))
    expected = cross_entropy(model(windows[:, :-1]).logits.flatten(0, 1), windows[:, 1:].flatten())
    torch.testing.assert_close(language_model_loss(model, windows), expected)
    language_model_loss(model, windows).backward()
    tied = model.transformer.wte.weight.grad
    model.zero_grad()
    expected.backward()
    torch.testing.assert_close(tied, model.transformer.wte.weight.grad, atol=1e-6, rtol=1e-3)
