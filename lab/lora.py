"""LoRA from scratch: low-rank adaptation (Hu et al., 2021), the whole of it.

A linear layer computes ``x W + b``. LoRA leaves W and b frozen and learns a change of low rank beside them:

    x W + b + s * alpha / rank * (x A) B        A: (inputs, rank), B: (rank, outputs)

B starts at zero, so an adapted model starts as the base. ``s``, the strength, is 1 as trained, 0 for the base, and a
matter of taste in between and beyond. Since the change is added, it can be switched per row of a batch: see ``Mix``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

PEFT_PREFIX = "base_model.model."
CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
NOT_PLAIN = ("use_dora", "rank_pattern", "alpha_pattern", "lora_bias", "use_rslora", "modules_to_save",
             "alora_invocation_tokens", "layer_replication", "target_parameters")  # fmt: skip
# How A and B may begin; other ways, such as PiSSA, take something out of the frozen weights in exchange.
PLAIN_STARTS = (None, True, False, "gaussian", "eva")


class LoRALinear(nn.Module):
    """A frozen linear layer with a trainable change of low rank beside it.

    Args:
        base: an ``nn.Linear``, or GPT-2's ``Conv1D``, which keeps its weight the other way round.
        rank: of the change.
        alpha: the change is scaled by alpha / rank, so that another rank needs no other learning rate.
        dropout: on the input of the change while training.
    """

    def __init__(self, base: nn.Module, rank: int, alpha: float, dropout: float = 0.0) -> None:
        super().__init__()
        if rank < 1:
            raise ValueError(f"a rank of {rank} is not at least 1")
        self.base = base.requires_grad_(False)
        inputs, outputs = sizes(base)
        self.scale = alpha / rank
        self.strength = 1.0
        self._merged: torch.Tensor | None = None  # the change that is in the weight
        self.dropout = nn.Dropout(dropout)
        like = {"dtype": base.weight.dtype, "device": base.weight.device}
        self.A = nn.Parameter(torch.empty(inputs, rank, **like))
        self.B = nn.Parameter(torch.zeros(rank, outputs, **like))
        nn.init.kaiming_uniform_(self.A.T, a=math.sqrt(5))  # as nn.Linear, and PEFT, draw theirs

    @property
    def merged(self) -> bool:
        """Whether the change is in the weight."""
        return self._merged is not None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (..., inputs) → (..., outputs)."""
        y = self.base(x)
        if self.merged:
            return y
        scaled = self.A * (self.scale * self.strength)  # rather than the product, which has a row for every token
        return y + low_rank(self.dropout(x), scaled, self.B)

    def delta(self) -> torch.Tensor:
        """Return the change of the weight, (inputs, outputs), at the present strength."""
        return self.A @ self.B * (self.scale * self.strength)

    @torch.no_grad()
    def merge(self) -> None:
        """Add the change to the frozen weight: the layer then costs what the base does. Merging twice does nothing."""
        if not self.merged:
            self._merged = oriented(self.base, self.delta())
            self.base.weight += self._merged

    @torch.no_grad()
    def unmerge(self) -> None:
        """Take out of the weight what was merged, whatever the strength is by now."""
        if self._merged is not None:
            self.base.weight -= self._merged
            self._merged = None


