"""Train the folk-song model on the note data in assets/melodies/ and write it to assets/.

    python -m training.melody_model --out assets/folk-gpt2 --run runs/folk

A GPT-2 of 1.3 million parameters; Muon on the matrices of the blocks, AdamW on the rest, dropout against learning the
songs by heart, and songs now and then written in notes twice or half as long.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from lab.music.corpus import Collection, Split, load_split, load_vocabulary
from training.language_model import Interrupt, build_optimizers, export, set_learning_rates
from training.melody_batches import MelodyBatches, nats_per_note, training_loss
from training.run_log import RunLog

CONTEXT = 320
WARMUP_STEPS = 50
DECAY_SHARE = 0.5  # of the steps, at the end
BATCH_TOKENS = 4096


def build_model(vocabulary_size: int, layers: int, width: int, heads: int, dropout: float) -> GPT2LMHeadModel:
    """Return a freshly initialised model. Token 0 ends a melody."""
    config = GPT2Config(
        vocab_size=vocabulary_size,
        n_positions=CONTEXT,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPT2LMHeadModel(config)


def learning_rate_factor(step: int, steps: int) -> float:
    """Return the factor on the learning rates: linear warm-up, constant, linear decay to zero; step from 0."""
    warmup = min(1.0, (step + 1) / WARMUP_STEPS)
    return warmup * min(1.0, (steps - step) / (DECAY_SHARE * steps))


def train(arguments: argparse.Namespace) -> GPT2LMHeadModel:
    """Train for all steps and export. A signal ends the run without exporting anything."""
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    vocabulary = load_vocabulary()
    tunes = {split: [tune.tokens for tune in load_split(Collection.FOLK, split)] for split in Split}
    chorales = [tune.tokens for tune in load_split(Collection.BACH, Split.VALIDATION)]
    batches = MelodyBatches(
        tunes[Split.TRAIN], vocabulary, tokens=BATCH_TOKENS, rescale=arguments.rescale, seed=arguments.seed
    ).batches()
    model = build_model(len(vocabulary), arguments.layers, arguments.width, arguments.heads, arguments.dropout)
    optimizers = build_optimizers(model)
    progress = {"step": 0, "tokens": 0, "seconds": 0.0}
    arguments.run.mkdir(parents=True, exist_ok=True)
    log = RunLog(arguments.run / "log.jsonl", progress)
    best = (float("inf"), {})
    model.train()
    with Interrupt() as interrupt:
        while progress["step"] < arguments.steps and not interrupt.requested:
            batch = next(batches)
            set_learning_rates(optimizers, learning_rate_factor(progress["step"], arguments.steps))
            loss = training_loss(model, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers.values():
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            progress["step"] += 1
            progress["tokens"] += int((batch >= 0).sum())
            log.add(loss.item())
            if progress["step"] % arguments.evaluate_every == 0 or progress["step"] == arguments.steps:
                folk = nats_per_note(model, vocabulary, tunes[Split.VALIDATION])
                log.write(held_out_folk=folk, held_out_bach=nats_per_note(model, vocabulary, chorales))
                if folk < best[0]:
                    best = folk, {name: tensor.clone() for name, tensor in model.state_dict().items()}
    if interrupt.requested:
        print("stopped before the end; nothing exported")
        return model
    model.load_state_dict(best[1])
    for split in (Split.VALIDATION, Split.TEST):
        print(f"{split}: {nats_per_note(model, vocabulary, tunes[split]):.4f} nats per note")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        export(model, arguments.out)
    return model


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, or the words given instead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder that takes the model; none for a trial")
    parser.add_argument("--run", type=Path, required=True, help="folder for the log")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--heads", type=int, default=5)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--rescale", type=float, default=0.3)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--evaluate-every", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(words)


if __name__ == "__main__":
    start = time.monotonic()
    train(parse_arguments())
    print(f"{time.monotonic() - start:.0f} s")
