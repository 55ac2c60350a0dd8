"""The melodies tab as its visitors use it: by link, by ear, by keyboard, with four tools; and the rules for all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.visitors import DESKTOP, PHONE, SCHEMES, Scheme, Visitor, Visitors, grave_violations, in_scheme

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]  # a busy machine may need minutes to start

LINK: dict[str, Any] = {
    "opening": "E2 | A2 B2 c2 d2 | e4",
    "voices": "folk,lora",
    "phrases": 2,
    "seed": 5,
    "instrument": "Piano",
}


def opens(visitor: Visitor, **query: Any) -> Page:
    """Open the tab by a link and wait until it can be used."""
    visitor.page.goto(f"{visitor.url}/?{urlencode({'tab': 'melodies'} | query)}")
    expect(opening(visitor.page)).to_be_editable()
    return visitor.page


def opening(page: Page) -> Locator:
    """Return the box of the opening."""
    return page.get_by_role("textbox", name=re.compile("^Opening"))  # the hint is part of its name


def tunes(page: Page, board: str = "#sd-melodies") -> Locator:
    """Return the cards on a board."""
    return page.locator(f"{board} .sd-tune")


def sees_tunes(page: Page, titles: list[str], board: str = "#sd-melodies") -> None:
    """Wait until a board has cards of these titles, and the run is over."""
    expect(page.locator(f"{board} .sd-tune h3")).to_have_text(titles)
    expect(status(page)).to_contain_text(re.compile(r"written\.|Done\.|right\.|Listen to all three"))


def status(page: Page) -> Locator:
    """Return the line that tells how the tool in view is doing."""
    return page.locator("#sd-melody-tools .sd-status.prose:visible")


def melodies(page: Page, board: str = "#sd-melodies") -> list[str | None]:
    """Return when each card's notes sound, and where they lie: the melody, whatever it sounds like."""
    return tunes(page, board).evaluate_all(
        """cards => cards.map(card => JSON.stringify([card.dataset.notes.replace(/"[^"]*"/g, ''),
            ...[...card.querySelectorAll('.sd-roll rect')].map(note => note.getAttribute('y'))]))"""
    )


def sounds(card: Locator) -> None:
    """Wait until a card's sound goes on, and one of its notes is lit."""
    card.locator("audio").evaluate("""async audio => {
        const from = audio.currentTime;
        while (audio.paused || audio.currentTime < from + 0.1) await new Promise(go => setTimeout(go, 20));
    }""")
    expect(card.locator(".sd-roll rect.sd-now")).to_have_count(1)
    expect(card.locator(".sd-score .sd-now").first).to_be_attached()


def is_silent(card: Locator) -> bool:
    """Tell whether a card makes no sound."""
    return card.locator("audio").evaluate("audio => audio.paused")


def guess(page: Page, number: int) -> Locator:
    """Return the choice of what a clip is."""
    return page.get_by_role("group").filter(has_text=f"Clip {number} is")


def uses(page: Page, tool: str) -> None:
    """Open one of the four tools."""
    page.locator("#sd-melody-tools").get_by_role("tab", name=tool, exact=True).click()


