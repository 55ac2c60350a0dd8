"""Words that a style has and plain prose lacks, and what share of a text they are.

The lists are computed from the corpora by training/style_words.py and lie in assets/style-words, a word a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

WORDS = Path(__file__).resolve().parents[2] / "assets" / "style-words"

_WORD = re.compile(r"[^\W\d_]+(?:’[^\W\d_]+)*")  # letters, with apostrophes between them


def words_of(text: str) -> Iterator[str]:
    """Yield the words of a text as it writes them, apostrophes curly."""
    return (match[0] for match in _WORD.finditer(text.replace("'", "’")))


@cache
def style_words(style: str) -> frozenset[str]:
    """Return a style's words in small letters. Raises KeyError for a style that has no list."""
    file = WORDS / f"{style}.txt"
    if style not in styles_with_words():
        raise KeyError(f"no word list for the style {style!r}")
    return frozenset(file.read_text(encoding="utf-8").split())


@cache
def styles_with_words() -> tuple[str, ...]:
    """Return the names of the styles that have a list."""
    return tuple(sorted(file.stem for file in WORDS.glob("*.txt")))


def style_share(text: str, style: str) -> float:
    """Return what share of a text's words are the style's, 0 to 1; 0 for a text without words.

    Raises:
        KeyError: for a style that has no list.
    """
    own = style_words(style)
    words = [word.lower() for word in words_of(text)]
    return sum(word in own for word in words) / len(words) if words else 0.0
