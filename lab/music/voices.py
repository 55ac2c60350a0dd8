"""The voices of the melodies tab: the folk-song model and what became of it, each loaded at first use and kept.

folk          the model as it was trained on folk songs
header        the same, told the meter and the number of phrases that are usual in Bach: what asking alone does
last block    its last block trained on chorales, the rest frozen
LoRA          all of it frozen, changes of low rank trained beside it; their strength can be turned
full          all of it trained on chorales
from scratch  a fresh model of the same size, trained on the chorales alone
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import ModelUnavailable
from lab.importing import importing
from lab.stages import LORA, SCRATCH, TRANSFER

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

    from lab.music.grammar import Grammar
    from lab.music.tokens import Vocabulary
    from lab.text.engine import Engine

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "assets" / "folk-gpt2"
ADAPTERS = ROOT / "adapters"
LORA_NAME = "bach"  # by which rows ask for it


class Voice(StrEnum):
    """A model that writes melodies, by its name in links."""

    FOLK = "folk"
    HEADER = "header"
    LAST_BLOCK = "last-block"
    LORA = "lora"
    FULL = "full"
    SCRATCH = "scratch"


class Part(StrEnum):
    """What a model is made of, from input to output, as the tab's picture shows it."""

    EMBEDDINGS = "embeddings"
    LOWER_BLOCKS = "lower blocks"
    LAST_BLOCK = "last block"
    NORM = "norm"
    OUTPUT = "output"


EVERYTHING = frozenset(Part)


@dataclass(frozen=True, kw_only=True)
class About:
    """What to say of a voice, here and in the table of all ways.

    Attributes:
        changed: empty where nothing was.
        stage: of the arc, see :mod:`lab.stages`.
        explanation: what that means, under “What is frozen”; empty for what is not shown there.
        trained: parts of the model whose own weights were trained.
        beside: what was trained beside each block, frozen itself; it counts as added, and can be switched off.
    """

    title: str
    frozen: str
    changed: str
    stage: str
    explanation: str
    trained: frozenset[Part] = frozenset()
    beside: str = ""

    @property
    def is_base(self) -> bool:
        """Whether it plays the folk-song model as it is."""
        return not self.changed


VOICES: dict[str, About] = {  # a voice is the string of its name
    Voice.FOLK: About(
        title="Folk",
        frozen="Everything: the model as it learnt from German folk songs.",
        changed="",
        stage=SCRATCH,
        explanation="Nothing is adapted. This is the model that all others but the last start from.",
    ),
    Voice.HEADER: About(
        title="Folk, asked for Bach",
        frozen="Everything; only the header is one that is usual in chorales.",
        changed="",
        stage=SCRATCH,
        explanation="",
    ),
    Voice.LAST_BLOCK: About(
        title="Last block",
        frozen="Embeddings and the first three blocks.",
        changed="The last block and final norm.",
        stage=TRANSFER,
        explanation="Only what is nearest to the output learns Bach; what lies below still reads music the folk way.",
        trained=frozenset({Part.LAST_BLOCK, Part.NORM}),
    ),
    Voice.LORA: About(
        title="LoRA",
        frozen="Every weight of the folk model.",
        changed="Low-rank matrices beside each block's layers.",
        stage=LORA,
        explanation="Beside each matrix of each block stands a product of two thin ones. Only these learn. Switched "
        "off, the folk model is back to the last bit: nothing was forgotten.",
        beside="A·B",
    ),
    Voice.FULL: About(
        title="Full",
        frozen="Nothing: it only started from the folk model.",
        changed="Every weight.",
        stage=TRANSFER,
        explanation="Every number may move. The folk model is where it starts from, and it is gone afterwards.",
        trained=EVERYTHING,
    ),
    Voice.SCRATCH: About(
        title="From scratch",
        frozen="Nothing, and it never heard a folk song.",
        changed="Every weight, from chance.",
        stage=SCRATCH,
        explanation="The same shape, filled with chance, and a few hundred chorales to learn everything from: the "
        "control.",
        trained=EVERYTHING,
    ),
}


