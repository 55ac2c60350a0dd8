"""Collections of tunes come back from their files as they went."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab.music.corpus import Collection, Split, load_split, load_tunes, save_tunes


def test_tunes_come_back_as_they_went(tmp_path: Path) -> None:
    one, other = load_split(Collection.BACH, Split.TEST)[:2]
    tunes = (replace(one, title="Two\u2028lines, and\x85three"), replace(other, split=Split.TRAIN))
    save_tunes(tunes, tmp_path / f"{Collection.BACH}.jsonl")
    assert load_tunes(Collection.BACH, folder=tmp_path) == tunes
    assert load_tunes(Collection.BACH, Split.TEST, tmp_path) == tunes[:1]
