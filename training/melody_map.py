"""Compute the map of melodies of the embeddings tab: the folk-song model's hidden states of real and machine tunes.

    python -m training.melody_map [--out assets/melody-map]

To be run again whenever assets/folk-gpt2 or the adapters were trained anew: positions, figures and the machines' tunes
all come from them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch

from lab.embeddings.geometry import tsne
from lab.embeddings.tunes import (
    FOLDER,
    HEADER,
    TuneMap,
    TunePoint,
    header_features,
    interval_histograms,
    mean_hidden_states,
    separation,
    share_near_bach,
)
from lab.music.composing import MelodySettings, write_all
from lab.music.corpus import Collection, Split, Tune, load_split, load_vocabulary
from lab.music.tokens import read, write
from lab.music.voices import BASE, VOICES, Voice, Voices, load_model

FOLK_TUNES = 102  # of the test split, evenly taken; all its chorales
MACHINE_TUNES = 17  # of each voice
MACHINES = (Voice.FOLK, Voice.LORA, Voice.FULL, Voice.SCRATCH)
FIRST_SEED = 100


def main() -> None:
    """Compute and write all."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=FOLDER)
    out = options.parse_args().out
    torch.set_num_threads(1)
    tunes = real_tunes()
    points = [TunePoint(str(collection), tune.title, tune.id) for collection, tune in tunes] + machine_points()
    names = [tune.tokens for _, tune in tunes] + [point.tokens for point in points[len(tunes) :]]
    vocabulary = load_vocabulary()
    embeddings = mean_hidden_states(load_model(BASE), [vocabulary.encode(tokens) for tokens in names])
    found = measured(points, names, embeddings, tunes)
    save(found, out)


def real_tunes() -> list[tuple[Collection, Tune]]:
    """Return the folk songs and chorales of the map."""
    folk = load_split(Collection.FOLK, Split.TEST)
    places = np.linspace(0, len(folk) - 1, FOLK_TUNES).round().astype(int)
    bach = load_split(Collection.BACH, Split.TEST)
    return [(Collection.FOLK, folk[n]) for n in places] + [(Collection.BACH, tune) for tune in bach]


def machine_points() -> list[TunePoint]:
    """Return what the voices write: the folk model under headers of folk songs, the others under those of chorales."""
    voices = Voices()
    points = []
    try:
        for voice in MACHINES:
            style = Collection.FOLK if voice is Voice.FOLK else Collection.BACH
            headers = islice(cycle(tune.tokens[:HEADER] for tune in load_split(style, Split.TEST)), MACHINE_TUNES)
            for seed, (mode, meter, phrases) in enumerate(headers, FIRST_SEED):
                settings = MelodySettings(
                    opening="", mode=mode, meter=meter, phrases=int(phrases.split()[0]), seed=seed, voices=str(voice)
                )
                (piece,) = write_all(voices, settings, [(voice, None, None)])
                title = f"{VOICES[voice].title}, seed {seed}"
                points.append(TunePoint(f"machine-{voice}", title, tokens=tuple(write(piece.melody))))
    finally:
        voices.close()
    return points


def measured(
    points: Sequence[TunePoint],
    names: Sequence[Sequence[str]],
    embeddings: Sequence[np.ndarray],
    tunes: Sequence[tuple[Collection, Tune]],
) -> TuneMap:
    """Return the map with its figures; separations are of the real tunes, which come first."""
    count = len(tunes)
    is_bach = np.array([collection is Collection.BACH for collection, _ in tunes])
    groups = [f"{collection}-{tune.cluster}" for collection, tune in tunes]
    kinds = [point.kind for point in points]
    return TuneMap(
        points=tuple(points),
        embeddings=tuple(embeddings),
        tsne=tuple(tsne(layer, 2).points.astype(np.float32) for layer in embeddings),
        layers=tuple(separation(layer[:count], is_bach, groups) for layer in embeddings),
        intervals=separation(interval_histograms([read(tokens).melody for tokens in names[:count]]), is_bach, groups),
        header=separation(header_features([tokens[:HEADER] for tokens in names[:count]]), is_bach, groups),
        near_bach=tuple(share_near_bach(layer, kinds) for layer in embeddings),
    )


def save(found: TuneMap, out: Path) -> None:
    """Write the map, and its card."""
    from safetensors.numpy import save_file

    out.mkdir(parents=True, exist_ok=True)
    arrays = {f"embeddings_{n}": layer.astype(np.float16) for n, layer in enumerate(found.embeddings)}
    arrays |= {f"tsne_{n}": np.ascontiguousarray(layer) for n, layer in enumerate(found.tsne)}
    save_file(arrays, out / "map.safetensors")
    (out / "map.safetensors").chmod(0o644)
    facts = json.dumps(found.to_json(), ensure_ascii=False, indent=1)
    (out / "map.json").write_text(facts + "\n", encoding="utf-8")
    rows = [(f"layer {n}", one) for n, one in enumerate(found.layers)]
    rows += [("interval histogram", found.intervals), ("header alone", found.header)]
    table = "\n".join(f"| {name} | {one.auc:.3f} | {one.silhouette:.2f} | {one.neighbours:.0%} |" for name, one in rows)
    card = Path(__file__).with_name("melody_map_card.md").read_text(encoding="utf-8")
    kinds = [point.kind for point in found.points]
    told = {"FOLK": kinds.count("folk"), "BACH": kinds.count("bach"), "MACHINE": MACHINE_TUNES, "TABLE": table}
    for name, text in told.items():
        card = card.replace(f"{{{name}}}", str(text))
    (out / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
