"""Openings: of real tunes, and of a visitor's own file."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from lab.music.corpus import Collection, Split, load_split
from lab.music.melody import Melody, Meter, Mode, Note
from lab.music.midi import to_midi
from lab.music.opening import MAX_NOTES, check_range, read_opening, write_opening
from lab.music.score import to_musicxml
from lab.music.tokens import write_notes
from lab.music.voices import Voices
from tabs.melodies import openings as opening_module
from tabs.melodies.openings import INCIPIT_BARS, Openings, incipits
from tests.tabs.melodies.conftest import Tab, is_alert, run_compare
from tests.tabs.pages import Page

SKIP = gr.skip()


@pytest.fixture(scope="module")
def voice_vocabulary(voices: Voices) -> Any:
    return voices.vocabulary


def test_every_real_opening_can_be_continued(voice_vocabulary: Any) -> None:
    assert len(incipits()) > 100
    assert {name.rpartition("(")[2] for name in incipits()} == {"folk song)", "chorale)"}
    heard = {tune.id for c in Collection for tune in load_split(c, Split.TRAIN)}
    for name, tune in incipits().items():
        text, meter, mode, told = Openings._take(name)
        opening = read_opening(text, Meter.parse(meter), Mode(mode))
        assert opening is not None, name
        check_range(write_notes(opening), voice_vocabulary)
        assert opening.pickup == tune.melody.pickup, name
        taken = zip(opening.notes, tune.melody.notes, strict=False)
        assert all((a.pitch, a.duration) == (b.pitch, b.duration) for a, b in taken), name
        assert (meter, mode) == (str(tune.melody.meter), str(tune.melody.mode))
        assert tune.id not in heard
        assert told["visible"] and tune.title.split()[0][:3] in Page(told["value"]).text


def test_a_name_that_is_not_in_the_list_changes_nothing() -> None:
    for name in ("", "nobody", None, "<b>"):
        assert Openings._take(name) == [SKIP] * 4


def test_an_opening_that_was_taken_goes_on(tab: Tab) -> None:
    name, tune = next((n, t) for n, t in incipits().items() if str(t.melody.meter) == "3/4")
    text, meter, mode, _ = Openings._take(name)
    _, _, (piece,), *_ = run_compare(tab, opening=text, meter=meter, mode=mode, voices="folk")[-1]
    assert piece.given > 3
    assert piece.melody.pitches[: piece.given - 1] == tune.melody.pitches[: piece.given - 1]
    assert (str(piece.melody.meter), str(piece.melody.mode)) == (meter, mode)


FOUR = Meter(4, 4)


def song(meter: Meter = FOUR, length: int = 8, number: int = 40) -> Melody:
    """Return a melody of notes of one length."""
    pitches = [60, 62, 64, 65, 67, 69, 67, 64, 60]
    notes = tuple(Note(pitches[n % len(pitches)], length) for n in range(number))
    return Melody(notes, meter, Mode.MAJOR)


@pytest.mark.parametrize("kind", ["midi", "musicxml"])
def test_a_file_of_ones_own(kind: str) -> None:
    melody = song(Meter(3, 4))
    data = to_midi(melody) if kind == "midi" else to_musicxml(melody, title="<b>mine</b>").encode()
    text, meter, mode, told = Openings._read(data)
    assert (meter, mode) == ("3/4", "major")
    opening = read_opening(text, Meter.parse(meter), Mode(mode))
    assert opening is not None
    assert opening.pitches == melody.pitches[:12]
    assert "The first 4 bars of your file, brought to C major." in told["value"]
    assert not is_alert(told)


def test_a_file_in_minor_says_so() -> None:
    notes = tuple(Note(pitch, 8) for pitch in [69, 71, 72, 74, 76, 74, 72, 71, 69, 72, 76, 69, 68, 69, 69, 69])
    _, _, mode, told = Openings._read(to_musicxml(Melody(notes, Meter(4, 4), Mode.MINOR), title="").encode())
    assert mode == "minor"
    assert "A minor" in told["value"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MThd",
        b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk\xff\xff\xff\xff",
        b"<score-partwise><part/></score-partwise>",
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b"PK\x03\x04 nothing",
        b"%PDF-1.7",
        b"\xff" * 2000,
        b"<script>alert(1)</script>",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_a_broken_file_is_told(data: bytes) -> None:
    *rest, told = Openings._read(data)
    assert rest == [SKIP] * 3
    assert is_alert(told)
    assert "root:" not in told["value"]


def test_no_file_changes_nothing() -> None:
    assert Openings._read(None) == [SKIP] * 4


def test_a_meter_that_the_models_do_not_know_is_told() -> None:
    *rest, told = Openings._read(to_midi(song(Meter(5, 4))))
    assert rest == [SKIP] * 3
    assert is_alert(told)
    assert "5/4" in told["value"]


def test_a_file_with_many_notes_gives_as_many_bars_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    text, meter, mode, told = Openings._read(to_midi(song(length=1, number=300)))
    opening = read_opening(text, Meter.parse(meter), Mode(mode))
    assert opening is not None and len(opening.notes) == 64 <= MAX_NOTES
    assert "The first 2 bars" in told["value"]
    monkeypatch.setattr(opening_module, "MAX_NOTES", 31)
    *rest, told = Openings._read(to_midi(song(length=1, number=300)))
    assert rest == [SKIP] * 3 and is_alert(told)


def test_what_is_taken_is_what_write_opening_writes() -> None:
    name, tune = next(iter(incipits().items()))
    assert Openings._take(name)[0] == write_opening(tune.melody, INCIPIT_BARS)
