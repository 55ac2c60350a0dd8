"""What visitors ask of embeddings: how alike two texts are, what is near a query, who is the odd one out, and so on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.embeddings.concepts import (
    PairKind,
    all_entries,
    answers,
    load_analogies,
    load_lists,
    load_odd,
    load_pairs,
)
from lab.embeddings.geometry import analogy, axis_between, cosine_similarity, nearest, odd_one_out
from lab.embeddings.grouping import tf_idf
from lab.embeddings.mapping import prime
from lab.embeddings.model import BUILT_IN, Embedder
from lab.errors import VisitorError
from lab.hub import Progress, silent

FOUND = 12  # entries that a search shows
TRIED = 5  # answers of an analogy that are shown


@dataclass(frozen=True)
class PairFigures:
    """How alike two texts are: the cosine of their embeddings, and of their word counts (TF-IDF)."""

    first: str
    second: str
    cosine: float
    overlap: float


def compare_pairs(
    embedder: Embedder,
    pairs: Sequence[tuple[str, str]],
    model: str = BUILT_IN,
    progress: Progress = silent,
) -> list[PairFigures]:
    """Return how alike the texts of each pair are.

    How rare a word is, is counted in these texts and those of the pairs that ship, each once: so a pair that ships has
    the same figures whether it is compared alone or by :func:`probe`.

    Raises:
        ModelUnavailable: if the model cannot be loaded.
    """
    prime(embedder)
    firsts, seconds = [a for a, _ in pairs], [b for _, b in pairs]
    meant = np.sum(embedder.embed(firsts, model, progress) * embedder.embed(seconds, model, progress), axis=1)
    shipped = [text for kind in load_pairs() for two in kind.pairs for text in two]
    texts = list(dict.fromkeys([*firsts, *seconds, *shipped]))
    words, row = tf_idf(texts), {text: number for number, text in enumerate(texts)}
    shared = [float(words[row[a]] @ words[row[b]]) for a, b in pairs]
    return [
        PairFigures(a, b, float(np.clip(cosine, -1, 1)), min(max(overlap, 0.0), 1.0))
        for (a, b), cosine, overlap in zip(pairs, meant, shared, strict=True)
    ]


def probe(embedder: Embedder, model: str = BUILT_IN) -> list[tuple[PairKind, list[PairFigures]]]:
    """Return the pairs that show what the model sees and what it misses, measured."""
    kinds = load_pairs()
    figures = iter(compare_pairs(embedder, [pair for kind in kinds for pair in kind.pairs], model))
    return [(kind, [next(figures) for _ in kind.pairs]) for kind in kinds]


@dataclass(frozen=True)
class Matrix:
    """Each text of a list with each, (texts, texts): cosine of embeddings, and of word counts."""

    texts: tuple[str, ...]
    cosine: np.ndarray
    overlap: np.ndarray


def compare_all(embedder: Embedder, texts: Sequence[str], model: str = BUILT_IN, progress: Progress = silent) -> Matrix:
    """Return how alike the texts of a list are. Raises VisitorError if there are fewer than two."""
    if len(texts) < 2:
        raise VisitorError("To compare takes at least two texts, one on each line.")
    prime(embedder)
    vectors, words = embedder.embed(texts, model, progress), tf_idf(texts)
    return Matrix(tuple(texts), cosine_similarity(vectors, vectors), cosine_similarity(words, words))


@dataclass(frozen=True)
class Hit:
    """An entry that a search found, the title of its list, and how alike it is to the query by either measure."""

    text: str
    category: str
    cosine: float
    overlap: float


def search(embedder: Embedder, query: str, model: str = BUILT_IN, progress: Progress = silent) -> list[Hit]:
    """Return the entries of the lists that are most like a query, best first. Raises VisitorError if it is empty."""
    if not query:
        raise VisitorError("Write what you are looking for: a word or a sentence.")
    prime(embedder)
    entries, slugs = all_entries()
    titles = {one.slug: one.title for one in load_lists()}
    words = tf_idf([query, *entries])
    found = nearest(embedder.embed([query], model, progress)[0], embedder.embed(entries, model, progress), FOUND)
    return [Hit(entries[row], titles[slugs[row]], cosine, float(words[0] @ words[row + 1])) for row, cosine in found]


@dataclass(frozen=True)
class OddOneOut:
    """A list, each item's mean cosine to all others, and the place of the item that is least like them."""

    items: tuple[str, ...]
    means: tuple[float, ...]
    odd: int


