"""The arc of the course in figures: from scratch, by transfer, with LoRA, on large pre-trained models.

Everything is read from what ships: shapes from the weights' own headers, time and losses from the logs of the training
runs and the tables of the adapters. What has no figure here (a model that others trained) has none in the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab.embeddings.model import DIMENSIONS, PACKAGE
from lab.music.voices import VOICES, training_table
from lab.sizes import gpt2_parameters, package_weights, weights
from lab.stages import LORA, PRETRAINED, SCRATCH, TRANSFER

ROOT = Path(__file__).resolve().parents[1]
BESIDE = "Low-rank matrices beside each block's layers"
# By the targets that an adapter's table of training names; anything else is said in general.
BESIDE_TARGETS = {
    "attention": "Low-rank matrices beside each block's attention",
    "mlp": "Low-rank matrices beside each block's MLP",
}
MELODIES, PROSE, SENTENCES = "melodies", "prose", "sentences"
# Radford et al., Language Models are Unsupervised Multitask Learners, 2019.
GPT2_SHAPE = {"vocabulary": 50_257, "context": 1024, "width": 768, "blocks": 12}


@dataclass(frozen=True)
class Row:
    """A model, or an adapter on one.

    Attributes:
        stage: of the arc.
        subject: what it works on.
        trainable: parameters that were trained.
        total: parameters of the whole, with what was added.
        seconds: that training took. For the ways that are compared with each other the processor's, since they ran two
            at a time; for all others by the clock of a machine that had other work too.
        size: bytes of what has to be kept for it, beside its base; None for what does not lie here.
        gain: by how much of its base's loss on the new style the loss fell, from 0 to 1; negative if it rose.
        forgetting: by how much of its base's loss on the old style the loss rose. Of an adapter: while it is on.
        losses: the figures behind gain and forgetting, in words.
    """

    name: str
    stage: str
    subject: str
    frozen: str
    changed: str
    trainable: int
    total: int
    data: str
    seconds: float | None
    size: int | None
    gain: float | None = None
    forgetting: float | None = None
    losses: str = ""

    @property
    def is_control(self) -> bool:
        """Whether it was trained on the new style alone, from chance: what the others are compared with."""
        return self.stage == SCRATCH and self.gain is not None

    @property
    def share(self) -> float:
        """Share of the parameters that were trained, from 0 to 1."""
        return self.trainable / self.total


@cache
def arc(root: Path = ROOT) -> tuple[Row, ...]:
    """Return the table. What is not there (an adapter that is not installed) has no row."""
    return tuple(row for part in (_folk, _prose, _bach, _styles, _ways, _reward, _pretrained) for row in part(root))


def log_entries(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a training log; an empty list if there is none."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _json(path: Path) -> Mapping[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _folk(root: Path) -> Iterator[Row]:
    log = log_entries(root / "training" / "runs" / "folk-gpt2.jsonl")
    table = training_table(root / "adapters" / "bach.json")
    parameters, size = weights(root / "assets" / "folk-gpt2")
    yield Row(
        name="Folk melodies, folk-gpt2",
        stage=SCRATCH,
        subject=MELODIES,
        frozen="nothing",
        changed="every weight, from chance",
        trainable=parameters,
        total=parameters,
        data=f"{collection_size(root / 'assets' / 'melodies' / 'folk.jsonl'):,} folk songs",
        seconds=log[-1]["seconds"] if log else None,
        size=size,
        losses=f"{table['base']['test_folk']:.2f} nats per note on test folk songs",
    )


def collection_size(path: Path, split: str = "train") -> int:
    """Return how many melodies of a collection are for training."""
    # Counted as text: to read three megabytes of JSON for one number would be felt at the start.
    mark = f'"split": "{split}"'.encode()
    return path.read_bytes().count(mark) if path.is_file() else 0


def _prose(root: Path) -> Iterator[Row]:
    log = log_entries(root / "training" / "runs" / "prose-gpt2.jsonl")
    parameters, size = weights(root / "assets" / "prose-gpt2")
    held_out = next((line for line in reversed(log) if "held_out_bits_per_byte" in line), None)
    yield Row(
        name="English prose, prose-gpt2",
        stage=SCRATCH,
        subject=PROSE,
        frozen="nothing",
        changed="every weight, from chance",
        trainable=parameters,
        total=parameters,
        data=f"{log[-1]['tokens'] / 1e6:.1f} million tokens of novels and stories" if log else "",
        seconds=log[-1]["seconds"] if log else None,
        size=size,
        losses=f"{held_out['held_out_bits_per_byte']:.2f} bits per byte on held-out books" if held_out else "",
    )


SWITCHED_OFF = "; switched off, nothing is forgotten"


def _bach(root: Path) -> Iterator[Row]:
    table = training_table(root / "adapters" / "bach.json")
    base, chorales = table["base"], collection_size(root / "assets" / "melodies" / "bach.jsonl")
    for run in table["runs"]:
        method, about = run["method"], VOICES.get(run["method"])
        if about is None or table["shipped"].get(method) != run["seed"]:
            continue
        added = run["trainable_parameters"] if about.beside else 0
        after_new, after_old = run["test_bach"], run["test_folk"]
        yield Row(
            name=f"Bach chorales, {about.title}",
            stage=about.stage,
            subject=MELODIES,
            frozen=about.frozen.rstrip(".") + (SWITCHED_OFF if about.beside else ""),
            changed=about.changed.rstrip("."),
            trainable=run["trainable_parameters"],
            total=base["parameters"] + added,
            data=f"{chorales} chorale melodies",
            seconds=run["seconds"],
            size=weights(root / "adapters" / f"bach-{method}")[1],
            gain=1 - after_new / base["test_bach"],
            forgetting=after_old / base["test_folk"] - 1,
            losses=f"chorales {base['test_bach']:.2f} → {after_new:.2f}, folk songs {base['test_folk']:.2f} → "
            f"{after_old:.2f} nats per note",
        )


WAYS = {
    "full": (TRANSFER, "Full", "Nothing: it only started from the prose model", "Every weight"),
    "last-block": (TRANSFER, "Last block", "Embeddings and all blocks but the last", "The last block and final norm"),
    "lora": (LORA, "LoRA", "Every weight of the prose model; switched off, nothing is forgotten", BESIDE),
    "prompt": (LORA, "Prompt tuning", "Every weight of the prose model", "A few vectors that stand before the text"),
}


def _styles(root: Path) -> Iterator[Row]:
    """The adapters of style that ship for the prose model, as the table of their training says."""
    for base, about in _json(root / "adapters" / "text.json").items():
        for name, one in about.get("adapters", {}).items():
            folder = root / "adapters" / (name if base == "prose-gpt2" else f"{name}-{base.rpartition('/')[2]}")
            if folder.is_dir():
                _, _, frozen, beside = WAYS["lora"]
                yield Row(
                    name=f"Style, {one['title']}",
                    stage=LORA,
                    subject=PROSE,
                    frozen=frozen,
                    changed=BESIDE_TARGETS.get(one.get("targets", ""), beside),
                    trainable=one["trainable_parameters"],
                    total=about["parameters"] + one["trainable_parameters"],
                    data=f"{one['training_tokens']:,} tokens",
                    seconds=one["seconds"],
                    size=weights(folder)[1],
                    **_change(one["own_base"], one["own_adapter"], one["prose_base"], one["prose_adapter"], "style"),
                )


def _ways(root: Path) -> Iterator[Row]:
    """All ways of adapting the prose model to one style with the same steps; measured, and only the table ships."""
    table = _json(root / "adapters" / "methods.json")
    base = table.get("base", {})
    for run in table.get("runs", ()):
        stage, title, frozen, changed = WAYS[run["method"]]
        added = run["trainable_parameters"] if run["method"] in ("lora", "prompt") else 0
        rank = f" r = {run['rank']}" if run.get("rank") else ""
        yield Row(
            name=f"{table['style'].capitalize()} in {table['steps']} steps, {title}{rank}",
            stage=stage,
            subject=PROSE,
            frozen=frozen,
            changed=changed,
            trainable=run["trainable_parameters"],
            total=base["parameters"] + added,
            data=f"{table['steps'] * table['batch_size'] * table['context']:,} tokens",
            seconds=run["processor_seconds"],
            size=run["file_bytes"],
            **_change(base["style_loss"], run["style_loss"], base["prose_loss"], run["prose_loss"], "style"),
        )


def _change(new: float, new_after: float, old: float, old_after: float, what: str) -> dict[str, Any]:
    """Return gain, forgetting and the losses in words, from the losses before and after, in nats per token."""
    losses = f"{what} {new:.2f} → {new_after:.2f}, prose {old:.2f} → {old_after:.2f} nats per token"
    return {"gain": 1 - new_after / new, "forgetting": old_after / old - 1, "losses": losses}


def _reward(root: Path) -> Iterator[Row]:
    """The head that makes a reward model of the sentence encoder: trained in the tab, on what visitors rank."""
    from lab.preferences.heads import Linear

    encoder = package_weights(PACKAGE)
    if encoder is not None:
        size = Linear(2 * DIMENSIONS).size
        yield Row(
            name="Reward model, linear head on the encoder",
            stage=TRANSFER,
            subject=SENTENCES,
            frozen="Every weight of the sentence encoder",
            changed="One weight for each dimension of its sentence and its word vectors",
            trainable=size,
            total=encoder[0] + size,
            data="what you rank, in the tab",
            seconds=None,
            size=None,
        )


def _pretrained(root: Path) -> Iterator[Row]:
    """What others trained on more than anybody here could: the sentence encoder, and GPT-2 where the Hub is near."""
    encoder = package_weights(PACKAGE)
    if encoder is not None:
        yield Row(
            name="Sentence encoder, all-MiniLM-L6-v2",
            stage=PRETRAINED,
            subject=SENTENCES,
            frozen="every weight: others trained it, here it is only read",
            changed="nothing",
            trainable=0,
            total=encoder[0],
            data="over a billion pairs of sentences, says its card; none here",
            seconds=None,
            size=encoder[1],
        )
    total = gpt2_parameters(**GPT2_SHAPE)
    yield Row(
        name="GPT-2 124M, from the Hub",
        stage=PRETRAINED,
        subject=PROSE,
        frozen="every weight: others trained it, here it is read, and adapted beside",
        changed="nothing",
        trainable=0,
        total=total,
        data="40 GB of web pages, says its paper; none here",
        seconds=None,
        size=None,
    )
