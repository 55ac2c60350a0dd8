"""Two proofs to watch: merging changes no token, and LoRA from scratch computes what PEFT computes.

Both work on private copies of a model, which is only read.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lab.hub import Progress, silent
from lab.importing import importing
from lab.lora import Adapter, LoRALinear, inject

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel


@dataclass(frozen=True)
class MergeCheck:
    """What a model writes with an adapter beside its weights, and with the same one merged into them.

    Attributes:
        apart, merged: the tokens after the prompt, each the most probable one.
        difference: the largest one between two logits over prompt and text.
        largest: the largest logit by size, to compare it with.
        restored: the largest difference between a weight before merging and after merging and unmerging.
    """

    apart: tuple[int, ...]
    merged: tuple[int, ...]
    difference: float
    largest: float
    restored: float


@dataclass(frozen=True)
class Equality:
    """How far two ways of computing the same are apart: the largest difference, and the largest value by size."""

    what: str
    difference: float
    largest: float


_proofs = threading.Lock()  # each holds several copies of a model: thirty at once would hold a machine's memory


@contextmanager
def _in_turn(tell: Progress) -> Iterator[None]:
    if not _proofs.acquire(blocking=False):
        tell("Waiting for another visitor's proof …")
        _proofs.acquire()
    try:
        yield
    finally:
        _proofs.release()


def wear(network: GPT2LMHeadModel, adapter: Adapter) -> dict[str, LoRALinear]:
    """Put an adapter's layers into a model that nobody else uses; return them by name."""
    layers = inject(network, list(adapter.matrices), adapter.rank, adapter.alpha)
    with torch.no_grad():
        for name, layer in layers.items():
            a, b = adapter.matrices[name]
            layer.A.copy_(a)
            layer.B.copy_(b)
    return layers


def check_merge(
    network: GPT2LMHeadModel,
    adapter: Adapter,
    ids: Sequence[int],
    length: int = 40,
    tell: Progress = silent,
) -> MergeCheck:
    """Write after a prompt with the adapter apart and merged; one proof at a time.

    Args:
        network: it is copied.
        ids: the prompt, at least one token.
        length: tokens to write; fewer if the model ends the text.
        tell: is told what is going on.
    """
    with _in_turn(tell):
        tell("Writing with the adapter apart, then merged …")
        return _check_merge(network, adapter, ids, length)


def _check_merge(network: GPT2LMHeadModel, adapter: Adapter, ids: Sequence[int], length: int) -> MergeCheck:
    own = copy.deepcopy(network).eval()
    layers = wear(own, adapter)
    apart = _greedy(own, ids, length)
    text = torch.tensor([[*ids, *apart]])
    with torch.inference_mode():
        before = own(text).logits
    weights = [layer.base.weight.clone() for layer in layers.values()]
    for layer in layers.values():
        layer.merge()
    merged = _greedy(own, ids, length)
    with torch.inference_mode():
        after = own(text).logits
    for layer in layers.values():
        layer.unmerge()
    restored = max(_distance(layer.base.weight, old) for layer, old in zip(layers.values(), weights, strict=True))
    return MergeCheck(apart, merged, _distance(before, after), float(before.abs().max()), restored)


def check_peft(
    network: GPT2LMHeadModel, adapter: Adapter, layer: str, ids: Sequence[int], tell: Progress = silent
) -> Iterator[Equality]:
    """Yield how far LoRA from scratch and PEFT are apart: one layer as Conv1D and as Linear, then the whole model.

    One proof at a time: until the last is taken, others wait.

    Args:
        network: it is copied.
        layer: of the adapter; its weights are taken for both kinds of layers.
        ids: a text for the whole model.
        tell: is told what is going on.
    """
    tell("Loading PEFT …")
    with importing():
        import peft  # noqa: F401  it takes seconds

    with _in_turn(tell):
        base = copy.deepcopy(network.get_submodule(layer))
        for kind, module in (("Conv1D", base), ("nn.Linear", _as_linear(base))):
            tell(f"Comparing one layer as {kind} …")
            yield from _layer_equalities(kind, module, adapter, layer)
        tell("Comparing the whole model …")
        yield _model_equality(network, adapter, ids)


