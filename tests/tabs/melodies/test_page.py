"""The tab's tools with tiny voices: what a run shows, what goes wrong in words, and that all text stays text."""

from __future__ import annotations

import io
import json
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import gradio as gr
import mido
import pytest

from lab.errors import VisitorError
from lab.music import morph as morphing
from lab.music.composing import Piece
from lab.music.corpus import Collection, Split, load_split
from lab.music.melody import Melody, Meter, Mode, Note
from lab.music.midi import to_midi
from lab.music.morph import STRENGTHS, Morph
from lab.music.opening import MAX_NOTES, check_range, read_opening, write_opening
from lab.music.performance import Manner, perform
from lab.music.plagiarism import Closest
from lab.music.score import to_musicxml
from lab.music.tokens import write_notes
from lab.music.voices import VOICES, Voice, Voices
from tabs import runs as runs_module
from tabs import waiting
from tabs.melodies import cards as card_module
from tabs.melodies import compare as compare_module
from tabs.melodies import openings as opening_module
from tabs.melodies.examples import EXAMPLES
from tabs.melodies.openings import INCIPIT_BARS, Openings, incipits
from tabs.melodies.render.cards import cards
from tabs.melodies.render.figures import MORPHED
from tabs.runs import Runs
from tests.tabs.conftest import Server, Visitor
from tests.tabs.melodies.conftest import Tab
from tests.tabs.test_render import PAYLOADS, Page

SKIP = gr.skip()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell the page sooner that it takes a while."""
    monkeypatch.setattr(waiting, "QUIET", 0.05)


def articles(html: str) -> list[dict[str, str | None]]:
    """Return the attributes of each card."""
    return [attributes for attributes, _ in Page(html).find("article")]


def titles(html: str) -> list[str]:
    """Return the cards' titles."""
    return [text for _, text in Page(html).find("h3")]


def files(html: str) -> list[Path]:
    """Return the sounds that cards play, as files on this machine."""
    return [Path(unquote((audio["src"] or "").partition("file=")[2])) for audio, _ in Page(html).find("audio")]


def is_alert(update: Any) -> bool:
    """Tell whether a status says what went wrong, and nothing of how the code looks inside."""
    html = update if isinstance(update, str) else update["value"]
    assert "Traceback" not in html
    return 'role="alert"' in html


def run_compare(tab: Tab, **settings: Any) -> list[list[Any]]:
    """Return all that a run of Compare sends to the page."""
    return list(tab.compare.run(*tab.values(**settings), Runs()))


# Compare


def test_compare_shows_a_card_per_voice_and_figures_that_match(tab: Tab) -> None:
    voices = [Voice.FOLK, Voice.HEADER, Voice.LAST_BLOCK, Voice.LORA, Voice.FULL, Voice.SCRATCH]
    updates = run_compare(tab, voices=",".join(voices), strength=0.5)
    assert all(len(update) == len(tab.compare.outputs) for update in updates)
    growing = [len(articles(update[1])) for update in updates if isinstance(update[1], str)]
    assert growing == [1, 2, 3, 4, 5, 6]
    status, board, pieces, plot, table = updates[-1]
    names = [VOICES[voice].title for voice in voices]
    assert titles(board) == [name.replace("LoRA", "LoRA × 0.5") for name in names]
    assert [piece.voice for piece in pieces] == voices
    assert "6 melodies" in status and not is_alert(status)
    assert len({article["data-key"] for article in articles(board)}) == 6
    assert table["headers"] == ["measure", "folk songs", "chorales", *names]
    assert {len(row) for row in table["value"]} == {len(table["headers"])}
    assert "nan" not in json.dumps(table["value"])
    assert [trace.name for trace in plot["value"].data][2:] == names
    assert plot["visible"] and table["visible"]


def test_each_card_sounds_as_long_as_it_says(tab: Tab) -> None:
    _, board, pieces, *_ = run_compare(tab, voices="folk,lora", tempo=120)[-1]
    for article, path, piece in zip(articles(board), files(board), pieces, strict=True):
        with wave.open(str(path)) as sound:
            seconds = sound.getnframes() / sound.getframerate()
        assert float(article["data-seconds"] or 0) == pytest.approx(seconds, abs=0.01)
        assert seconds >= piece.melody.duration / 8 * 0.5 - 0.01
        notes = json.loads(article["data-notes"] or "")
        for (start, length, _), (tick, note) in zip(notes, piece.melody.onsets(), strict=True):
            assert (start, length) == pytest.approx((tick / 16, note.duration / 16), abs=0.001)
        for _, _, ids in notes:
            assert ids and all(f'id="{name}"' in board for name in ids)
    links = [link["href"] or "" for link, _ in Page(board).find("a")]
    assert len(links) == 6
    assert all(Path(unquote(link.partition("file=")[2])).is_file() for link in links)


