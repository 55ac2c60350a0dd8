"""Compute beforehand what the embeddings tab shows of the concept lists: embeddings, projections, figures.

    python -m training.concept_map [--out assets/concepts]

To be run again whenever a list, a pair or an example in assets/concepts has changed; tests notice if it was not.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from lab.embeddings import BUILT_IN, Embedder
from lab.embeddings.concepts import AMBIGUOUS, FOLDER, all_entries, fingerprint, load_lists, shipped_texts
from lab.embeddings.geometry import pca, tsne
from lab.embeddings.grouping import Grouping, group, tf_idf

TABLE = (
    "| list | family | form | entries | silhouette | nearest other list |\n| --- | --- | --- | ---: | ---: | --- |\n"
)


def main() -> None:
    """Compute and write all."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=FOLDER)
    out = options.parse_args().out
    from safetensors.numpy import save_file

    texts = shipped_texts()
    embedder = Embedder()
    vectors = embedder.embed(texts)
    embedder.close()
    rows = {text: row for row, text in enumerate(texts)}
    entries, slugs = all_entries()
    points = vectors[[rows[entry] for entry in entries]]
    flat = pca(points, 3)
    arrays = {"embeddings": vectors, "pca": flat.points.astype(np.float32)}
    for dimensions in (2, 3):
        arrays[f"tsne_{dimensions}"] = tsne(points, dimensions).points.astype(np.float32)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, out / "map.safetensors")
    (out / "map.safetensors").chmod(0o644)
    grouped = [row for row, slug in enumerate(slugs) if slug != AMBIGUOUS]
    categories = [slugs[row] for row in grouped]
    by_meaning = group(points[grouped], categories)
    by_words = group(tf_idf([entries[row] for row in grouped]), categories)
    assert by_meaning and by_words
    facts = {
        "model": BUILT_IN,
        "texts": fingerprint(texts),
        "variance_explained": flat.variance_explained,
        "grouping": by_meaning.to_json(),
        "overlap": by_words.to_json(),
    }
    (out / "map.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    write_card(out, by_meaning, by_words)


def write_card(out: Path, by_meaning: Grouping, by_words: Grouping) -> None:
    """Write the card of the whole: each list with its own, and the figures."""
    lists = {one.slug: one for one in load_lists()}
    figures = {one.category: one for one in by_meaning.categories}
    rows = []
    for slug, one in lists.items():
        found = figures.get(slug)
        measured = f"{found.silhouette:.2f} | {lists[found.nearest].title}" if found else "– | –"
        rows.append(f"| {one.title} | {one.family} | {one.form} | {len(one.entries)} | {measured} |")
    cards = [
        f"- **{one.title}** (`lists/{one.slug}.json`): {one.card['about']} {one.card['limits']}"
        for one in lists.values()
    ]
    template = Path(__file__).with_name("concept_card.md").read_text(encoding="utf-8")
    told = {
        "LISTS": str(len(lists)),
        "ENTRIES": str(sum(len(one.entries) for one in lists.values())),
        "RAND": f"{by_meaning.adjusted_rand_index:.2f}",
        "RAND_WORDS": f"{by_words.adjusted_rand_index:.2f}",
        "SILHOUETTE": f"{by_meaning.silhouette:.2f}",
        "SILHOUETTE_WORDS": f"{by_words.silhouette:.2f}",
        "NEIGHBOURS": f"{by_meaning.neighbours:.0%}",
        "NEIGHBOURS_WORDS": f"{by_words.neighbours:.0%}",
        "TABLE": TABLE + "\n".join(rows),
        "CARDS": "\n".join(cards),
    }
    for name, text in told.items():
        template = template.replace(f"{{{name}}}", text)
    (out / "README.md").write_text(template, encoding="utf-8")


if __name__ == "__main__":
    main()
