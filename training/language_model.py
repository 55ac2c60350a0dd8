"""Train the built-in GPT-2 on prose and write it to assets/.

    python -m training.tokenizer      --corpus prose.txt.xz --out assets/prose-gpt2
    python -m training.language_model --corpus prose.txt.xz --out assets/prose-gpt2 --run runs/prose --preset cpu

Muon (Jordan et al., 2024) on the matrices of the blocks and AdamW on embeddings, biases and norms.
The learning rate is a trapezoid: a short warm-up, a constant stretch, a linear decay to zero. The constant stretch can
be ended at any time: stop the run (it saves a checkpoint), and resume it with ``--stable-tokens`` at what it has read.
What has been exported can be trained on without its checkpoint, which is not kept: ``--continue-from`` its log.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

from lab.text.losses import language_model_loss
from training.checkpoints import load_checkpoint, save_checkpoint
from training.corpus import VALIDATION_BOOKS, TokenStream, encode_books, plain_books, read_books
from training.muon import Muon
from training.run_log import RunLog, read_log

WARMUP_STEPS = 50
MUON_LEARNING_RATE = 0.02
MUON_WEIGHT_DECAY = 0.02
ADAMW_LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Preset:
    """Size of the model and of a batch: context in tokens, batch in windows of that many."""

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
        "muon": Muon(matrices, lr=MUON_LEARNING_RATE, weight_decay=MUON_WEIGHT_DECAY),
        "adamw": torch.optim.AdamW(others, lr=ADAMW_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    }


def learning_rate_factor(tokens: int, step: int, stable_tokens: int, decay_tokens: int) -> float:
    """Return the factor on both learning rates, 0 to 1: linear warm-up in steps, constant, linear decay in tokens.

    Args:
        tokens: read before this step.
        step: counted from 0.
    """
    warmup = min(1.0, (step + 1) / WARMUP_STEPS)
    return warmup * min(1.0, max(0.0, 1 - (tokens - stable_tokens) / max(decay_tokens, 1)))


def set_learning_rates(optimizers: dict[str, torch.optim.Optimizer], factor: float) -> None:
    """Set each optimizer's learning rate to its full one times the factor."""
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = optimizer.defaults["lr"] * factor


def training_loss(model: GPT2LMHeadModel, windows: torch.Tensor, bfloat16: bool) -> torch.Tensor:
    """Return the mean loss in nats per token, forward pass in bf16 autocast if asked for.

    windows: token ids, shape (batch, context + 1).
    """
    if not bfloat16:
        return language_model_loss(model, windows)
    with torch.autocast(windows.device.type, dtype=torch.bfloat16):
        logits = model(windows[:, :-1], use_cache=False).logits  # (batch, context, vocabulary)
        return functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


@torch.no_grad()
def evaluate(
    model: GPT2LMHeadModel, tokenizer: Tokenizer, stream: np.ndarray, windows: int | None = None
) -> dict[str, float | int]:
    """Return the loss on a token stream as nats_per_token, bits_per_byte and tokens (how many were predicted).

    Args:
        tokenizer: byte-level, so that each character of a token's name stands for one byte of text.
        stream: token ids, shape (tokens,), cut into windows: each token but the first of a window, which is the last of
            the window before, is predicted from those before it in the window. An incomplete last window is left out.
        windows: evaluate so many windows, evenly spread; None for all of them.

    Raises ValueError if the stream holds not even one window.
    """
    context = model.config.n_positions
    starts = np.arange(0, len(stream) - context, context)
    if not len(starts):
        raise ValueError(f"{len(stream)} held-out tokens are fewer than a window of {context + 1}")
    if windows is not None and windows < len(starts):
        starts = starts[np.linspace(0, len(starts) - 1, windows).astype(int)]
    bytes_of_id = np.array([len(tokenizer.id_to_token(id_)) for id_ in range(tokenizer.get_vocab_size())])
    nats = tokens = size = 0
    model.eval()
    for chunk in np.array_split(starts, math.ceil(len(starts) / 16)):
        batch = np.stack([stream[s : s + context + 1] for s in chunk]).astype(np.int64)
        nats += language_model_loss(model, torch.from_numpy(batch).to(model.device)).item() * batch[:, 1:].size
        tokens += batch[:, 1:].size
        size += int(bytes_of_id[batch[:, 1:]].sum())
    model.train()
    return {"nats_per_token": nats / tokens, "bits_per_byte": nats / size / math.log(2), "tokens": tokens}


def encoded_corpus(tokenizer_file: Path, corpus: Path, run: Path) -> list[np.ndarray]:
    """Return the token ids of each book, kept in the run's folder because encoding takes a minute.

    What is kept there is made anew if the tokenizer or the corpus is younger.
    """
    cache = run / "tokens.safetensors"
    if not cache.exists() or cache.stat().st_mtime < max(tokenizer_file.stat().st_mtime, corpus.stat().st_mtime):
        run.mkdir(parents=True, exist_ok=True)
        books = encode_books(Tokenizer.from_file(str(tokenizer_file)), read_books(corpus))
        partial = run / "tokens.partial"
        save_file({f"{number:04}": ids for number, ids in enumerate(books)}, partial)
        os.replace(partial, cache)
    return [ids for _, ids in sorted(load_file(cache).items())]


