"""The Reward model tab in a browser: put in order by mouse, by finger, by buttons and by keyboard; text stays text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.test_bad_input import MARKUP
from tests.e2e.visitors import DESKTOP, PHONE, SCHEMES, Visitor, Visitors, grave_violations, in_scheme

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]  # a busy machine may need minutes to start

LINK: dict[str, Any] = {"tab": "reward", "prompt": "The old house", "max_new_tokens": 12, "seed": 5}

IN_ORDER_JS = """wanted => wanted === [...document.querySelectorAll('.sd-reward-order li')].map((item, n) => {
    const sign = item.classList.contains('sd-reward-tied') ? ' = ' : ' > ';
    return (n ? sign : '') + item.querySelector('b').textContent;
}).join('')"""


# What moved has come to rest: a place that is measured on the way there is another one when the mouse arrives.
SETTLED_JS = """async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    const all = () => [...document.querySelectorAll('.sd-reward-order li')];
    const places = () => all().map((li) => li.getBoundingClientRect().y);
    for (let before = null, still = 0; still < 5; before = places()) {
        await frame();
        still = before && String(before) === String(places()) ? still + 1 : 0;
    }
}"""


class Ranker:
    """A visitor who has completions to put in order."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor, self.page = visitor, visitor.page
        self.order = visitor.page.locator(".sd-reward-order")
        self.items = self.order.locator("li")
        self.live = self.order.locator("[aria-live]")

    def opens(self, **query: Any) -> Self:
        self.page.goto(f"{self.visitor.url}/?{urlencode(LINK | query)}")
        expect(self.order).to_have_attribute("data-state", "ready")
        return self

    def sees(self, order: str) -> None:
        """Wait until the list is in an order such as ``B > A = C > D``."""
        expect(self.order).to_be_visible()
        self.page.wait_for_function(IN_ORDER_JS, arg=order)

    def button(self, letter: str, does: str) -> Locator:
        return self.order.get_by_role("button", name=f"{letter}: {does}", exact=True)

    def bar(self, letter: str) -> Locator:
        return self.items.filter(has=self.page.locator(f"b:text-is('{letter}')")).locator(".sd-reward-bar")

    def drags(self, letter: str, onto: str, depth: float, frames: bool = True, cancelled: bool = False) -> None:
        """Drag a text by its bar to a depth of another one, 0 for its upper and 1 for its lower edge.

        Args:
            frames: without them nothing is drawn on the way, as on a machine that is too busy for it.
            cancelled: press Escape before letting go.
        """
        bar = self.bar(letter)
        # Near an edge of the window a text that is dragged scrolls the page, and the target goes elsewhere.
        self.order.evaluate("list => list.scrollIntoView({block: 'center'})")
        self.page.evaluate(SETTLED_JS)
        box, target = bar.bounding_box(), self.bar(onto).locator("..").bounding_box()
        assert box and target
        x, y = box["x"] + 20, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        if not frames:
            self.page.evaluate("() => { window.kept = requestAnimationFrame; requestAnimationFrame = () => 0; }")
        self.page.mouse.down()
        self.page.mouse.move(x, y + 12, steps=3)
        self.page.mouse.move(x, target["y"] + depth * target["height"], steps=6)
        if cancelled:
            expect(self.order.locator("[data-drop]")).to_have_count(1)
            self.page.keyboard.press("Escape")
            expect(self.order.locator(".sd-reward-dragged, [data-drop]")).to_have_count(0)
        self.page.mouse.up()
        if not frames:
            self.page.evaluate("() => { requestAnimationFrame = window.kept; }")

    def drags_by_finger(self, letter: str, onto: str, depth: float) -> None:
        """The same on a touch screen, by the browser's own touch events."""
        self.page.evaluate(SETTLED_JS)
        box, target = self.bar(letter).bounding_box(), self.bar(onto).locator("..").bounding_box()
        assert box and target
        x, y, end = box["x"] + 20, box["y"] + box["height"] / 2, target["y"] + depth * target["height"]
        touch = self.page.context.new_cdp_session(self.page)
        for kind, at in (("touchStart", y), *(("touchMove", y + (end - y) * n / 8) for n in range(1, 9))):
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": at}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_ranking_by_mouse_by_buttons_and_by_keyboard(desktop: Visitor) -> None:
    ranker = Ranker(desktop).opens()
    ranker.sees("A > B > C > D")
    ranker.drags("C", "A", 0.05, cancelled=True)  # the focus is nowhere yet
    ranker.sees("A > B > C > D")
    ranker.button("C", "one place up").click()
    ranker.sees("A > C > B > D")
    expect(ranker.live).to_have_text("Completion C: place 2 of 4.")
    expect(ranker.button("C", "one place up")).to_be_focused()  # a move takes the focus along
    for key, order in (
        ("ArrowUp", "C > A > B > D"),
        ("ArrowUp", "C > A > B > D"),
        ("End", "A > B > D > C"),
        ("=", "A > B > D = C"),
        ("ArrowUp", "A > B > C > D"),
        ("Home", "C > A > B > D"),
        ("ArrowDown", "A > C > B > D"),
    ):
        desktop.page.keyboard.press(key)
        ranker.sees(order)
    expect(ranker.button("C", "one place up")).to_be_focused()
    ranker.button("D", "tie with the one above").click()
    ranker.sees("A > C > B = D")
    expect(ranker.live).to_contain_text("tied with B")
    ranker.drags("B", "A", 0.05)
    ranker.sees("B > A > C > D")
    ranker.drags("D", "A", 0.5)
    ranker.sees("B > A = D > C")
    ranker.drags("B", "C", 0.95)
    ranker.sees("A = D > C > B")
    ranker.drags("C", "A", 0.05, frames=False)
    ranker.sees("C > A = D > B")
    desktop.press("Show me the pairs")
    expect(desktop.rows("C > B")).to_be_visible()
    desktop.press("Add ranking")
    expect(ranker.order).to_have_attribute("data-state", "kept")
    expect(desktop.page.get_by_text("Kept: C > A = D > B.").first).to_be_visible()
    desktop.page.reload()  # the rankings are still the visitor's
    expect(desktop.page.locator(".sd-reward-facts dd").first).to_have_text("1")
    desktop.press("Undo last ranking")
    expect(desktop.page.locator(".sd-reward-facts dd").first).to_have_text("0")
    desktop.sees_no_toast()


