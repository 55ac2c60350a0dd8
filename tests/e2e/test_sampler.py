"""You are the sampler: one turn after the other, and one text at a time."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.visitors import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]  # a busy machine may need minutes to start

PROMPT = "The rain had stopped"
LINK: dict[str, Any] = {"tab": "decoding", "view": "sampler", "prompt": PROMPT, "columns": "greedy", "picks": "300.400"}


class Game:
    """The game of a visitor who has opened a link with two picks."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor.opens(**LINK)
        self.board = visitor.page.locator("#sd-game")
        self.choices = self.board.locator(".sd-choices button")
        self.has("So far 2 tokens")

    def has(self, text: str) -> None:
        """Wait until the board says so, and turns are possible again."""
        expect(self.board).to_contain_text(text)
        expect(self.visitor.page.locator("#sd-sampler")).not_to_have_attribute("aria-busy", "true")

    def button(self, name: str) -> Locator:
        """Return one of the buttons beside the choices."""
        return self.visitor.page.locator(".sd-turn").filter(has_text=name)

    def in_one_tick(self, *targets: Locator) -> None:
        """Click one after the other, before anything else can happen."""
        handles = [target.element_handle() for target in targets]
        self.visitor.page.evaluate("targets => targets.forEach(target => target.click())", handles)


@pytest.fixture
def game(desktop: Visitor) -> Game:
    """A game with two picks."""
    return Game(desktop)


def test_after_an_error_the_game_goes_on(game: Game) -> None:
    game.visitor.prompt.fill("")
    game.choices.first.click()
    expect(game.visitor.page.get_by_role("alert")).to_contain_text("prompt is empty")
    game.visitor.prompt.fill(PROMPT)
    game.choices.first.click()
    game.has("So far 3 tokens")
    game.choices.nth(2).click()
    game.has("So far 4 tokens")
    game.visitor.sees_no_toast()


def test_after_a_request_that_failed_the_game_goes_on(game: Game) -> None:
    page = game.visitor.page
    page.route("**/queue/join*", lambda route: route.fulfill(status=502, body="<html>Bad Gateway</html>"), times=1)
    with page.expect_response(lambda answer: answer.status == 502):
        game.choices.first.click()
    expect(page.locator("#sd-sampler[aria-busy]")).to_have_count(0)
    game.choices.first.click()
    game.has("So far 3 tokens")


def test_turns_come_one_after_the_other(game: Game) -> None:
    game.in_one_tick(game.button("goes on"), game.choices.nth(3))
    game.has("So far 22 tokens")  # the choice was one of a text that is over
    game.in_one_tick(game.choices.nth(3), game.choices.nth(4))
    game.has("So far 23 tokens")
    game.has("Your last pick had rank 4 ")
    game.in_one_tick(game.button("Undo"), game.button("Undo"))
    game.has("So far 21 tokens")
    game.button("Undo").focus()
    game.visitor.page.keyboard.press("Enter")
    game.has("So far 20 tokens")
    game.visitor.page.keyboard.press("Enter")  # the focus stays
    game.has("So far 19 tokens")
    game.visitor.sees_no_toast()


def test_another_prompt_is_another_game(game: Game) -> None:
    game.visitor.prompt.fill("My grandmother kept bees")
    game.visitor.press("Copy link")
    link = game.visitor.page.locator(".sd-link input, .sd-link textarea")
    expect(link).to_have_value(re.compile("grandmother(?!.*picks)"))
    game.choices.first.click()
    game.has("My grandmother kept bees")
    game.has("Pick the next token.")
    expect(game.visitor.status).to_contain_text(["the text starts again"])
    game.choices.first.click()
    game.has("So far 1 token,")
    game.visitor.press("Same dice, other p")
    game.visitor.sees_board(3)
    game.visitor.page.get_by_role("tab", name="You are the sampler").click()
    expect(game.board).to_contain_text("My grandmother kept bees")  # until it is gone on with
    game.choices.first.click()
    game.has("It was a dark night, and")
    game.has("Pick the next token.")
