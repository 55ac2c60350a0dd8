"""The blind test: nothing but sound until it is judged, each guess kept once, and figures that are right."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import gradio as gr
import pytest

from lab.errors import ModelUnavailable, VisitorError
from lab.music.blind import Clip, Truth, clip_of
from lab.music.corpus import Collection, Split, load_split
from lab.music.voices import Voice, Voices
from lab.preferences import Tally
from lab.preferences.statistics import wilson_interval
from lab.preferences.store import Store
from lab.text.models import Models
from tabs.melodies import blind as blind_module
from tabs.melodies.blind import CHOICES, EXPERIMENT, FOOLED_COLUMNS, BlindPanel, fooled_counts
from tabs.page import Services
from tests.tabs.conftest import Server, Visitor
from tests.tabs.pages import PAYLOADS, Page

SKIP = gr.skip()
ANSWERS = ("bach", "folk", "machine")


@pytest.fixture
def panel(voices: Voices) -> BlindPanel:
    """The panel, over a store of its own."""
    with gr.Blocks(analytics_enabled=False):
        return BlindPanel(Services(Models(), voices, Store(None)))


@pytest.fixture(scope="module")
def clips() -> tuple[Clip, ...]:
    """A chorale, a folk song, and what a voice might have written."""
    chorale, other = load_split(Collection.BACH, Split.TEST)[:2]
    song = load_split(Collection.FOLK, Split.TEST)[0]
    return (
        Clip(clip_of(chorale.melody), Truth.BACH, chorale.id, f"{chorale.title}, chorale melody"),
        Clip(clip_of(song.melody), Truth.FOLK, song.id, f"{song.title}, {song.origin}"),
        Clip(clip_of(other.melody), Truth.MACHINE, "lora", "written by the voice “LoRA”"),
    )


@pytest.fixture
def same_clips(clips: tuple[Clip, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every round has these clips."""
    monkeypatch.setattr(blind_module, "round_of", lambda voices, seed: list(clips))


def started(panel: BlindPanel) -> tuple[str, tuple[Clip, ...]]:
    """Play a round; return the board and the clips, which stay on the server."""
    *_, (_, board, guessing, *cleared, clips, judged, check) = panel.start()
    assert guessing["visible"] and check["interactive"] and judged is False
    assert cleared == [gr.update(value=None)] * 3
    return board, clips


def sounds(board: str) -> list[str]:
    """Return the addresses of the sounds."""
    return [audio["src"] or "" for audio, _ in Page(board).find("audio")]


def stored(panel: BlindPanel) -> list[tuple[str, str, str]]:
    """Return what is kept: what the clip was, the model if any, and the answer."""
    guesses = panel._store.guesses(experiment=EXPERIMENT)
    return [(guess.truth, json.loads(guess.clip)["model"], guess.answer) for guess in guesses]


# A round


@pytest.fixture(scope="module")
def played(voices: Voices) -> tuple[str, tuple[Clip, ...]]:
    """A round as the page gets it, and its clips, which stay on the server."""
    with gr.Blocks(analytics_enabled=False):
        return started(BlindPanel(Services(Models(), voices, Store(None))))


def test_a_round_shows_nothing_but_sound(played: tuple[str, tuple[Clip, ...]]) -> None:
    board, clips = played
    page = Page(board)
    assert {tag for tag, _ in page.tags} == {"div", "article", "h3", "p", "audio"}
    assert page.find("a") == page.find("svg") == page.find("dl") == []
    assert [article["data-notes"] for article, _ in page.find("article")] == ["[]"] * 3
    for clip in clips:
        for secret in (clip.source, clip.about, clip.about.partition(",")[0]):
            if secret != "folk":  # that word is in the question
                assert secret not in board
    assert sorted(clip.truth for clip in clips) == sorted(Truth)


def test_the_cards_differ_only_in_number_length_and_sound(played: tuple[str, tuple[Clip, ...]]) -> None:
    page = Page(played[0])
    shapes = set()
    for (attributes, text), (audio, _) in zip(page.find("article"), page.find("audio"), strict=True):
        assert re.fullmatch(r"\d+\.\d{3}", attributes["data-seconds"] or "")
        shape = (attributes | {"data-seconds": "", "src": (audio["src"] or "").rpartition("/")[2]}, text)
        shapes.add(re.sub(r"(?<=Clip )\d|(?<=b)\d|(?<=clip-)\d", "N", repr(shape)))
    assert len(shapes) == 1


def test_neither_name_nor_content_of_a_file_tells_the_truth(played: tuple[str, tuple[Clip, ...]]) -> None:
    board, clips = played
    for number, (url, clip) in enumerate(zip(sounds(board), clips, strict=True), 1):
        path = Path(unquote(url.partition("file=")[2]))
        assert path.name == f"clip-{number}.wav"
        assert re.fullmatch(r"[0-9a-f]{32}", path.parent.name)
        assert clip.source not in path.parts
        data = path.read_bytes()
        # A header, a format, samples, and no chunk beside them in which a title could stand.
        assert (data[:4], data[8:16], data[36:40]) == (b"RIFF", b"WAVEfmt ", b"data")
        assert struct.unpack("<I", data[40:44])[0] == len(data) - 44


