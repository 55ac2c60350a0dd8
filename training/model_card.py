"""Write the model card of the built-in model, and a thinned copy of the log of the run that made it.

    python -m training.model_card --model assets/prose-gpt2 --log runs/prose-gpt2/log.jsonl --corpus prose.txt.xz
    python -m training.model_card --model assets/prose-gpt2 --samples-only

The card's text is model_card.md; every figure put into it comes from the model's configuration, the log or the corpus.
The second command writes nothing but prints the samples.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from string import Template

import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerBase

from training.corpus import VALIDATION_BOOKS, read_text, split_books
from training.language_model import (
    ADAMW_LEARNING_RATE,
    MUON_LEARNING_RATE,
    MUON_WEIGHT_DECAY,
    PRESETS,
    WARMUP_STEPS,
)
from training.run_log import Line, batch_sizes, estimate_schedule, evenly, read_log, thin, write_lines
from training.samples import NEW_TOKENS, TEMPERATURE, TOP_P, samples_markdown

TABLE_ROWS = 12
TABLE_COLUMNS = {
    "training_nats_per_token": 3,  # digits after the point
    "held_out_nats_per_token": 3,
    "held_out_bits_per_byte": 3,
    "learning_rate_factor": 2,
}

TEMPLATE = Path(__file__).with_name("model_card.md")


def count_parameters(config: GPT2Config) -> tuple[int, int]:
    """Return the number of parameters, tied ones counted once, and how many of them are in the blocks."""
    with torch.device("meta"):
        model = GPT2LMHeadModel(config)
    return sum(p.numel() for p in model.parameters()), sum(p.numel() for p in model.transformer.h.parameters())


def preset_option(config: GPT2Config, batch: int) -> str:
    """Return the option that names the preset of this size, empty for the default; ValueError if there is none."""
    for name, preset in PRESETS.items():
        size = (preset.layers, preset.width, preset.heads, preset.context, preset.batch)
        if size == (config.n_layer, config.n_embd, config.n_head, config.n_positions, batch):
            return "" if name == "cpu" else f" --preset {name}"
    raise ValueError("no preset has the size of this model, or the log is not its own")


def loss_table(lines: Sequence[Line]) -> str:
    """Return the rows of the card's table: lines with a held-out loss, evenly spread, and the last line."""
    evaluated = [line for line in lines[:-1] if "held_out_nats_per_token" in line]
    rows = []
    for line in [*evenly(evaluated, TABLE_ROWS - 1), lines[-1]]:
        cells = [f"{line[key]:.{digits}f}" if key in line else "" for key, digits in TABLE_COLUMNS.items()]
        rows.append(f"| {line['tokens']:,} | {line['seconds'] / 60:,.0f} | {' | '.join(cells)} |")
    return "\n".join(rows)