def test_ids_on_one_page_are_unique(tab: Tab) -> None:
    board = run_compare(tab, voices="folk,lora,full")[-1][1]
    found = [attributes["id"] for _, attributes in Page(board).tags if "id" in attributes]
    assert len(found) == len(set(found)) > 10


def test_the_opening_is_marked_and_the_same_for_all(tab: Tab) -> None:
    _, board, pieces, *_ = run_compare(tab, opening="E2 | A2 B2 c2 d2\ne4", voices="folk,lora")[-1]
    assert [piece.given for piece in pieces] == [6, 6]
    assert board.count('class="sd-given"') == 12
    assert pieces[0].melody.pitches[:6] == pieces[1].melody.pitches[:6] == [64, 69, 71, 72, 74, 76]


def test_the_same_settings_give_the_same_page(tab: Tab) -> None:
    first, second = (run_compare(tab, voices="folk,lora", seed=5)[-1][1] for _ in range(2))
    assert first == second
    assert run_compare(tab, voices="folk,lora", seed=6)[-1][1] != first


@pytest.mark.parametrize(
    "opening",
    [
        "hm?",
        "c2 [ceg]",
        "z4",
        "c" * 65,
        "c,,,,,",
        "c/9",
        "<img src=x onerror=alert(1)>",
        "${alert(1)}",
        "c2\0",
        "c2 🎵",
    ],
)
def test_a_bad_opening_is_told_and_all_else_stays(tab: Tab, opening: str) -> None:
    for panel in (tab.compare, tab.morph):
        *_, (status, *rest) = panel.run(*tab.values(opening=opening), Runs())
        assert is_alert(status)
        assert rest == [SKIP] * 4
        assert {name for name, _ in Page(status).tags} <= {"p"}


def test_notes_on_what_was_changed_are_shown(tab: Tab) -> None:
    values = tab.values(voices="folk")
    values[list(tab.controls.components).index("seed")] = -4
    *_, (status, *_) = tab.compare.run(*values, Runs())
    assert "seed: -4 is outside" in Page(status).text


