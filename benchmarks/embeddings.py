"""How fast texts become embeddings, how soon the first map is there, and how well embeddings group texts and tunes.

    python -m benchmarks.embeddings [--json] [--texts 256] [--repeats 5]

Speed is against the plain ``encode`` call of sentence-transformers, each text new to both. Groupings are against word
overlap (TF-IDF); tunes are against histograms of their intervals, and against their header alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import torch

from benchmarks.report import Figure, parser, report, seconds
from lab.embeddings import BUILT_IN, Embedder, model
from lab.embeddings.comparing import odd_examples, probe, solve_examples
from lab.embeddings.concepts import all_entries, load_lists, load_map, load_senses, load_vectors
from lab.embeddings.mapping import draw_map, draw_senses
from lab.embeddings.settings import Method
from lab.embeddings.texts import Line
from lab.embeddings.tunes import load_tune_map
from tabs.embeddings.render.maps import category_table, concept_figure, figures_text, point_table

ALONE = 20  # texts one after the other


def new_texts(count: int, mark: str) -> list[str]:
    """Return sentences that nobody has embedded yet, of the lengths that the lists have."""
    entries = all_entries()[0]
    return [f"{entries[n % len(entries)]} {mark}{n}" for n in range(count)]


def speed(embedder: Embedder, count: int, repeats: int) -> list[Figure]:
    """Measure texts per second alone and in bulk, by the embedder and by the plain call, turn by turn."""
    embedder.embed(["what is slow only the first time"])
    plain = embedder._models[BUILT_IN]

    def encode(texts: Sequence[str]) -> np.ndarray:
        return plain.encode(texts, normalize_embeddings=True, show_progress_bar=False)

    encode(["once"])

    def each(call: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
        return seconds(lambda: [call([text]) for text in texts])

    def together(call: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
        return seconds(lambda: call(texts))

    took: dict[str, list[float]] = {name: [] for name in ("alone", "plain_alone", "bulk", "plain_bulk", "known")}
    for n in range(repeats):
        took["alone"].append(each(embedder.embed, new_texts(ALONE, f"a{n}.")))
        took["plain_alone"].append(each(encode, new_texts(ALONE, f"b{n}.")))
        texts = new_texts(count, f"c{n}.")
        took["bulk"].append(together(embedder.embed, texts))
        took["plain_bulk"].append(together(encode, new_texts(count, f"d{n}.")))
        took["known"].append(together(embedder.embed, texts))
    return [
        Figure("alone_per_s", "texts per second, one at a time", ALONE / median(took["alone"]), "/s"),
        Figure("plain_alone_per_s", "the same by plain encode", ALONE / median(took["plain_alone"]), "/s"),
        Figure("bulk_per_s", f"texts per second, {count} at once", count / median(took["bulk"]), "/s"),
        Figure("plain_bulk_per_s", "the same by plain encode", count / median(took["plain_bulk"]), "/s"),
        Figure("known_per_s", "texts per second, seen before", count / median(took["known"]), "/s"),
    ]


def maps(embedder: Embedder, repeats: int) -> list[Figure]:
    """Measure the map's figure and tables, as the page gets them."""
    slugs = [one.slug for one in load_lists()]

    def whole(own: Sequence[Line] = (), method: Method = Method.TSNE) -> str:
        found = draw_map(embedder, slugs, own, method=method)
        figures_text(found), category_table(found), point_table(found)
        return concept_figure(found).to_json()

    load_map.cache_clear()
    load_vectors.cache_clear()
    start = time.perf_counter()
    whole()
    first = time.perf_counter() - start
    again = median(seconds(whole) for _ in range(repeats))
    own = [Line(text, f"own {n % 5}") for n, text in enumerate(new_texts(500, "own"))]
    lines = seconds(lambda: whole(own, Method.PCA))
    redrawn = seconds(lambda: whole(own))
    return [
        Figure("first_map_s", "first map, files not yet read", first, "s", "<= 1"),
        Figure("map_again_s", "the map again", again, "s", "<= 1"),
        Figure("own_500_pca_s", "map with 500 own lines never seen, PCA", lines, "s"),
        Figure("own_500_tsne_s", "the same lines again, t-SNE", redrawn, "s"),
    ]


def groupings(embedder: Embedder) -> list[Figure]:
    """Measure how well the lists are told apart, and what else the page claims of the model."""
    whole = load_map()
    figures = []
    for name, found in (("minilm", whole.grouping), ("tf_idf", whole.overlap)):
        figures += [
            Figure(f"rand_{name}", f"adjusted Rand index, {name}", found.adjusted_rand_index),
            Figure(f"silhouette_{name}", f"silhouette, {name}", found.silhouette),
            Figure(f"neighbours_{name}", f"nearest point is of the same list, {name}", found.neighbours),
        ]
    for kind, pairs in probe(embedder):
        name = kind.kind.lower().split(",")[0].replace(" ", "_")
        figures += [
            Figure(f"pairs_{name}_minilm", f"{kind.kind}: mean cosine", float(np.mean([p.cosine for p in pairs]))),
            Figure(f"pairs_{name}_tf_idf", f"{kind.kind}: mean overlap", float(np.mean([p.overlap for p in pairs]))),
        ]
    senses = [draw_senses(embedder, word) for word in load_senses()]
    leaning = [
        found.senses[int(np.argmax(text.cosines))].sense == text.sense
        for found in senses
        for text in found.texts
        if text.sense
    ]
    solved = solve_examples(embedder)
    odd = odd_examples(embedder)
    return [
        *figures,
        Figure("senses_right", f"sentences that lean to their sense, of {len(leaning)}", sum(leaning)),
        Figure(
            "analogies_first", f"analogies whose answer comes first, of {len(solved)}", sum(s.rank == 1 for s in solved)
        ),
        Figure("odd_right", f"strangers found, of {len(odd)}", sum(one.odd == len(one.items) - 1 for one in odd)),
    ]


def tunes() -> list[Figure]:
    """Return how well folk songs and chorales are told apart, as the map that ships has it."""
    found = load_tune_map()
    rows = [(f"layer_{n}", one) for n, one in enumerate(found.layers)]
    rows += [("intervals", found.intervals), ("header", found.header)]
    figures = []
    for name, one in rows:
        title = name.replace("_", " ")
        figures += [
            Figure(f"tunes_{name}_auc", f"folk against Bach, {title}: AUC", one.auc),
            Figure(f"tunes_{name}_silhouette", f"folk against Bach, {title}: silhouette", one.silhouette),
        ]
    for kind, share in found.near_bach[-1].items():
        figures.append(Figure(f"{kind}_near_bach".replace("-", "_"), f"{kind}: nearest real tune is a chorale", share))
    return figures


def main() -> None:
    """Measure all and print the figures."""
    options = parser(__doc__)
    options.add_argument("--texts", type=int, default=256, help="in bulk")
    options.add_argument("--repeats", type=int, default=5)
    arguments = options.parse_args()
    torch.set_num_threads(1)
    embedder = Embedder()
    loading = seconds(embedder.load)
    try:
        figures = [Figure("load_s", "importing and loading the model", loading, "s")]
        figures += speed(embedder, arguments.texts, arguments.repeats) + maps(embedder, arguments.repeats)
        figures += groupings(embedder) + tunes()
    finally:
        embedder.close()
    facts = {"cores": str(os.cpu_count()), "load": f"{os.getloadavg()[0]:.1f}", "model": model.BUILT_IN}
    report(figures, facts=facts, as_json=arguments.json, save=arguments.save)


if __name__ == "__main__":
    main()
