"""The pool that ships: prompts with many completions each, and their embeddings, so that everything answers at once.

``training/preference_pool.py`` wrote it with the built-in model and its adapters. Some prompts are held out: no
simulated annotator ranks them for training, and they have as many completions as best-of-n can ask for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from lab.preferences.bradley_terry import Embed
from lab.preferences.pairs import Completion

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "pool"
TEXTS, EMBEDDINGS = "pool.jsonl", "embeddings.safetensors"
SENTENCE_END = re.compile(r"[.!?…][”’)]*(?=\s|$)")
LEAST_KEPT = 0.4  # of a text that is cut at the end of a sentence


@dataclass(frozen=True)
class PoolItem:
    """A completion as it follows its prompt, and what wrote it: an adapter, empty for the base, and how it drew."""

    text: str
    adapter: str
    temperature: float
    seed: int


@dataclass(frozen=True)
class PoolPrompt:
    """A prompt with its completions; ``held_out`` if models are judged on it and not trained."""

    prompt: str
    held_out: bool
    items: tuple[PoolItem, ...]

    @property
    def completions(self) -> list[Completion]:
        """The completions as reward models read them."""
        return [Completion(self.prompt, item.text) for item in self.items]

    @property
    def texts(self) -> tuple[str, ...]:
        """The completions alone."""
        return tuple(item.text for item in self.items)


@dataclass(frozen=True, eq=False)
class Pool:
    """Prompts and the embeddings of all their texts.

    Attributes:
        prompt_vectors: (prompts, 384), as half precision left them.
        item_vectors: of all items, prompt after prompt, (items, 384).
    """

    prompts: tuple[PoolPrompt, ...]
    prompt_vectors: np.ndarray
    item_vectors: np.ndarray

    @property
    def train(self) -> tuple[PoolPrompt, ...]:
        """Prompts to learn from."""
        return tuple(prompt for prompt in self.prompts if not prompt.held_out)

    @property
    def held_out(self) -> tuple[PoolPrompt, ...]:
        """Prompts to judge by, with the most completions."""
        return tuple(prompt for prompt in self.prompts if prompt.held_out)

    @cached_property
    def _rows(self) -> dict[str, np.ndarray]:
        texts = [item.text for prompt in self.prompts for item in prompt.items]
        found = dict(zip(texts, self.item_vectors, strict=True))
        return found | dict(zip((prompt.prompt for prompt in self.prompts), self.prompt_vectors, strict=True))

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of texts of this pool, (texts, 384), float32 of unit length.

        Raises:
            KeyError: if a text is not in the pool.
        """
        found = np.array([self._rows[text] for text in texts], dtype=np.float32)
        # Half precision moves each number by up to a two-thousandth of itself.
        return found / np.linalg.norm(found, axis=-1, keepdims=True) if len(texts) else found.reshape(0, 384)

    def embed_with(self, embed: Embed) -> Embed:
        """Return an embedder that looks texts up here and asks ``embed`` for all others."""

        def both(texts: Sequence[str]) -> np.ndarray:
            known = [text in self._rows for text in texts]
            mine = iter(self.embed([text for text, here in zip(texts, known, strict=True) if here]))
            unknown = [text for text, here in zip(texts, known, strict=True) if not here]
            others = iter(embed(unknown) if unknown else ())
            rows = [next(mine if here else others) for here in known]
            return np.array(rows, dtype=np.float32).reshape(len(rows), 384)

        return both


@cache
def load_pool(folder: Path = FOLDER) -> Pool:
    """Read the pool; the second call returns the first one's. Raises OSError if a file is missing."""
    from safetensors.numpy import load_file

    lines = (folder / TEXTS).read_text(encoding="utf-8").rstrip("\n").split("\n")  # splitlines cuts at more than that
    vectors = load_file(folder / EMBEDDINGS)
    return Pool(tuple(_prompt(json.loads(line)) for line in lines), vectors["prompts"], vectors["items"])


def save_pool(folder: Path, prompts: Sequence[PoolPrompt], embed: Callable[[Sequence[str]], np.ndarray]) -> None:
    """Write prompts, and the embeddings of all texts in half precision."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(_line(prompt), ensure_ascii=False) for prompt in prompts]
    (folder / TEXTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    vectors = {
        "prompts": embed([prompt.prompt for prompt in prompts]).astype(np.float16),
        "items": embed([item.text for prompt in prompts for item in prompt.items]).astype(np.float16),
    }
    save_file(vectors, folder / EMBEDDINGS)


def finished(text: str) -> str:
    """Return a text cut after its last whole sentence, if that leaves at least two fifths; without space at its end."""
    text = text.rstrip()
    ends = [match.end() for match in SENTENCE_END.finditer(text)]
    return text[: ends[-1]] if ends and ends[-1] >= LEAST_KEPT * len(text) else text


def _line(prompt: PoolPrompt) -> dict[str, object]:
    items = [[item.text, item.adapter, item.temperature, item.seed] for item in prompt.items]
    return {"prompt": prompt.prompt, "held_out": prompt.held_out, "items": items}


def _prompt(values: dict[str, object]) -> PoolPrompt:
    return PoolPrompt(values["prompt"], values["held_out"], tuple(PoolItem(*item) for item in values["items"]))
