"""Examples to click. Each is a link's query, so it can show nothing that a visitor could not set up."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl

from lab.text.decoding import DecodingSettings, compare
from lab.text.errors import VisitorError
from lab.text.models import LanguageModel

EXAMPLES = (
    ("Greedy repeats itself", "prompt=She+looked+at+the+door+and&columns=greedy;greedy(repetition_penalty=1.3);top_p(top_p=0.9)&max_new_tokens=100"),
    ("Cold, warm, hot", "prompt=Once+upon+a+time+there+was+a+little+girl+who&columns=temperature(temperature=0.3);temperature(temperature=0.8);temperature(temperature=1.5)"),
    ("Cut the tail", "prompt=The+detective+opened+the+letter.&columns=temperature(temperature=1.2);top_k(top_k=40,temperature=1.2);top_p(top_p=0.9,temperature=1.2);min_p(min_p=0.1,temperature=1.2)"),
    ("Same dice, other p", "prompt=It+was+a+dark+night,+and&columns=top_p(top_p=0.3);top_p(top_p=0.7);top_p(top_p=1)&seed=12"),
    ("Greedy against beams", "prompt=%E2%80%9CI+do+not+know,%E2%80%9D+said+the&columns=greedy;beam(num_beams=2);beam(num_beams=6)&max_new_tokens=40"),
)  # fmt: skip


def example_settings() -> Iterator[tuple[str, DecodingSettings]]:
    """Yield each example's title and settings."""
    for title, query in EXAMPLES:
        yield title, DecodingSettings.lenient(dict(parse_qsl(query)))[0]


def warm_examples(model: LanguageModel) -> None:
    """Compute the examples and what the page opens with, so that a click shows them at once."""
    for settings in (DecodingSettings(), *(settings for _, settings in example_settings())):
        try:
            for _ in compare(model, settings):
                pass
        except VisitorError:
            return
