"""The guided tour and the other links that open an experiment: each is a link as a visitor could have made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from lab.links import write_query


@dataclass(frozen=True)
class Experiment:
    """A link into a tab, with what to do there and what to look for."""

    title: str
    tab: str
    query: Mapping[str, str]
    words: str

    @property
    def link(self) -> str:
        """The query string that opens it."""
        return "?" + "&".join(filter(None, [urlencode({"tab": self.tab}), write_query(self.query)]))


TOUR = (
    Experiment(
        "See where sentences with one word in them lie",
        "embeddings",
        {"view": "senses", "word": "bass"},
        "A bass can swim or be played. One word, one frozen model: what stands around it decides where they lie.",
    ),
    Experiment(
        "Make greedy repeat itself",
        "decoding",
        {
            "prompt": "She looked at the door and",
            "columns": "greedy;greedy(repetition_penalty=1.3);top_p(top_p=0.9)",
            "max_new_tokens": "100",
        },
        "Always the likeliest token, and soon the same sentence for ever. No weight is changed to get out of it.",
    ),
    Experiment(
        "Be the dice yourself",
        "decoding",
        {"view": "sampler", "prompt": "The detective opened the letter."},
        "The model offers twenty tokens, you pick one. How long does it take you to lead it astray?",
    ),
    Experiment(
        "Hear folk become Bach",
        "melodies",
        {"view": "morph", "opening": "G2 | c4", "voices": "folk,lora,full"},
        "One opening, one seed, one slider: a LoRA of 6 % of the weights, from nothing to twice its strength.",
    ),
    Experiment(
        "Tell the machine from Bach",
        "melodies",
        {"view": "blind"},
        "Three clips: a chorale, a folk song, and one that a model wrote a moment ago. Which is which?",
    ),
    Experiment(
        "Turn Shakespeare to 200 %",
        "lora",
        {"adapters": "shakespeare=2"},
        "What was learnt is a change that can be scaled. At twice its strength, is it twice as good? Turn it back.",
    ),
    Experiment(
        "Fool a reward model",
        "reward",
        {"view": "break"},
        "It has learnt from 300 rankings what somebody likes. Find a text that it likes, and they would not.",
    ),
)