def low_rank(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return (x A) B: two thin products instead of a wide one; (..., inputs) → (..., outputs)."""
    return (x @ a) @ b


def sizes(layer: nn.Module) -> tuple[int, int]:
    """Return inputs and outputs of a linear layer or Conv1D. Raises TypeError for anything else."""
    weight = getattr(layer, "weight", None)
    if weight is None or weight.ndim != 2 or isinstance(layer, nn.Embedding):
        raise TypeError(f"LoRA goes beside linear layers, not {type(layer).__name__}")
    return tuple(weight.T.shape if isinstance(layer, nn.Linear) else weight.shape)


def oriented(layer: nn.Module, change: torch.Tensor) -> torch.Tensor:
    """Turn a change, (inputs, outputs), the way the layer keeps its weight."""
    return change.T if isinstance(layer, nn.Linear) else change


def inject(
    model: nn.Module, targets: Sequence[str], rank: int, alpha: float, dropout: float = 0.0
) -> dict[str, LoRALinear]:
    """Freeze a model and put a LoRALinear in the place of each module whose name ends in one of the targets.

    Returns:
        The new modules by full name, in the model's order.

    Raises:
        ValueError: if no module has such a name.
    """
    model.requires_grad_(False)
    found = [name for name, _ in model.named_modules() if any(name == t or name.endswith("." + t) for t in targets)]
    if not found:
        raise ValueError(f"the model has no module named {', '.join(targets)}")
    layers = {}
    for name in found:
        parent = model.get_submodule(name.rpartition(".")[0])
        layers[name] = LoRALinear(model.get_submodule(name), rank, alpha, dropout)
        setattr(parent, name.rpartition(".")[2], layers[name])
    return layers


def trainable_parameters(model: nn.Module) -> int:
    """Return the number of parameters that training would change."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@dataclass(frozen=True)
class Adapter:
    """A trained change: for each module A, (inputs, rank), and B, (rank, outputs), with alpha / rank as ``scale``."""

    matrices: Mapping[str, tuple[torch.Tensor, torch.Tensor]]
    scale: float
    rank: int
    alpha: float

    @property
    def parameters(self) -> int:
        """Number of numbers that were trained."""
        return sum(a.numel() + b.numel() for a, b in self.matrices.values())

    def fits(self, model: nn.Module) -> bool:
        """Tell whether every module that it changes is in the model and has the right size."""
        try:
            return all(
                sizes(model.get_submodule(name)) == (a.size(0), b.size(1)) and a.size(1) == b.size(0)
                for name, (a, b) in self.matrices.items()
            )
        except (AttributeError, TypeError):
            return False


def adapter_of(layers: Mapping[str, LoRALinear]) -> Adapter:
    """Return the change that injected layers have learnt, as copies."""
    first = next(iter(layers.values()))
    rank = first.A.size(1)
    matrices = {name: (layer.A.detach().clone(), layer.B.detach().clone()) for name, layer in layers.items()}
    return Adapter(matrices, first.scale, rank, first.scale * rank)


def load_peft(folder: Path) -> Adapter:
    """Read an adapter that PEFT wrote, safetensors only.

    Raises:
        OSError: if a file is missing.
        ValueError: if it is not plain LoRA (DoRA, biases, ranks that differ between modules, whole modules).
    """
    from safetensors.torch import load_file

    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    return from_peft(config, load_file(folder / WEIGHTS_FILE), folder.name)


def from_peft(config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], name: str) -> Adapter:
    """Return the adapter that PEFT's configuration and tensors describe. Raises ValueError as ``load_peft`` does."""
    unknown = [key for key in NOT_PLAIN if config.get(key)]
    if config.get("init_lora_weights") not in PLAIN_STARTS:
        unknown.append("init_lora_weights")
    if config.get("peft_type") != "LORA" or unknown or config.get("bias", "none") != "none":
        raise ValueError(f"{name} is no plain LoRA adapter {unknown}")
    rank, alpha = config["r"], config["lora_alpha"]
    strange = [key for key in tensors if not key.endswith((".lora_A.weight", ".lora_B.weight"))]
    if strange:
        raise ValueError(f"{name} is no plain LoRA adapter: it has {', '.join(sorted(strange)[:3])}")
    names = {key.removeprefix(PEFT_PREFIX).rpartition(".lora_")[0] for key in tensors}
    matrices = {}
    for name in sorted(names):
        a, b = (tensors[f"{PEFT_PREFIX}{name}.lora_{side}.weight"].float() for side in "AB")
        matrices[name] = a.T.contiguous(), b.T.contiguous()  # PEFT keeps (outputs, inputs)
    return Adapter(matrices, alpha / rank, rank, alpha)


def save_peft(adapter: Adapter, folder: Path, base: str, *, half: bool = True) -> None:
    """Write an adapter so that PEFT's ``from_pretrained`` reads it. The arguments are those of :func:`peft_files`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in peft_files(adapter, base, half=half).items():
        (folder / name).write_bytes(content)


def peft_files(
    adapter: Adapter, base: str, *, half: bool = True, metadata: Mapping[str, str] | None = None
) -> dict[str, bytes]:
    """Return PEFT's two files of an adapter, by name.

    Args:
        base: name of the base model.
        half: half precision, as it ships.
        metadata: to stand in the header of the weights, where PEFT does not look.
    """
    from safetensors.torch import save

    tensors = {}
    for name, matrices in adapter.matrices.items():
        for side, matrix in zip("AB", matrices, strict=True):
            tensor = matrix.detach().T.contiguous()
            tensors[f"{PEFT_PREFIX}{name}.lora_{side}.weight"] = tensor.half() if half else tensor
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": True,
        "inference_mode": True,
        "target_modules": sorted({".".join(name.split(".")[-2:]) for name in adapter.matrices}),
    }
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    return {CONFIG_FILE: text.encode(), WEIGHTS_FILE: save(tensors, dict(metadata) if metadata else None)}


@dataclass(frozen=True)
class Part:
    """Rows of a batch that wear the same adapter, each as strongly as it likes; ``factors``: (rows, 1, 1)."""

    adapter: Adapter
    rows: torch.Tensor
    factors: torch.Tensor


class Mix:
    """Which rows of a batch wear which adapter, and how strongly: LoRA without any state in the model.

    Thirty visitors with thirty wishes are served in one step of one frozen model, because what differs between them is
    only added beside it.

    Args:
        wishes: for each row the adapters that it wears, each with its strength; none for the base. The changes of
            several are added up, which is what PEFT's ``add_weighted_adapter(combination_type="cat")`` makes of them.
    """

    def __init__(self, wishes: Sequence[Sequence[tuple[Adapter, float]]]) -> None:
        by_adapter: dict[int, tuple[Adapter, list[int], list[float]]] = {}
        for row, worn in enumerate(wishes):
            for adapter, strength in worn:
                if strength != 0:
                    entry = by_adapter.setdefault(id(adapter), (adapter, [], []))
                    entry[1].append(row)
                    entry[2].append(strength * adapter.scale)
        self.parts = [
            Part(adapter, torch.tensor(rows), torch.tensor(factors)[:, None, None])
            for adapter, rows, factors in by_adapter.values()
        ]

    def add(self, name: str, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return y with each row's change added; x: (rows, time, inputs), y: (rows, time, outputs), the base's output.

        ``name`` is the module's.
        """
        for part in self.parts:
            if name in part.adapter.matrices:
                a, b = (matrix.to(x.dtype) for matrix in part.adapter.matrices[name])
                change = low_rank(x.index_select(0, part.rows), a, b) * part.factors.to(x.dtype)
                y = y.index_add(0, part.rows, change)
        return y