class Voices:
    """The models behind the voices, each with the one engine that owns it. Safe for threads.

    Args:
        threads: intra-op threads of each engine.
        base: folder of the folk-song model.
        adapters: folder of what was trained on chorales.
    """

    def __init__(self, threads: int = 1, base: Path = BASE, adapters: Path = ADAPTERS) -> None:
        self._threads = threads
        self._base = base
        self._adapters = adapters
        self._engines: dict[Path, Engine] = {}
        self._lock = threading.Lock()

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary that all voices share."""
        from lab.music.corpus import load_vocabulary

        return load_vocabulary()

    @property
    def grammar(self) -> Grammar:
        """The rules of complete bars over that vocabulary."""
        return _grammar()

    def is_loaded(self, voice: Voice) -> bool:
        """Return whether :meth:`engine` would answer at once."""
        return self._folder(voice) in self._engines

    def engine(self, voice: Voice) -> Engine:
        """Return the engine that plays a voice; folk, header and LoRA share one.

        Raises:
            ModelUnavailable: if its files are missing or not what they should be.
        """
        folder = self._folder(voice)
        if folder not in self._engines:
            with self._lock:
                if folder not in self._engines:
                    self._engines[folder] = self._load(voice, folder)
        return self._engines[folder]

    def close(self) -> None:
        """Stop all engines."""
        with self._lock:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()

    def _folder(self, voice: Voice) -> Path:
        if voice in (Voice.FOLK, Voice.HEADER, Voice.LORA):
            return self._base
        return self._adapters / f"bach-{voice}"

    @importing()
    def _load(self, voice: Voice, folder: Path) -> Engine:
        from lab.lora import load_peft
        from lab.text.engine import Engine

        try:
            last_block = voice is Voice.LAST_BLOCK
            model = last_block_model(self._base, folder) if last_block else load_model(folder)
            if model.config.vocab_size != len(self.vocabulary):
                raise ValueError("another vocabulary than that of the note data")
            adapter = load_peft(self._adapters / f"bach-{Voice.LORA}") if folder == self._base else None
            engine = Engine(model, threads=self._threads)
            if adapter is not None:
                try:
                    engine.add_adapter(LORA_NAME, adapter)
                except Exception:
                    engine.close()
                    raise
        except Exception as error:  # files are read by several libraries, each with errors of its own
            log.warning("The voice %s could not be loaded", voice, exc_info=error)
            raise ModelUnavailable(
                f"The voice “{VOICES[voice].title}” could not be loaded: its files are missing or damaged."
            ) from error
        return engine


def load_model(folder: Path) -> GPT2LMHeadModel:
    """Load a melody model in single precision, from safetensors alone. Raises what transformers does."""
    import torch
    from transformers import GPT2LMHeadModel

    model, report = GPT2LMHeadModel.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, output_loading_info=True
    )
    if report["missing_keys"]:  # transformers would fill them with chance
        raise ValueError(f"weights are missing: {', '.join(sorted(report['missing_keys'])[:3])}")
    return model


def last_block_model(base: Path, folder: Path) -> GPT2LMHeadModel:
    """Load the base with the last block and final norm that were trained. Raises ValueError if they do not fit."""
    from safetensors.torch import load_file

    model = load_model(base)
    tensors = load_file(folder / "last_block.safetensors")
    unexpected = model.load_state_dict({name: t.float() for name, t in tensors.items()}, strict=False).unexpected_keys
    if unexpected or not tensors:
        raise ValueError("not the last block of this model")
    return model


@cache
def _grammar() -> Grammar:
    from lab.music.corpus import load_vocabulary
    from lab.music.grammar import Grammar

    return Grammar(load_vocabulary())


@cache
def training_table(path: Path = ADAPTERS / "bach.json") -> Mapping[str, Any]:
    """Return what the training script measured: losses in nats per note, trained parameters, seconds, for each run."""
    return json.loads(path.read_text(encoding="utf-8"))
