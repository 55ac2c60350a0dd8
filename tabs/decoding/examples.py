"""Examples to click: titles and settings."""

from __future__ import annotations

from lab.errors import VisitorError
from lab.text.decoding import DecodingSettings, compare
from lab.text.models import LanguageModel

EXAMPLES = (
    (
        "Greedy repeats itself",
        DecodingSettings(
            prompt="She looked at the door and",
            columns="greedy;greedy(repetition_penalty=1.3);top_p(top_p=0.9)",
            max_new_tokens=100,
        ),
    ),
    (
        "Cold, warm, hot",
        DecodingSettings(
            prompt="Once upon a time there was a little girl who",
            columns="temperature(temperature=0.3);temperature(temperature=0.8);temperature(temperature=1.5)",
        ),
    ),
    (
        "Cut the tail",
        DecodingSettings(
            prompt="The detective opened the letter.",
            columns="temperature(temperature=1.2);top_k(top_k=40,temperature=1.2);top_p(top_p=0.9,temperature=1.2);"
            "min_p(min_p=0.1,temperature=1.2)",
        ),
    ),
    (
        "Same dice, other p",
        DecodingSettings(
            prompt="It was a dark night, and", columns="top_p(top_p=0.3);top_p(top_p=0.7);top_p(top_p=1)", seed=12
        ),
    ),
    (
        "Greedy against beams",
        DecodingSettings(
            prompt="“I do not know,” said the",
            columns="greedy;beam(num_beams=2);beam(num_beams=6)",
            max_new_tokens=40,
        ),
    ),
)


def warm_examples(model: LanguageModel) -> None:
    """Compute the examples and what the page opens with, so that a click shows them at once."""
    for settings in (DecodingSettings(), *(settings for _, settings in EXAMPLES)):
        try:
            for _ in compare(model, settings):
                pass
        except VisitorError:
            return
