"""A checkpoint gives back what was saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lab.text.losses import language_model_loss
from training.checkpoints import load_checkpoint, save_checkpoint
from training.language_model import PRESETS, build_model, build_optimizers

WINDOWS = torch.arange(66).reshape(2, 33)


def made(seed: int) -> tuple[torch.nn.Module, dict[str, torch.optim.Optimizer]]:
    torch.manual_seed(seed)
    model = build_model(PRESETS["tiny"], 80)
    return model, build_optimizers(model)


def step(model: torch.nn.Module, optimizers: dict[str, torch.optim.Optimizer]) -> None:
    language_model_loss(model, WINDOWS).backward()
    for optimizer in optimizers.values():
        optimizer.step()
        optimizer.zero_grad()


def test_model_optimizers_and_progress_come_back_and_go_on_the_same(tmp_path: Path):
    model, optimizers = made(0)
    step(model, optimizers)
    save_checkpoint(tmp_path / "run", model, optimizers, {"step": 1, "seconds": 2.5})
    saved = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()

    other, other_optimizers = made(1)
    assert load_checkpoint(tmp_path / "run", other, other_optimizers) == {"step": 1, "seconds": 2.5}
    for (name, one), (_, two) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(one, two), name
    for label, optimizer in optimizers.items():
        state, other_state = optimizer.state_dict()["state"], other_optimizers[label].state_dict()["state"]
        assert state.keys() == other_state.keys()
        for index, values in state.items():
            assert values.keys() == other_state[index].keys()
            assert all(torch.equal(value, other_state[index][key]) for key, value in values.items())
    step(model, optimizers)
    step(other, other_optimizers)
    for (name, one), (_, two) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(one, two), name
    assert (tmp_path / "run" / "checkpoint.safetensors").read_bytes() == saved  # training on did not write into it


def test_saving_again_replaces_and_leaves_one_file(tmp_path: Path):
    model, optimizers = made(0)
    for number in range(2):
        save_checkpoint(tmp_path, model, optimizers, {"step": number})
    assert load_checkpoint(tmp_path, model, optimizers) == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_no_checkpoint_is_none_and_a_foreign_one_an_error(tmp_path: Path):
    model, optimizers = made(0)
    before = model.transformer.wte.weight.clone()
    assert load_checkpoint(tmp_path, model, optimizers) is None
    assert torch.equal(model.transformer.wte.weight, before)
    save_checkpoint(tmp_path, model, optimizers, {})
    larger = build_model(PRESETS["tiny"], 90)
    with pytest.raises(RuntimeError):
        load_checkpoint(tmp_path, larger, build_optimizers(larger))
