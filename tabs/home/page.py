"""The first screen: nothing to load, nothing to wait for, only links."""

from __future__ import annotations

import gradio as gr

from lab.arc import arc
from tabs.experiments import TOUR
from tabs.home.render import TEACHING, Card, cards, hero, tour
from tabs.page import Page, Services

CARDS = (
    Card(
        "Embeddings",
        "A frozen encoder turns a text into a direction. See what lies close together, and move it with a word.",
        "See the map of concepts",
        "?tab=embeddings",
        "Sentence encoder",
    ),
    Card(
        "Decoding",
        "The model offers a probability for every token. How one is picked makes the text: greedy, dice, or you.",
        "Run four strategies",
        "?tab=decoding",
        "English prose",
        frozen=True,
    ),
    Card(
        "Folk → Bach",
        "A model that read 5,000 folk songs learns from 240 chorales. Hear what a small change does.",
        "Hear three voices",
        "?tab=melodies",
        "Bach chorales, LoRA",
    ),
    Card(
        "LoRA",
        "A style is a thin layer beside frozen weights: switch it, scale it, blend two, train one of your own, live.",
        "Read one prompt in four styles",
        "?tab=lora",
        "Style",
    ),
    Card(
        "Reward model",
        "Rank some texts, train a model on your ranking, let it choose for you, and watch where that goes wrong.",
        "Rank four completions",
        "?tab=reward",
        "Reward",
    ),
    Card(
        "Reflection",
        "What each way froze and changed, what it cost and what it gained: one table, and questions to argue about.",
        "Compare all ways",
        "?tab=reflection",
    ),
)


def build(services: Services) -> Page:
    """Build the tab inside the Blocks under construction."""
    gr.HTML(hero(len(CARDS)) + cards(CARDS, arc()) + tour(TOUR) + TEACHING, elem_id="sd-home")
    return Page((), lambda query: (), lambda restored: None)
