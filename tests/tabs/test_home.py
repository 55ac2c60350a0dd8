"""The first screen: its bars are drawn to scale, its words are text, and its links open tabs."""

from __future__ import annotations

from dataclasses import replace

from lab.arc import LORA, PROSE, Row, arc
from tabs.experiments import TOUR
from tabs.home.page import CARDS
from tabs.home.render import Card, cards, hero, share_words, tour
from tests.tabs.pages import PAYLOADS, Page

ROW = Row("Style, One", LORA, PROSE, "this", "that", 92_160, 10_193_920, "data", 3.0, 100, 0.1, 0.1)


def test_a_bar_is_as_orange_as_the_share() -> None:
    html = cards([Card("LoRA", "words", "press", "?tab=lora", "Style")], [ROW])
    assert f"--changed:{92_160 / 10_193_920:.6f}" in html
    assert "92,160 of 10,193,920 weights changed (0.9 %)" in Page(html).text


def test_a_model_that_is_only_used_is_blue() -> None:
    html = cards([Card("Decoding", "words", "press", "?tab=decoding", "Style", frozen=True)], [ROW])
    assert "--changed:0.000000" in html
    assert share_words(replace(ROW, trainable=0), frozen=False) == "0 of 10,193,920 weights changed"


def test_a_row_that_is_not_there_leaves_no_bar() -> None:
    html = cards([Card("LoRA", "words", "press", "?tab=lora", "Style")], [])
    assert "sd-home-strip" not in html and "press" in html


def test_every_card_finds_its_row() -> None:
    html = cards(CARDS, arc())
    assert html.count("sd-home-strip") == sum(bool(card.row) for card in CARDS)


def test_text_stays_text() -> None:
    for payload in PAYLOADS:
        page = Page(cards([Card(payload, payload, payload, payload)], []))
        assert {tag for tag, _ in page.tags} == {"ul", "li", "h3", "p", "a"}


def test_the_tour_is_a_list_of_links() -> None:
    page = Page(tour(TOUR))
    assert [link["href"] for link, _ in page.find("a")] == [one.link for one in TOUR]
    assert [text for _, text in page.find("a")] == [one.title for one in TOUR]


def test_tabs_and_experiments_are_counted() -> None:
    assert "<p>Six tabs, one question." in hero(len(CARDS))
    assert "Seven tabs," in hero(7) and "One tab," in hero(1) and "12 tabs," in hero(12)
    assert "A tour in seven experiments" in tour(TOUR) and "A tour in one experiment<" in tour(TOUR[:1])
