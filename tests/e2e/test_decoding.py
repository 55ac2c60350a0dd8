"""The Decoding tab as its visitors use it: by link, by hand, by keyboard, with four tools."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from gradio_client import Client
from playwright.sync_api import Locator, expect

from tests.e2e.visitors import Visitor, Visitors

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]  # a busy machine may need minutes to start

LINK: dict[str, Any] = {
    "tab": "decoding",
    "prompt": "The rain had stopped, and the street",
    "seed": 11,
    "max_new_tokens": 24,
    "columns": "greedy;top_p(top_p=0.8,temperature=1.2);top_p(top_p=0.5);beam(num_beams=3)",
    "column": 2,
    "step": 5,
}
SHORT: dict[str, Any] = {
    "tab": "decoding",
    "prompt": "The rain had stopped",
    "max_new_tokens": 12,
    "columns": "greedy;top_k",
}


def test_a_link_prefills_runs_and_repeats_itself(visitors: Visitors, app_url: str) -> None:
    visitor = visitors.new().opens(**LINK)
    visitor.sees_board(4)
    expect(visitor.prompt).to_have_value(LINK["prompt"])
    expect(visitor.seed).to_have_value("11")
    expect(visitor.slider("New tokens")).to_have_value("24")
    for n, (kind, numbers) in enumerate((("Top-p", ("0.8", "1.2")), ("Top-p", ("0.5", "1"))), 2):
        expect(visitor.dropdown(f"Column {n}")).to_have_value(kind)
        for name, number in zip(("top_p", "temperature"), numbers, strict=True):
            expect(visitor.slider(name, n - 2)).to_have_value(number)
    expect(visitor.dropdown("Column 1")).to_have_value("Greedy")
    expect(visitor.slider("num_beams")).to_have_value("3")
    visitor.sees_step("Token 5 of Top-p 0.8 · temperature 1.2")
    expect(visitor.token(2, 5)).to_have_class(re.compile(r"\bon\b"))

    again = visitors.new().opens(**LINK)
    again.sees_board(4)
    assert again.written() == visitor.written()
    # With one column more nothing comes from what was computed before, and the batch is another one.
    columns = f"{LINK['columns']};min_p"
    answer = Client(app_url, verbose=False).predict(
        prompt=LINK["prompt"], columns=columns, seed=11, max_new_tokens=24, api_name="/decode"
    )
    assert [column["text"] for column in answer["columns"]][:4] == visitor.written()
    assert not answer["notes"]


def test_looks_into_a_step_by_click_by_arrow_keys_and_by_slider(desktop: Visitor) -> None:
    desktop.opens(**LINK | {"step": 0})
    desktop.sees_board(4)
    expect(desktop.inside.locator(".js-plotly-plot")).to_have_count(0)
    desktop.token(2, 3).click()
    desktop.sees_step("Token 3 of Top-p 0.8")
    expect(desktop.token(2, 3)).to_have_class(re.compile(r"\bon\b"))
    desktop.texts.nth(2).focus()
    desktop.page.keyboard.press("ArrowRight")
    desktop.sees_step("Token 1 of Top-p 0.5")
    desktop.page.keyboard.press("ArrowRight")
    desktop.sees_step("Token 2 of Top-p 0.5")
    expect(desktop.texts.nth(2)).to_be_focused()
    expect(desktop.board.locator(".on")).to_have_count(1)
    desktop.slider("Token (0: none)").fill("7")
    desktop.page.keyboard.press("Tab")
    desktop.sees_step("Token 7 of Top-p 0.5")
    track = desktop.page.get_by_label("range slider for Token (0: none)")
    track.focus()
    desktop.page.keyboard.press("ArrowRight")
    desktop.sees_step("Token 8 of Top-p 0.5")
    desktop.chooses("Column", "1 · Greedy")
    desktop.sees_step("Token 8 of Greedy")
    expect(desktop.rows("1", "chosen")).to_have_count(1)


def test_a_link_on_a_phone(phone: Visitor) -> None:
    phone.opens(**LINK)
    phone.sees_board(4)
    expect(phone.prompt).to_have_value(LINK["prompt"])
    phone.sees_step("Token 5 of Top-p 0.8 · temperature 1.2")
    phone.token(4, 2).tap()
    phone.sees_step("Token 2 of Beam search 3")


def test_generates_from_an_own_prompt(desktop: Visitor) -> None:
    desktop.opens()
    expect(desktop.page.locator("#sd-decoding-board")).to_contain_text("Press Generate")
    desktop.page.evaluate(
        """() => {
            window.states = [];
            const board = document.querySelector('#sd-decoding-board');
            new MutationObserver(() => {
                const state = board.querySelector('.sd-board')?.dataset.state;
                if (state && state !== window.states.at(-1)) window.states.push(state);
            }).observe(board, {childList: true, subtree: true, attributes: true});
        }"""
    )
    desktop.prompt.fill("My grandmother kept bees, and in the summer")
    desktop.press("Generate")
    desktop.sees_board(4)
    assert desktop.page.evaluate("window.states") == ["running", "done"]
    for card in desktop.cards.all():
        assert card.locator("dd").count() == 6
        tokens = card.locator("[data-n]")
        titles = tokens.evaluate_all("tokens => tokens.map(token => token.title)")
        assert len(titles) > 1
        ranks = [int(re.match(r"\d+\.\d%, rank (\d+)(, \d+\.\d% after .+)?$", title)[1]) for title in titles]
        leaves = next((n for n, rank in enumerate(ranks) if rank > 1), None)
        marks = card.locator(".lv").evaluate_all("marks => marks.map(mark => Number(mark.dataset.n))")
        assert marks == ([] if leaves is None else [leaves])
        if leaves is not None:
            expect(card).to_contain_text(f"leaves greedy at token {leaves + 1}")
    assert desktop.cards.first.locator(".lv").count() == 0, "the greedy column leaves greedy"
    desktop.sees_no_toast()


def test_the_main_run_needs_no_mouse(desktop: Visitor) -> None:
    desktop.opens()
    keyboard = desktop.page.keyboard

    def tab_to(locator: Locator) -> None:
        for _ in range(80):
            if locator.evaluate("element => element === document.activeElement"):
                return
            keyboard.press("Tab")
        pytest.fail("the Tab key does not lead there")

    tab_to(desktop.prompt)
    keyboard.press("Control+A")
    keyboard.type("The keys of the piano")
    tab_to(desktop.slider("New tokens"))
    keyboard.press("Control+A")
    keyboard.type("10")
    tab_to(desktop.page.get_by_role("button", name="Generate"))
    keyboard.press("Enter")
    desktop.sees_board(4)
    tab_to(desktop.texts.nth(1))
    keyboard.press("ArrowRight")
    desktop.sees_step("Token 1 of Temperature 0.8")
    assert desktop.token(1, 10).count() and not desktop.token(1, 11).count()


def test_columns_can_be_added_changed_and_removed(desktop: Visitor) -> None:
    desktop.opens(**SHORT)
    desktop.sees_board(2)
    desktop.press("+ column")
    expect(desktop.dropdown("Column 3")).to_have_value("Top-p")
    expect(desktop.slider("top_p")).to_have_value("0.6")
    desktop.chooses("Column 2", "Top-p")
    expect(desktop.slider("top_p")).to_have_value("0.9")
    expect(desktop.slider("top_p")).to_have_attribute("max", "1")
    desktop.chooses("Column 1", "Beam search")
    expect(desktop.slider("num_beams")).to_have_attribute("min", "2")
    expect(desktop.slider("num_beams")).to_have_attribute("max", "8")
    expect(desktop.slider("num_beams")).to_have_value("4")
    desktop.press("Generate")
    desktop.sees_board(3)
    assert desktop.cards.locator("h2, h3").all_inner_texts() == ["Beam search 4", "Top-p 0.9", "Top-p 0.6"]
    desktop.chooses("Column 1", "– remove –")
    expect(desktop.dropdown("Column 3")).to_be_hidden()
    expect(desktop.dropdown("Column 1")).to_have_value("Top-p")
    desktop.press("Generate")
    desktop.sees_board(2)
    expect(desktop.dropdown("Column")).to_have_value("1 · Top-p 0.9")
    assert desktop.cards.locator("h2, h3").all_inner_texts() == ["Top-p 0.9", "Top-p 0.6"]


def test_a_copied_link_shows_another_visitor_the_same(visitors: Visitors) -> None:
    first = visitors.new(permissions=["clipboard-read", "clipboard-write"]).opens()
    told = first.page.locator(".sd-message:visible")
    first.prompt.fill("Ein Apfel & eine Birne? 100% – “ja”; #1 + 🍐")
    first.seed.fill("99")
    first.slider("New tokens").fill("15")
    first.chooses("Column 4", "Typical")
    first.press("Generate")
    first.sees_board(4)
    first.press("Copy link")
    link = first.page.locator(".sd-link input, .sd-link textarea")
    expect(link).to_have_value(re.compile(r"^http.+\?tab=decoding&.+seed=99"))
    expect(first.page).to_have_url(link.input_value())
    expect(told.last).to_have_text("Copied.")
    assert first.page.evaluate("navigator.clipboard.readText()") == link.input_value()
    copied = link.input_value()
    first.seed.fill("100")  # the link is not of this any more
    expect(link).to_be_hidden()
    second = visitors.new()
    second.page.goto(copied)
    second.sees_board(4)
    assert second.written() == first.written()
    assert second.prompt.input_value() == first.prompt.input_value()


def test_a_text_too_long_for_a_link_leaves_the_address_as_it_is(desktop: Visitor) -> None:
    desktop.page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error('refused'))")
    desktop.opens(**SHORT)
    desktop.sees_board(2)
    before = desktop.page.url
    dice = random.Random(0)  # nothing repeats, so that packing does not help
    desktop.prompt.fill("".join(chr(dice.randrange(0x4E00, 0x9FA5)) for _ in range(40_000)))
    desktop.press("Copy link")
    expect(desktop.page.get_by_role("alert")).to_have_text("This text is too long for a link.")
    assert desktop.page.url == before
    desktop.prompt.fill("The rain")
    desktop.press("Copy link")
    expect(desktop.page.locator(".sd-message:visible")).to_have_text("Copy it from the box.")
    expect(desktop.page).not_to_have_url(before)


def test_all_tools_can_be_seen_on_a_phone(phone: Visitor) -> None:
    phone.opens()
    for tool, waiting in (
        ("You are the sampler", "Press Start"),
        ("Many samples", "Press Draw samples"),
        ("Beam search as a tree", "Press Grow the tree"),
        ("Compare", "Press Generate"),
    ):
        phone.page.get_by_role("tab", name=tool).tap()
        expect(phone.page.locator(".sd-empty:visible")).to_contain_text(waiting)
    assert phone.overflow() <= 0


def test_a_seed_out_of_range_is_told_in_words(desktop: Visitor) -> None:
    desktop.opens()
    desktop.seed.fill("-4")
    desktop.press("Generate")
    expect(desktop.status.filter(has_text="seed: -4 is outside 0 to 2147483647; using 0.")).to_be_visible()
    desktop.sees_board(4)
    desktop.sees_no_toast()


def test_you_are_the_sampler(visitors: Visitors) -> None:
    visitor = visitors.new().opens(**SHORT)
    visitor.page.get_by_role("tab", name="You are the sampler").click()
    game = visitor.page.locator("#sd-game")
    text, choices = game.locator(".sd-text"), game.locator(".sd-choices button")
    visitor.press("Start from the prompt")
    expect(choices).to_have_count(20)
    expect(text).to_have_text(SHORT["prompt"])
    choices.nth(1).click()
    expect(game).to_contain_text("So far 1 token, mean rank 2.0")
    before = text.inner_text()
    choices.first.focus()
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.press("Enter")
    expect(game).to_contain_text("Your last pick had rank 3")
    expect(game).to_contain_text("So far 2 tokens, mean rank 2.5")
    assert text.inner_text().startswith(before)
    visitor.press("Undo")
    expect(text).to_have_text(before)
    visitor.press("Column 1 goes on (20 tokens)")
    expect(game).to_contain_text("So far 21 tokens")
    expect(visitor.rows("1", "2").first).to_be_visible()  # the first pick, of rank 2
    written = text.inner_text()
    visitor.press("Copy link")  # into the box, as nobody has allowed the clipboard
    link = visitor.page.locator(".sd-link input, .sd-link textarea")
    expect(link).to_have_value(re.compile(r"^http.+view=sampler.+picks=\d+"))
    friend = visitors.new()
    friend.page.goto(link.input_value())
    expect(friend.page.locator("#sd-game")).to_contain_text("So far 21 tokens")
    assert friend.page.locator("#sd-game .sd-text").inner_text() == written


def test_many_samples(desktop: Visitor) -> None:
    desktop.opens(**SHORT | {"view": "samples", "samples": 4, "vary_points": 2, "max_new_tokens": 15})
    expect(desktop.slider("Samples each")).to_have_value("4")
    expect(desktop.slider("Settings")).to_have_value("2")
    expect(desktop.status).to_have_text(["Done."])
    expect(desktop.plot).to_contain_text("diversity")
    expect(desktop.page.get_by_text("self-BLEU", exact=True).first).to_be_visible()
    for setting, rows in (("Temperature 0.3", 5), ("Temperature 1.5", 5)):
        expect(desktop.rows(setting)).to_have_count(rows)  # one of the settings' table, the others are samples
    # Once more by hand, with progress to be seen: enough of it for a slow page too.
    desktop.slider("Samples each").fill("32")
    desktop.slider("New tokens").fill("60")
    desktop.press("Draw samples")
    expect(desktop.page.get_by_role("progressbar")).to_be_visible()
    expect(desktop.status).to_have_text(["Done."])


def test_beam_search_as_a_tree(desktop: Visitor) -> None:
    desktop.opens(**SHORT | {"view": "beams", "num_beams": 2, "beam_steps": 4})
    expect(desktop.status).to_contain_text("Found: “")
    expect(desktop.plot).to_contain_text("winner")
    expect(desktop.rows("winner")).to_have_count(4)
    expect(desktop.rows("4", "winner")).to_have_count(1)
    expect(desktop.rows("dropped").first).to_be_attached()


def test_a_click_on_an_example_shows_its_result(desktop: Visitor) -> None:
    desktop.opens()
    desktop.press("Same dice, other p")
    desktop.sees_board(3)
    expect(desktop.prompt).to_have_value("It was a dark night, and")
    expect(desktop.seed).to_have_value("12")
    desktop.press("Greedy against beams")
    expect(desktop.cards.first).to_contain_text("I do not know")
    desktop.sees_board(3)
    assert desktop.cards.locator("h2, h3").all_inner_texts() == ["Greedy", "Beam search 2", "Beam search 6"]
    desktop.sees_no_toast()
