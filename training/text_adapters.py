"""Train the adapters of the text model and write what ships: PEFT folders, their figures, and the logs of the runs.

    python -m training.text_adapters --prose prose.txt.xz --shakespeare shakespeare.txt.xz --grid
    python -m training.text_adapters --prose prose.txt.xz --shakespeare shakespeare.txt.xz
    python -m training.text_adapters --prose ... --shakespeare ... --base openai-community/gpt2 --styles shakespeare
    python -m training.text_cards

The first command compares targets, ranks and learning rates of about equal cost on Shakespeare's validation play and
keeps the best of them; the second trains every style with it. With another base (a folder, or a name on the Hub) the
same is done for that one: its adapters go to adapters/<style>-<base>.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, GPT2LMHeadModel

from lab.lora import load_peft
from lab.text.adapters import ADAPTERS, BUILT_IN, FIGURES, folder_of
from lab.text.models import ASSETS, download
from lab.text.tuning import Corpus, Tuned, TuningStep, blocks, held_out_loss, tune, tuned_model
from lab.text.tuning_settings import Method, Targets, TuningSettings
from lab.text.vocabulary import Vocabulary
from training.corpus import VALIDATION_BOOKS, read_books
from training.run_log import thin, write_lines
from training.text_styles import BATCH_TOKENS, STYLES, Style, read_style

RUNS = Path(__file__).parent / "runs"
TEST_WINDOWS = 256  # at most, of each text that is measured by, evenly spread
GRID_STYLE = "shakespeare"
GRID_STEPS = 50
MAX_SHARE = 0.01  # of the base's parameters, for what the grid may choose
# Of about the same budget, 1 % of the built-in model; rank 4 on all is the next step up, with 1.2 %.
GRID = (
    {"targets": Targets.ALL, "rank": 3, "learning_rate": 3e-3},
    {"targets": Targets.ALL, "rank": 3, "learning_rate": 6e-3},
    {"targets": Targets.ALL, "rank": 4, "learning_rate": 6e-3},
    {"targets": Targets.ATTENTION, "rank": 8, "learning_rate": 6e-3},
    {"targets": Targets.MLP, "rank": 5, "learning_rate": 6e-3},
    {"targets": Targets.INPUTS, "rank": 5, "learning_rate": 6e-3},
)
HELD_OUT_TOKENS = 8192  # read by a measurement while it trains
SHORT = 64  # tokens of a window, as long as what a visitor sees: the loss there is of texts without much before them


class Base:
    """A base model with all that training for it needs.

    Args:
        name: a folder, or a name on the Hub.

    Raises:
        lab.errors.ModelUnavailable: if it is neither there nor to be had from the Hub.
    """

    def __init__(self, name: str) -> None:
        folder = Path(name) if os.path.isdir(name) else download(name, print)
        self.folder = str(folder)
        self.name = Path(name).resolve().name if os.path.isdir(name) else name
        self.model = GPT2LMHeadModel.from_pretrained(self.folder, dtype=torch.float32, use_safetensors=True).eval()
        self.vocabulary = Vocabulary(AutoTokenizer.from_pretrained(self.folder, use_fast=True))

    @property
    def parameters(self) -> int:
        """Number of parameters, a tied one counted once."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def context(self) -> int:
        """Tokens of a window to train on: the built-in model's, so that a larger base needs no more memory."""
        return min(256, self.model.config.n_positions)

    def encode(self, text: str) -> torch.Tensor:
        """Return token ids, (tokens,)."""
        return torch.tensor(self.vocabulary.encode(text), dtype=torch.long)


