"""Cards that play: the picture follows the sound, one sound at a time; and the keyboard that writes an opening."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import gradio as gr
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from lab.music.corpus import Collection, load_tunes
from lab.music.melody import TICKS_PER_QUARTER, Melody
from lab.music.score import engrave
from lab.music.sound import render, to_wav
from tabs.melodies.files import served
from tabs.melodies.keyboard import add_keyboard
from tabs.melodies.render.cards import PLAYER_JS, Card, RollNote, cards, empty_cards
from tabs.theme import style, theme
from tests.e2e.visitors import DESKTOP, PHONE, SCHEMES, Visitors, grave_violations, in_scheme

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]  # a busy machine may need minutes to start

TEMPO = 100


def card_of(melody: Melody, key: str, title: str, role: str = "frozen", given: int = 4) -> Card:
    """Return the card of a melody."""
    score = engrave(melody, title=title, prefix=key, width=480, scale=40)
    sound = render(melody, tempo=TEMPO)
    second = 60 / TEMPO / TICKS_PER_QUARTER  # of a tick
    notes = [
        RollNote(tick * second, note.duration * second, note.pitch, note.phrase_end, n < given, score.note_ids[n])
        for n, (tick, note) in enumerate(melody.onsets())
    ]
    url = served(to_wav(sound), f"{title}.wav")
    facts = [("Closest training tune", "7 intervals in a row from a tune whose name is rather long, and 3 more")]
    return Card(key, title, role, "a subtitle", url, {"WAV": url}, sound.seconds, notes, score.svg, facts)


def file_of(url: str) -> Path:
    """Return where a sound is kept."""
    return Path(unquote(urlsplit(url).path.partition("file=")[2]))


@pytest.fixture(scope="module")
def url(chromium: str) -> Iterator[str]:
    """A page with two players, the first with two cards, and the keyboard."""
    tunes = [tune.melody for tune in load_tunes(Collection.BACH)[20:24]]
    first, second = card_of(tunes[0], "a", "First"), card_of(tunes[1], "b", "Second", "changed")
    other = card_of(tunes[2], "c", "Third", "real")
    gone = card_of(tunes[3], "d", "Fourth")
    file_of(gone.audio_url).unlink()
    changes = {
        "Other sounds": cards([replace(other, key="e", title="Fifth"), second]),
        "One card": cards([first]),
        "One more card": cards([first, second, gone]),
        "No card": empty_cards("Nothing here"),
    }
    with gr.Blocks(analytics_enabled=False, fill_width=True) as app:
        for label in changes:
            gr.Button(label)
        board = gr.HTML(cards([first, second]), js_on_load=PLAYER_JS, elem_id="board")
        for button in [block for block in app.blocks.values() if isinstance(block, gr.Button)]:
            button.click(changes.get, gr.State(button.value), board, show_progress="hidden")
        text = gr.Textbox(label="Opening", lines=3)
        with gr.Accordion("Play it", open=False):
            add_keyboard(text)
        more = gr.HTML(cards([other, gone]), js_on_load=PLAYER_JS, elem_id="other")
        gr.Button("Run again").click(lambda: cards([other, card_of(tunes[3], "d", "Fourth")]), None, more)
    _, address, _ = app.launch(prevent_thread_lock=True, quiet=True, run_history=False, theme=theme(), css=style())
    yield address.rstrip("/")
    app.close(verbose=False)


@pytest.fixture
def visitors(browser: Browser, url: str) -> Iterator[Visitors]:
    """Visitors of that page."""
    with Visitors(browser, url) as visitors:
        yield visitors


def opened(visitors: Visitors, device: dict[str, Any] = DESKTOP) -> Page:
    """Open the page."""
    visitor = visitors.new(device)
    visitor.page.goto(visitor.url)
    expect(visitor.page.locator(".sd-tune")).to_have_count(4)
    visitor.page.locator("button", has_text="Play it").click()
    expect(piano(visitor.page)).to_be_visible()
    return visitor.page


@pytest.fixture
def page(visitors: Visitors) -> Page:
    """The page on a desk."""
    return opened(visitors)


def card(page: Page, title: str) -> Locator:
    """Return a card."""
    return page.get_by_role("article", name=title, exact=True)


def plays_from(card: Locator, share: float) -> None:
    """Click into a card's roll, so far from its beginning."""
    box = card.locator(".sd-roll svg").bounding_box()
    assert box is not None
    card.locator(".sd-roll svg").click(position={"x": share * box["width"], "y": 50})


def is_silent(card: Locator) -> bool:
    """Tell whether a card makes no sound."""
    return card.locator("audio").evaluate("audio => audio.paused")


