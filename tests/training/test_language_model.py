"""The training script: its parts, and whole runs of the tiny preset."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, GPT2LMHeadModel

from training import language_model
from training.corpus import TokenStream
from training.language_model import (
    PRESETS,
    WARMUP_STEPS,
    build_model,
    build_optimizers,
    encoded_corpus,
    evaluate,
    export,
    learning_rate_factor,
    parse_arguments,
    train,
)

STEPS = 20  # of 4 windows of 32 tokens


def test_the_learning_rate_is_a_trapezoid():
    def factor(tokens: int, step: int = 1000) -> float:
        return learning_rate_factor(tokens, step, stable_tokens=600, decay_tokens=400)

    assert [factor(0, step) for step in (0, WARMUP_STEPS // 2 - 1, WARMUP_STEPS - 1)] == [1 / WARMUP_STEPS, 0.5, 1.0]
    assert [factor(tokens) for tokens in (0, 300, 600)] == [1.0, 1.0, 1.0]
    assert [factor(tokens) for tokens in (700, 800, 900, 1000, 1100)] == pytest.approx([0.75, 0.5, 0.25, 0, 0])
    assert factor(800, WARMUP_STEPS // 2 - 1) == pytest.approx(0.25)
    assert learning_rate_factor(100, 1000, stable_tokens=100, decay_tokens=0) == 1.0


def test_muon_gets_the_matrices_of_the_blocks_and_adamw_the_rest():
    model = build_model(PRESETS["tiny"], 300)
    optimizers = build_optimizers(model)
    names = {parameter: name for name, parameter in model.named_parameters()}
    given = {
        label: {names[p] for group in optimizer.param_groups for p in group["params"]}
        for label, optimizer in optimizers.items()
    }
    layers = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert given["muon"] == {f"transformer.h.{block}.{layer}.weight" for block in (0, 1) for layer in layers}
    assert given["adamw"] == set(names.values()) - given["muon"]


def test_evaluation_is_the_mean_over_every_predicted_token(tokenizer: Tokenizer, books: list[str]):
    model = build_model(PRESETS["tiny"], 300)
    text = books[0] + books[1]
    stream = np.array(tokenizer.encode(text).ids, dtype=np.uint16)[: 20 * 32 + 1]
    windows = torch.from_numpy(np.stack([stream[s : s + 33] for s in range(0, 20 * 32, 32)]).astype(np.int64))
    with torch.no_grad():
        logits = model(windows[:, :-1]).logits
    expected = cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten(), reduction="sum").item()
    size = sum(len(tokenizer.id_to_token(int(i))) for i in stream[1:])
    assert size == len(tokenizer.decode(stream[1:].tolist()).encode())  # here no character is cut
    figures = evaluate(model, tokenizer, stream)
    assert figures["tokens"] == 20 * 32
    assert figures["nats_per_token"] == pytest.approx(expected / (20 * 32), rel=1e-5)
    assert figures["bits_per_byte"] == pytest.approx(expected / math.log(2) / size, rel=1e-5)
    assert evaluate(model, tokenizer, stream, windows=5)["tokens"] == 5 * 32
    assert model.training
    with pytest.raises(ValueError, match="fewer than a window"):
        evaluate(model, tokenizer, stream[:32])


def test_encoded_books_are_kept_until_the_tokenizer_or_the_corpus_changes(corpus: Path, out: Path, tmp_path: Path):
    first = encoded_corpus(out / "tokenizer.json", corpus, tmp_path / "run")
    cache = tmp_path / "run" / "tokens.safetensors"
    written = cache.stat().st_mtime_ns
    again = encoded_corpus(out / "tokenizer.json", corpus, tmp_path / "run")
    assert len(again) == len(first) == 8
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert cache.stat().st_mtime_ns == written
    corpus.write_text("Another book.\n")
    os.utime(corpus, ns=(written + 10**9, written + 10**9))
    assert len(encoded_corpus(out / "tokenizer.json", corpus, tmp_path / "run")) == 1


def run_arguments(corpus: Path, out: Path, run: Path, *words: str) -> argparse.Namespace:
    """Return the arguments of a run that ends its stable stretch in the middle of a step and logs and saves often."""
    tokens = STEPS * 4 * 32
    line = f"--corpus {corpus} --out {out} --run {run} --preset tiny --threads 1 --device cpu --decay-books all"
    line += f" --stable-tokens {tokens * 6 // 10 + 5} --decay-tokens {tokens * 4 // 10 - 5}"
    line += " --log-every 4 --evaluate-every 5 --save-every 3"
    return parse_arguments([*line.split(), *words])


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoint.safetensors")


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.fixture
def disturb(monkeypatch: pytest.MonkeyPatch):
    """Return a function that sets what is to happen, once, in a run's n-th step from now on."""

    def at(step: int, action) -> None:
        whole, calls = language_model.training_loss, iter(range(1, 1000))

        def loss(*arguments, **options):
            if next(calls) == step:
                action()
            return whole(*arguments, **options)

        monkeypatch.setattr(language_model, "training_loss", loss)

    return at