def _greedy(network: GPT2LMHeadModel, ids: Sequence[int], length: int) -> tuple[int, ...]:
    """Return the tokens that follow, each the most probable one; what was said before is less welcome."""
    prompt = torch.tensor([list(ids)])
    end = network.config.eos_token_id
    with torch.inference_mode():
        written = network.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=length,
            do_sample=False,
            repetition_penalty=1.2,
            pad_token_id=end,
        )
    return tuple(written[0, len(ids) :].tolist())


def _as_linear(layer: nn.Module) -> nn.Linear:
    """Return an nn.Linear that computes what a Conv1D does, which keeps its weight the other way round."""
    inputs, outputs = layer.weight.shape
    linear = nn.Linear(inputs, outputs)
    with torch.no_grad():
        linear.weight.copy_(layer.weight.T)
        linear.bias.copy_(layer.bias)
    return linear.to(layer.weight.dtype)


def _layer_equalities(kind: str, module: nn.Module, adapter: Adapter, name: str) -> Iterator[Equality]:
    from peft import LoraConfig, get_peft_model

    a, b = adapter.matrices[name]
    rank = a.size(1)
    ours = LoRALinear(copy.deepcopy(module), rank, adapter.scale * rank)
    config = LoraConfig(
        r=rank, lora_alpha=adapter.scale * rank, target_modules=["layer"], fan_in_fan_out=kind == "Conv1D"
    )
    theirs = get_peft_model(nn.ModuleDict({"layer": copy.deepcopy(module)}), config).base_model.model["layer"]
    with torch.no_grad():
        ours.A.copy_(a)
        ours.B.copy_(b)
        theirs.lora_A["default"].weight.copy_(a.T)
        theirs.lora_B["default"].weight.copy_(b.T)
    x = torch.randn(4, 16, a.size(0), generator=torch.Generator().manual_seed(0)).to(ours.A.dtype)
    our_x, their_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    our_y, their_y = ours(our_x), theirs(their_x)
    yield _equality(f"{kind}: forward", our_y, their_y)
    for y in (our_y, their_y):
        y.square().mean().backward()
    yield _equality(f"{kind}: gradient of A", ours.A.grad, theirs.lora_A["default"].weight.grad.T)
    yield _equality(f"{kind}: gradient of B", ours.B.grad, theirs.lora_B["default"].weight.grad.T)
    yield _equality(f"{kind}: gradient of the input", our_x.grad, their_x.grad)


def _model_equality(network: GPT2LMHeadModel, adapter: Adapter, ids: Sequence[int]) -> Equality:
    from peft import LoraConfig, get_peft_model

    text = torch.tensor([list(ids)])
    ours = copy.deepcopy(network).eval()
    wear(ours, adapter)
    with torch.inference_mode():
        our_logits = ours(text).logits
    del ours
    config = LoraConfig(
        r=adapter.rank, lora_alpha=adapter.alpha, target_modules=list(adapter.matrices), fan_in_fan_out=True
    )
    theirs: Any = get_peft_model(copy.deepcopy(network), config).eval()
    with torch.no_grad():
        for name, (a, b) in adapter.matrices.items():
            layer = theirs.base_model.model.get_submodule(name)
            layer.lora_A["default"].weight.copy_(a.T)
            layer.lora_B["default"].weight.copy_(b.T)
        return _equality("the whole model: logits", our_logits, theirs(text).logits)


def _equality(what: str, ours: torch.Tensor, theirs: torch.Tensor) -> Equality:
    return Equality(what, _distance(ours, theirs), float(theirs.detach().abs().max()))


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one.detach() - other.detach()).abs().max())
