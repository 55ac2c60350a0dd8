"""What is said of a map in words."""

from __future__ import annotations

import numpy as np

from lab.embeddings.geometry import Projection
from lab.embeddings.grouping import MOST_GROUPS, Grouping
from lab.embeddings.mapping import ConceptMap
from lab.embeddings.settings import Method
from tabs.embeddings.render.maps import figures_text


def told(by_meaning: float | None, by_words: float | None) -> str:
    both = (Grouping(index, 0.25, 0.5, ()) for index in (by_meaning, by_words))
    return figures_text(ConceptMap((), Method.TSNE, Projection(np.zeros((0, 2))), (), *both))


def test_a_map_tells_how_far_k_means_finds_its_categories_or_that_it_was_not_asked() -> None:
    assert "**0.61** (adjusted Rand index" in told(0.61, 0.07) and "share to 0.07" in told(0.61, 0.07)
    many = told(None, None)
    assert f"at most {MOST_GROUPS} groups, was not asked" in many
    assert "None" not in many and "nan" not in many and "Mean silhouette 0.25 against 0.25" in many