def head(card: Locator) -> float:
    """Return where a card's playhead is, in parts of the roll."""
    found = re.search(r"translate\(([\d.]+)", card.locator(".sd-head").get_attribute("transform") or "")
    return float(found[1]) / 1000 if found else 0.0


def sounds(card: Locator) -> None:
    """Wait until a card sounds: its time goes on, and with it a note in its roll and the same one in its score."""
    card.locator("audio").evaluate("""async audio => {
        const from = audio.currentTime;
        while (audio.paused || audio.currentTime < from + 0.2) await new Promise(go => setTimeout(go, 20));
    }""")
    card.page.wait_for_function(
        """card => {
            const lit = [...card.querySelectorAll('.sd-score .sd-now')], bars = card.querySelectorAll('rect.sd-now');
            if (bars.length !== 1) return false;  // a rest, perhaps
            const [start, length, ids] = JSON.parse(card.dataset.notes)[bars[0].dataset.n];
            const time = card.querySelector('audio').currentTime, lag = 0.2;
            return start - lag < time && time < start + length + lag && `${lit.map(note => note.id)}` === `${ids}`;
        }""",
        arg=card.element_handle(),
    )


def test_roll_and_score_follow_the_sound(page: Page) -> None:
    first = card(page, "First")
    assert head(first) == 0
    plays_from(first, 0.3)
    sounds(first)
    before = head(first)
    assert 0.29 < before < 0.6
    sounds(first)
    assert head(first) > before
    assert first.locator("audio").evaluate("audio => audio.duration") == pytest.approx(
        float(first.get_attribute("data-seconds") or 0), abs=0.1
    )
    plays_from(first, 0.02)
    expect(first.locator(".sd-roll .sd-now")).to_have_attribute("data-n", re.compile(r"^[0-4]$"))
    assert head(first) < 0.2


def test_the_score_scrolls_to_what_sounds(page: Page) -> None:
    first = card(page, "First")
    score = first.locator(".sd-score")
    assert score.evaluate("box => box.scrollHeight > box.clientHeight + 40 && box.scrollWidth <= box.clientWidth")
    plays_from(first, 0.9)
    sounds(first)
    page.wait_for_function("""() => {
        const box = document.querySelector('.sd-score'), note = box.querySelector('.sd-now')?.getBoundingClientRect();
        const around = box.getBoundingClientRect();
        return note && box.scrollTop > 0 && note.top >= around.top && note.bottom <= around.bottom;
    }""")


@pytest.mark.parametrize("second", ["Second", "Third"])  # in the same player, in another one
def test_one_sound_at_a_time(page: Page, second: str) -> None:
    plays_from(card(page, "First"), 0.2)
    sounds(card(page, "First"))
    plays_from(card(page, second), 0.2)
    sounds(card(page, second))
    assert is_silent(card(page, "First"))
    expect(card(page, "First").locator(".sd-now")).to_have_count(0)
    assert head(card(page, "First")) >= 0.2  # it stays where it was


def test_space_and_enter_play_and_pause(page: Page) -> None:
    roll = card(page, "Second").get_by_role("button", name="Play or pause Second")
    roll.focus()
    page.keyboard.press("Space")
    sounds(card(page, "Second"))
    expect(roll).to_be_focused()
    page.keyboard.press("Enter")
    expect(card(page, "Second").locator(".sd-now")).to_have_count(0)
    assert is_silent(card(page, "Second"))
    assert page.evaluate("scrollY") == page.evaluate("document.documentElement.scrollTop")


@pytest.mark.parametrize(("change", "cards_left"), [("One card", 1), ("Other sounds", 2), ("No card", 0)])
def test_what_is_replaced_falls_silent(page: Page, change: str, cards_left: int) -> None:
    title = "Second" if change == "One card" else "First"
    plays_from(card(page, title), 0.2)
    sounds(card(page, title))
    page.evaluate("title => { window.old = document.querySelector(`[aria-label=${title}] audio`); }", title)
    page.get_by_role("button", name=change, exact=True).click()
    expect(page.locator("#board .sd-tune")).to_have_count(cards_left)
    page.wait_for_function("old.paused")
    expect(page.locator("#board .sd-now")).to_have_count(0)
    if change == "Other sounds":  # its notes are others now
        assert head(card(page, "Fifth")) == 0
        plays_from(card(page, "Fifth"), 0.001)
        sounds(card(page, "Fifth"))


def test_what_stays_sounds_on(page: Page) -> None:
    plays_from(card(page, "First"), 0.2)
    sounds(card(page, "First"))
    page.get_by_role("button", name="One more card", exact=True).click()
    expect(page.locator("#board .sd-tune")).to_have_count(3)
    sounds(card(page, "First"))
    assert head(card(page, "First")) > 0.2


