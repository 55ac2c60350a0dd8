"""Tiny models for all voices: random, but of the vocabulary that ships. What is heavy is imported where it is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

    from lab.music.voices import Voices

LAYERS, WIDTH, CONTEXT = 2, 32, 320
RANK, ALPHA = 4, 8
TARGETS = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``base`` and ``adapters`` as they ship. Tests that change it copy it first."""
    import torch

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("melodies")
    write_models(folder)
    return folder


@pytest.fixture(scope="session")
def voices(models: Path) -> Iterator[Voices]:
    """All voices, each a model of its own."""
    voices = voices_of(models)
    yield voices
    voices.close()


def voices_of(folder: Path) -> Voices:
    """Return the voices whose models are in such a folder."""
    from lab.music.voices import Voices

    return Voices(base=folder / "base", adapters=folder / "adapters")


def write_models(folder: Path) -> None:
    """Write a base and all ways to adapt it, as ``training/melody_adapters.py`` writes them."""
    import torch
    from safetensors.torch import save_file

    from lab.lora import adapter_of, inject, save_peft
    from lab.music.voices import VOICES, Voice

    adapters = folder / "adapters"
    base = tiny_melody_model(0)
    base.save_pretrained(folder / "base")
    whole = [voice for voice, about in VOICES.items() if about.trained and voice is not Voice.LAST_BLOCK]
    for seed, voice in enumerate(whole, 1):
        tiny_melody_model(seed).save_pretrained(adapters / f"bach-{voice}")
    (adapters / "bach-last-block").mkdir()
    last = ("transformer.h.1.", "transformer.ln_f.")
    other = dict(tiny_melody_model(3).named_parameters())
    tensors = {name: tensor.detach().half() for name, tensor in other.items() if name.startswith(last)}
    save_file(tensors, adapters / "bach-last-block" / "last_block.safetensors")
    layers = inject(base, TARGETS, RANK, ALPHA)
    generator = torch.Generator().manual_seed(4)
    for layer in layers.values():
        layer.B.data.normal_(0, 0.2, generator=generator)
    save_peft(adapter_of(layers), adapters / "bach-lora", "folk-gpt2")


def tiny_melody_model(seed: int) -> GPT2LMHeadModel:
    """Return a random model with peaked distributions that likes to end phrases, so that melodies are short."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from lab.music.corpus import load_vocabulary

    vocabulary = load_vocabulary()
    config = GPT2Config(
        vocab_size=len(vocabulary),
        n_positions=CONTEXT,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=4,
        bos_token_id=vocabulary.end,
        eos_token_id=vocabulary.end,
        initializer_range=0.3,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        signs = model.transformer.wte.weight[list(vocabulary.phrase_ends)]
        model.transformer.ln_f.bias += 2 * signs.sum(0)
    return model
