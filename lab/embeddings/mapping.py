"""Maps: texts of lists and of visitors as points; and words with two senses, alone and in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.embeddings.concepts import AMBIGUOUS, Sense, load_lists, load_map, load_senses, load_vectors, shipped_texts
from lab.embeddings.geometry import Projection, cosine_similarity, pca, tsne
from lab.embeddings.grouping import Grouping, group, word_overlap
from lab.embeddings.model import BUILT_IN, Embedder
from lab.embeddings.settings import Method
from lab.embeddings.texts import OWN, Line
from lab.errors import VisitorError
from lab.hub import Progress, silent

OWN_FAMILY = "own"
FOR_TSNE = 120  # points from which on t-SNE takes so long that it is worth a word


@dataclass(frozen=True)
class Point:
    """A text on a map. ``family`` is one of the lists' families, or OWN_FAMILY for a visitor's line."""

    text: str
    category: str
    family: str


@dataclass(frozen=True)
class ConceptMap:
    """Texts on a map.

    Attributes:
        projection: one row for each point.
        nearest: for each point the number of the point most like it, and their cosine; none for a lone one.
        grouping: how well categories are told apart; None where there are no two to tell apart.
        overlap: the same by the words that texts share.
    """

    points: tuple[Point, ...]
    method: Method
    projection: Projection
    nearest: tuple[tuple[int, float], ...]
    grouping: Grouping | None
    overlap: Grouping | None


def prime(embedder: Embedder) -> None:
    """Hand the embedder what was computed beforehand, so that texts that ship need no model."""
    embedder.remember(shipped_texts(), load_vectors())


def draw_map(
    embedder: Embedder,
    slugs: Sequence[str],
    own: Sequence[Line] = (),
    *,
    method: Method = Method.TSNE,
    dimensions: int = 2,
    model: str = BUILT_IN,
    progress: Progress = silent,
) -> ConceptMap:
    """Return a map of some lists and of a visitor's lines.

    A visitor's category that is called like a list joins it. Of all lists by the built-in model, without lines, the map
    was computed beforehand.

    Raises:
        NoProjection: if there are too few points, or all are the same.
        ModelUnavailable: if the model cannot be loaded.
    """
    prime(embedder)
    points = [Point(entry, one.title, one.family) for one in load_lists() if one.slug in slugs for entry in one.entries]
    titles = {one.title.casefold(): one.title for one in load_lists()}
    points += [Point(line.text, titles.get(line.category.casefold(), line.category), OWN_FAMILY) for line in own]
    vectors = embedder.embed([point.text for point in points], model, progress)
    shipped = model == BUILT_IN and not own and len(slugs) == len(load_lists())
    if shipped:
        whole = load_map()
        projection = whole.projections[str(method), dimensions]
        grouping, overlap = _titled(whole.grouping), _titled(whole.overlap)
    else:
        if method is Method.TSNE and len(points) > FOR_TSNE:
            progress("Laying the points out …")
        projection = (tsne if method is Method.TSNE else pca)(vectors, dimensions)
        grouping, overlap = _groupings(points, vectors)
    return ConceptMap(tuple(points), method, projection, nearest_points(vectors), grouping, overlap)


def _groupings(points: Sequence[Point], vectors: np.ndarray) -> tuple[Grouping | None, Grouping | None]:
    ambiguous = next(one.title for one in load_lists() if one.slug == AMBIGUOUS)
    grouped = [n for n, point in enumerate(points) if point.category not in (ambiguous, OWN)]
    if not grouped:
        return None, None
    categories = [points[n].category for n in grouped]
    words = word_overlap([points[n].text for n in grouped])
    return group(vectors[grouped], categories), group(words, categories)


def _titled(grouping: Grouping) -> Grouping:
    """Return figures that name lists by their slugs with the lists' titles instead."""
    from dataclasses import replace

    titles = {one.slug: one.title for one in load_lists()}
    rows = tuple(
        replace(row, category=titles[row.category], nearest=titles[row.nearest]) for row in grouping.categories
    )
    return replace(grouping, categories=rows)


def nearest_points(vectors: np.ndarray) -> tuple[tuple[int, float], ...]:
    """Return for each row the number of the row most like it and their cosine; nothing for a lone one."""
    if len(vectors) < 2:
        return ()
    similarities = cosine_similarity(vectors, vectors)
    np.fill_diagonal(similarities, -np.inf)
    best = similarities.argmax(axis=1)
    return tuple((int(n), float(similarities[row, n])) for row, n in enumerate(best))


@dataclass(frozen=True)
class InSense:
    """A text with a word of two senses: the word alone, or in a sentence.

    Attributes:
        sense: the one that is meant, empty for the word alone and for a visitor's sentence.
        cosines: mean cosine to the kindred words of each sense.
    """

    text: str
    sense: str
    cosines: tuple[float, ...]
    own: bool = False


@dataclass(frozen=True)
class SenseMap:
    """A word of two senses on a map.

    Attributes:
        texts: the word alone, then sentences.
        kin: kindred words, those of the first sense first.
        projection: of ``texts``, then of all ``kin``.
    """

    word: str
    senses: tuple[Sense, ...]
    texts: tuple[InSense, ...]
    projection: Projection

    @property
    def kin(self) -> tuple[tuple[str, str], ...]:
        """Each kindred word with its sense."""
        return tuple((word, sense.sense) for sense in self.senses for word in sense.kin)


def draw_senses(
    embedder: Embedder,
    word: str,
    own: Sequence[str] = (),
    *,
    model: str = BUILT_IN,
    progress: Progress = silent,
) -> SenseMap:
    """Return where a word of two senses lies alone, and where in sentences, among kindred words of each sense.

    Raises:
        VisitorError: if there is no such word.
        ModelUnavailable: if the model cannot be loaded.
    """
    prime(embedder)
    if word not in load_senses():
        raise VisitorError(f"There is no word {word[:20]!r} here; the words are {', '.join(load_senses())}.")
    senses = load_senses()[word]
    sentences = [(text, sense.sense, False) for sense in senses for text in sense.sentences]
    rows = [(word, "", False), *sentences, *((text, "", True) for text in own)]
    vectors = embedder.embed([text for text, _, _ in rows], model, progress)
    kin = [embedder.embed(sense.kin, model) for sense in senses]
    cosines = np.stack([cosine_similarity(vectors, words).mean(axis=1) for words in kin], axis=1)  # (texts, senses)
    texts = tuple(
        InSense(text, sense, tuple(float(value) for value in row), is_own)
        for (text, sense, is_own), row in zip(rows, cosines, strict=True)
    )
    return SenseMap(word, senses, texts, pca(np.concatenate([vectors, *kin]), 2))
