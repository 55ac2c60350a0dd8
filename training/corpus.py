"""Books in a text corpus, their split into training and validation, and the token streams cut from them.

A corpus is one UTF-8 text, packed with xz or plain, in which a line that holds only ``<|endoftext|>`` ends a book.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

END_OF_TEXT = "<|endoftext|>"

# The last four books (So Big, The Time Traders, Indiscretions of Archie, Dracula) are never trained on: whole books,
# because paragraphs of one book resemble each other so much that a split inside it would flatter the model.
VALIDATION_BOOKS = 4

# Children's fiction, fairy tales and detective stories, the decaying last part of a run may read only these (see
# docs/LOG.md for what that gives). Against the other training books: 44 % of the text in quotation marks, not 35 %,
# words of 4.17 letters, not 4.28; sentences are as long (13.9 words). Positions in the corpus, counted from 1: they
# hold for that corpus alone.
PLAIN_BOOKS = (
    1, 4, 6, 11, 13, 15, 21, 24, 30, 34, 37, 39, 42, 44, 59, 61, 62, 68, 75, 78, 82, 83, 85, 88, 89, 93, 97, 99, 102,
    104, 106, 107, 108, 114, 115, 123, 128, 129, 132, 134, 136, 138, 143, 145, 155, 157, 160, 162, 163, 165, 166, 168,
    169, 174, 176, 178, 179, 180, 182, 185, 186,
)  # fmt: skip


def read_text(path: Path) -> str:
    """Return the text of a corpus, unpacked if its name ends in ``.xz``.

    Raises OSError if the file cannot be read, lzma.LZMAError if a ``.xz`` is damaged, UnicodeDecodeError if the text is
    not UTF-8.
    """
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8", newline="\n") as file:
        return file.read()


def split_books(text: str) -> list[str]:
    """Return the books of a corpus' text in its order, each ending in one line feed; empty ones are left out."""
    books = re.split(rf"^{re.escape(END_OF_TEXT)}$", text, flags=re.MULTILINE)
    return [book.strip("\n") + "\n" for book in books if book.strip()]


def read_books(path: Path) -> list[str]:
    """Return the books of a corpus in file order. Raises what ``read_text`` does."""
    return split_books(read_text(path))


def plain_books(training: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the plain ones among the training books. Raises ValueError if this cannot be the corpus they are of."""
    if len(training) < max(PLAIN_BOOKS):
        raise ValueError(f"PLAIN_BOOKS names book {max(PLAIN_BOOKS)}, the corpus has {len(training)} to train on")
    return [training[number - 1] for number in PLAIN_BOOKS]


def encode_books(tokenizer: Tokenizer, books: Sequence[str]) -> list[np.ndarray]:
    """Return one uint16 array of token ids per book, each closed by the end-of-text token.

    Raises OverflowError if the vocabulary has ids over 65,535.
    """
    end = tokenizer.token_to_id(END_OF_TEXT)
    streams = []
    for book in books:  # one at a time: encoding all at once would hold every offset of 26M tokens in memory
        ids = tokenizer.encode(book).ids
        streams.append(np.array([*ids, end], dtype=np.uint16))
    return streams


class TokenStream:
    """Windows of ``context + 1`` tokens over a set of books, in an order that depends on the seed and index alone.

    Each pass over the books cuts them at another offset and shuffles the windows, so a run that is resumed at window
    ``i`` reads exactly what it would have read without the interruption. Books follow one another without a seam, so a
    window may hold the end of one and the start of the next. Raises ValueError if there is less than two windows' text.
    """

    def __init__(self, books: Sequence[np.ndarray], context: int, seed: int) -> None:
        self.tokens = np.concatenate(list(books))
        self.context = context
        self.seed = seed
        self.windows_per_pass = (len(self.tokens) - 1) // context - 1
        if self.windows_per_pass < 1:
            raise ValueError(f"the text has {len(self.tokens)} tokens, fewer than two windows of {context}")
        self._pass = -1

    def batch(self, first: int, count: int) -> np.ndarray:
        """Return windows ``first`` to ``first + count``, shape (count, context + 1), int64."""
        return np.stack([self._window(index) for index in range(first, first + count)]).astype(np.int64)

    def _window(self, index: int) -> np.ndarray:
        number, position = divmod(index, self.windows_per_pass)
        if number != self._pass:
            generator = np.random.default_rng((self.seed, number))
            self._offset = int(generator.integers(self.context))
            self._order = generator.permutation(self.windows_per_pass)
            self._pass = number
        start = self._offset + int(self._order[position]) * self.context
        return self.tokens[start : start + self.context + 1]
