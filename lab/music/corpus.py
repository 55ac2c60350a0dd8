"""The two collections that ship as note data: German folk songs and soprano lines of Bach's chorales."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from lab.music.melody import Melody
from lab.music.tokens import Vocabulary, read

FOLDER = Path(__file__).parents[2] / "assets" / "melodies"


class Collection(StrEnum):
    """A collection of tunes, by the name of its file."""

    FOLK = "folk"
    BACH = "bach"


class Split(StrEnum):
    """What a tune is for. No variant of a tune is in another split than the tune itself."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Tune:
    """A tune of a collection.

    Attributes:
        id: unique in its collection.
        title: as the collection has it.
        origin: region of a folk song, empty for a chorale.
        cluster: number of the group of variants that it belongs to.
        transposition: semitones from C major or A minor to the source's key.
        tokens: names of its tokens, header and end included.
    """

    id: str
    title: str
    origin: str
    split: Split
    cluster: int
    transposition: int
    tokens: tuple[str, ...]

    @property
    def melody(self) -> Melody:
        """The tune in C major or A minor."""
        return read(self.tokens).melody


def save_tunes(tunes: Iterable[Tune], path: Path) -> None:
    """Write one JSON object per line."""
    with path.open("w", encoding="utf-8") as file:
        for tune in tunes:
            fields = {name: getattr(tune, name) for name in Tune.__slots__} | {
                "tokens": " ".join(map(_joined, tune.tokens))
            }
            file.write(json.dumps(fields, ensure_ascii=False) + "\n")


@cache
def load_tunes(collection: Collection, split: Split | None = None, folder: Path = FOLDER) -> tuple[Tune, ...]:
    """Return the tunes of one split of a collection, or all, in file order. Raises OSError if the file is missing."""
    tunes = []
    # The page's start needs the few test tunes only; reading all would take ten times as long.
    mark = "" if split is None else f'"split": "{split}"'
    for line in (folder / f"{collection}.jsonl").read_text(encoding="utf-8").split("\n"):  # splitlines cuts at more
        if line and mark in line:
            fields = json.loads(line)
            fields["split"] = Split(fields["split"])
            fields["tokens"] = tuple(token.replace("_", " ") for token in fields["tokens"].split())
            tunes.append(Tune(**fields))
    return tuple(tune for tune in tunes if split in (None, tune.split))


def load_split(collection: Collection, split: Split) -> tuple[Tune, ...]:
    """Return the tunes of one split."""
    return load_tunes(collection, split)


@cache
def load_vocabulary(folder: Path = FOLDER) -> Vocabulary:
    """Return the vocabulary that all melody models share."""
    return Vocabulary.load(folder / "vocabulary.json")


def _joined(token: str) -> str:
    return token.replace(" ", "_")
