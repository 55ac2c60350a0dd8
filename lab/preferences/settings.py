"""The settings of the Reward model tab: all that a visitor can set, whichever tool uses it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from lab.preferences import MAX_COMPLETION, MAX_PROMPT
from lab.preferences.bradley_terry import Features
from lab.preferences.heads import HeadKind
from lab.settings import Settings
from lab.text.vocabulary import readable

DEFAULT_PROMPT = "The old house had been empty for years, but that night"


class View(StrEnum):
    """The tools of the tab."""

    RANK = "rank"
    TRAIN = "train"
    SCORE = "score"
    BEST_OF_N = "best-of-n"
    LEASH = "leash"
    BREAK = "break"


class Source(StrEnum):
    """Whose rankings a reward model learns from."""

    OWN = "own"
    CLASS = "class"
    ANNOTATOR = "annotator"
    MIX = "mix"  # the visitor's own, the class's if there is one, and the annotator's


class RewardSettings(Settings):
    """All that a visitor of the Reward model tab can set."""

    view: View = View.RANK
    # Rank: how completions are written.
    prompt: str = Field(DEFAULT_PROMPT, max_length=MAX_PROMPT)
    completions: int = Field(4, ge=4, le=6)
    max_new_tokens: int = Field(40, ge=10, le=80)
    temperature: float = Field(0.9, ge=0.1, le=2.0)
    top_p: float = Field(0.95, ge=0.05, le=1.0)
    seed: int = Field(7, ge=0, le=2**31 - 1)
    mixed: int = Field(1, ge=0, le=1)  # adapters, where some are there, beside the model itself
    # What the reward model learns from.
    source: Source = Source.ANNOTATOR
    annotator: str = Field("cheerful", max_length=40)
    rankings: int = Field(300, ge=10, le=1000)  # of the simulated annotator
    head: HeadKind = HeadKind.LINEAR
    features: Features = Features.BOTH
    # Score: a text of the visitor's own.
    text: str = Field("", max_length=MAX_COMPLETION)
    # Break it: a text that is to fool the model, and words that the attack may insert into it.
    attempt: str = Field("", max_length=MAX_COMPLETION)
    budget: int = Field(8, ge=1, le=20)
    # Best of n and the leash: which completions there are to choose from, and how hard is chosen.
    among: int = Field(1, ge=1, le=99)  # number of the held-out prompt
    n: int = Field(8, ge=1, le=64)
    draw: int = Field(1, ge=0, le=2**31 - 1)  # seed of the draw of n completions
    leash_among: int = Field(0, ge=0, le=99)  # likewise, 0 for all of them
    log_beta: float = Field(-0.5, ge=-2.0, le=2.0)  # logarithm, base 10, of the weight of the KL divergence

    @classmethod
    def _clean(cls, name: str, raw: Any) -> tuple[Any, str | None]:
        """Cut a text that is too long, and mend halves of characters: the default would be somebody else's text."""
        if name not in ("prompt", "text", "attempt") or not isinstance(raw, str):
            return super()._clean(name, raw)
        # Cut before it is mended: that keeps the end of a very long text, and of a completion the beginning is read.
        end, room = ("last", MAX_PROMPT) if name == "prompt" else ("first", MAX_COMPLETION)
        text, notes = readable(raw[-room:] if name == "prompt" else raw[:room])
        if len(raw) > room:
            notes.append(f"The {name} has {len(raw):,} characters; its {end} {room:,} are read.")
        return text, " ".join(notes) or None