def test_every_step_has_its_windows_and_its_learning_rates(
    corpus: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen, optimizers = [], {}
    training_loss, build = language_model.training_loss, language_model.build_optimizers

    def building(model):
        optimizers.update(build(model))
        return optimizers

    def watching(model, windows, bfloat16):
        rates = [group["lr"] for label in ("muon", "adamw") for group in optimizers[label].param_groups]
        seen.append((windows.numpy().copy(), *rates))
        return training_loss(model, windows, bfloat16)

    monkeypatch.setattr(language_model, "build_optimizers", building)
    monkeypatch.setattr(language_model, "training_loss", watching)
    arguments = run_arguments(corpus, out, tmp_path / "run")
    train(arguments)
    training = encoded_corpus(out / "tokenizer.json", corpus, tmp_path / "run")[:4]  # the others are held out
    stable, decay = TokenStream(training, 32, seed=0), TokenStream(training, 32, seed=1)
    assert len(seen) == STEPS
    for step, (windows, muon, adamw) in enumerate(seen):
        expected = stable.batch(4 * step, 4) if step < 13 else decay.batch(4 * (step - 13), 4)
        assert np.array_equal(windows, expected), step
        factor = learning_rate_factor(step * 4 * 32, step, arguments.stable_tokens, arguments.decay_tokens)
        assert (muon, adamw) == pytest.approx((0.02 * factor, 0.002 * factor)), step


def test_a_run_that_goes_on_with_larger_batches_reads_on_where_it_was(
    corpus: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen, training_loss = [], language_model.training_loss

    def watching(model, windows, bfloat16):
        seen.extend(windows.numpy().copy())
        return training_loss(model, windows, bfloat16)

    monkeypatch.setattr(language_model, "training_loss", watching)
    line = f"--corpus {corpus} --out {out} --run {tmp_path / 'run'} --preset tiny --threads 1 --device cpu"
    line += " --decay-books all --decay-tokens 0 --stable-tokens"
    train(parse_arguments([*line.split(), "384"]))
    train(parse_arguments([*line.split(), "896", "--batch", "8"]))
    training = encoded_corpus(out / "tokenizer.json", corpus, tmp_path / "run")[:4]
    assert np.array_equal(seen, TokenStream(training, 32, seed=0).batch(0, 28))  # 3 steps of 4, then 2 of 8


def test_the_windows_of_a_step_give_one_gradient_however_many_are_read_at_once(
    whole, corpus: Path, out: Path, tmp_path: Path
):
    train(run_arguments(corpus, out, tmp_path / "parts", "--together", "3"))  # of four: three and one
    parts = weights(tmp_path / "parts")
    for name, value in whole.items():
        assert torch.allclose(parts[name], value, atol=1e-3), name


def test_a_run_goes_on_from_exported_weights_and_their_log(
    corpus: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    train(run_arguments(corpus, out, tmp_path / "first"))
    log = tmp_path / "first" / "log.jsonl"
    begun = []

    def watching(model, windows, bfloat16):
        begun.append({name: parameter.detach().clone() for name, parameter in model.named_parameters()})
        return training_loss(model, windows, bfloat16)

    training_loss = language_model.training_loss
    monkeypatch.setattr(language_model, "training_loss", watching)
    further = run_arguments(corpus, out, tmp_path / "second", "--continue-from", str(log))
    further.decay_tokens += 2 * 4 * 32  # two steps more
    train(further)
    first = weights(tmp_path / "first")
    assert all(torch.equal(begun[0][name], first[f"model.{name}"].half().float()) for name in begun[0])
    assert len(begun) == 2
    lines = [json.loads(line) for line in (tmp_path / "second" / "log.jsonl").read_text().splitlines()]
    assert (lines[-1]["step"], lines[-1]["tokens"]) == (STEPS + 2, (STEPS + 2) * 4 * 32)
    assert lines[-1]["seconds"] >= json.loads(log.read_text().splitlines()[-1])["seconds"]
    with pytest.raises(OSError):
        train(run_arguments(corpus, out, tmp_path / "third", "--continue-from", str(tmp_path / "none.jsonl")))


@pytest.fixture
def whole(corpus: Path, out: Path, tmp_path: Path) -> dict[str, torch.Tensor]:
    """The last checkpoint of a run that nothing disturbed."""
    train(run_arguments(corpus, out, tmp_path / "whole"))
    return weights(tmp_path / "whole")


def kill() -> None:
    raise MemoryError("killed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_twice_gives_the_weights_of_one_that_is_not(
    whole, corpus: Path, out: Path, tmp_path: Path, disturb, number: signal.Signals, capsys: pytest.CaptureFixture[str]
):
    arguments = run_arguments(corpus, out, tmp_path / "run")
    handler = signal.getsignal(number)
    for step in (7, 8):  # the 7th is in the stable stretch, the 15th in the decay
        disturb(step, lambda: signal.raise_signal(number))
        train(arguments)
        assert "stopped" in capsys.readouterr().out
        assert signal.getsignal(number) == handler
    assert not equal(weights(tmp_path / "run"), whole)
    train(arguments)
    assert equal(weights(tmp_path / "run"), whole)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 5, 7, 8, 10, 12, 15, 16, 20, 20]


def test_a_run_that_is_killed_goes_on_from_its_checkpoint(whole, corpus: Path, out: Path, tmp_path: Path, disturb):
    arguments = run_arguments(corpus, out, tmp_path / "run")
    for step in (8, 10):  # the 8th step, and, from the 6th on, the 16th
        disturb(step, kill)
        with pytest.raises(MemoryError):
            train(arguments)
    train(arguments)
    assert equal(weights(tmp_path / "run"), whole)


def test_the_seed_matters(whole, corpus: Path, out: Path, tmp_path: Path):
    train(run_arguments(corpus, out, tmp_path / "other", "--seed", "1"))
    assert not equal(weights(tmp_path / "other"), whole)


def test_a_second_signal_acts_as_it_always_did(corpus: Path, out: Path, tmp_path: Path, disturb):
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    disturb(2, twice)
    # Where tests run in the background, the shell has this signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(run_arguments(corpus, out, tmp_path / "run"))
    finally:
        signal.signal(signal.SIGINT, before)


def test_only_a_finished_run_exports_and_what_it_exports_has_learnt(corpus: Path, out: Path, tmp_path: Path, disturb):
    arguments = run_arguments(corpus, out, tmp_path / "run")
    arguments.stable_tokens *= 4
    disturb(3, lambda: signal.raise_signal(signal.SIGTERM))
    train(arguments)
    assert not list(out.glob("*.safetensors"))
    train(arguments)
    model = GPT2LMHeadModel.from_pretrained(out, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(out)
    saved = weights(tmp_path / "run")
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, saved[f"model.{name}"].half().float()), name
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    held_out = encoded_corpus(out / "tokenizer.json", corpus, tmp_path / "run")[-4:]
    figures = evaluate(model, tokenizer.backend_tokenizer, np.concatenate(held_out))
    assert lines[-1]["held_out_tokens"] == figures["tokens"]
    assert lines[-1]["held_out_nats_per_token"] == pytest.approx(figures["nats_per_token"], abs=2e-3)
    assert figures["nats_per_token"] < math.log(300) - 1.5  # the made books are easy


def test_plain_books_of_another_corpus_are_refused(corpus: Path, out: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="PLAIN_BOOKS"):
        train(run_arguments(corpus, out, tmp_path / "run", "--decay-books", "plain"))


def test_export_writes_half_precision_shards_that_transformers_loads(tmp_path: Path):
    preset = language_model.Preset(layers=6, width=320, heads=5, context=64, batch=1)
    model = build_model(preset, 8192)
    expected = {name: parameter.detach().half() for name, parameter in model.named_parameters()}
    export(build_model(PRESETS["tiny"], 300), tmp_path)  # an older model, in one file
    (tmp_path / "tokenizer.json").write_text("{}")
    export(model, tmp_path)
    shards = sorted(tmp_path.glob("*.safetensors"))
    assert len(shards) > 1
    assert all(shard.stat().st_size < 9_000_000 for shard in shards)
    assert all(shard.stat().st_mode & 0o777 == 0o644 for shard in shards)
    assert "model.safetensors" not in [shard.name for shard in shards]
    assert {value.dtype for shard in shards for value in load_file(shard).values()} == {torch.float16}
    assert (tmp_path / "tokenizer.json").exists()
    loaded = GPT2LMHeadModel.from_pretrained(tmp_path)
    assert {name for name, _ in loaded.named_parameters()} == expected.keys()
    assert all(torch.equal(parameter, expected[name]) for name, parameter in loaded.named_parameters())
    assert loaded.lm_head.weight is loaded.transformer.wte.weight


def test_the_command_line_of_the_run_that_made_what_ships():
    line = "--corpus prose.txt --out assets/prose-gpt2 --run runs/prose --stable-tokens 12000000 --decay-tokens 6000000"
    arguments = parse_arguments(line.split())
    assert (arguments.preset, arguments.seed, arguments.decay_books) == ("cpu", 0, "plain")
    assert (arguments.stable_tokens, arguments.decay_tokens) == (12_000_000, 6_000_000)
    assert (arguments.log_every, arguments.evaluate_every, arguments.save_every) == (20, 200, 200)
