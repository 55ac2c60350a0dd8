"""Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon) for the matrices of a GPT-2.

torch.optim.Muon does the same, but always in bfloat16, which on CPUs without matrix units is slower than fp32, and it
takes a matrix for (out, in), while GPT-2's Conv1D keeps (in, out) and packs query, key and value into one.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Return U V^T for the thin SVD U S V^T of the matrix, roughly: singular values end up between 0.65 and 1.25.

    Only those below about 0.002 of the Frobenius norm stay smaller: a step enlarges them at most 3.4445 times.
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrix.size(0) > matrix.size(1)
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised, matrix by matrix.

    Args:
        parameters: matrices of shape (in, out), as in Conv1D. One whose ``out`` is three times its ``in`` is taken for
            packed query, key and value, and each third is orthogonalised alone.
        lr: spectral norm of an update of a square matrix; an update that widens is larger by sqrt(out / in).
        momentum: of the running mean of the gradients, and (Nesterov's) of its share in the update.
        weight_decay: decoupled: a step multiplies the parameter by ``1 - lr * weight_decay``.
    """

    def __init__(
        self, parameters: Iterable[torch.Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(state["momentum"], group["momentum"])  # Nesterov
                packed = parameter.size(1) == 3 * parameter.size(0)
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                for target, part in zip(
                    parameter.chunk(3 if packed else 1, dim=1), update.chunk(3 if packed else 1, dim=1), strict=True
                ):
                    scale = max(1.0, part.size(1) / part.size(0)) ** 0.5
                    target.add_(orthogonalize(part), alpha=-group["lr"] * scale)
