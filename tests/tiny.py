"""A tokenizer and a language model that are small enough for a test, with everything that the real ones have."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from lab.text.engine import Engine
from lab.text.models import LanguageModel
from lab.text.vocabulary import Vocabulary
from tests.lab.text.conftest import tiny_gpt2
from training.corpus import END_OF_TEXT
from training.tokenizer import train_tokenizer

SENTENCES = (
    "The old house had been empty for years, but that night there was a light in the window.",
    "“I do not know,” said the captain, and he looked for the letter in the garden of the house.",
    "She found the door, took the key, and hid the letter; nobody looked for the old captain.",
    "Once upon a time there was a little girl who sold the moon — it wasn’t hers, of course …",
)
# Peaked as a real model's distributions are, and the best token well ahead of the second: an answer that is compared
# with transformers' does not hang on the last digit of a sum.
SPREAD = 0.3


def tiny_tokenizer(vocabulary_size: int = 330) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE with the special token, all bytes and a few words."""
    return PreTrainedTokenizerFast(
        tokenizer_object=train_tokenizer(SENTENCES * 3, vocabulary_size),
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        clean_up_tokenization_spaces=False,
    )


def save_tiny(folder: Path, *, safetensors: bool = True) -> Path:
    """Write model and tokenizer as ``save_pretrained`` does; otherwise the weights as a pickle, as of old."""
    tokenizer = tiny_tokenizer()
    model = tiny_gpt2(len(tokenizer), spread=SPREAD, dtype=torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if not safetensors:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


def rewrite_json(path: Path, **changes: object) -> None:
    """Change entries of a json file."""
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def language_model_of(network: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast) -> LanguageModel:
    """Return a language model as :func:`lab.text.models.load_folder` does, without a detour through files."""
    return LanguageModel(
        name="tiny",
        title="Tiny",
        engine=Engine(network),
        vocabulary=Vocabulary(tokenizer),
        parameters=sum(p.numel() for p in network.parameters()),
        context=network.config.n_positions,
        layers=network.config.n_layer,
        width=network.config.n_embd,
    )


class Anything:
    """Rules that forbid nothing."""

    def start(self, ids: object) -> Anything:
        return self

    def allowed(self) -> torch.Tensor:
        return torch.ones(97, dtype=torch.bool)

    def advance(self, token: int) -> None:
        """Nothing to remember."""