def test_what_cannot_be_seen_falls_silent(page: Page) -> None:
    plays_from(card(page, "First"), 0.2)
    sounds(card(page, "First"))
    page.locator("#board").evaluate("board => { board.style.display = 'none'; }")  # as when another tab is opened
    page.wait_for_function("document.querySelector('audio').paused")


def test_a_sound_that_is_gone_says_so_and_comes_back(page: Page) -> None:
    fourth = card(page, "Fourth")
    message, audio = fourth.get_by_role("alert"), fourth.locator("audio")
    expect(message).to_have_count(0)
    plays_from(fourth, 0.5)
    expect(message).to_be_visible()
    before = audio.get_attribute("src") or ""
    page.get_by_role("button", name="Run again").click()
    expect(audio).not_to_have_attribute("src", before)
    file = file_of(audio.get_attribute("src") or "")
    audio.evaluate("audio => audio.play()")  # as its own button does
    sounds(fourth)
    expect(message).to_have_count(0)

    # The file comes back while its address stays.
    kept = file.read_bytes()
    file.unlink()
    audio.evaluate("audio => { audio.pause(); audio.load(); audio.play().catch(() => {}); }")
    expect(message).to_be_visible()
    file.write_bytes(kept)
    plays_from(fourth, 0.5)
    sounds(fourth)
    assert head(fourth) >= 0.5
    expect(message).to_have_count(0)


def opening(page: Page) -> Locator:
    """Return the box that the keyboard writes into."""
    return page.get_by_label("Opening", exact=True)


def piano(page: Page) -> Locator:
    """Return the keyboard."""
    return page.get_by_role("group", name="Keyboard that writes the opening")


def test_the_keyboard_writes(page: Page) -> None:
    keys = piano(page)

    def press(name: str) -> None:
        keys.get_by_role("button", name=name, exact=True).click()

    press("E 4")
    press("Bar line")
    keys.get_by_label("1/8 dotted", exact=True).check()
    press("F sharp 5")
    press("Rest")
    press("Phrase end")
    press("G 3")
    expect(opening(page)).to_have_value("E2 | ^f3/2 z3/2\nG,3/2")
    press("Backspace")
    press("Backspace")
    expect(opening(page)).to_have_value("E2 | ^f3/2 z3/2")
    opening(page).fill("c2 mine")
    press("C 6")
    expect(opening(page)).to_have_value("c2 mine c'3/2")
    press("Clear")
    expect(opening(page)).to_have_value("")


def test_no_note_is_lost_however_fast_one_plays(page: Page) -> None:
    piano(page).get_by_role("button", name="C 5", exact=True).focus()
    page.keyboard.type("asdfghjkwetyu" * 4)
    played = ["c2", "d2", "e2", "f2", "g2", "a2", "b2", "c'2", "^c2", "^d2", "^f2", "^g2", "^a2"]
    expect(opening(page)).to_have_value(" ".join(played * 4))
    page.keyboard.press("ArrowRight")
    expect(piano(page).get_by_role("button", name="C sharp 5", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    expect(opening(page)).to_have_value(" ".join((played * 4)[:-1]))


def test_no_note_is_lost_when_an_answer_is_late(page: Page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:  # the first message only, until the second one has been answered
        if held:
            route.continue_()
        else:
            held.append(route)

    keys = piano(page)
    page.route("**/gradio_api/run/**", hold)
    keys.get_by_role("button", name="C 5", exact=True).click()
    keys.get_by_role("button", name="D 5", exact=True).click()
    expect(opening(page)).to_have_value("c2 d2")  # the keyboard has waited for three seconds, and sent both
    assert held
    with page.expect_response("**/gradio_api/run/**"):
        held[0].continue_()
    keys.get_by_role("button", name="E 5", exact=True).click()
    expect(opening(page)).to_have_value("c2 d2 e2")


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_fits_and_can_be_used_by_all(visitors: Visitors, device: dict[str, Any]) -> None:
    page = opened(visitors, device)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    low, middle = (piano(page).get_by_role("button", name=name, exact=True) for name in ("G 3", "C 4"))
    if device is PHONE:  # which does not have room for all keys
        expect(low).not_to_be_in_viewport()
        expect(middle).to_be_in_viewport(ratio=0.9)
    low.click()
    expect(opening(page)).to_have_value("G,2")
    for scheme in SCHEMES:
        in_scheme(page, scheme)
        grave = grave_violations(page)
        assert not grave, (scheme, grave)
