"""Checkpoints of a training run: tensors as safetensors, everything else as JSON, never pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

FILE_NAME = "checkpoint.safetensors"


def save_checkpoint(
    folder: Path, model: torch.nn.Module, optimizers: dict[str, torch.optim.Optimizer], progress: dict[str, Any]
) -> None:
    """Write model, optimizers' state and progress to a folder, replacing the checkpoint there only once complete.

    Tensors are named ``model.<parameter>`` and ``<optimizer>.<index of the parameter>.<key>``; progress must be JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.{name}": value.detach() for name, value in model.named_parameters()}
    for label, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"{label}.{index}.{key}"] = torch.as_tensor(value)
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    partial = folder / "checkpoint.partial"
    save_file(tensors, partial, metadata={"progress": json.dumps(progress)})
    os.replace(partial, folder / FILE_NAME)


def load_checkpoint(
    folder: Path, model: torch.nn.Module, optimizers: dict[str, torch.optim.Optimizer]
) -> dict[str, Any] | None:
    """Restore model and optimizers in place and return the progress saved with them; None if there is no checkpoint.

    Raises KeyError or RuntimeError if the checkpoint is of a model with other parameters or other sizes.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return None
    with safe_open(path, framework="pt") as file:
        # Copies, because what safetensors hands out is a view of the mapped file.
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (it is no dict)
        progress = json.loads(file.metadata()["progress"])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
    for label, optimizer in optimizers.items():
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith(f"{label}."):
                index, key = name[len(label) + 1 :].split(".", 1)
                state.setdefault(int(index), {})[key] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return progress