def duration(seconds: float) -> str:
    """Return seconds in hours and minutes."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def training_commands(places: str, larger: Sequence[tuple[int, int]], schedule: str) -> str:
    """Return the command that trains, or several where the batches grew.

    Args:
        places: options that all commands have.
        larger: after how many tokens the batches grew, each time with the windows of a step from there on.
        schedule: options of the last command, which has the decay in it.
    """
    ends = [*(f"--stable-tokens {before} --decay-tokens 0" for before, _ in larger), schedule]
    batches = ["", *(f" --batch {windows}" for _, windows in larger)]
    command = f"python -m training.language_model --corpus prose.txt.xz {places}"
    return "\n".join(f"{command} \\\n    {end}{batch}" for end, batch in zip(ends, batches, strict=True))


def write_card(
    arguments: argparse.Namespace, config: GPT2Config, tokenizer: PreTrainedTokenizerBase, samples: str
) -> str:
    """Return the model card. Raises ValueError if the log does not end in the evaluation of a finished run."""
    lines = read_log(arguments.log)
    last = lines[-1]
    if "held_out_tokens" not in last:
        raise ValueError(f"{arguments.log} does not end in an evaluation: the run has not finished")
    estimated = estimate_schedule(lines)
    stable = estimated[0] if arguments.stable_tokens is None else arguments.stable_tokens
    decay = estimated[1] if arguments.decay_tokens is None else arguments.decay_tokens
    text = read_text(arguments.corpus)
    books = split_books(text)
    held_out = "".join(books[-VALIDATION_BOOKS:])
    held_out_tokens = sum(len(ids) for ids in tokenizer(books[-VALIDATION_BOOKS:], verbose=False).input_ids)
    parameters, block_parameters = count_parameters(config)
    (_, tokens_per_step), *larger = batch_sizes(lines)
    preset = preset_option(config, tokens_per_step // config.n_positions)
    plain = arguments.decay_books == "plain"
    folder = Path(os.path.relpath(arguments.model)).as_posix()
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        name=arguments.model.name,
        folder=folder,
        parameters=f"{parameters:,}",
        block_parameters=f"{block_parameters:,}",
        layers=config.n_layer,
        width=config.n_embd,
        heads=config.n_head,
        context=config.n_positions,
        context_words=round(config.n_positions * len(held_out.split()) / held_out_tokens),
        activation=config.activation_function,
        vocabulary=f"{config.vocab_size:,}",
        bytes_per_token=f"{len(held_out.encode()) / held_out_tokens:.2f}",
        works=len(books),
        megabytes=f"{len(text.encode()) / 1e6:.1f}",
        held_out_megabytes=f"{len(held_out.encode()) / 1e6:.1f}",
        digest=hashlib.sha256(text.encode()).hexdigest(),
        batch=tokens_per_step // config.n_positions,
        tokens_per_step=f"{tokens_per_step:,}",
        larger_batches="".join(
            f"; from {before:,} tokens on {size // config.n_positions} ({size:,})" for before, size in larger
        ),
        muon_rate=MUON_LEARNING_RATE,
        muon_decay=MUON_WEIGHT_DECAY,
        adamw_rate=ADAMW_LEARNING_RATE,
        warmup=WARMUP_STEPS,
        stable=f"{stable:,}",
        decay=f"{decay:,}",
        decay_books=arguments.decay_books,
        history=f" {arguments.history}" if arguments.history else "",
        decay_source="of children's books and detective stories only" if plain else "of the same books",
        plain_note=" and with `--decay-books all`" if plain else "",
        training_commands=training_commands(
            f"--out {folder} --run runs/{arguments.model.name}{preset}",
            [(before, size // config.n_positions) for before, size in larger],
            f"--stable-tokens {stable} --decay-tokens {decay} --decay-books {arguments.decay_books}",
        )
        + (f"\n{arguments.then}" if arguments.then else ""),
        tokens=f"{last['tokens']:,}",
        steps=f"{last['step']:,}",
        seconds=f"{last['seconds']:,.0f}",
        duration=duration(last["seconds"]),
        hardware=arguments.hardware,
        table=loss_table(lines),
        log_copy=f"training/runs/{arguments.model.name}.jsonl",
        nats=f"{last['held_out_nats_per_token']:.3f}",
        bits=f"{last['held_out_bits_per_byte']:.3f}",
        held_out_tokens=f"{last['held_out_tokens']:,}",
        count=arguments.samples,
        temperature=TEMPERATURE,
        top_p=TOP_P,
        new_tokens=NEW_TOKENS,
        samples=samples,
    )


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, or the words given instead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of model and tokenizer; takes the README.md")
    parser.add_argument("--log", type=Path, help="log.jsonl of the finished run")
    parser.add_argument("--corpus", type=Path, help="what it was trained on")
    parser.add_argument("--hardware", default="two CPU cores")
    parser.add_argument("--stable-tokens", type=int, help="as the run was given it; default: estimated from the log")
    parser.add_argument("--decay-tokens", type=int, help="likewise")
    parser.add_argument("--decay-books", choices=("all", "plain"), default="plain", help="as the run was given it")
    parser.add_argument("--then", default="", help="commands that came after the run's, as lines of the shell")
    parser.add_argument("--history", default="", help="a sentence on what else happened to the learning rate")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--samples-only", action="store_true", help="print the samples and write nothing")
    parser.add_argument("--runs", type=Path, default=Path(__file__).parent / "runs", help="takes the thinned log")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(words)
    if not arguments.samples_only and not (arguments.log and arguments.corpus):
        parser.error("--log and --corpus are needed, unless with --samples-only")
    return arguments


def main(words: Sequence[str] | None = None) -> None:
    """Write the card and the thinned log, or print the samples."""
    arguments = parse_arguments(words)
    torch.set_num_threads(arguments.threads)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = GPT2LMHeadModel.from_pretrained(arguments.model, dtype=torch.float32)
    samples = samples_markdown(model, tokenizer, arguments.samples)
    if arguments.samples_only:
        print(samples)
        return
    card = write_card(arguments, model.config, tokenizer, samples)
    (arguments.model / "README.md").write_text(card, encoding="utf-8")
    write_lines(thin(read_log(arguments.log)), arguments.runs / f"{arguments.model.name}.jsonl")


if __name__ == "__main__":
    main()
