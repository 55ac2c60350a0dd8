"""Adapt the folk-song model to Bach's chorales in four ways, several seeds each, and write what ships.

    python -m training.melody_adapters --base assets/folk-gpt2 --out adapters --seeds 5
    python -m training.melody_adapters --base assets/folk-gpt2 --out adapters --seeds 3 --methods full
    python -m training.melody_cards

The second command trains one method anew, or a new one; what the table says of the others stays.

last block    the last of four blocks and the final norm are trained, the rest is frozen
LoRA          everything is frozen; changes of low rank beside the blocks' matrices are trained
full          everything is trained
from scratch  a fresh model of the same size, for control: it has heard no folk song

Each run keeps the weights with the least held-out loss on chorales (validation); what is reported is the loss on the
test chorales, and on the test folk songs, for what was forgotten. Of each method the seed with the median loss ships.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import GPT2LMHeadModel

from lab.lora import Adapter, adapter_of, inject, save_peft, trainable_parameters
from lab.music.corpus import Collection, Split, load_split, load_vocabulary
from lab.music.tokens import Vocabulary
from training.language_model import export
from training.melody_batches import MelodyBatches, nats_per_note, training_loss
from training.melody_model import build_model, learning_rate_factor

TARGETS = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
RANK, ALPHA = 8, 16
BATCH_TOKENS = 2048
WEIGHT_DECAY = 0.05


@dataclass(frozen=True)
class Method:
    """How to adapt: what it is called, and its learning rate and steps, chosen by validation."""

    name: str
    title: str
    learning_rate: float
    steps: int


METHODS = (
    Method("last-block", "Last block", 1e-3, 120),
    Method("lora", "LoRA", 2e-3, 160),
    Method("full", "Full", 4e-4, 120),
    Method("scratch", "From scratch", 2e-3, 400),
)


@dataclass(frozen=True)
class Result:
    """One run. Losses are in nats per note."""

    method: str
    title: str
    seed: int
    trainable_parameters: int
    seconds: float
    steps: int
    validation_bach: float
    test_bach: float
    test_folk: float


@dataclass
class Data:
    """Token names of the tunes by collection and split."""

    vocabulary: Vocabulary
    tunes: dict[tuple[Collection, Split], list[Sequence[str]]]

    @classmethod
    def load(cls) -> Data:
        """Read both collections."""
        tunes = {(c, s): [tune.tokens for tune in load_split(c, s)] for c in Collection for s in Split}
        return cls(load_vocabulary(), tunes)

    def loss(self, model: torch.nn.Module, collection: Collection, split: Split) -> float:
        """Return nats per note."""
        return nats_per_note(model, self.vocabulary, self.tunes[collection, split])


def prepare(method: Method, base: GPT2LMHeadModel) -> torch.nn.Module:
    """Return a copy of the base in which what the method trains, and only that, wants gradients.

    Raises:
        ValueError: if nothing is known of the method.
    """
    model = copy.deepcopy(base)
    if method.name == "scratch":
        config = base.config
        return build_model(config.vocab_size, config.n_layer, config.n_embd, config.n_head, config.resid_pdrop)
    if method.name == "lora":
        inject(model, TARGETS, RANK, ALPHA, dropout=0.05)
    elif method.name == "last-block":
        model.requires_grad_(False)
        model.transformer.h[-1].requires_grad_(True)
        model.transformer.ln_f.requires_grad_(True)
    elif method.name != "full":
        raise ValueError(f"prepare does not know what {method.name!r} trains")
    return model


def trained_state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return copies of the parameters that are trained."""
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def adapt(method: Method, base: GPT2LMHeadModel, data: Data, seed: int, evaluate_every: int = 20):
    """Train one model and return it, with the weights of the least validation loss, and the result."""
    torch.manual_seed(seed)
    model = prepare(method, base)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=method.learning_rate, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY)
    chorales = data.tunes[Collection.BACH, Split.TRAIN]
    batches = MelodyBatches(chorales, data.vocabulary, tokens=BATCH_TOKENS, rescale=0.0, seed=seed).batches()
    best, best_step, state = float("inf"), 0, {}
    seconds = 0.0
    model.train()
    for step in range(method.steps):
        start = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = method.learning_rate * learning_rate_factor(step, method.steps)
        loss = training_loss(model, next(batches))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds += time.perf_counter() - start
        if (step + 1) % evaluate_every == 0:
            held_out = data.loss(model, Collection.BACH, Split.VALIDATION)
            if held_out < best:
                best, best_step, state = held_out, step + 1, trained_state(model)
    model.load_state_dict(state, strict=False)
    model.eval()
    result = Result(
        method=method.name,
        title=method.title,
        seed=seed,
        trainable_parameters=trainable_parameters(model),
        seconds=round(seconds, 1),
        steps=best_step,
        validation_bach=round(best, 4),
        test_bach=round(data.loss(model, Collection.BACH, Split.TEST), 4),
        test_folk=round(data.loss(model, Collection.FOLK, Split.TEST), 4),
    )
    print(json.dumps(asdict(result)), flush=True)
    return model, result


