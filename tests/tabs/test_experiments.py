"""Every link that the app itself offers, and every link that a release has made, opens what it says, without a note."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from urllib.parse import parse_qsl

import gradio as gr
import pytest

from lab.embeddings.settings import EmbeddingSettings
from lab.links import read_query
from lab.music.composing import MelodySettings
from lab.preferences.settings import RewardSettings
from lab.reflection import QUESTIONS, ReflectionSettings
from lab.settings import Settings
from lab.text.adapting import AdaptSettings
from lab.text.decoding import DecodingSettings
from lab.text.models import Models
from tabs import TABS
from tabs.experiments import TOUR, Experiment
from tabs.home.page import CARDS
from tabs.page import Page, Services
from tabs.reflection.render import experiment

SETTINGS: dict[str, type[Settings]] = {
    "embeddings": EmbeddingSettings,
    "decoding": DecodingSettings,
    "melodies": MelodySettings,
    "lora": AdaptSettings,
    "reward": RewardSettings,
    "reflection": ReflectionSettings,
}
STORED = [
    line.split("\t")
    for line in (Path(__file__).parents[1] / "links.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
ALL = [*TOUR, *map(experiment, QUESTIONS)]


def opened(link: str) -> tuple[str, dict[str, str]]:
    """Return the tab of a link and the values in it."""
    assert link.startswith("?")
    values = dict(parse_qsl(link[1:], keep_blank_values=True, strict_parsing=True))
    return values.pop("tab"), values


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.title)
def test_the_apps_own_links_open_what_they_say(one: Experiment) -> None:
    tab, values = opened(one.link)
    assert tab == one.tab
    settings = SETTINGS[tab]
    assert values.keys() <= settings.model_fields.keys()
    made, notes = settings.lenient(values)
    assert notes == []
    for name, value in values.items():
        assert type(made).model_fields[name].annotation(value) == getattr(made, name)
    assert one.title and len(one.link) < 500


@pytest.fixture(scope="module")
def pages() -> dict[str, Page]:
    """Every tab, built but not served."""
    with gr.Blocks(analytics_enabled=False):
        services = Services(Models())
        return {tab.slug: import_module(tab.module).build(services) for tab in TABS if tab.slug in SETTINGS}


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.title)
def test_the_tab_can_show_what_the_apps_own_links_ask_for(one: Experiment, pages: dict[str, Page]) -> None:
    tab, values = opened(one.link)
    page = pages[tab]
    restored = page.restore(values | {"tab": tab})
    assert len(restored) == len(page.outputs)
    said = [word for value in restored if isinstance(value, list | tuple) for word in value if isinstance(word, str)]
    assert [word for word in said if " " in word and word != values.get("prompt")] == []


def test_a_complaint_of_a_tab_is_seen(pages: dict[str, Page]) -> None:
    restored = pages["lora"].restore({"tab": "lora", "adapters": "shakespeare=1;shakespeare=2"})
    assert any("one strength" in note for value in restored if isinstance(value, tuple) for note in value)


def test_the_tour_has_seven_stations_in_five_tabs() -> None:
    assert len(TOUR) == 7
    assert {one.tab for one in TOUR} == {"embeddings", "decoding", "melodies", "lora", "reward"}
    assert all(one.words for one in TOUR)


def test_every_tab_has_something_to_press_and_to_discuss() -> None:
    slugs = {tab.slug for tab in TABS if not tab.hidden} - {"start"}
    assert {opened(card.link)[0] for card in CARDS} == slugs
    assert {question.tab for question in QUESTIONS} == slugs
    assert {tab.slug for tab in TABS} >= SETTINGS.keys() == slugs
    assert len({question.slug for question in QUESTIONS}) == len(QUESTIONS)


@pytest.mark.parametrize(("link", "wanted"), STORED, ids=range(len(STORED)))
def test_a_link_of_an_earlier_release_opens_what_it_did(link: str, wanted: str) -> None:
    tab, values = opened(link)
    settings = SETTINGS[tab]
    for query in (values, read_query(values)[0]):
        made, notes = settings.lenient(query)
        assert notes == []
        assert made == settings(**json.loads(wanted))


def test_stored_links_are_of_all_tabs() -> None:
    assert len(STORED) >= 10
    assert {opened(link)[0] for link, _ in STORED} == SETTINGS.keys()
    assert any("z" in opened(link)[1] for link, _ in STORED)  # packed


@pytest.mark.parametrize("slug", SETTINGS)
def test_stored_links_set_most_of_what_a_tab_has(slug: str) -> None:
    stored = {name for link, wanted in STORED if opened(link)[0] == slug for name in json.loads(wanted)}
    assert len(stored) >= 0.8 * len(SETTINGS[slug].model_fields), SETTINGS[slug].model_fields.keys() - stored
