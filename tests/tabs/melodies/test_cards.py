"""The cards: text is text and nothing else, and the roll shows each note where it sounds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from lab.music.composing import MelodySettings, Piece
from lab.music.melody import Melody, Meter, Mode, Note
from lab.music.performance import MAX_SECONDS, Performance, note_times
from lab.music.plagiarism import Closest
from lab.music.score import Score
from lab.music.tokens import Written
from lab.music.voices import Voice
from tabs.melodies import api
from tabs.melodies import cards as card_module
from tabs.melodies.cards import breaking_off, facts
from tabs.melodies.compare import ComparePanel
from tabs.melodies.render.cards import HEIGHT, WIDTH, Card, RollNote, cards, empty_cards, roll
from tests.tabs.pages import PAYLOADS, Page

SVG = '<svg id="a" viewBox="0 0 10 10"><g id="a-n0"></g><g id="a-n1"></g></svg>'
NOTES = (
    RollNote(0.0, 0.5, 72, opening=True, svg_ids=("a-n0",)),
    RollNote(0.5, 0.25, 76, opening=True, svg_ids=("a-n1", "a-n1-2")),
    RollNote(0.75, 0.25, None, svg_ids=("a-n2",)),
    RollNote(1.0, 1.0, 60, phrase_end=True, svg_ids=("a-n3",)),
    RollNote(2.0, 2.0, 67, phrase_end=True, svg_ids=("a-n4",)),
)
CARD = Card(
    key="a",
    title="Folk model",
    role="frozen",
    subtitle="nothing changed",
    audio_url="gradio_api/file=/tmp/a.wav",
    downloads={"MIDI": "gradio_api/file=/tmp/a.mid"},
    seconds=4.0,
    notes=NOTES,
    svg=SVG,
    facts=[("bars", "8 of 8")],
)


def rects(card: Card) -> list[dict[str, Any]]:
    """Return the bars of a card's roll, their numbers as numbers."""
    found = []
    for attributes, _ in Page(roll(card)).find("rect"):
        found.append({name: value if name == "class" else float(value or 0) for name, value in attributes.items()})
    return found


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_and_addresses_stay_what_they_are(payload: str) -> None:
    hostile = replace(
        CARD,
        key=payload,
        title=payload,
        subtitle=payload,
        audio_url="file=" + payload,
        downloads={payload: "file=" + payload},
        notes=[replace(NOTES[0], svg_ids=(payload,))],
        facts=[(payload, payload)],
    )
    plain, page = Page(cards([replace(CARD, notes=NOTES[:1])])), Page(cards([hostile]))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    for (_, mine), (_, others) in zip(page.tags, plain.tags, strict=True):
        assert set(mine) == set(others)
    ((article, _),) = page.find("article")
    assert article["aria-label"] == article["data-key"] == payload
    assert json.loads(article["data-notes"] or "")[0][2] == [payload]
    assert page.find("audio")[0][0]["src"] == page.find("a")[0][0]["href"] == "file=" + payload
    for tag in ("h3", "dt", "dd", "a"):
        assert page.find(tag)[0][1] == payload
    assert payload in Page(empty_cards(payload)).text
    assert [tag for tag, _ in Page(empty_cards(payload)).tags] == ["p"]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", " java\nscript:alert(1)", "https://example.org/a.wav", "//example.org/a.wav"]
)
def test_addresses_elsewhere_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        cards([replace(CARD, audio_url=url)])
    with pytest.raises(ValueError, match="no address"):
        cards([replace(CARD, downloads={"MIDI": url})])


def test_cards_stand_in_order_with_the_colour_of_their_role() -> None:
    page = Page(
        cards([CARD, replace(CARD, key="b", title="LoRA", role="changed"), replace(CARD, key="c", role="real")])
    )
    articles = [attributes for attributes, _ in page.find("article")]
    assert [article["data-key"] for article in articles] == ["a", "b", "c"]
    assert [(article["class"] or "").split()[-1] for article in articles] == ["sd-frozen", "sd-changed", "sd-real"]
    assert [name for _, name in page.find("h3")] == ["Folk model", "LoRA", "Folk model"]
    with pytest.raises(ValueError, match="no role"):
        cards([replace(CARD, role="x onclick")])


def test_what_is_not_there_is_not_shown() -> None:
    bare = cards([replace(CARD, notes=(), svg="", facts=(), downloads={})])
    assert {tag for tag, _ in Page(bare).tags} == {"div", "article", "h3", "p", "audio"}
    assert Page(cards([])).text == ""
    assert "nan" not in roll(replace(CARD, notes=(), seconds=0.0))


