"""Train the built-in GPT-2 on prose and write it to assets/.

    python -m training.tokenizer      --corpus prose.txt.xz --out assets/prose-gpt2
    python -m training.language_model --corpus prose.txt.xz --out assets/prose-gpt2 --run runs/prose --preset cpu

Muon (Jordan et al., 2024) on the matrices of the blocks and AdamW on embeddings, biases and norms.
The learning rate is a trapezoid: a short warm-up, a constant stretch, a linear decay to zero. The constant stretch can
be ended at any time: stop the run (it saves a checkpoint), and resume it with ``--stable-tokens`` at what it has read.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

from training.checkpoints import load_checkpoint, save_checkpoint
from training.losses import language_model_loss
from training.muon import Muon
from training.corpus import PLAIN_BOOKS, VALIDATION_BOOKS, TokenStream, encode_books, read_books

WARMUP_STEPS = 50
MUON_LEARNING_RATE = 0.02
ADAMW_LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Preset:
    """Size of the model and of a batch."""

    layers: int
    width: int
    heads: int
    context: int
    batch: int


PRESETS = {
    "cpu": Preset(layers=6, width=320, heads=5, context=256, batch=16),
    "gpu": Preset(layers=8, width=512, heads=8, context=512, batch=64),
    "tiny": Preset(layers=2, width=32, heads=2, context=32, batch=4),  # for tests of this script
}


def build_model(preset: Preset, vocabulary_size: int) -> GPT2LMHeadModel:
    """Return a freshly initialised GPT-2. The activation is GPT-2's own, by the name of its fused kernel."""
    config = GPT2Config(
        vocab_size=vocabulary_size,
        n_positions=preset.context,
        n_embd=preset.width,
        n_layer=preset.layers,
        n_head=preset.heads,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPT2LMHeadModel(config)


def build_optimizers(model: GPT2LMHeadModel) -> dict[str, torch.optim.Optimizer]:
    """Return Muon for the blocks' matrices and AdamW for all else."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and ".h." in name]
    others = [p for name, p in model.named_parameters() if not (p.ndim == 2 and ".h." in name)]
    return {
        "muon": Muon(matrices, lr=MUON_LEARNING_RATE, weight_decay=0.02),
        "adamw": torch.optim.AdamW(others, lr=ADAMW_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    }


def learning_rate_factor(tokens: int, step: int, stable_tokens: int, decay_tokens: int) -> float:
    """Return the factor on both learning rates: linear warm-up in steps, constant, linear decay in tokens."""
    warmup = min(1.0, (step + 1) / WARMUP_STEPS)
    return warmup * min(1.0, max(0.0, 1 - (tokens - stable_tokens) / max(decay_tokens, 1)))


def training_loss(model: GPT2LMHeadModel, windows: torch.Tensor, bfloat16: bool) -> torch.Tensor:
    """Return the mean loss in nats per token, forward pass in bf16 autocast if asked for."""
    with torch.autocast(windows.device.type, dtype=torch.bfloat16, enabled=bfloat16):
        if not bfloat16:
            return language_model_loss(model, windows)
        logits = model(windows[:, :-1], use_cache=False).logits  # (batch, context, vocabulary)
        return functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


@torch.no_grad()
def evaluate(model: GPT2LMHeadModel, tokenizer: Tokenizer, stream: np.ndarray, windows: int | None = None) -> dict:
    """Return the loss on a token stream in nats per token and bits per byte.

    Args:
        stream: token ids, shape (tokens,), cut into windows that do not overlap: each token but the first of a window
            is predicted from those before it in the window.
        windows: evaluate so many windows, evenly spread; None for all of them.
    """
    model.eval()
    context = model.config.n_positions
    starts = np.arange(0, len(stream) - context - 1, context)
    if windows is not None and windows < len(starts):
        starts = starts[np.linspace(0, len(starts) - 1, windows).astype(int)]
    nats = tokens = size = 0
    for chunk in np.array_split(starts, math.ceil(len(starts) / 16)):
        batch = np.stack([stream[s : s + context + 1] for s in chunk]).astype(np.int64)
        nats += language_model_loss(model, torch.from_numpy(batch).to(model.device)).item() * batch[:, 1:].size
        tokens += batch[:, 1:].size
        size += sum(len(text.encode()) for text in tokenizer.decode_batch(batch[:, 1:], skip_special_tokens=False))
    model.train()
    return {"nats_per_token": nats / tokens, "bits_per_byte": nats / size / math.log(2), "tokens": tokens}


def encoded_corpus(tokenizer: Tokenizer, corpus: Path, run: Path) -> list[np.ndarray]:
    """Return the token ids of each book, kept in the run's folder because encoding takes a minute."""
    cache = run / "tokens.safetensors"
    if not cache.exists():
        run.mkdir(parents=True, exist_ok=True)
        save_file({f"{n:04}": ids for n, ids in enumerate(encode_books(tokenizer, read_books(corpus)))}, cache)
    return [ids for _, ids in sorted(load_file(cache).items())]


class Interrupt:
    """Turns the first SIGTERM or SIGINT into a flag, so that the step in progress ends and a checkpoint is written."""

    def __init__(self) -> None:
        self.requested = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._request)

    def _request(self, *_: object) -> None:
        self.requested = True


