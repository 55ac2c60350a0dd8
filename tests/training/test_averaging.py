"""Averaged weights: the mean, its figures in the log, and what is exported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel

from training import averaging
from training.language_model import PRESETS, build_model, encoded_corpus, evaluate, export


@pytest.fixture
def ends(tokenizer: Tokenizer, tmp_path: Path) -> list[Path]:
    """Three models in folders."""
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for seed, folder in enumerate(folders):
        torch.manual_seed(seed)
        export(build_model(PRESETS["tiny"], tokenizer.get_vocab_size()), folder)
    return folders


def test_each_end_counts_alike(ends: list[Path]):
    mean = dict(averaging.average(ends).named_parameters())
    models = [dict(GPT2LMHeadModel.from_pretrained(end, dtype=torch.float32).named_parameters()) for end in ends]
    for name, value in mean.items():
        assert torch.allclose(value, sum(model[name] for model in models) / 3, atol=1e-7), name
    assert not torch.equal(mean["transformer.wte.weight"], models[0]["transformer.wte.weight"])


def test_models_of_another_size_are_refused(ends: list[Path], tmp_path: Path):
    export(build_model(PRESETS["tiny"], 299), tmp_path / "other")
    with pytest.raises(RuntimeError):
        averaging.average([*ends, tmp_path / "other"])


def test_the_average_is_measured_logged_and_exported(ends: list[Path], corpus: Path, out: Path, tmp_path: Path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "log.jsonl").write_text('{"step": 7, "tokens": 896, "seconds": 2.5, "held_out_bits_per_byte": 9.0}\n')
    words = ["--models", *map(str, ends), "--corpus", str(corpus), "--run", str(run), "--out", str(out)]
    averaging.main([*words, "--threads", "1"])
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    held_out = np.concatenate(encoded_corpus(out / "tokenizer.json", corpus, run)[-4:])
    figures = evaluate(averaging.average(ends), tokenizer, held_out)
    line = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    assert (line["step"], line["tokens"]) == (7, 896)
    assert line["held_out_bits_per_byte"] == pytest.approx(figures["bits_per_byte"], abs=1e-4)
    shipped = GPT2LMHeadModel.from_pretrained(out, dtype=torch.float32)
    for (name, value), other in zip(shipped.named_parameters(), averaging.average(ends).parameters(), strict=True):
        assert torch.equal(value, other.half().float()), name