def test_a_link_sounds_and_can_be_copied(visitors: Visitors) -> None:
    visitor = visitors.new(permissions=["clipboard-read", "clipboard-write"])
    page = opens(visitor, **LINK)
    sees_tunes(page, ["Folk", "LoRA"])
    expect(opening(page)).to_have_value(LINK["opening"])
    expect(visitor.slider("Phrases")).to_have_value("2")
    folk, lora = tunes(page).nth(0), tunes(page).nth(1)

    # Two sounds, of which one is heard at a time.
    folk.locator("audio").evaluate("audio => audio.play()")
    sounds(folk)
    lora.get_by_role("button", name="Play or pause LoRA").focus()
    page.keyboard.press("Enter")
    sounds(lora)
    assert is_silent(folk)
    expect(folk.locator(".sd-now")).to_have_count(0)
    page.keyboard.press("Enter")
    page.wait_for_function("[...document.querySelectorAll('audio')].every(audio => audio.paused)")

    # Another tempo, by keyboard: the same melodies.
    before = melodies(page)
    page.get_by_role("button", name="Instrument, tempo, key").click()
    tempo = page.get_by_label("range slider for Tempo (quarters per minute)")
    expect(tempo).to_be_visible()
    for _ in range(5):  # an accordion that has just opened may put the old value back once
        tempo.focus()
        page.keyboard.press("ArrowRight")
        expect(status(page)).to_contain_text("The same melodies, played anew.")
        if visitor.slider("Tempo (quarters per minute)").input_value() == "98":
            break
    expect(visitor.slider("Tempo (quarters per minute)")).to_have_value("98")
    page.keyboard.press("ArrowLeft")
    expect(visitor.slider("Tempo (quarters per minute)")).to_have_value("96")
    visitor.seed.filter(visible=True).fill("8")
    visitor.press("Compose")
    sees_tunes(page, ["Folk", "LoRA"])
    assert melodies(page) != before

    # What is copied is what is shown.
    visitor.press("Copy link")
    link = page.locator(".sd-link input:visible, .sd-link textarea:visible")
    expect(link).to_have_value(re.compile(r"^http.+\?tab=melodies&.+seed=8"))
    friend = visitors.new()
    friend.page.goto(link.input_value())
    sees_tunes(friend.page, ["Folk", "LoRA"])
    assert melodies(friend.page) == melodies(page)
    scores = [
        p.evaluate(
            "async () => await Promise.all([...document.querySelectorAll('.sd-downloads a')]"
            ".filter(a => a.textContent === 'MusicXML').map(async a => await (await fetch(a.href)).text()))"
        )
        for p in (page, friend.page)
    ]
    assert scores[0] == scores[1]
    assert len(scores[0]) == 2 and all("<score-partwise" in score for score in scores[0])


def test_a_bad_opening_is_told_and_the_keyboard_writes_a_good_one(desktop: Visitor) -> None:
    page = opens(desktop, **LINK | {"meter": "7/8"})
    sees_tunes(page, ["Folk", "LoRA"])
    expect(status(page)).to_contain_text("meter: 7/8 is not possible here; using 4/4.")
    before = melodies(page)
    opening(page).fill("<img src=x onerror=window.pwned=1> ${window.pwned=1}")
    desktop.press("Compose")
    alert = page.get_by_role("alert").filter(visible=True)
    expect(alert).to_contain_text("The opening cannot be read")
    assert melodies(page) == before
    assert page.evaluate("window.pwned") is None
    page.get_by_role("button", name="Play it on a keyboard").click()
    piano = page.get_by_role("group", name="Keyboard that writes the opening")
    for name in ("Clear", "E 4", "Bar line", "A 4", "C 5"):
        piano.get_by_role("button", name=name, exact=True).click()
    expect(opening(page)).to_have_value("E2 | A2 c2")
    desktop.press("Compose")
    expect(alert).to_have_count(0)
    sees_tunes(page, ["Folk", "LoRA"])
    expect(tunes(page).first.locator(".sd-given")).to_have_count(3)
    # The opening of a real tune brings its meter and key along.
    page.get_by_role("combobox", name="Take the opening of a real tune").fill("chorale")
    page.get_by_role("option").first.click()
    expect(page.locator(".sd-message").filter(has_text="The opening of")).to_be_visible()
    expect(opening(page)).not_to_have_value("E2 | A2 c2")
    desktop.press("Compose")
    sees_tunes(page, ["Folk", "LoRA"])
    desktop.sees_no_toast()


