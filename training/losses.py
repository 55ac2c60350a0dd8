"""Cross-entropy of a tied output layer without ever holding all logits."""

from __future__ import annotations

import torch

ROWS_AT_ONCE = 512


class LinearCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of ``hidden @ weight.T`` against targets, with the gradients computed on the way forward.

    For 4,096 rows and 8,192 tokens the logits alone are 134 MB; chunk by chunk they stay in the cache, which on a CPU
    makes the output layer about twice as fast (docs/LOG.md).
    """

    @staticmethod
    def forward(ctx, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """hidden: (rows, width), weight: (vocabulary, width), targets: (rows,) → scalar, in nats per row."""
        rows = hidden.size(0)
        hidden_grad, weight_grad = torch.empty_like(hidden), torch.zeros_like(weight)
        loss = hidden.new_zeros(())
        for start in range(0, rows, ROWS_AT_ONCE):
            chunk = slice(start, start + ROWS_AT_ONCE)
            logits = hidden[chunk] @ weight.T  # (chunk, vocabulary)
            index = targets[chunk, None]
            log_normalizer = logits.logsumexp(-1, keepdim=True)
            loss += (log_normalizer - logits.gather(1, index)).sum()
            logits.sub_(log_normalizer).exp_()  # now probabilities; minus one at the target they are the gradient
            logits.scatter_add_(1, index, torch.full_like(index, -1, dtype=logits.dtype))
            torch.mm(logits, weight, out=hidden_grad[chunk])
            weight_grad.addmm_(logits.T, hidden[chunk])
        ctx.save_for_backward(hidden_grad.div_(rows), weight_grad.div_(rows))
        return loss / rows

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        hidden_grad, weight_grad = ctx.saved_tensors
        return hidden_grad * grad, weight_grad * grad, None


def language_model_loss(model: torch.nn.Module, windows: torch.Tensor) -> torch.Tensor:
    """Return the mean loss in nats of each window's tokens but the first; windows: (batch, context + 1) token ids."""
    hidden = model.transformer(windows[:, :-1], use_cache=False).last_hidden_state  # (batch, context, width)
    return LinearCrossEntropy.apply(hidden.flatten(0, 1), model.lm_head.weight, windows[:, 1:].flatten())