def train(arguments: argparse.Namespace) -> None:
    preset = PRESETS[arguments.preset]
    device = torch.device(arguments.device)
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    tokenizer = Tokenizer.from_file(str(arguments.out / "tokenizer.json"))
    books = encoded_corpus(tokenizer, arguments.corpus, arguments.run)
    training, validation = books[:-VALIDATION_BOOKS], np.concatenate(books[-VALIDATION_BOOKS:])
    plain = [training[number - 1] for number in PLAIN_BOOKS]
    print(f"{sum(map(len, training)):,} training tokens ({sum(map(len, plain)):,} plain), {len(validation):,} held out")
    streams = {
        "stable": TokenStream(training, preset.context, arguments.seed),
        "decay": TokenStream(plain if arguments.decay_books == "plain" else training, preset.context, arguments.seed + 1),
    }

    model = build_model(preset, tokenizer.get_vocab_size()).to(device)
    optimizers = build_optimizers(model)
    progress = {"step": 0, "tokens": 0, "decay_windows": 0, "seconds": 0.0}
    progress |= load_checkpoint(arguments.run, model, optimizers) or {}
    base_rates = {"muon": MUON_LEARNING_RATE, "adamw": ADAMW_LEARNING_RATE}
    total = arguments.stable_tokens + arguments.decay_tokens
    arguments.run.mkdir(parents=True, exist_ok=True)
    log = (arguments.run / "log.jsonl").open("a", encoding="utf-8")
    interrupt = Interrupt()
    running_loss, running_steps, since = 0.0, 0, time.monotonic()

    def record(**figures: object) -> None:
        nonlocal running_loss, running_steps, since
        now = time.monotonic()
        progress["seconds"] += now - since
        line = {
            "step": progress["step"],
            "tokens": progress["tokens"],
            "seconds": round(progress["seconds"], 1),
            "training_nats_per_token": round(running_loss / max(running_steps, 1), 4),
            "tokens_per_second": round(running_steps * preset.batch * preset.context / max(now - since, 1e-9)),
        }
        line |= {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()}
        running_loss, running_steps, since = 0.0, 0, now
        print(json.dumps(line), file=log, flush=True)
        print(json.dumps(line), flush=True)

    model.train()
    while progress["tokens"] < total and not interrupt.requested:
        decaying = progress["tokens"] >= arguments.stable_tokens
        factor = learning_rate_factor(
            progress["tokens"], progress["step"], arguments.stable_tokens, arguments.decay_tokens
        )
        for label, optimizer in optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = base_rates[label] * factor
        if decaying:
            windows = streams["decay"].batch(progress["decay_windows"], preset.batch)
            progress["decay_windows"] += preset.batch
        else:
            windows = streams["stable"].batch(progress["step"] * preset.batch, preset.batch)
        loss = training_loss(model, torch.from_numpy(windows).to(device), arguments.bfloat16)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        progress["step"] += 1
        progress["tokens"] += preset.batch * preset.context
        running_loss += loss.item()
        running_steps += 1
        if progress["step"] % arguments.log_every == 0:
            figures = {}
            if progress["step"] % arguments.evaluate_every == 0:
                figures = evaluate(model, tokenizer, validation, windows=64)
            record(learning_rate_factor=factor, **{f"held_out_{key}": value for key, value in figures.items()})
        if progress["step"] % arguments.save_every == 0:
            save_checkpoint(arguments.run, model, optimizers, progress)
    record()
    save_checkpoint(arguments.run, model, optimizers, progress)
    if interrupt.requested:
        print("stopped; run the same command again to go on")
        return
    figures = evaluate(model, tokenizer, validation)
    record(**{f"held_out_{key}": value for key, value in figures.items()})
    export(model, arguments.out)


def export(model: GPT2LMHeadModel, folder: Path) -> None:
    """Write the weights in half precision, in shards that a Space takes without large-file storage."""
    for shard in folder.glob("model*.safetensors*"):
        shard.unlink()
    model.to(torch.float16).save_pretrained(folder, max_shard_size="8MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder that holds the tokenizer and takes the model")
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoint and log; resumed if it has one")
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--stable-tokens", type=int, default=15_000_000, help="tokens read at the full learning rate")
    parser.add_argument("--decay-tokens", type=int, default=10_000_000, help="tokens read while it decays to zero")
    parser.add_argument("--decay-books", choices=("all", "plain"), default="plain")
    parser.add_argument("--log-every", type=int, default=20)
    parser.add_argument("--evaluate-every", type=int, default=200)
    parser.add_argument("--save-every", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--bfloat16", action="store_true", help="autocast: pays on a GPU or a CPU with AMX, else not")
    parser.add_argument("--seed", type=int, default=0)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
