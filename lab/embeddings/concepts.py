"""The concept lists that ship, with what training/concept_map.py computed of them: embeddings, projections, figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from lab.embeddings.geometry import Projection
from lab.embeddings.grouping import Grouping

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "concepts"
FAMILIES = {"music": "music", "everyday": "everyday", "ambiguous": "two senses"}
AMBIGUOUS = "ambiguous"


@dataclass(frozen=True)
class ConceptList:
    """A list of texts that belong together.

    Attributes:
        family: one of FAMILIES.
        form: ``words``, ``phrases`` or ``sentences``.
        card: what it is about, its limits, its source.
    """

    slug: str
    title: str
    family: str
    form: str
    card: Mapping[str, str]
    entries: tuple[str, ...]


@dataclass(frozen=True)
class Sense:
    """One of two senses of a word, with kindred words and with sentences in which the word has it."""

    sense: str
    kin: tuple[str, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class PairKind:
    """Pairs of sentences of one kind. ``wanted`` is ``high`` or ``low``: how alike they are in meaning."""

    kind: str
    wanted: str
    about: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ShippedMap:
    """What was computed beforehand for all lists together; rows in the order of :func:`all_entries`.

    Attributes:
        grouping: by embeddings, of all lists but the ambiguous words.
        overlap: the same by word overlap (TF-IDF).
    """

    projections: Mapping[tuple[str, int], Projection]
    grouping: Grouping
    overlap: Grouping


@cache
def load_lists(folder: Path = FOLDER) -> tuple[ConceptList, ...]:
    """Return the lists, music first, words before sentences. Raises OSError if they are missing."""
    lists = []
    for path in (folder / "lists").glob("*.json"):
        fields = json.loads(path.read_text(encoding="utf-8"))
        lists.append(ConceptList(path.stem, **fields | {"entries": tuple(fields["entries"])}))
    forms, families = ("words", "phrases", "sentences"), tuple(FAMILIES)
    return tuple(sorted(lists, key=lambda one: (families.index(one.family), forms.index(one.form), one.slug)))


def all_entries() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return all entries of all lists in their order, and the slug of the list of each."""
    pairs = [(entry, one.slug) for one in load_lists() for entry in one.entries]
    return tuple(entry for entry, _ in pairs), tuple(slug for _, slug in pairs)


@cache
def load_senses(folder: Path = FOLDER) -> Mapping[str, tuple[Sense, ...]]:
    """Return the ambiguous words that have sentences, each with its senses."""
    words = _read(folder / "ambiguous.json")["words"]
    return {
        word: tuple(Sense(one["sense"], tuple(one["kin"]), tuple(one["sentences"])) for one in senses)
        for word, senses in words.items()
    }


@cache
def load_pairs(folder: Path = FOLDER) -> tuple[PairKind, ...]:
    """Return the pairs that show what the model sees and what it misses."""
    return tuple(
        PairKind(one["kind"], one["wanted"], one["about"], tuple((a, b) for a, b in one["pairs"]))
        for one in _read(folder / "pairs.json")["kinds"]
    )


@cache
def load_analogies(folder: Path = FOLDER) -> tuple[tuple[str, str, str, str], ...]:
    """Return analogies: a, b, c, and what a - b + c ought to be."""
    return tuple((a, b, c, d) for a, b, c, d in _read(folder / "examples.json")["analogies"])


@cache
def load_odd(folder: Path = FOLDER) -> tuple[tuple[str, ...], ...]:
    """Return lists of which the last does not belong to the others."""
    return tuple(tuple(words) for words in _read(folder / "examples.json")["odd"])


@cache
def load_queries(folder: Path = FOLDER) -> tuple[str, ...]:
    """Return things to search for."""
    return tuple(_read(folder / "examples.json")["queries"])


def answers() -> tuple[str, ...]:
    """Return the words among which an analogy's answer is sought: single words of the lists, and some more."""
    words = [entry for one in load_lists() if one.form == "words" for entry in one.entries]
    words += [word for analogy in load_analogies() for word in analogy]
    return tuple(dict.fromkeys([*words, *_read(FOLDER / "examples.json")["more_words"]]))


def shipped_texts() -> tuple[str, ...]:
    """Return every text that ships, once: entries of lists, and all that the examples speak of."""
    texts = list(all_entries()[0])
    texts += [text for pair in load_pairs() for two in pair.pairs for text in two]
    for word, senses in load_senses().items():
        texts += [word, *(text for sense in senses for text in (*sense.kin, *sense.sentences))]
    texts += [*load_queries(), *answers(), *(word for words in load_odd() for word in words)]
    return tuple(dict.fromkeys(texts))


def fingerprint(texts: Sequence[str]) -> str:
    """Return by what is seen whether what was computed beforehand is of these texts."""
    return sha256(json.dumps(list(texts)).encode()).hexdigest()


@cache
def load_vectors(folder: Path = FOLDER) -> np.ndarray:
    """Return the embeddings of :func:`shipped_texts`, (texts, 384), float32.

    Raises:
        ValueError: if they are of other texts; then training/concept_map.py has to run again.
    """
    from safetensors.numpy import load_file

    if _read(folder / "map.json")["texts"] != fingerprint(shipped_texts()):
        raise ValueError("the lists have changed since their embeddings were computed")
    return load_file(folder / "map.safetensors")["embeddings"].astype(np.float32)


@cache
def load_map(folder: Path = FOLDER) -> ShippedMap:
    """Return the map of all lists. Raises ValueError if it is of other texts."""
    from safetensors.numpy import load_file

    facts = _read(folder / "map.json")
    if facts["texts"] != fingerprint(shipped_texts()):
        raise ValueError("the lists have changed since their map was computed")
    arrays = load_file(folder / "map.safetensors")
    shares = tuple(facts["variance_explained"])
    projections = {
        ("pca", 2): Projection(arrays["pca"][:, :2], shares[:2]),
        ("pca", 3): Projection(arrays["pca"], shares),
        ("tsne", 2): Projection(arrays["tsne_2"]),
        ("tsne", 3): Projection(arrays["tsne_3"]),
    }
    return ShippedMap(projections, Grouping.from_json(facts["grouping"]), Grouping.from_json(facts["overlap"]))


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
