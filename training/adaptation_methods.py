"""Adapt the built-in model to Shakespeare in eight ways with the same steps, and write adapters/methods.json.

    python -m training.adaptation_methods --prose prose.txt.xz --shakespeare shakespeare.txt.xz

Full fine-tuning, the last block, LoRA of five ranks, prompt tuning: each in a process of its own, so that its memory
is its own; same batches, same windows to measure by. The learning rate of each kind is chosen beforehand, by short
trials on the validation play. Memory is the most that Linux has seen the process hold (VmHWM, reset before training)
less what it held with the model loaded and nothing trained: gradients, optimiser and activations.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lab.text.adapters import ADAPTERS
from lab.text.models import ASSETS, BUILT_IN
from lab.text.tuning import Corpus, blocks, held_out_loss, tune, tuned_model
from lab.text.tuning_settings import Method, TuningSettings
from training.corpus import VALIDATION_BOOKS, read_books
from training.text_adapters import Base
from training.text_styles import STYLES, read_style

RANKS = (1, 2, 4, 8, 16)
# Learning rates a factor of about three apart around what is usual for the kind; LoRA's is the same for all ranks.
RATES = {
    Method.FULL: (3e-4, 1e-3, 3e-3),
    Method.LAST_BLOCK: (1e-3, 3e-3, 1e-2),
    Method.LORA: (6e-3, 1.5e-2),
    Method.PROMPT: (0.03, 0.1),
}
TRIAL_RANK = 4
VIRTUAL_TOKENS = 16
WINDOWS = 96  # of each text that is measured by, evenly spread


def settings_of(method: Method, rank: int, learning_rate: float, steps: int, base: Base) -> TuningSettings:
    """Return a run's settings. All ways read windows that leave room for prompt tuning's vectors."""
    return TuningSettings(
        method=method,
        rank=rank,
        alpha=2 * rank,
        virtual_tokens=VIRTUAL_TOKENS,
        learning_rate=learning_rate,
        steps=steps,
        context=base.context - VIRTUAL_TOKENS,
        evaluate_every=min(steps, 500),
    )


def memory(field: str) -> int:
    """Return a figure of this process's memory in bytes: VmRSS, what it holds, or VmHWM, the most it has held."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"this system does not say {field}")