def settings_for(
    base: Base, choice: dict[str, Any], steps: int, context: int = 256, tokens: int = BATCH_TOKENS, **changes: Any
) -> TuningSettings:
    """Return settings whose alpha is twice the rank, and whose batches have as many tokens whatever the context."""
    context = min(context, base.context)
    size = max(1, min(32, tokens // context))
    return TuningSettings(**choice, alpha=2 * choice["rank"], steps=steps, batch_size=size, context=context, **changes)


def train(base: Base, corpus: Corpus, settings: TuningSettings, label: str) -> tuple[Tuned, list[dict[str, Any]]]:
    """Train and return the best weights and the log's lines; every tenth step goes to the screen."""
    lines = []
    windows = max(1, HELD_OUT_TOKENS // settings.context)
    for event in tune(copy.deepcopy(base.model), corpus, settings, held_out_windows=windows):
        lines.append(line_of(event, settings))
        if event.held_out_loss is not None:
            print(label, json.dumps(lines[-1]), flush=True)
    return event.best, lines


def line_of(event: TuningStep, settings: TuningSettings) -> dict[str, Any]:
    """Return a line of a run's log, with the keys that all logs here have."""
    line: dict[str, Any] = {"step": event.step, "tokens": event.tokens, "seconds": round(event.seconds, 1)}
    if event.training_loss is not None:
        line["training_nats_per_token"] = round(event.training_loss, 4)
        line["learning_rate_factor"] = round(settings.learning_rate_factor(event.step - 1), 4)
    if event.held_out_loss is not None:
        line["held_out_nats_per_token"] = round(event.held_out_loss, 4)
    return line


def run_grid(base: Base, corpus: Corpus, steps: int, grid: Sequence[dict[str, Any]] = GRID) -> dict[str, Any]:
    """Train each combination briefly and return all of them, and the one below 1 % with the least validation loss."""
    runs = []
    for choice in grid:
        best, lines = train(base, corpus, settings_for(base, choice, steps, evaluate_every=steps), str(choice))
        runs.append(
            choice
            | {
                "alpha": 2 * choice["rank"],
                "trainable_parameters": best.parameters,
                "validation_loss": round(best.held_out_loss, 4),
                "seconds": lines[-1]["seconds"],
            }
        )
    small = [run for run in runs if run["trainable_parameters"] < MAX_SHARE * base.parameters]
    winner = min(small or runs, key=lambda run: run["validation_loss"])
    return {
        "style": GRID_STYLE,
        "steps": steps,
        "runs": runs,
        "chosen": {key: winner[key] for key in ("targets", "rank", "learning_rate")},
    }


def train_style(base: Base, style: Style, choice: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Train one style's adapter, write it with its log, and return how it was made."""
    texts = read_style(style, arguments.prose, arguments.shakespeare)
    corpus = Corpus(base.encode(texts.training), base.encode(texts.validation))
    every = arguments.evaluate_every
    steps = arguments.steps or style.steps
    settings = settings_for(base, choice, steps, style.context, style.batch_tokens, evaluate_every=every)
    best, lines = train(base, corpus, settings, style.name)
    folder = folder_of(style.name, base.name, arguments.out)
    file = best.save(folder, base.name)
    file.chmod(0o644)  # safetensors lets only the owner read
    write_lines(thin(lines), arguments.runs / f"{folder.name}-lora.jsonl")
    return {
        "title": style.title,
        "rank": settings.rank,
        "alpha": settings.alpha,
        "targets": settings.targets,
        "learning_rate": settings.learning_rate,
        "batch_size": settings.batch_size,
        "context": settings.context,
        "seed": settings.seed,
        "steps": settings.steps,
        "best_step": best.step,
        "seconds": lines[-1]["seconds"],
        "training_tokens": len(corpus.training),
        "trainable_parameters": best.parameters,
        "share": round(best.parameters / base.parameters, 6),
        "bytes": file.stat().st_size,
        "validation_loss": round(best.held_out_loss, 4),
    }


def measure_style(base: Base, style: Style, arguments: argparse.Namespace, prose: torch.Tensor) -> dict[str, Any]:
    """Return the losses of the base and of the adapter as its files are: own style, in short windows, plain prose."""
    ids = base.encode(read_style(style, arguments.prose, arguments.shakespeare).test)
    adapter = load_peft(folder_of(style.name, base.name, arguments.out))
    adapted, _ = tuned_model(base.model, Tuned(Method.LORA, 0, math.nan, adapter))
    short = blocks(ids, SHORT, 2 * TEST_WINDOWS)
    windows = {"own": blocks(ids, base.context, TEST_WINDOWS), "own_short": short, "prose": prose}
    figures: dict[str, Any] = {}
    for text, read in windows.items():
        figures[f"{text}_tokens"] = read[:, 1:].numel()
        figures[f"{text}_base"] = round(held_out_loss(base.model, read), 4)
        figures[f"{text}_adapter"] = round(held_out_loss(adapted, read), 4)
    return figures


def read_figures(path: Path) -> dict[str, Any]:
    """Return what has been measured so far, by base."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_figures(path: Path, base: Base, **changes: Any) -> None:
    """Put figures beside those that are there: read and written at once, since two runs may be under way."""
    figures = read_figures(path)
    entry = figures.setdefault(base.name, {"parameters": base.parameters, "grid": None, "adapters": {}})
    for key, value in changes.items():
        entry[key] = entry[key] | value if key == "adapters" else value
    entry["adapters"] = {name: entry["adapters"][name] for name in STYLES if name in entry["adapters"]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def grid_choice(base: Base, figures: Path) -> dict[str, Any]:
    """Return what the base's grid has chosen, or the built-in model's if it has none; nothing if that has none."""
    for name, path in ((base.name, figures), (BUILT_IN, ADAPTERS / FIGURES)):
        grid = read_figures(path).get(name, {}).get("grid")
        if grid:
            return grid["chosen"]
    return {}


def run(arguments: argparse.Namespace) -> None:
    """Run the grid, or train the styles, and write what came of it."""
    torch.set_num_threads(arguments.threads)
    base, figures = Base(arguments.base), arguments.out / FIGURES
    if arguments.grid:
        texts = read_style(STYLES[GRID_STYLE], arguments.prose, arguments.shakespeare)
        corpus = Corpus(base.encode(texts.training), base.encode(texts.validation))
        write_figures(figures, base, grid=run_grid(base, corpus, arguments.steps or GRID_STEPS))
        return
    asked = {key: v for key in ("rank", "targets", "learning_rate") if (v := getattr(arguments, key)) is not None}
    choice = grid_choice(base, figures)
    held_out = "\n\n".join(read_books(arguments.prose)[-VALIDATION_BOOKS:])
    prose = blocks(base.encode(held_out), base.context, TEST_WINDOWS)
    for name in arguments.styles:
        style = STYLES[name]
        if arguments.measure_only:
            entry = read_figures(figures)[base.name]["adapters"][name]
        else:
            entry = train_style(base, style, choice | style.own | asked, arguments)
        entry |= measure_style(base, style, arguments, prose)
        print(name, json.dumps(entry, indent=1), flush=True)
        print(f"{name}: {entry['own_base'] - entry['own_adapter']:.3f} nats per token less on its own style")
        write_figures(figures, base, adapters={name: entry})


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, or the words given instead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prose", type=Path, required=True, help="the prose corpus, packed or not")
    parser.add_argument("--shakespeare", type=Path, required=True, help="the plays, packed or not")
    parser.add_argument("--base", default=str(ASSETS / BUILT_IN), help="a folder, or a name on the Hub")
    parser.add_argument("--out", type=Path, default=ADAPTERS)
    parser.add_argument("--runs", type=Path, default=RUNS, help="takes the logs")
    parser.add_argument("--styles", nargs="*", choices=STYLES, default=list(STYLES))
    parser.add_argument("--grid", action="store_true", help="compare targets, ranks and learning rates, and stop")
    parser.add_argument("--measure-only", action="store_true", help="measure the adapters that are there once more")
    parser.add_argument("--rank", type=int, help="instead of the grid's choice")
    parser.add_argument("--targets", type=Targets, help="likewise")
    parser.add_argument("--learning-rate", type=float, help="likewise")
    parser.add_argument("--steps", type=int, help="instead of the style's")
    parser.add_argument("--evaluate-every", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(words)


if __name__ == "__main__":
    run(parse_arguments())