class Interrupt:
    """While entered, turns the first SIGTERM or SIGINT into a flag, so that the step in progress ends and is saved.

    A second signal acts as it would have without this. To be entered in the main thread.
    """

    def __enter__(self) -> Interrupt:
        self.requested = False
        self._handlers = {number: signal.signal(number, self._request) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _request(self, *_: object) -> None:
        self.requested = True
        self.__exit__()


def train(arguments: argparse.Namespace) -> None:
    """Train from the run's checkpoint, or from scratch, until all tokens are read or a signal asks to stop.

    Only a run that has read all its tokens is evaluated on the whole held-out text and exported. Raises ValueError if
    the corpus is too small for what is asked, FloatingPointError if the loss is not finite.
    """
    preset = PRESETS[arguments.preset]
    if arguments.batch:
        preset = replace(preset, batch=arguments.batch)
    device = torch.device(arguments.device)
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    tokenizer_file = arguments.out / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    books = encoded_corpus(tokenizer_file, arguments.corpus, arguments.run)
    training, validation = books[:-VALIDATION_BOOKS], np.concatenate(books[-VALIDATION_BOOKS:])
    last = plain_books(training) if arguments.decay_books == "plain" else training
    sizes = [f"{sum(map(len, part)):,}" for part in (training, last, [validation])]
    print("tokens: {} to train on, {} of them to end on, {} held out".format(*sizes))
    stable_stream = TokenStream(training, preset.context, arguments.seed)
    decay_stream = TokenStream(last, preset.context, arguments.seed + 1)

    model = build_model(preset, tokenizer.get_vocab_size()).to(device)
    optimizers = build_optimizers(model)
    progress = {"step": 0, "tokens": 0, "decay_windows": 0, "seconds": 0.0}
    progress |= load_checkpoint(arguments.run, model, optimizers) or exported(arguments, model) or {}
    log = RunLog(arguments.run / "log.jsonl", progress)

    model.train()
    with Interrupt() as interrupt:
        while progress["tokens"] < arguments.stable_tokens + arguments.decay_tokens and not interrupt.requested:
            factor = learning_rate_factor(
                progress["tokens"], progress["step"], arguments.stable_tokens, arguments.decay_tokens
            )
            set_learning_rates(optimizers, factor)
            if progress["tokens"] < arguments.stable_tokens:
                windows = stable_stream.batch(progress["tokens"] // preset.context, preset.batch)
            else:
                windows = decay_stream.batch(progress["decay_windows"], preset.batch)
                progress["decay_windows"] += preset.batch
            loss = 0.0
            for part in torch.from_numpy(windows).to(device).split(arguments.together or preset.batch):
                share = training_loss(model, part, arguments.bfloat16) * (len(part) / preset.batch)
                share.backward()
                loss += share.item()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers.values():
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            progress["step"] += 1
            progress["tokens"] += preset.batch * preset.context
            log.add(loss)
            evaluating = progress["step"] % arguments.evaluate_every == 0
            if evaluating or progress["step"] % arguments.log_every == 0:
                figures = evaluate(model, tokenizer, validation, windows=64) if evaluating else {}
                log.write(learning_rate_factor=factor, **{f"held_out_{key}": value for key, value in figures.items()})
            if progress["step"] % arguments.save_every == 0:
                save_checkpoint(arguments.run, model, optimizers, progress)
        log.write()
        save_checkpoint(arguments.run, model, optimizers, progress)
    if interrupt.requested:
        print("stopped; run the same command again to go on")
        return
    log.write(**{f"held_out_{key}": value for key, value in evaluate(model, tokenizer, validation).items()})
    export(model, arguments.out)


def exported(arguments: argparse.Namespace, model: GPT2LMHeadModel) -> dict[str, float | int] | None:
    """Restore the exported weights in place and return how far their log says they came; None if not asked for.

    The optimizers start empty: their moments fill within some twenty steps. Raises OSError if there are no weights, or
    no log, and ValueError if the log is empty.
    """
    if arguments.continue_from is None:
        return None
    last = read_log(arguments.continue_from)[-1]
    model.load_state_dict(GPT2LMHeadModel.from_pretrained(arguments.out, dtype=torch.float32).state_dict())
    return {key: last[key] for key in ("step", "tokens", "seconds")}


def export(model: GPT2LMHeadModel, folder: Path) -> None:
    """Turn the model's weights to half precision and write them, in shards that a Space takes without LFS."""
    for shard in folder.glob("model*.safetensors*"):
        shard.unlink()
    model.to(torch.float16).save_pretrained(folder, max_shard_size="8MB")
    for shard in folder.glob("model*.safetensors"):
        shard.chmod(0o644)  # safetensors lets only the owner read


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, or the words given instead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder that holds the tokenizer and takes the model")
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoint and log; resumed if it has one")
    parser.add_argument("--continue-from", type=Path, help="log of the run that made the weights in --out, to go on")
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--batch", type=int, help="windows a step, the preset's if not given; may change on resuming")
    parser.add_argument("--together", type=int, help="windows of a step at once, all if not given; few stay in a cache")
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
    return parser.parse_args(words)


if __name__ == "__main__":
    train(parse_arguments())