def test_each_note_lies_in_the_roll_at_its_time_and_pitch() -> None:
    bars = rects(CARD)
    assert [bar["data-n"] for bar in bars] == [0, 1, 3, 4]  # the rest has none, but keeps its number
    for bar in bars:
        note = NOTES[int(bar["data-n"])]
        assert bar["x"] == pytest.approx(WIDTH * note.start / 4, abs=0.01)
        assert 0 < bar["width"] <= WIDTH * note.duration / 4
    assert sorted(bars, key=lambda bar: -bar["y"]) == sorted(bars, key=lambda bar: NOTES[int(bar["data-n"])].pitch or 0)
    svg = ElementTree.fromstring(roll(CARD)).find("svg")
    assert svg is not None
    assert svg.get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"


@pytest.mark.parametrize(
    ("pitches", "seconds"),
    [([0, 127], 1.0), ([60], 0.0), ([69] * 400, 60.0), ([60, 84] * 30, 1.0), ([36, 96], 1e-6)],
    ids=["all of MIDI", "no length", "many of one", "sound shorter than its notes", "hardly any time"],
)
def test_no_note_leaves_the_roll(pitches: list[int], seconds: float) -> None:
    step = 60.0 / len(pitches) if seconds else 0.0
    notes = [RollNote(n * step, step, pitch) for n, pitch in enumerate(pitches)]
    bars = rects(replace(CARD, notes=notes, seconds=seconds))
    assert len(bars) == len(pitches)
    for bar in bars:
        assert bar["width"] > 0 and bar["height"] > 0
        assert bar["x"] >= 0 and bar["x"] + bar["width"] <= WIDTH + 0.02
        assert bar["y"] >= 0 and bar["y"] + bar["height"] <= HEIGHT + 0.02


def test_the_opening_phrase_ends_and_octaves_are_marked() -> None:
    assert [bar["data-n"] for bar in rects(CARD) if bar.get("class") == "sd-given"] == [0, 1]
    page = Page(roll(CARD))
    assert [float(line["x1"] or 0) for line, _ in page.find("line", **{"class": "sd-phrase"})] == [500.0, 1000.0]
    assert [name for _, name in page.find("span")] == ["C4", "C5"]
    c5 = float(page.find("line", **{"class": "sd-c"})[1][0]["y1"] or 0)
    (bar,) = (bar for bar in rects(CARD) if bar["data-n"] == 0)
    assert c5 == pytest.approx(bar["y"] + bar["height"] / 2, abs=0.01)


def test_the_script_is_told_when_each_note_sounds() -> None:
    ((article, _),) = Page(cards([CARD])).find("article")
    assert article["data-seconds"] == "4.000"
    assert json.loads(article["data-notes"] or "") == [[n.start, n.duration, list(n.svg_ids)] for n in NOTES]


def test_a_sound_that_breaks_off_is_told() -> None:
    melody = Melody((Note(60, 64),) * 50, Meter(4, 4), Mode.MAJOR)
    score = Score("", "", ())
    long, short = (Performance(melody, b"", b"", score, note_times(melody, tempo), MAX_SECONDS) for tempo in (40, 200))
    ((name, words),) = breaking_off(long)
    assert (name, words.split(";")[0]) == ("Sound", "the first 4 minutes of 10.0")
    assert breaking_off(short) == []


def test_a_copy_is_looked_for_after_the_notes_of_the_opening_its_rests_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    skipped: list[int] = []

    def nothing_found(melody: Melody, *, skip: int) -> Closest:
        skipped.append(skip)
        return Closest(0)

    for module in (api, card_module):
        monkeypatch.setattr(module, "closest", nothing_found)
    opening = (Note(60, 8), Note(None, 8), Note(62, 8), Note(None, 8))
    melody = Melody((*opening, Note(64, 16), Note(60, 16)), Meter(4, 4), Mode.MAJOR)
    piece = Piece(Voice.FOLK, 0.0, Written(melody, tuple(melody.bar_lengths()), True), 4, -1.0, 1.0)
    assert dict(facts(piece))["Closest training tune"] == "none"
    assert api.described(piece, MelodySettings())["longest_copied_run"] == {"intervals": 0, "tune": None}
    assert skipped == [2, 2]
    assert "1 melodies, 2 notes written" in ComparePanel._told([piece], [])