def write_adapter(method: Method, model: torch.nn.Module, folder: Path) -> None:
    """Write what the method has trained: LoRA as PEFT does, the last block alone, or a whole model."""
    folder.mkdir(parents=True, exist_ok=True)
    if method.name == "lora":
        save_peft(lora_of(model), folder, "folk-gpt2")
    elif method.name == "last-block":
        tensors = {name: tensor.half().contiguous() for name, tensor in trained_state(model).items()}
        save_file(tensors, folder / "last_block.safetensors")
        (folder / "last_block.safetensors").chmod(0o644)
    else:
        export(model, folder)


def lora_of(model: torch.nn.Module) -> Adapter:
    """Return the adapter that a model with injected layers has learnt."""
    from lab.lora import LoRALinear

    return adapter_of({name: module for name, module in model.named_modules() if isinstance(module, LoRALinear)})


def median_run(runs: Sequence[tuple[torch.nn.Module, Result]]) -> tuple[torch.nn.Module, Result]:
    """Return the run whose validation loss is the median (the lower of two): neither luck nor bad luck ships."""
    middle = statistics.median_low(result.validation_bach for _, result in runs)
    return next(run for run in runs if run[1].validation_bach == middle)


def merged(table: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with the runs of the methods that it lacks taken from an earlier one, all in one order.

    Raises:
        ValueError: if the earlier one is of another base, or of LoRAs of another shape, and so cannot stand beside it.
    """
    for key in ("base", "rank", "alpha", "targets"):
        now, then = table[key], before[key]
        # Another machine may round the base's losses otherwise.
        same = now.keys() == then.keys() and all(_alike(now[k], then[k]) for k in now) if key == "base" else now == then
        if not same:
            raise ValueError(f"{key} is {now}, and was {then} in the earlier runs: train all methods anew")
    shipped = {**before["shipped"], **table["shipped"]}
    runs = [run for run in before["runs"] if run["method"] not in table["shipped"]] + table["runs"]
    names = list(dict.fromkeys([*(method.name for method in METHODS), *shipped]))
    return {
        **table,
        "runs": sorted(runs, key=lambda run: names.index(run["method"])),
        "shipped": {name: shipped[name] for name in names if name in shipped},
    }


def _alike(one: Any, other: Any) -> bool:
    return math.isclose(one, other, abs_tol=1e-3) if isinstance(one, float) else one == other


def run(arguments: argparse.Namespace) -> None:
    """Train the methods that are asked for with all seeds, write what ships and the table of all runs.

    Raises:
        ValueError: if only some are asked for, and the table there is of another base.
    """
    torch.set_num_threads(arguments.threads)
    data = Data.load()
    base = GPT2LMHeadModel.from_pretrained(arguments.base, dtype=torch.float32, use_safetensors=True)
    table = {
        "base": {
            "title": "Folk",
            "parameters": sum(p.numel() for p in base.parameters()),
            "test_bach": round(data.loss(base, Collection.BACH, Split.TEST), 4),
            "test_folk": round(data.loss(base, Collection.FOLK, Split.TEST), 4),
        },
        "rank": RANK,
        "alpha": ALPHA,
        "targets": list(TARGETS),
        "runs": [],
        "shipped": {},
    }
    path = arguments.out / "bach.json" if arguments.out else None
    before = json.loads(path.read_text(encoding="utf-8")) if arguments.methods and path and path.exists() else None
    if before:
        merged(table, before)  # told now, not after an hour
    for method in METHODS:
        if arguments.methods and method.name not in arguments.methods:
            continue
        runs = [adapt(method, base, data, seed) for seed in range(arguments.seeds)]
        table["runs"] += [asdict(result) for _, result in runs]
        model, result = median_run(runs)
        table["shipped"][method.name] = result.seed
        if arguments.out:
            write_adapter(method, model, arguments.out / f"bach-{method.name}")
    if path:
        text = json.dumps(merged(table, before) if before else table, indent=1) + "\n"
        path.write_text(text, encoding="utf-8")


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, or the words given instead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="folder of the folk-song model")
    parser.add_argument("--out", type=Path, help="folder that takes the adapters; none for a trial")
    parser.add_argument("--seeds", type=int, default=5)
    names = [method.name for method in METHODS]
    parser.add_argument("--methods", nargs="*", choices=names, default=(), help="all if none is named")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(words)


if __name__ == "__main__":
    run(parse_arguments())
