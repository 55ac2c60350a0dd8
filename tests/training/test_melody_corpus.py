"""What the corpus's titles become."""

from __future__ import annotations

import pytest

from lab.music.corpus import Collection, load_tunes
from training.melody_corpus import readable


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Das M\x81tzenlied", "Das Mützenlied"),
        ("Das Schlo\xe1 in \x99streich", "Das Schloß in Östreich"),
        ("DIE SCH\x99NE", "Die Schöne"),
        ("Der Mond ist aufgegangen", "Der Mond ist aufgegangen"),
        ("What was lost \ufffd stays lost", "What was lost ? stays lost"),
    ],
)
def test_a_title_gets_its_umlauts_back(written: str, title: str) -> None:
    assert readable(written) == title


@pytest.mark.parametrize("collection", Collection)
def test_what_ships_can_be_read(collection: Collection) -> None:
    assert all(tune.title.isprintable() for tune in load_tunes(collection))
