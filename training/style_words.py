"""Compute the words that Shakespeare's plays have and plain prose lacks; write the list and its card.

    python -m training.style_words --prose prose.txt.xz --shakespeare shakespeare.txt.xz

A word belongs to the plays if it is a word of the plays, and not a name or a play's own: it stands in at least
``MIN_PARTS`` of as many equal parts of the text as there are plays to learn from, and at least every second time in
small letters. Of these, those come first that the plays use most often against prose; the list goes on for as long as
all its words together are at most one word in ``PROSE_SHARE`` of the prose. So whatever a text scores beyond a tenth of
a percent is more than prose does. Counted are the 33 plays and the 186 books that are trained on; the card says what
share the list has of the plays and books that are not.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template

from lab.text.lexicon import WORDS, words_of
from training.corpus import VALIDATION_BOOKS, read_books
from training.text_styles import STYLES, read_style

PARTS = 33
MIN_PARTS = 5  # no cycle of histories, whose people and places recur, is as long
PROSE_SHARE = 1000
SPEAKER = re.compile(r"^[^\n]+:$", re.MULTILINE)  # a line of its own before each speech

CARD = """---
license: cc0-1.0
language: en
---

# style-words

`shakespeare.txt`: $words words that Shakespeare's plays have and plain prose lacks, a word a line, the plays' most own
first. The LoRA tab says what share of a text they are.

**How they were chosen.** Counted in $plays_words words of $plays
and in $prose_words words of the prose corpus (all books but the last four). A word has to stand in at least $min_parts
of $parts equal parts of the plays, so that no play or cycle has words of its own, and at least every second time in
small letters, so that names are left out. Ordered by how much more often the plays use them than prose does; the list
ends where all its words together would be more than one word in $prose_share of the prose. The last one is $ratio times
as frequent in the plays. No word was put in or taken out by hand.

**What it measures.** Of texts that were not counted: $test_share of the words of *Troilus and Cressida* and *Twelfth
Night*, $held_out_share of the words of the last four books of the prose corpus.

**Limits.** It knows words, not grammar, verse or sense: a text can score high and be no Shakespeare. Forms are counted
as they are spelt in one 19th-century edition.

Made by `python -m training.style_words --prose prose.txt.xz --shakespeare shakespeare.txt.xz`.
"""


def count(text: str) -> tuple[Counter[str], Counter[str]]:
    """Return how often each word stands in a text, and how often in small letters."""
    words: Counter[str] = Counter()
    small: Counter[str] = Counter()
    for word, number in Counter(words_of(text)).items():
        words[word.lower()] += number
        if word[0].islower():
            small[word.lower()] += number
    return words, small


def spread(text: str, parts: int = PARTS) -> Counter[str]:
    """Return in how many equal parts of a text each word stands."""
    words = [word.lower() for word in words_of(text)]
    size = -(-len(words) // parts)
    return Counter(word for first in range(0, len(words), size) for word in set(words[first : first + size]))


def own_words(plays: str, prose: str, *, min_parts: int = MIN_PARTS, parts: int = PARTS) -> list[tuple[str, float]]:
    """Return the words of the plays that prose lacks, and how many times as often the plays use them, most first."""
    in_plays, small = count(plays)
    in_prose, _ = count(prose)
    plays_total, prose_total = in_plays.total(), in_prose.total()
    parts_of = spread(plays, parts)
    # Half an occurrence for a word that prose has not at all: finite, and the more the oftener the plays use it.
    ratios = {
        word: (number / plays_total) / ((in_prose[word] or 0.5) / prose_total)
        for word, number in in_plays.items()
        if parts_of[word] >= min_parts and 2 * small[word] >= number
    }
    chosen, seen = [], 0
    for word in sorted(ratios, key=lambda word: (-ratios[word], word)):
        seen += in_prose[word]
        if ratios[word] <= 1 or seen * PROSE_SHARE > prose_total:
            break
        chosen.append((word, ratios[word]))
    return chosen


def share(words: Iterable[str], text: str) -> float:
    """Return what share of a text's words are among these."""
    own, counted = set(words), count(text)[0]
    return sum(number for word, number in counted.items() if word in own) / counted.total()


def main(arguments_given: Sequence[str] | None = None) -> None:
    """Write the list and its card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prose", type=Path, required=True)
    parser.add_argument("--shakespeare", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=WORDS)
    arguments = parser.parse_args(arguments_given)
    style = STYLES["shakespeare"]
    texts = read_style(style, arguments.prose, arguments.shakespeare)
    books = read_books(arguments.prose)
    plays, test = (SPEAKER.sub("", text) for text in (texts.training, texts.test))
    prose, held_out = ("\n".join(part) for part in (books[:-VALIDATION_BOOKS], books[-VALIDATION_BOOKS:]))
    chosen = own_words(plays, prose)
    words = [word for word, _ in chosen]
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{style.name}.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    card = Template(CARD).substitute(
        words=f"{len(words):,}",
        plays=style.works[0],
        plays_words=f"{count(plays)[0].total():,}",
        prose_words=f"{count(prose)[0].total():,}",
        min_parts=MIN_PARTS,
        parts=PARTS,
        prose_share=f"{PROSE_SHARE:,}",
        ratio=f"{chosen[-1][1]:.0f}",
        test_share=f"{share(words, test):.1%}",
        held_out_share=f"{share(words, held_out):.2%}",
    )
    (arguments.out / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
