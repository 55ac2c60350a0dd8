"""Write the cards of the melody models: the folk model's, one for each adaptation, and one for the note data.

    python -m training.melody_cards --log runs/folk/log.jsonl --command "..." --minutes 43
    python -m training.melody_cards

The second command leaves the folk model's card as it is.
Figures come from the models' configurations, the run's log, adapters/bach.json and the note data itself. A copy of
the log, thinned, goes to training/runs/.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from transformers import GPT2Config

from lab.music.classifier import Kind, load_classifier
from lab.music.corpus import Collection, Split, load_tunes, load_vocabulary
from training.model_card import count_parameters
from training.run_log import evenly, read_log, thin, write_lines

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = Path(__file__).parent / "melody_cards"
WHAT = {
    "last-block": "last block and final norm of the folk model, trained on chorales; the rest is the folk model's",
    "lora": "low-rank changes beside every matrix of the folk model's blocks, trained on chorales, in PEFT's format",
    "full": "the folk model with every weight trained on chorales",
    "scratch": "a model of the same size, trained on the chorales alone from random weights: the control",
}
FILES = {"last-block": "last_block.safetensors", "lora": "adapter_model.safetensors"}


def folk_card(folder: Path, log: Path, command: str, minutes: float) -> str:
    """Return the folk model's card, having written the thinned log beside the others."""
    lines = read_log(log)
    config = GPT2Config.from_pretrained(folder)
    evaluated = [line for line in lines if "held_out_folk" in line]
    rows = [
        f"| {line['step']:,} | {line['tokens']:,} | {line.get('training_nats_per_token', 0):.2f} "
        f"| {line['held_out_folk']:.3f} | {line['held_out_bach']:.3f} |"
        for line in evenly(evaluated, 12)
    ]
    table = json.loads((ROOT / "adapters" / "bach.json").read_text(encoding="utf-8"))["base"]
    write_lines(thin(lines), Path(__file__).parent / "runs" / f"{folder.name}.jsonl")
    return Template((TEMPLATES / "folk.md").read_text(encoding="utf-8")).substitute(
        parameters=f"{count_parameters(config)[0]:,}",
        layers=config.n_layer,
        width=config.n_embd,
        heads=config.n_head,
        context=config.n_positions,
        dropout=config.resid_pdrop,
        vocabulary=len(load_vocabulary()),
        tunes=splits(Collection.FOLK),
        command=command,
        minutes=f"{minutes:.0f}",
        steps=f"{lines[-1]['step']:,}",
        tokens=f"{lines[-1]['tokens']:,}",
        table="\n".join(rows),
        best=f"{min(line['held_out_folk'] for line in evaluated):.3f}",
        folk=f"{table['test_folk']:.3f}",
        bach=f"{table['test_bach']:.3f}",
    )


def splits(collection: Collection) -> str:
    """Return how many tunes of a collection are for what."""
    counts = Counter(tune.split for tune in load_tunes(collection))
    return ", ".join(f"{counts[split]:,} for {split}" for split in Split)


def adapter_card(method: str, table: Mapping[str, Any]) -> str:
    """Return the card of one adaptation."""
    runs = [run for run in table["runs"] if run["method"] == method]
    shipped = next(run for run in runs if run["seed"] == table["shipped"][method])
    rows = [
        f"| {run['seed']}{' (ships)' if run is shipped else ''} | {run['steps']} | {run['seconds']:.0f} "
        f"| {run['validation_bach']:.3f} | {run['test_bach']:.3f} | {run['test_folk']:.3f} |"
        for run in runs
    ]
    return Template((TEMPLATES / "adapter.md").read_text(encoding="utf-8")).substitute(
        name=f"bach-{method}",
        title=runs[0]["title"],
        what=WHAT[method],
        file=FILES.get(method, "model.safetensors"),
        trained=f"{shipped['trainable_parameters']:,}",
        share=f"{shipped['trainable_parameters'] / table['base']['parameters']:.1%}",
        rank=f"Rank {table['rank']}, alpha {table['alpha']}, beside {', '.join(table['targets'])}.\n"
        if method == "lora"
        else "",
        tunes=splits(Collection.BACH),
        rows="\n".join(rows),
        base_bach=f"{table['base']['test_bach']:.3f}",
        base_folk=f"{table['base']['test_folk']:.3f}",
    )


def data_card() -> str:
    """Return the card of the note data."""
    classifiers = [
        f"| {'all measures' if kind is Kind.ALL else 'pitch alone'} | {len(c.measures)} | {c.test.auc:.3f} "
        f"| {c.test.low:.3f} to {c.test.high:.3f} |"
        for kind in Kind
        if (c := load_classifier(kind)).test
    ]
    facts: dict[str, str] = {}
    for collection in Collection:
        tunes = load_tunes(collection)
        facts[f"{collection}_tunes"] = f"{len(tunes):,}"
        facts[f"{collection}_notes"] = f"{sum(len(tune.melody.pitches) for tune in tunes):,}"
        facts[f"{collection}_clusters"] = f"{len({tune.cluster for tune in tunes}):,}"
        facts[f"{collection}_splits"] = splits(collection)
    return Template((TEMPLATES / "data.md").read_text(encoding="utf-8")).substitute(
        facts, vocabulary=len(load_vocabulary()), classifiers="\n".join(classifiers)
    )


def main(words: Sequence[str] | None = None) -> None:
    """Write the cards: the folk model's too, if its run is told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, help="of the folk model's run")
    parser.add_argument("--command", help="with which it was trained")
    parser.add_argument("--minutes", type=float, help="of one core that it took")
    arguments = parser.parse_args(words)
    run = (arguments.log, arguments.command, arguments.minutes)
    if None not in run:
        folder = ROOT / "assets" / "folk-gpt2"
        (folder / "README.md").write_text(folk_card(folder, *run), encoding="utf-8")
    elif run != (None, None, None):
        parser.error("--log, --command and --minutes go together")
    (ROOT / "assets" / "melodies" / "README.md").write_text(data_card(), encoding="utf-8")
    table = json.loads((ROOT / "adapters" / "bach.json").read_text(encoding="utf-8"))
    for method in table["shipped"]:
        path = ROOT / "adapters" / f"bach-{method}" / "README.md"
        path.write_text(adapter_card(method, table), encoding="utf-8")


if __name__ == "__main__":
    main()