def test_on_a_phone(phone: Visitor) -> None:
    ranker = Ranker(phone).opens()
    ranker.bar("A").scroll_into_view_if_needed()
    ranker.drags_by_finger("B", "A", 0.05)
    ranker.sees("B > A > C > D")
    ranker.button("A", "tie with the one above").click()
    ranker.sees("B = A > C > D")
    ranker.button("D", "one place up").click()
    ranker.sees("B = A > D > C")
    box = ranker.button("D", "one place up").bounding_box()
    assert box and min(box["width"], box["height"]) >= 36
    assert phone.overflow() <= 0
    phone.press("Add ranking")
    expect(phone.page.get_by_text("Kept: A = B > D > C.").first).to_be_visible()


def test_markup_is_text(desktop: Visitor, tmp_path: Path) -> None:
    ranker = Ranker(desktop).opens(**{"class": "<img src=x onerror=window.pwned=1>"})
    prompt = desktop.page.get_by_label("Prompt", exact=True)
    for payload in MARKUP:
        prompt.fill(payload)
        desktop.press("Write")
        expect(ranker.order.locator(".sd-reward-lead")).to_have_text(payload + " …")
        expect(ranker.order).to_have_attribute("data-state", "ready")
    file = tmp_path / "hostile.jsonl"
    lines = [{"prompt": text, "chosen": text, "rejected": f"{text} no"} for text in MARKUP]
    file.write_text("\n".join([*map(json.dumps, lines), "{"]), encoding="utf-8")
    desktop.press("My rankings: list, download, upload")
    with desktop.page.expect_file_chooser() as chooser:
        desktop.press("Upload rankings or pairs")
    chooser.value.set_files(file)
    expect(desktop.page.get_by_text(f"{len(MARKUP)} rankings added.").first).to_be_visible()
    expect(desktop.page.get_by_text("Line 6: ").first).to_be_visible()
    with desktop.page.expect_download() as download:
        desktop.press("Download pairs (TRL)")
    saved = [json.loads(line) for line in Path(download.value.path()).read_text(encoding="utf-8").splitlines()]
    assert saved == lines
    desktop.page.get_by_role("tab", name="Score", exact=True).click()
    desktop.press("Compare")
    expect(desktop.page.locator(".sd-reward-texts li").first).to_contain_text(MARKUP[-1][:20])
    own = desktop.page.get_by_label("A text of your own")
    for payload in MARKUP:
        own.fill(payload)
        desktop.press("Score this text")
        expect(desktop.page.locator(".sd-reward-effects")).to_have_text(payload)
    desktop.page.get_by_role("tab", name="Break it", exact=True).click()
    desktop.page.get_by_label("A text to fool the model").fill(MARKUP[0])
    desktop.press("Try it")
    expect(desktop.rows("you")).to_contain_text(MARKUP[0])
    assert desktop.page.evaluate("window.pwned") is None
    desktop.sees_no_toast()


def test_a_class_ranks_the_same(visitors: Visitors) -> None:
    rankers = [Ranker(visitors.new()).opens(**{"class": "e2e-class"}) for _ in range(2)]
    texts = [ranker.items.locator(".sd-text").all_inner_texts() for ranker in rankers]
    assert texts[0] == texts[1]
    for ranker in rankers:
        ranker.button("B", "one place up").click()
        ranker.visitor.press("Add ranking")
        expect(ranker.order).to_have_attribute("data-state", "kept")
    facts = rankers[1].page.locator(".sd-reward-facts")
    expect(facts).to_contain_text(re.compile("2 rankings by 2 visitors.*\\+1.00", re.DOTALL))


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_all_can_use_it(visitors: Visitors, device: dict[str, Any]) -> None:
    visitor = visitors.new(device)
    ranker = Ranker(visitor).opens()
    ranker.button("B", "tie with the one above").click()
    ranker.sees("A = B > C > D")
    for view in ("Rank", "Score", "Break it"):
        visitor.page.get_by_role("tab", name=view, exact=True).click()
        if view == "Score":
            visitor.page.get_by_label("A text of your own").fill("The child laughed. The dog was dead.")
            visitor.press("Score this text")
            expect(visitor.page.locator(".sd-reward-effects")).to_be_visible()
        for scheme in SCHEMES:
            in_scheme(visitor.page, scheme)
            assert visitor.overflow() <= 0, (view, scheme)
            grave = grave_violations(visitor.page)
            assert not grave, (view, scheme, grave)