def forget_peak() -> None:
    """Let VmHWM begin again at what is held now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def measure(base: Base, texts: dict[str, torch.Tensor], settings: TuningSettings) -> dict[str, Any]:
    """Train in one way and return its figures. The seconds are those of training steps, without measurements."""
    corpus = Corpus(texts["training"], texts["validation"])
    held_out = {name: blocks(texts[name], settings.context, WINDOWS) for name in ("test", "prose")}
    forget_peak()
    before = memory("VmRSS")
    clocks = []
    for event in tune(base.model, corpus, settings):
        # The last step ends in a measurement, so its time is taken to be that of the others.
        clocks.append((event.seconds, time.process_time()))
    peak = memory("VmHWM")
    (wall, cpu), (last_wall, last_cpu) = clocks[0], clocks[-2]
    steps = len(clocks) - 2
    fresh = Base(base.folder)
    model, prompt = tuned_model(fresh.model, event.best)
    with tempfile.TemporaryDirectory() as folder:
        size = event.best.save(Path(folder), base.name).stat().st_size
    return {
        "method": settings.method,
        "rank": settings.rank if settings.method is Method.LORA else None,
        "learning_rate": settings.learning_rate,
        "trainable_parameters": event.best.parameters,
        "share": round(event.best.parameters / fresh.parameters, 6),
        "seconds": round((last_wall - wall) / steps * settings.steps, 3),
        "processor_seconds": round((last_cpu - cpu) / steps * settings.steps, 3),
        "memory_bytes": peak - before,
        "process_peak_bytes": peak,
        "file_bytes": size,
        "validation_loss": round(event.best.held_out_loss, 4),
        "style_loss": round(held_out_loss(model, held_out["test"], prompt), 4),
        "prose_loss": round(held_out_loss(model, held_out["prose"], prompt), 4),
    }


def trial(base: Base, texts: dict[str, torch.Tensor], settings: TuningSettings) -> dict[str, Any]:
    """Train briefly and return the validation loss."""
    *_, last = tune(base.model, Corpus(texts["training"], texts["validation"]), settings)
    return {
        "method": settings.method,
        "learning_rate": settings.learning_rate,
        "validation_loss": round(last.held_out_loss, 4),
    }


def in_a_process(arguments: argparse.Namespace, tokens: Path, settings: TuningSettings, what: str) -> dict[str, Any]:
    """Return what :func:`measure` or :func:`trial` gives in a fresh process."""
    words = [sys.executable, "-m", "training.adaptation_methods", "--base", arguments.base, "--tokens", str(tokens)]
    words += ["--one", settings.model_dump_json(), "--what", what, "--threads", str(arguments.threads)]
    # Settings of the allocator would be measured along.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    result = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(result), flush=True)
    return result


def kept(file: Path | None, **wanted: Any) -> dict[str, Any] | None:
    """Return what an earlier run has left in its file of results, None if there is nothing of the kind."""
    lines = file.read_text(encoding="utf-8").splitlines() if file is not None and file.exists() else []
    return next((done for done in map(json.loads, lines) if wanted.items() <= done.items()), None)


def result_of(arguments: argparse.Namespace, tokens: Path, settings: TuningSettings, what: str) -> dict[str, Any]:
    """Return what a process of its own gives, or what an earlier run's did."""
    key = {
        "base": arguments.base,
        "what": what,
        "method": settings.method,
        "learning_rate": settings.learning_rate,
        "steps": settings.steps,
    }
    key |= {"rank": settings.rank if settings.method is Method.LORA else None}
    done = kept(arguments.results, **key)
    if done is None:
        done = key | in_a_process(arguments, tokens, settings, what)
        if arguments.results is not None:
            with arguments.results.open("a", encoding="utf-8") as lines:
                print(json.dumps(done), file=lines)
    return {name: value for name, value in done.items() if name not in ("base", "what", "steps")}


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the table of all ways."""
    base = Base(arguments.base)
    texts = read_style(STYLES["shakespeare"], arguments.prose, arguments.shakespeare)
    prose = "\n\n".join(read_books(arguments.prose)[-VALIDATION_BOOKS:])
    parts = {"training": texts.training, "validation": texts.validation, "test": texts.test, "prose": prose}
    ids = {name: base.encode(text) for name, text in parts.items()}
    context = base.context - VIRTUAL_TOKENS
    losses = {
        name: round(held_out_loss(base.model, blocks(ids[name], context, WINDOWS)), 4) for name in ("test", "prose")
    }
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "tokens.safetensors"
        save_file(ids, tokens)
        trials, rates = [], {}
        for method, candidates in RATES.items():
            steps = arguments.trial_steps
            tried = [
                result_of(arguments, tokens, settings_of(method, TRIAL_RANK, rate, steps, base), "trial")
                for rate in candidates
            ]
            trials += tried
            rates[method] = min(tried, key=lambda one: one["validation_loss"])["learning_rate"]
        ways = [(Method.FULL, 1), (Method.LAST_BLOCK, 1), *((Method.LORA, rank) for rank in RANKS), (Method.PROMPT, 1)]
        asked = [settings_of(method, rank, rates[method], arguments.steps, base) for method, rank in ways]
        with ThreadPoolExecutor(arguments.at_once) as pool:
            runs = list(pool.map(lambda settings: result_of(arguments, tokens, settings, "measure"), asked))
    settings = settings_of(Method.LORA, TRIAL_RANK, rates[Method.LORA], arguments.steps, base)
    return {
        "base": {
            "name": base.name,
            "parameters": base.parameters,
            "style_loss": losses["test"],
            "prose_loss": losses["prose"],
        },
        "style": "shakespeare",
        "steps": settings.steps,
        "batch_size": settings.batch_size,
        "context": settings.context,
        "virtual_tokens": VIRTUAL_TOKENS,
        "threads": arguments.threads,
        "at_once": arguments.at_once,
        "trial_steps": arguments.trial_steps,
        "trials": trials,
        "runs": runs,
    }


def main(words: Sequence[str] | None = None) -> None:
    """Compare all ways, or measure the one that a parent process asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prose", type=Path)
    parser.add_argument("--shakespeare", type=Path)
    parser.add_argument("--base", default=str(ASSETS / BUILT_IN), help="a folder, or a name on the Hub")
    parser.add_argument("--out", type=Path, default=ADAPTERS / "methods.json")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--trial-steps", type=int, default=25)
    parser.add_argument("--results", type=Path, help="file of results, so that those of a run that was stopped count")
    parser.add_argument("--at-once", type=int, default=1, help="processes; more than one make the seconds longer")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", help=argparse.SUPPRESS)  # what a parent process asks a child for
    parser.add_argument("--what", choices=("measure", "trial"), help=argparse.SUPPRESS)
    parser.add_argument("--tokens", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    torch.set_num_threads(arguments.threads)
    if arguments.one:
        does = measure if arguments.what == "measure" else trial
        settings = TuningSettings.model_validate_json(arguments.one)
        print(json.dumps(does(Base(arguments.base), load_file(arguments.tokens), settings)))
        return
    if not (arguments.prose and arguments.shakespeare):
        parser.error("--prose and --shakespeare are needed")
    arguments.out.write_text(json.dumps(compare(arguments), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
