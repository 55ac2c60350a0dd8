"""Language models by name: the built-in one, GPT-2 from the Hub, a folder. Each has one engine that owns it."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import ModelUnavailable
from lab.hub import Progress, silent, snapshot
from lab.importing import importing
from lab.text.adapters import BUILT_IN, ShippedAdapter, add_shipped

if TYPE_CHECKING:
    from lab.text.engine import Engine
    from lab.text.vocabulary import Vocabulary

log = logging.getLogger(__name__)

GPT2 = "openai-community/gpt2"
ASSETS = Path(__file__).resolve().parents[2] / "assets"


@dataclass(frozen=True)
class LanguageModel:
    """A loaded model: its engine, its vocabulary, and facts to show.

    Attributes:
        name: by which it was asked for.
        parameters: their number, a tied one counted once.
        context: most tokens that prompt and continuation have together.
        folder: with its files, for those who want the weights in a process of their own.
        adapters: those that ship for it, by the name with which rows ask the engine for them.
    """

    name: str
    title: str
    engine: Engine
    vocabulary: Vocabulary
    parameters: int
    context: int
    layers: int
    width: int
    folder: Path | None = None
    adapters: Mapping[str, ShippedAdapter] = field(default_factory=dict)


class Models:
    """The models that visitors can choose, loaded at first use and kept.

    Args:
        extra: a folder or a Hub name beside the two standard ones, from the command line; it is then the default.
        threads: intra-op threads of each engine.

    Raises:
        ValueError: if ``extra`` is no folder and cannot be a name on the Hub.
    """

    def __init__(self, extra: str | None = None, threads: int = 1) -> None:
        if extra is not None and not os.path.isdir(extra) and not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", extra):
            raise ValueError(f"{extra} is neither a folder nor the name of a model on the Hub")
        self._threads = threads
        self._titles = {BUILT_IN: "Built-in: small GPT-2, English prose", GPT2: "GPT-2 124M, from the Hub"}
        self.default = BUILT_IN
        self._extra = extra
        if extra is not None and (os.path.isdir(extra) or extra not in self._titles):
            # Visitors see a folder's name only, and links carry no path of the machine.
            self.default = Path(extra).resolve().name if os.path.isdir(extra) else extra
            self._titles[self.default] = f"{self.default}, from the command line"
        elif extra is not None:
            self.default = extra
        self._loaded: dict[str, LanguageModel] = {}
        self._locks = {name: threading.Lock() for name in self._titles}
        self._failures: dict[str, ModelUnavailable] = {}  # the last one of each model

    @property
    def choices(self) -> dict[str, str]:
        """Names of the models that can be asked for, each with its title."""
        return dict(self._titles)

    def is_loaded(self, name: str) -> bool:
        """Return whether :meth:`get` would answer at once."""
        return name in self._loaded

    def get(self, name: str, progress: Progress = silent) -> LanguageModel:
        """Return a model, loading it if need be; other callers of the same model wait for the same load.

        Args:
            progress: told in plain words what is going on.

        Raises:
            ModelUnavailable: if the name is unknown or the model cannot be loaded.
        """
        if name not in self._titles:
            raise ModelUnavailable(f"There is no model named {name[:60]!r}. Choose one of: {', '.join(self._titles)}.")
        if name in self._loaded:
            return self._loaded[name]
        failure = self._failures.get(name)
        progress("Waiting for the model …")
        with self._locks[name]:
            if name not in self._loaded:
                if self._failures.get(name) is not failure:
                    raise self._failures[name]  # it failed while this caller waited: thirty must not try in turn
                try:
                    self._loaded[name] = self._load(name, progress)
                except ModelUnavailable as error:
                    self._failures[name] = error
                    raise
        return self._loaded[name]

    def adopt(self, model: LanguageModel) -> None:
        """Serve a model that was made elsewhere under its name. The one that was there is not closed."""
        self._loaded[model.name] = model

    def close(self) -> None:
        """Stop all engines."""
        for model in self._loaded.values():
            model.engine.close()
        self._loaded.clear()

    def _load(self, name: str, progress: Progress) -> LanguageModel:
        if name == self.default and self._extra is not None and os.path.isdir(self._extra):
            folder = Path(self._extra)  # first, since it may have the built-in one's name
        elif name == BUILT_IN:
            folder = ASSETS / BUILT_IN
        else:
            folder = download(name, progress)
        progress(f"Loading {self._titles[name]} …")
        return load_folder(folder, name, self._titles[name], self._threads)


@importing()
def load_folder(folder: Path, name: str, title: str, threads: int = 1) -> LanguageModel:
    """Load a GPT-2 with its tokenizer from a folder in the form that ``save_pretrained`` writes; safetensors only.

    Raises:
        ModelUnavailable: if the folder holds something else.
    """
    import torch
    from transformers import AutoConfig, AutoTokenizer, GPT2LMHeadModel

    from lab.text.engine import Engine
    from lab.text.vocabulary import Vocabulary

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if config.model_type != "gpt2":
            raise ModelUnavailable(f"{name} is a {config.model_type} model; this app runs models built like GPT-2.")
        model, report = GPT2LMHeadModel.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
        if report["missing_keys"]:  # transformers would fill them with chance
            raise ValueError(f"weights are missing: {', '.join(sorted(report['missing_keys'])[:3])}")
        tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, local_files_only=True, trust_remote_code=False)
        vocabulary = Vocabulary(tokenizer)
        if len(vocabulary) > config.vocab_size:
            raise ValueError(f"the tokenizer has {len(vocabulary)} tokens, the model {config.vocab_size}")
        engine = Engine(model, threads=threads)
    except ModelUnavailable:
        raise
    except Exception as error:  # config, weights and tokenizer are read by three libraries, each with errors of its own
        log.warning("loading %s failed: %s", name, error)
        raise ModelUnavailable(
            f"{title} could not be loaded: its files are missing or not those of a GPT-2."
        ) from error
    return LanguageModel(
        name=name,
        title=title,
        engine=engine,
        vocabulary=vocabulary,
        parameters=sum(p.numel() for p in model.parameters()),
        context=config.n_positions,
        layers=config.n_layer,
        width=config.n_embd,
        folder=folder,
        adapters=add_shipped(engine, name),
    )


def download(name: str, progress: Progress = silent) -> Path:
    """Return the folder of a Hub model: from the local cache if it is there, else from the Hub.

    Raises:
        ModelUnavailable: if it is in neither.
    """
    wanted = ["config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer*.json", "vocab.json", "merges.txt"]
    # The repository of GPT-2 also holds weights converted for phones; none of those folders is needed.
    return snapshot(name, wanted, ["*/*"], _is_whole, progress)


def _is_whole(folder: Path) -> bool:
    tokenizer = [folder / "tokenizer.json", folder / "vocab.json"]
    return any(folder.glob("*.safetensors")) and any(file.exists() for file in tokenizer)