def test_a_failure_without_words_gets_some(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("secret /path")

    monkeypatch.setattr(compare_module, "compose", fails)
    ((status, *rest),) = run_compare(tab)
    assert is_alert(status) and "secret" not in status
    assert rest == [SKIP] * 4


def test_another_manner_plays_the_same_pieces(tab: Tab) -> None:
    settings = {"voices": "folk,lora"}
    _, board, pieces, *_ = run_compare(tab, **settings)[-1]
    assert tab.compare.play_again(*tab.values(**settings), pieces)[1] == board
    for change in ({"instrument": "Flute"}, {"tempo": 60}, {"transpose": 3}):
        status, anew = tab.compare.play_again(*tab.values(**settings | change), pieces)
        assert "same melodies" in status
        assert titles(anew) == titles(board)
        assert files(anew) != files(board)
        for old, new, piece in zip(articles(board), articles(anew), pieces, strict=True):
            lengths = [[length for _, length, _ in json.loads(card["data-notes"] or "")] for card in (old, new)]
            assert len(lengths[0]) == len(lengths[1]) == len(piece.melody.notes)
            assert (lengths[0] == lengths[1]) is ("tempo" not in change)


def test_without_pieces_another_manner_changes_nothing(tab: Tab) -> None:
    assert tab.compare.play_again(*tab.values(instrument="Flute"), ()) == [SKIP, SKIP]


@pytest.mark.parametrize("name", ["instrument", "tempo", "transpose", "synthesizer", "strength"])
def test_the_keyboard_works_like_the_mouse(tab: Tab, name: str) -> None:
    """A slider that is moved by keyboard is never released."""
    component = tab.controls.components[name]
    fired = {kind for function in tab.blocks.fns.values() for who, kind in function.targets if who == component._id}
    assert fired == {"input"}


def test_a_synthesizer_that_fails_is_told(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"voices": "lora"}
    _, _, pieces, *_ = run_compare(tab, **settings)[-1]
    result = Morph(STRENGTHS, pieces * len(STRENGTHS))

    def fails(*_: Any, **__: Any) -> None:
        raise VisitorError("FluidSynth made <no> sound.")

    monkeypatch.setattr(card_module, "perform", fails)
    for status, rest in (
        (run_compare(tab, **settings)[-1][0], []),
        tab.compare.play_again(*tab.values(**settings), pieces),
    ):
        assert is_alert(status) and "&lt;no&gt;" in status
        assert rest in ([], SKIP)
    status, *rest = tab.morph._listen(*tab.values(**settings), result)
    assert is_alert(status) and rest == [SKIP] * 2


def test_a_run_can_be_stopped(tab: Tab) -> None:
    runs = Runs()
    run = tab.compare.run(*tab.values(voices="folk,lora,full"), runs)
    first = next(update for update in run if isinstance(update[1], str))
    assert len(articles(first[1])) == 1
    runs.stop()
    *_, (status, board, pieces, *_) = run
    assert "Stopped." in status
    assert board is SKIP or len(articles(board)) == 2
    assert pieces == SKIP


def test_a_newer_run_silences_the_one_before(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "PATIENCE", 0.05)
    runs = Runs()
    old = tab.compare.run(*tab.values(voices="folk,lora"), runs)
    next(update for update in old if isinstance(update[1], str))
    *_, (_, board, *_) = tab.compare.run(*tab.values(voices="full"), runs)
    assert titles(board) == ["Full"]
    assert list(old) == [[SKIP] * 5]


# Morph


@pytest.fixture
def few_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer melodies for the averages."""
    monkeypatch.setattr(morphing, "SEEDS", 4)


def test_morph_shows_a_card_a_plot_and_a_table(tab: Tab, few_seeds: None) -> None:
    updates = [u for u in tab.morph.run(*tab.values(strength=0.5), Runs()) if u[2] != SKIP]
    first, _, last = updates
    assert titles(first[1]) == ["LoRA × 0.5"]
    assert first[3:] == [SKIP, SKIP]
    assert "<progress" in first[0] and "Done." in last[0]
    status, board, result, plot, table = last
    assert board == SKIP  # what one listens to stays
    assert [piece.strength for piece in result.pieces] == list(STRENGTHS)
    assert [row[0] for row in table] == [f"{strength:g}" for strength in STRENGTHS]
    assert {len(row) for row in table} == {len(MORPHED) + 1}
    assert [trace.name for trace in plot["value"].data] == list(MORPHED.values())
    assert all(0 <= y <= 1 for trace in plot["value"].data for y in trace.y)
    assert plot["value"].layout.shapes[0].x0 == 0.5
    assert not is_alert(status)


def test_the_slider_plays_the_nearest_strength(tab: Tab, few_seeds: None) -> None:
    updates = list(tab.morph.run(*tab.values(), Runs()))
    result = updates[-1][2]
    for strength, title in (
        (0.0, "LoRA × 0"), (0.1, "LoRA × 0"), (0.6, "LoRA × 0.5"), (1.0, "LoRA"), (1.7, "LoRA × 1.5"), (2.0, "LoRA × 2")
    ):  # fmt: skip
        _, board, plot = tab.morph._listen(*tab.values(strength=strength), result)
        assert titles(board) == [title]
        assert plot["value"].layout.shapes[0].x0 == strength
    # At the beginning, before there are any means, it can be heard already.
    _, board, plot = tab.morph._listen(*tab.values(strength=2.0), replace(result, means={}))
    assert titles(board) == ["LoRA × 2"] and plot == SKIP
    assert tab.morph._listen(*tab.values(), None) == [SKIP] * 3


def test_morph_at_nothing_is_the_folk_model(tab: Tab, few_seeds: None) -> None:
    run = tab.morph.run(*tab.values(), Runs())
    result = next(update[2] for update in run if update[2] != SKIP)
    run.close()
    _, _, (folk, lora), *_ = run_compare(tab, voices="folk,lora")[-1]
    by_strength = dict(zip(STRENGTHS, result.pieces, strict=True))
    assert by_strength[0.0].melody == folk.melody
    assert by_strength[1.0].melody == lora.melody != folk.melody


def test_morph_can_be_stopped(tab: Tab, few_seeds: None) -> None:
    runs = Runs()
    run = tab.morph.run(*tab.values(), runs)
    next(update for update in run if update[2] != SKIP)
    runs.stop()
    *_, (status, *_) = run
    assert "Stopped." in status


# Openings


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


# Text of others


@pytest.fixture(scope="module")
def piece(tab: Tab) -> Piece:
    """A piece."""
    return run_compare(tab, voices="folk")[-1][2][0]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_titles_of_tunes_stay_text(piece: Piece, monkeypatch: pytest.MonkeyPatch, payload: str) -> None:
    tune = replace(next(iter(incipits().values())), title=payload)
    pages = []
    for one in (replace(tune, title="plain"), tune):
        monkeypatch.setattr(card_module, "closest", lambda *_, one=one, **__: Closest(7, one, tunes=3))
        pages.append(Page(cards([card_module.piece_card(piece, Manner(), "c")])))
    assert pages[0].tags == pages[1].tags
    assert f"from “{payload}” and 2 more" in pages[1].text
    monkeypatch.setattr(opening_module, "incipits", lambda: {payload: tune})
    told = Page(Openings._take(payload)[-1]["value"])
    assert [name for name, _ in told.tags] == ["p"]
    assert told.text == f"The opening of {payload}."


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_title_of_ones_own_stays_text_in_the_score(piece: Piece, payload: str) -> None:
    svgs = [perform(piece.melody, Manner(), title=title, prefix="c").score.svg for title in ("plain", payload)]
    assert [name for name, _ in Page(svgs[0]).tags] == [name for name, _ in Page(svgs[1]).tags]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_bad_opening_is_shown_as_text(tab: Tab, payload: str) -> None:
    *_, (status, *_) = tab.compare.run(*tab.values(opening=payload), Runs())
    assert [name for name, _ in Page(status).tags] == ["p"]


# The whole page, with its events


def cards_on(visitor: Visitor, elem_id: str = "sd-melodies") -> list[str]:
    """Return the titles of the cards on a board."""
    return titles(visitor.value(elem_id=elem_id))


def test_what_a_link_says_wrong_is_told(server: Server) -> None:
    visitor = Visitor(server, "tab=melodies&voices=folk&meter=7%2F8&instrument=Kazoo&tempo=1e9")
    assert cards_on(visitor) == ["Folk"]
    shown = " ".join(str(p.get("value")) for p in visitor.properties.values() if "sd-notes" in str(p.get("value")))
    for note in ("meter: 7/8 is not possible here; using 4/4.", "instrument: Kazoo", "tempo: 1e9 is outside 40 to 200"):
        assert note in shown


def test_a_link_opens_with_its_melodies(server: Server) -> None:
    visitor = Visitor(server, "tab=melodies&voices=full%2Clora&opening=c2%20d2&mode=major&meter=3%2F4&seed=3")
    assert cards_on(visitor) == ["LoRA", "Full"]
    assert visitor.value(label="Meter") == "3/4"
    before = visitor.value(elem_id="sd-melodies")
    visitor.click("Compose")
    assert visitor.value(elem_id="sd-melodies") == before
    visitor.set("Flute", label="Instrument")
    visitor.trigger("input", label="Instrument")
    assert cards_on(visitor) == ["LoRA", "Full"]
    assert visitor.value(elem_id="sd-melodies") != before


def test_without_a_link_nothing_runs(server: Server) -> None:
    visitor = Visitor(server)
    assert Page(visitor.value(elem_id="sd-melodies")).find("article") == []


def test_an_opening_of_a_real_tune_sets_meter_and_key(server: Server) -> None:
    visitor = Visitor(server)
    name, tune = next(
        (n, t) for n, t in incipits().items() if str(t.melody.meter) == "3/4" and t.melody.mode == "major"
    )
    visitor.set(name, label="Take the opening of a real tune")
    visitor.trigger("input", label="Take the opening of a real tune")
    assert visitor.value(label="Meter") == "3/4"
    assert visitor.value(label="Key") == "major"
    assert visitor.value(label="Opening") == write_opening(tune.melody, INCIPIT_BARS)


def test_a_bad_opening_leaves_the_cards(server: Server) -> None:
    visitor = Visitor(server, "tab=melodies&voices=folk")
    before = visitor.value(elem_id="sd-melodies")
    visitor.set("what?", label="Opening")
    visitor.click("Compose")
    assert visitor.value(elem_id="sd-melodies") == before
    visitor.set("c2", label="Opening")
    visitor.click("Compose")
    assert visitor.value(elem_id="sd-melodies") != before


def test_examples_run(server: Server, few_seeds: None) -> None:
    visitor = Visitor(server)
    for title, settings in (EXAMPLES[0], EXAMPLES[-1]):
        visitor.click(title)
        board = "sd-morph" if settings.view == "morph" else "sd-melodies"
        expected = ["LoRA"] if board == "sd-morph" else [VOICES[voice].title for voice in settings.chosen]
        assert cards_on(visitor, board) == expected
        assert visitor.value(label="Opening") == settings.opening


def test_methods_are_explained(server: Server) -> None:
    visitor = Visitor(server)
    visitor.set("last-block", label="Method of adaptation")
    visitor.trigger("input", label="Method of adaptation")
    assert any("Only what is nearest to the output" in str(p.get("value")) for p in visitor.properties.values())


def test_downloads_can_be_fetched_and_read(server: Server) -> None:
    visitor = Visitor(server, "tab=melodies&voices=folk")
    for link, label in Page(visitor.value(elem_id="sd-melodies")).find("a"):
        status, body = server.get(f"/{link['href']}")
        assert status == 200, label
        if label == "MIDI":
            assert mido.MidiFile(file=io.BytesIO(body)).length > 1
        elif label == "WAV":
            with wave.open(io.BytesIO(body)) as sound:
                assert sound.getnframes() > 44100
        else:
            assert b"<score-partwise" in body