def test_rounds_differ(panel: BlindPanel, clips: tuple[Clip, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(blind_module, "round_of", lambda voices, seed: seeds.append(seed) or list(clips))
    for _ in range(3):
        assert started(panel)[1] == clips
    assert len(set(seeds)) == 3


@pytest.mark.parametrize("error", [ModelUnavailable("The voice <b> is missing."), RuntimeError("secret")])
def test_a_round_that_fails_says_so(panel: BlindPanel, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fails(*_: Any) -> None:
        raise error

    monkeypatch.setattr(blind_module, "round_of", fails)
    *_, (status, *rest) = panel.start()
    assert 'role="alert"' in status
    assert "secret" not in status and "<b>" not in status
    assert ("is missing" in status) is isinstance(error, VisitorError)
    assert rest == [SKIP] * 8


# Judging


def test_a_guess_that_is_missing_is_asked_for(panel: BlindPanel, clips: tuple[Clip, ...]) -> None:
    for guesses in ([None, None, None], ["bach", None, "folk"], ["bach", "folk", "liszt"], ["bach", "folk", ""]):
        status, *rest = panel.judge("", clips, False, "", *guesses)
        assert 'role="alert"' in status
        assert "Say of each clip what it is" in status
        assert rest == [SKIP] * 7
    assert stored(panel) == []


def test_before_a_round_there_is_nothing_to_judge(panel: BlindPanel) -> None:
    for clips, judged in (((), True), ((), False)):
        status, *rest = panel.judge("", clips, judged, "", *ANSWERS)
        assert "New round" in status
        assert rest == [SKIP] * 7


def test_answers_are_kept_and_shown(panel: BlindPanel, clips: tuple[Clip, ...]) -> None:
    answer = panel.judge("", clips, False, "", "bach", "machine", "folk")
    status, board, score, judged, check, fooled, of_class, session = answer
    assert "1 of 3 right." in status
    assert stored(panel) == [("bach", "", "bach"), ("folk", "", "machine"), ("machine", "lora", "folk")]
    page = Page(board)
    titles = ["Clip 1: Bach chorale ✓", "Clip 2: Folk song ✗", "Clip 3: Machine ✗"]
    assert [text for _, text in page.find("h3")] == titles
    assert [text for _, text in page.find("p", **{"class": "sd-hint"})] == [clip.about for clip in clips]
    assert len(page.find("a")) == 9 and len(page.find("dl")) == 3
    assert "bach chorale, right" in page.text and "machine, wrong" in page.text and "folk song, wrong" in page.text
    assert [article["data-notes"] != "[]" for article, _ in page.find("article")] == [True] * 3
    assert score == ("**Your score:** 1 of 3 right, 33% (95 % interval 6% to 79%). Guessing blindly gives 33 %.")
    assert judged is True and check["interactive"] is False
    assert fooled == [["LoRA", "1", "100%", "21% to 100%"]]
    assert of_class == gr.update(visible=False)
    assert re.fullmatch(r"[0-9a-f]{32}", session)


def test_a_class_has_its_own_tally(panel: BlindPanel, clips: tuple[Clip, ...]) -> None:
    panel.judge("", clips, False, "", "bach", "folk", "machine")  # of no class
    panel.judge("", clips, False, "calm-heron-1", "bach", "folk", "bach")
    *_, fooled, of_class, _ = panel.judge("", clips, False, "calm-heron-1", "bach", "folk", "machine")
    assert [row[:3] for row in fooled] == [["LoRA", "3", "33%"]]
    assert [row[:3] for row in of_class["value"]] == [["LoRA", "2", "50%"]]
    assert of_class["visible"]
    assert {guess.class_code for guess in panel._store.guesses()} == {"", "calm-heron-1"}


@pytest.mark.parametrize("code", ["no spaces", "x" * 33, "<b>", "../x"])
def test_a_code_that_cannot_be_one_is_told(panel: BlindPanel, clips: tuple[Clip, ...], code: str) -> None:
    status, *rest = panel.judge("", clips, False, code, *ANSWERS)
    assert 'role="alert"' in status and "class code" in status
    assert rest == [SKIP] * 7
    assert panel._store.guesses() == []


def test_the_score_counts_all_rounds_of_one_visitor(panel: BlindPanel, clips: tuple[Clip, ...]) -> None:
    *_, mine = panel.judge("", clips, False, "", *ANSWERS)
    panel.judge("", clips, False, "", "folk", "folk", "folk")  # somebody else
    status, _, score, *_, session = panel.judge(mine, clips, False, "", "bach", "folk", "bach")
    assert session == mine
    assert "2 of 3 right." in status
    low, high = wilson_interval(5, 6)
    assert f"5 of 6 right, 83% (95 % interval {low:.0%} to {high:.0%})" in score


def test_what_was_judged_is_not_judged_again(panel: BlindPanel, clips: tuple[Clip, ...]) -> None:
    *_, session = panel.judge("", clips, False, "", *ANSWERS)
    status, *rest = panel.judge(session, clips, True, "", *ANSWERS)
    assert "New round" in status
    assert rest == [SKIP] * 7
    assert len(stored(panel)) == 3


@pytest.mark.parametrize("payload", PAYLOADS)
def test_titles_stay_text(panel: BlindPanel, clips: tuple[Clip, ...], payload: str) -> None:
    guess = str(clips[0].truth)
    pages = []
    for about in ("plain", payload):
        clip = Clip(clips[0].melody, clips[0].truth, payload, about)
        pages.append(Page(blind_module.cards([blind_module.open_card(clip, guess, 1)])))
    assert [tag for tag, _ in pages[0].tags] == [tag for tag, _ in pages[1].tags]
    assert pages[1].find("p", **{"class": "sd-hint"})[0][1] == payload


def test_the_guesses_of_a_round_are_kept_as_one(
    panel: BlindPanel, clips: tuple[Clip, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    worst = (*clips[:2], Clip(clips[2].melody, clips[2].truth, "x" * 5000, "too long a name to keep"))
    status, *rest = panel.judge("", worst, False, "", *ANSWERS)
    assert 'role="alert"' in status and rest == [SKIP] * 7
    assert stored(panel) == []


def test_a_session_that_the_browser_has_kept_is_taken_up_if_it_is_one(
    panel: BlindPanel, clips: tuple[Clip, ...]
) -> None:
    for kept, taken in (("of-before", True), ("<script>", False), ("x" * 65, False)):
        *_, session = panel.judge(kept, clips, False, "", *ANSWERS)
        assert (session == kept) is taken
        assert len(panel._store.guesses(session=session)) == 3


# Who fools people


def test_the_fooled_table_is_right(panel: BlindPanel) -> None:
    kept = {"lora": ("bach", "bach", "folk", "machine"), "folk": ("folk", "machine"), "full": ("machine",) * 2}
    for model, answers in kept.items():
        for answer in answers:
            clip = json.dumps({"model": model, "id": model})
            panel._store.add_guess("s", EXPERIMENT, clip, truth="machine", answer=answer)
    panel._store.add_guess("s", EXPERIMENT, json.dumps({"model": "", "id": "x"}), truth="bach", answer="folk")
    panel._store.add_guess("s", "another", json.dumps({"model": "full"}), truth="machine", answer="bach")
    rows = panel.fooled()
    assert all(len(row) == len(FOOLED_COLUMNS) for row in rows)
    assert [row[:3] for row in rows] == [["LoRA", "4", "75%"], ["Folk", "2", "50%"], ["Full", "2", "0%"]]
    for row, (taken, total) in zip(rows, [(3, 4), (1, 2), (0, 2)], strict=True):
        low, high = wilson_interval(taken, total)
        assert row[3] == f"{low:.0%} to {high:.0%}"


def test_counts_of_what_is_no_machine_or_no_voice_are_left_out() -> None:
    tallies = [
        Tally("machine", "bach", 2, "lora"),
        Tally("machine", "machine", 1, "lora"),
        Tally("bach", "folk", 9, ""),
        Tally("machine", "folk", 5, "a voice of long ago"),
        Tally("machine", "folk", 5, None),
        Tally("machine", "machine", 4, "full"),
        Tally("machine", "machine", 7, "last-block"),
    ]
    assert fooled_counts(tallies) == [(Voice.LORA, 2, 3), (Voice.LAST_BLOCK, 0, 7), (Voice.FULL, 0, 4)]


def test_before_any_guess_the_table_says_so(panel: BlindPanel) -> None:
    ((words, *rest),) = panel.fooled()
    assert words == "nobody has guessed yet"
    assert len(rest) == len(FOOLED_COLUMNS) - 1


def test_a_closed_store_is_told(panel: BlindPanel, clips: tuple[Clip, ...]) -> None:
    panel._store.close()
    status, *rest = panel.judge("", clips, False, "", *ANSWERS)
    assert 'role="alert"' in status
    assert "is closed" in Page(status).text
    assert rest == [SKIP] * 7
    ((words, *_),) = panel.fooled()
    assert "is closed" in words


# With its events


def test_a_visit(server: Server, same_clips: None) -> None:
    visitor = Visitor(server)
    visitor.click("New round")
    assert visitor.properties[visitor.find(value="Check my answers")]["interactive"] is True
    for number, (_, answer) in enumerate(CHOICES, 1):
        visitor.set(answer, label=f"Clip {number} is")
    for _ in range(2):
        visitor.click("Check my answers")
    texts = [str(properties.get("value")) for properties in visitor.properties.values()]
    guesses = server.services.store.guesses(experiment=EXPERIMENT)
    assert len(guesses) == 3
    assert len({guess.session for guess in guesses}) == 1
    right = sum(guess.truth == guess.answer for guess in guesses)
    assert any(f"**Your score:** {right} of 3 right" in text for text in texts)
    assert visitor.properties[visitor.find(value="Check my answers")]["interactive"] is False
    visitor.click("New round")
    assert [visitor.value(label=f"Clip {n} is") for n in (1, 2, 3)] == [None] * 3
    status, config = server.get("/config")
    assert status == 200
    assert all(guess.clip.encode() not in config for guess in guesses)
