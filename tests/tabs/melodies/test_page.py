"""The tab as a page: text of others stays text, links and examples run, what is offered can be fetched."""

from __future__ import annotations

import io
import wave
from dataclasses import replace

import mido
import pytest

from lab.music.composing import Piece
from lab.music.opening import write_opening
from lab.music.performance import Manner, perform
from lab.music.plagiarism import Closest
from lab.music.voices import VOICES
from tabs.melodies import cards as card_module
from tabs.melodies import openings as opening_module
from tabs.melodies.examples import EXAMPLES
from tabs.melodies.openings import INCIPIT_BARS, Openings, incipits
from tabs.melodies.render.cards import cards
from tabs.runs import Runs
from tests.tabs.conftest import Server, Visitor
from tests.tabs.melodies.conftest import Tab, run_compare, titles
from tests.tabs.pages import PAYLOADS, Page

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


def test_a_link_opens_the_picture_of_a_method(server: Server) -> None:
    for link, method, note in (("full", "full", ""), ("header", "lora", "method: header is not possible")):
        visitor = Visitor(server, f"tab=melodies&view=inside&method={link}")
        assert visitor.value(label="Method of adaptation") == method
        shown = [str(properties.get("value")) for properties in visitor.properties.values()]
        assert VOICES[method].explanation in shown
        assert any(note in text for text in shown)


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