def find_odd(embedder: Embedder, items: Sequence[str], model: str = BUILT_IN, progress: Progress = silent) -> OddOneOut:
    """Return which item does not belong to the others. Raises VisitorError if there are fewer than three."""
    if len(items) < 3:
        raise VisitorError("To find the odd one out takes at least three different items, separated by commas.")
    prime(embedder)
    odd, means = odd_one_out(embedder.embed(items, model, progress))
    return OddOneOut(tuple(items), tuple(float(mean) for mean in means), odd)


@dataclass(frozen=True)
class Solved:
    """An analogy, a - b + c: the words nearest to it, and which was expected, if any.

    Attributes:
        rank: of the expected word among all candidates, from 1; None if none was expected.
        given_nearest: the one of a, b and c that is nearest to the result. It may be nearer than any answer.
        given_cosine: its cosine.
    """

    words: tuple[str, str, str]
    answers: tuple[tuple[str, float], ...]
    given_nearest: str
    given_cosine: float
    expected: str = ""
    rank: int | None = None


def solve(
    embedder: Embedder,
    words: Sequence[str],
    expected: str = "",
    model: str = BUILT_IN,
    progress: Progress = silent,
) -> Solved:
    """Return what is nearest to a - b + c among the words of the lists, a, b and c themselves left out.

    Raises:
        VisitorError: if there are not three words.
    """
    if len(words) != 3:
        raise VisitorError("An analogy takes three words, separated by commas: a, b, c for a − b + c.")
    prime(embedder)
    a, b, c = embedder.embed(words, model, progress)
    asked = {word.casefold() for word in words}
    candidates = [word for word in answers() if word.casefold() not in asked]
    target = analogy(a, b, c)
    ranked = nearest(target, embedder.embed(candidates, model, progress), len(candidates))
    given = nearest(target, np.stack([a, b, c]), 1)[0]
    rank = next((n for n, (row, _) in enumerate(ranked, 1) if candidates[row] == expected), None)
    return Solved(
        (words[0], words[1], words[2]),
        tuple((candidates[row], cosine) for row, cosine in ranked[:TRIED]),
        words[given[0]],
        given[1],
        expected,
        rank,
    )


def solve_examples(embedder: Embedder, model: str = BUILT_IN) -> list[Solved]:
    """Return the analogies that ship, hits and misses."""
    return [solve(embedder, (a, b, c), expected, model) for a, b, c, expected in load_analogies()]


def odd_examples(embedder: Embedder, model: str = BUILT_IN) -> list[OddOneOut]:
    """Return the lists with one stranger that ship; the stranger is the last."""
    return [find_odd(embedder, items, model) for items in load_odd()]


@dataclass(frozen=True)
class OnAxis:
    """Texts laid out between two poles: -1 is the first, 1 the second.

    Attributes:
        texts: from the first pole to the second.
        positions: of the texts.
        poles: the words of each pole with their own positions.
        pole_cosine: of the two poles' means; the nearer to 1, the less there is between them.
    """

    texts: tuple[str, ...]
    positions: tuple[float, ...]
    poles: tuple[tuple[tuple[str, float], ...], tuple[tuple[str, float], ...]]
    pole_cosine: float


def lay_out(
    embedder: Embedder,
    texts: Sequence[str],
    first: Sequence[str],
    second: Sequence[str],
    model: str = BUILT_IN,
    progress: Progress = silent,
) -> OnAxis:
    """Return texts in the order of their place between two poles, each given by one or several words.

    Raises:
        VisitorError: if a pole or the list is empty, or both poles are the same.
    """
    if not first or not second:
        raise VisitorError("Each pole needs at least one word.")
    if not texts:
        raise VisitorError("There is nothing to lay out. Choose a list, or write some lines.")
    prime(embedder)
    ends = [embedder.embed(words, model, progress) for words in (first, second)]
    axis = axis_between(*ends)
    positions = axis.positions(embedder.embed(texts, model, progress))
    order = np.argsort(positions, kind="stable")
    poles = tuple(
        tuple((word, float(place)) for word, place in zip(words, axis.positions(vectors), strict=True))
        for words, vectors in zip((first, second), ends, strict=True)
    )
    means = [vectors.mean(axis=0)[None] for vectors in ends]
    return OnAxis(
        tuple(texts[n] for n in order),
        tuple(float(positions[n]) for n in order),
        (poles[0], poles[1]),
        float(cosine_similarity(*means)[0, 0]),
    )
