"""Sentence embeddings: a frozen model that turns a text into a direction, so that kin in meaning lie close together.

model      the embedder: texts to vectors, one thread that owns each model, a cache
geometry   what can be done with vectors: similarity, projections, neighbours, odd one out, analogy, axis
grouping   how well given categories are told apart: k-means, silhouette; word overlap (TF-IDF) to compare with
concepts   the lists that ship, with their embeddings computed beforehand
texts      lines that visitors write, read with notes
settings   all that a visitor of the tab can set
tunes      the folk-song model's own embeddings of melodies
"""

from lab.embeddings.model import BUILT_IN, DIMENSIONS, Embedder

__all__ = ["BUILT_IN", "DIMENSIONS", "Embedder"]
