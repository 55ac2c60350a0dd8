"""The arc of the course in figures: from scratch, by transfer, with LoRA, on large pre-trained models.

Everything is read from what ships: shapes from the weights' own headers, time and losses from the logs of the training
runs and the tables of the adapters. What has no figure here (a model that others trained) has none in the table.
"""

from __future__ import annotations

import importlib.util
import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab.embeddings.model import PACKAGE
from lab.music.voices import VOICES, Voice, training_table

ROOT = Path(__file__).resolve().parents[1]
SCRATCH, TRANSFER, LORA, PRETRAINED = "from scratch", "transfer", "LoRA", "large, pre-trained"
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
        seconds: that training took, by the clock of the machine it ran on.
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
    return tuple(row for part in (_folk, _prose, _bach, _styles, _pretrained) for row in part(root))


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return name and shape of each tensor of a safetensors file, from its header alone.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is none.
    """
    with path.open("rb") as file:
        try:
            (length,) = struct.unpack("<Q", file.read(8))
            text = file.read(min(length, 10_000_000))
            if len(text) < length:
                raise ValueError("cut off")
            header = json.loads(text)
        except (struct.error, ValueError) as error:
            raise ValueError(f"{path.name} is no safetensors file") from error
    return {name: tuple(about["shape"]) for name, about in header.items() if name != "__metadata__"}


def weights(folder: Path) -> tuple[int, int]:
    """Return number of parameters and bytes of the safetensors files in a folder."""
    files = sorted(folder.glob("*.safetensors"))
    parameters = sum(math.prod(shape) for file in files for shape in tensor_shapes(file).values())
    return parameters, sum(file.stat().st_size for file in files)


def gpt2_parameters(vocabulary: int, context: int, width: int, blocks: int) -> int:
    """Return the parameters of a GPT-2 with these dimensions, its output tied to its embeddings."""
    attention, mlp, norms = 4 * width * width + 4 * width, 8 * width * width + 5 * width, 4 * width
    return (vocabulary + context) * width + blocks * (attention + mlp + norms) + 2 * width


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
    return sum(entry.get("split") == split for entry in log_entries(path))


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


STAGES = {Voice.LAST_BLOCK: TRANSFER, Voice.LORA: LORA, Voice.FULL: TRANSFER, Voice.SCRATCH: SCRATCH}

FROZEN = {Voice.LORA: "Every weight of the folk model; switched off, nothing is forgotten"}


def _bach(root: Path) -> Iterator[Row]:
    table = training_table(root / "adapters" / "bach.json")
    base, chorales = table["base"], collection_size(root / "assets" / "melodies" / "bach.jsonl")
    for run in table["runs"]:
        if table["shipped"].get(run["method"]) != run["seed"]:
            continue
        voice = Voice(run["method"])
        added = run["trainable_parameters"] if voice is Voice.LORA else 0
        after_new, after_old = run["test_bach"], run["test_folk"]
        yield Row(
            name=f"Bach chorales, {VOICES[voice].title}",
            stage=STAGES[voice],
            subject=MELODIES,
            frozen=FROZEN.get(voice) or VOICES[voice].frozen.rstrip("."),
            changed=VOICES[voice].changed.rstrip("."),
            trainable=run["trainable_parameters"],
            total=base["parameters"] + added,
            data=f"{chorales} chorale melodies",
            seconds=run["seconds"],
            size=weights(root / "adapters" / f"bach-{voice}")[1],
            gain=1 - after_new / base["test_bach"],
            forgetting=after_old / base["test_folk"] - 1,
            losses=f"chorales {base['test_bach']:.2f} → {after_new:.2f}, folk songs {base['test_folk']:.2f} → "
            f"{after_old:.2f} nats per note",
        )


def _styles(root: Path) -> Iterator[Row]:
    """Adapters of style on the prose model, as the table of their training says."""
    return iter(())


def _pretrained(root: Path) -> Iterator[Row]:
    """What others trained on more than anybody here could: the sentence encoder, and GPT-2 where the Hub is near."""
    package = importlib.util.find_spec(PACKAGE)
    if package is not None and package.origin is not None:
        parameters, size = weights(Path(package.origin).parent / "model")
        if parameters:
            yield Row(
                name="Sentence encoder, all-MiniLM-L6-v2",
                stage=PRETRAINED,
                subject=SENTENCES,
                frozen="every weight: others trained it, here it is only read",
                changed="nothing",
                trainable=0,
                total=parameters,
                data="over a billion pairs of sentences, says its card; none here",
                seconds=None,
                size=size,
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
