"""Read the folk songs and chorales inside the music21 package and write them as note data to assets/melodies/.

    python -m training.melody_corpus --out assets/melodies

Takes about two minutes, most of them for music21 to read the chorales. Variants of a tune stay in one split, and folk
songs that are variants of a chorale's melody are left out, so that no model has heard what it is tested on.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.music.chorales import UnreadableChorale, chorale_files, read_chorale
from lab.music.corpus import Collection, Split, Tune, save_tunes
from lab.music.essen import UnreadableSong, is_german, read_song, songs
from lab.music.melody import Melody
from lab.music.tokens import Vocabulary, read, write
from lab.music.variants import (
    BACH_CONTAINMENT,
    BACH_RUN,
    FOLK_CONTAINMENT,
    FOLK_RUN,
    clusters,
    variant_pairs,
)

LEAST_OCCURRENCES = 3  # of a token; tunes that need a rarer one are left out
LEAST_PER_METER = 20  # songs in a meter; rarer meters are left out
LEFT_OUT_FILES = ("han", "test")  # Chinese songs, and trials of the transcription
MAX_TOKENS = 320  # the context of the model
SHARES = {Collection.FOLK: (0.9, 0.05, 0.05), Collection.BACH: (0.7, 0.15, 0.15)}  # of train, validation, test


@dataclass(frozen=True)
class Raw:
    """A tune before it is known which split it belongs to."""

    id: str
    title: str
    origin: str
    melody: Melody


def read_folk(report: Counter[str]) -> list[Raw]:
    """Return the folk songs from German-speaking regions, and count in ``report`` why others are left out."""
    import music21

    folder = Path(music21.__file__).parent / "corpus" / "essenFolksong"
    found: list[Raw] = []
    for path in sorted(folder.glob("*.abc")):
        if path.stem.startswith(LEFT_OUT_FILES):
            continue
        for fields, body in songs(path.read_text(encoding="utf-8", errors="replace")):
            if not is_german(fields.get("O", "")):
                report["not from a German-speaking region"] += 1
                continue
            try:
                song = read_song(fields, body)
            except UnreadableSong as error:
                report[str(error).partition(":")[0]] += 1
                continue
            found.append(Raw(f"{path.stem}-{fields['X']}", readable(song.title), song.origin, song.melody))
    return found


def read_bach(report: Counter[str]) -> list[Raw]:
    """Return the chorales' sopranos, and count in ``report`` why other scores are left out."""
    titles = chorale_titles()
    found: list[Raw] = []
    for path in chorale_files():
        try:
            chorale = read_chorale(path)
        except UnreadableChorale as error:
            report[str(error)] += 1
            continue
        number = chorale.id.removeprefix("bwv")
        name = titles.get(number.partition("-")[0], "")
        found.append(Raw(chorale.id, f"BWV {number}" + (f", {name}" if name else ""), "", chorale.melody))
    return found


def chorale_titles() -> dict[str, str]:
    """Return the titles that music21 lists for chorales, by their number in the catalogue of Bach's works."""
    from music21.corpus.chorales import ChoraleListRKBWV

    return {str(entry["bwv"]): str(entry["title"]) for entry in ChoraleListRKBWV().byRiemenschneider.values()}


def readable(title: str) -> str:
    """Return a title with its umlauts, and in the usual way if it is written in capitals only.

    The collection's titles were typed under DOS; in the package each byte beyond ASCII is a character of Latin-1.
    """
    title = title.encode("latin-1", "replace").decode("cp437")
    return title.title() if title.isupper() else title


def sound_tunes(raws: Sequence[Raw], report: Counter[str]) -> list[Raw]:
    """Leave out tunes in rare meters, with an incomplete last bar, too long for the model, or heard already."""
    meters = Counter(raw.melody.meter for raw in raws)
    kept: list[Raw] = []
    heard: set[tuple[str, ...]] = set()
    for raw in raws:
        names = tuple(write(raw.melody))
        if meters[raw.melody.meter] < LEAST_PER_METER and not raw.id.startswith("bwv"):
            report["a rare meter"] += 1
        elif not all(read(names).checks()):
            report["an incomplete last bar"] += 1
        elif len(names) > MAX_TOKENS:
            report["too long"] += 1
        elif names in heard:
            report["note for note a tune that is there already"] += 1
        else:
            heard.add(names)
            kept.append(raw)
    return kept