def test_morph_with_the_keyboard(desktop: Visitor) -> None:
    page = opens(desktop, **LINK | {"view": "morph"})
    sees_tunes(page, ["LoRA"], "#sd-morph")
    expect(page.locator(".js-plotly-plot:visible")).to_contain_text("Bach, says the classifier")
    page.get_by_label("range slider for Strength of the LoRA").focus()
    for strength in ("0.75", "0.5"):
        page.keyboard.press("ArrowLeft")
        expect(tunes(page, "#sd-morph").locator("h3")).to_have_text(f"LoRA × {strength}")
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    expect(tunes(page, "#sd-morph").locator("h3")).to_have_text("LoRA × 0")
    folk = melodies(page, "#sd-morph")
    page.get_by_role("button", name="The same as a table").click()
    expect(page.get_by_role("gridcell", name="0.25", exact=True).first).to_be_visible()
    uses(page, "Compare")
    desktop.press("Compose")
    expect(page.locator("#sd-melodies .sd-tune h3")).to_have_text(["Folk", "LoRA × 0"])
    assert melodies(page) == folk * 2
    uses(page, "Morph")
    page.get_by_label("range slider for Strength of the LoRA").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Morph", exact=True).click()
    sees_tunes(page, ["LoRA × 0.25"], "#sd-morph")
    desktop.sees_no_toast()


def test_the_blind_test(desktop: Visitor) -> None:
    page = opens(desktop, view="blind")
    clips = tunes(page, "#sd-blind")
    for right_before in (False, True):
        desktop.press("New round")
        sees_tunes(page, ["Clip 1", "Clip 2", "Clip 3"], "#sd-blind")
        expect(clips.locator("svg, a, dl")).to_have_count(0)
        for number in (1, 2, 3):
            expect(guess(page, number).get_by_role("radio", checked=True)).to_have_count(0)
        desktop.press("Check my answers")
        expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("Say of each clip what it is")
        clips.nth(1).locator("audio").evaluate("audio => audio.play()")
        page.wait_for_function("document.querySelectorAll('#sd-blind audio')[1].currentTime > 0.1")
        for number, answer in enumerate(("Bach chorale", "Folk song", "Machine"), 1):
            guess(page, number).get_by_label(answer, exact=True).check()
        desktop.press("Check my answers")
        expect(page.locator("#sd-blind .sd-tune h3")).to_have_text(
            [re.compile(rf"Clip {n}: .+ [✓✗]") for n in (1, 2, 3)]
        )
        expect(clips.locator(".sd-score svg").first).to_be_visible()
        rounds = 2 if right_before else 1
        expect(page.get_by_text(re.compile(rf"Your score: \d of {3 * rounds} right"))).to_be_visible()
        expect(page.get_by_role("button", name="Check my answers")).to_be_disabled()
    page.get_by_role("button", name="Which model fools people most?").click()
    expect(page.get_by_role("gridcell").filter(visible=True).first).to_be_visible()
    desktop.sees_no_toast()


TOOLS = {
    "Compare": "#sd-melodies .sd-tune .sd-score svg",
    "Morph": "#sd-morph .sd-tune .sd-score svg",
    "Blind test": "#sd-blind .sd-tune",
    "What is frozen": ".sd-anatomy",
}
SCREENS = {"desktop": DESKTOP, "phone": PHONE}


@pytest.fixture(scope="module", params=SCREENS)
def visitor(browser: Browser, app_url: str, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    """A visitor at a desk or with a phone, who has a result in each tool."""
    with Visitors(browser, app_url) as visitors:
        visitor = visitors.new(SCREENS[request.param])
        page = opens(visitor, **LINK)
        sees_tunes(page, ["Folk", "LoRA"])
        expect(page.locator(".js-plotly-plot:visible")).to_be_visible()
        uses(page, "Morph")
        page.get_by_role("button", name="Morph", exact=True).click()
        sees_tunes(page, ["LoRA"], "#sd-morph")
        uses(page, "Blind test")
        visitor.press("New round")
        sees_tunes(page, ["Clip 1", "Clip 2", "Clip 3"], "#sd-blind")
        yield visitor


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("tool", TOOLS)
def test_all_tools_fit_and_can_be_used_by_all(visitor: Visitor, tool: str, scheme: Scheme) -> None:
    page = visitor.page
    in_scheme(page, scheme)
    uses(page, tool)
    expect(page.locator(TOOLS[tool]).first).to_be_visible()
    assert visitor.overflow() <= 0
    grave = grave_violations(page)
    assert not grave, "\n".join(grave)
