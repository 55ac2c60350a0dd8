"""Compare and Morph with tiny voices: what a run shows, and what goes wrong in words."""

from __future__ import annotations

import json
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import gradio as gr
import pytest

from lab.errors import VisitorError
from lab.music.morph import STRENGTHS, Morph
from lab.music.voices import VOICES, Voice
from tabs import runs as runs_module
from tabs import waiting
from tabs.melodies import cards as card_module
from tabs.melodies import compare as compare_module
from tabs.melodies.render.figures import MORPHED
from tabs.runs import Runs
from tests.tabs.melodies.conftest import Tab, articles, files, is_alert, run_compare, titles
from tests.tabs.pages import Page

SKIP = gr.skip()
MANNERS: dict[str, dict[str, Any]] = {
    "as it was": {}, "instrument": {"instrument": "Flute"}, "tempo": {"tempo": 150}, "key": {"transpose": 3}
}  # fmt: skip


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell the page sooner that it takes a while."""
    monkeypatch.setattr(waiting, "QUIET", 0.05)


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
    assert tab.compare.play_again(*tab.values(**settings), pieces, Runs())[1] == board
    for change in ({"instrument": "Flute"}, {"tempo": 60}, {"transpose": 3}):
        status, anew = tab.compare.play_again(*tab.values(**settings | change), pieces, Runs())
        assert "same melodies" in status
        assert titles(anew) == titles(board)
        assert files(anew) != files(board)
        for old, new, piece in zip(articles(board), articles(anew), pieces, strict=True):
            lengths = [[length for _, length, _ in json.loads(card["data-notes"] or "")] for card in (old, new)]
            assert len(lengths[0]) == len(lengths[1]) == len(piece.melody.notes)
            assert (lengths[0] == lengths[1]) is ("tempo" not in change)


def test_without_pieces_another_manner_changes_nothing(tab: Tab) -> None:
    assert tab.compare.play_again(*tab.values(instrument="Flute"), (), Runs()) == [SKIP, SKIP]


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
        tab.compare.play_again(*tab.values(**settings), pieces, Runs()),
    ):
        assert is_alert(status) and "&lt;no&gt;" in status
        assert rest in ([], SKIP)
    status, *rest = tab.morph._listen(*tab.values(**settings), result, Runs())
    assert is_alert(status) and rest == [SKIP] * 2


def test_a_run_can_be_stopped(tab: Tab) -> None:
    runs = Runs()
    run = tab.compare.run(*tab.values(voices="folk,lora,full"), runs)
    first = next(update for update in run if isinstance(update[1], str))
    assert len(articles(first[1])) == 1
    runs.stop()
    *_, (status, board, pieces, _, table) = run
    assert "Stopped." in status
    assert len(articles(board)) == len(pieces) == 2
    assert table["headers"][-2:] == titles(board)  # the measures are those of what is shown
    # What is played in another manner is what is shown, not the run before.
    _, again = tab.compare.play_again(*tab.values(voices="folk,lora,full", instrument="Flute"), pieces, Runs())
    assert titles(again) == titles(board)


def test_what_is_changed_while_it_is_composed_is_heard(tab: Tab) -> None:
    settings, runs = {"voices": "folk,lora"}, Runs()
    (before,) = [update[1] for update in run_compare(tab, **settings)][-1:]
    run = tab.compare.run(*tab.values(**settings), runs)
    next(update for update in run if isinstance(update[1], str))
    flute = tab.values(**settings, instrument="Flute")
    assert tab.compare.play_again(*flute, (), runs) == [SKIP, SKIP]  # nothing of this run is there to be played
    *_, (_, board, pieces, *_) = run
    assert board == tab.compare.play_again(*flute, pieces, Runs())[1] != before


def test_a_newer_run_silences_the_one_before(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "PATIENCE", 0.05)
    runs = Runs()
    old = tab.compare.run(*tab.values(voices="folk,lora"), runs)
    next(update for update in old if isinstance(update[1], str))
    *_, (_, board, *_) = tab.compare.run(*tab.values(voices="full"), runs)
    assert titles(board) == ["Full"]
    assert list(old) == [[SKIP] * 5]


# Morph


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
        _, board, plot = tab.morph._listen(*tab.values(strength=strength), result, Runs())
        assert titles(board) == [title]
        assert plot["value"].layout.shapes[0].x0 == strength
    # At the beginning, before there are any means, it can be heard already.
    _, board, plot = tab.morph._listen(*tab.values(strength=2.0), replace(result, means={}), Runs())
    assert titles(board) == ["LoRA × 2"] and plot == SKIP
    assert tab.morph._listen(*tab.values(), None, Runs()) == [SKIP] * 3


def test_morph_is_played_in_the_manner_that_is_chosen(tab: Tab, few_seeds: None) -> None:
    followed = {
        block
        for fn in tab.blocks.fns.values()
        for block, event in fn.targets
        if fn.fn == tab.morph._listen and event == "input"
    }
    named = tab.page._controls.components
    names = ("strength", "instrument", "tempo", "transpose", "synthesizer")
    assert followed == {named[name]._id for name in names}
    run = tab.morph.run(*tab.values(), Runs())
    result = next(update[2] for update in run if update[2] != SKIP)
    run.close()
    cards = {name: tab.morph._listen(*tab.values(**changes), result, Runs())[1] for name, changes in MANNERS.items()}
    assert len(set(cards.values())) == len(MANNERS)


def test_a_slider_that_is_moved_while_the_means_come_is_marked(tab: Tab, few_seeds: None) -> None:
    runs = Runs()
    run = tab.morph.run(*tab.values(strength=1.0), runs)
    result = next(update[2] for update in run if update[2] != SKIP)
    _, board, _ = tab.morph._listen(*tab.values(strength=2.0), result, runs)
    assert titles(board) == ["LoRA × 2"]
    *_, (_, board, _, plot, _) = run
    assert board == SKIP and plot["value"].layout.shapes[0].x0 == 2.0


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