def without_variants(folk: Sequence[Raw], bach: Sequence[Raw]) -> list[Raw]:
    """Return the folk songs that are no variants of a chorale's melody."""
    pairs = variant_pairs([raw.melody for raw in (*folk, *bach)], BACH_RUN, BACH_CONTAINMENT)
    across = pairs[(pairs[:, 0] < len(folk)) & (pairs[:, 1] >= len(folk))]
    variants = set(across[:, 0].tolist())
    return [raw for index, raw in enumerate(folk) if index not in variants]


def split_of_clusters(numbers: np.ndarray, shares: tuple[float, ...], seed: int = 0) -> dict[int, Split]:
    """Deal clusters out at random, so that each split has its share of the tunes.

    Args:
        numbers: cluster of each tune, shape (tunes,).
        shares: of train, validation and test.
    """
    sizes = Counter(numbers.tolist())
    order = np.random.default_rng(seed).permutation(sorted(sizes))
    wanted = {split: share * len(numbers) for split, share in zip(Split, shares, strict=True)}
    dealt: dict[int, Split] = {}
    for number in order.tolist():
        # To whom most is missing, in proportion; so large clusters go where there is room for them.
        split = max(wanted, key=lambda s: (wanted[s] - sizes[number] >= 0, wanted[s]))
        dealt[number] = split
        wanted[split] -= sizes[number]
    return dealt


def tunes_of(raws: Sequence[Raw], run: int, containment: float, shares: tuple[float, ...]) -> list[Tune]:
    """Cluster tunes, deal the clusters out to the splits and return the tunes as they are stored."""
    melodies = [raw.melody for raw in raws]
    numbers = clusters(len(raws), variant_pairs(melodies, run, containment))
    splits = split_of_clusters(numbers, shares)
    return [
        Tune(
            raw.id, raw.title, raw.origin, splits[int(number)], int(number), raw.melody.transposition,
            tuple(write(raw.melody)),
        )
        for raw, number in zip(raws, numbers, strict=True)
    ]  # fmt: skip


def build(out: Path) -> None:
    """Write the vocabulary and both collections, and print what was kept and why the rest was not."""
    reports = {collection: Counter() for collection in Collection}
    folk = sound_tunes(read_folk(reports[Collection.FOLK]), reports[Collection.FOLK])
    bach = sound_tunes(read_bach(reports[Collection.BACH]), reports[Collection.BACH])
    before = len(folk)
    folk = without_variants(folk, bach)
    reports[Collection.FOLK]["a variant of a chorale's melody"] = before - len(folk)
    vocabulary = Vocabulary.of((write(raw.melody) for raw in (*folk, *bach)), LEAST_OCCURRENCES)
    known = set(vocabulary.names)
    out.mkdir(parents=True, exist_ok=True)
    vocabulary.save(out / "vocabulary.json")
    rules = {Collection.FOLK: (FOLK_RUN, FOLK_CONTAINMENT), Collection.BACH: (BACH_RUN, BACH_CONTAINMENT)}
    print(f"{len(vocabulary)} tokens")
    for collection, raws in ((Collection.FOLK, folk), (Collection.BACH, bach)):
        spoken = [raw for raw in raws if known.issuperset(write(raw.melody))]
        reports[collection]["a note too rare"] = len(raws) - len(spoken)
        tunes = tunes_of(spoken, *rules[collection], SHARES[collection])
        save_tunes(tunes, out / f"{collection}.jsonl")
        notes = sum(len(raw.melody.pitches) for raw in spoken)
        print(f"{collection}: {len(tunes)} tunes, {notes} notes, {len({t.cluster for t in tunes})} clusters")
        print("  " + ", ".join(f"{count} {split}" for split, count in Counter(t.split for t in tunes).items()))
        for reason, count in reports[collection].most_common():
            print(f"  left out: {count} ({reason})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    build(parser.parse_args().out)
