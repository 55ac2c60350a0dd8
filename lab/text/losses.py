"""Cross-entropy of a tied output layer without ever holding all logits."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.autograd.function import once_differentiable

ROWS_AT_ONCE = 512


def _chunks(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Yield for each chunk of rows: place, logits (chunk, vocabulary), log normalizer and target (both (chunk, 1))."""
    for start in range(0, hidden.size(0), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        logits = hidden[rows] @ weight.T
        yield rows, logits, logits.logsumexp(-1, keepdim=True), targets[rows, None]


class LinearCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of ``hidden @ weight.T`` against targets, with the gradients computed on the way forward.

    For 4,096 rows and 8,192 tokens the logits alone are 134 MB; chunk by chunk they stay in the cache, which on a CPU
    makes the output layer about twice as fast (docs/LOG.md). A frozen weight costs no gradient; where none is wanted at
    all, ``linear_cross_entropy`` does a third of the work.
    """

    @staticmethod
    def forward(ctx, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """hidden: (rows, width), weight: (vocabulary, width), targets: (rows,) → scalar, in nats per row."""
        count = hidden.size(0)
        hidden_grad = torch.empty_like(hidden)
        weight_grad = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        loss = hidden.new_zeros(())
        for rows, logits, log_normalizer, target in _chunks(hidden, weight, targets):
            loss += (log_normalizer - logits.gather(1, target)).sum()
            logits.sub_(log_normalizer).exp_()  # now probabilities; minus one at the target they are the gradient
            logits.scatter_add_(1, target, torch.full_like(target, -1, dtype=logits.dtype))
            torch.mm(logits, weight, out=hidden_grad[rows])
            if weight_grad is not None:
                weight_grad.addmm_(logits.T, hidden[rows])
        ctx.save_for_backward(hidden_grad.div_(count), None if weight_grad is None else weight_grad.div_(count))
        return loss / count

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        """Scale the gradients that forward left by the gradient of what became of the loss."""
        hidden_grad, weight_grad = ctx.saved_tensors
        return hidden_grad * grad, None if weight_grad is None else weight_grad * grad, None


def linear_cross_entropy(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy in nats per row; under ``torch.no_grad`` nothing but the loss is computed.

    hidden: (rows, width), weight: (vocabulary, width), targets: (rows,) int64.
    """
    # Asked here, since inside an autograd.Function gradients are always off and needs_input_grad ignores no_grad.
    if torch.is_grad_enabled():
        return LinearCrossEntropy.apply(hidden, weight, targets)
    loss = hidden.new_zeros(())
    for _, logits, log_normalizer, target in _chunks(hidden, weight, targets):
        loss += (log_normalizer - logits.gather(1, target)).sum()
    return loss / hidden.size(0)


def language_model_loss(
    model: torch.nn.Module, windows: torch.Tensor, prompt: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean loss in nats of each window's tokens but the first; windows: (batch, context + 1) token ids.

    prompt: vectors that stand before the embeddings of every window, (virtual tokens, width); see prompt tuning.
    """
    if prompt is None:
        hidden = model.transformer(windows[:, :-1], use_cache=False).last_hidden_state  # (batch, context, width)
    else:
        vectors = torch.cat([prompt.expand(len(windows), -1, -1), model.transformer.wte(windows[:, :-1])], 1)
        hidden = model.transformer(inputs_embeds=vectors, use_cache=False).last_hidden_state[:, len(prompt) :]
    return linear_cross_entropy(hidden.flatten(0, 1), model.lm_head.weight, windows[:, 1:].flatten())
