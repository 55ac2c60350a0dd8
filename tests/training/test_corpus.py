"""Reading books and cutting them into windows."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from training.corpus import PLAIN_BOOKS, TokenStream, encode_books, plain_books, read_books

TEXT = (
    "“One.”\n\nTwo.\n<|endoftext|>\nThree <|endoftext|> is no mark here: <|endoftext|>\n"
    "<|endoftext|>\n\n<|endoftext|>\nFour."
)
BOOKS = ["“One.”\n\nTwo.\n", "Three <|endoftext|> is no mark here: <|endoftext|>\n", "Four.\n"]


@pytest.mark.parametrize("ending", ["", "\n", "\n<|endoftext|>", "\n<|endoftext|>\n"])
def test_books_are_parted_by_lines_that_hold_only_the_mark(tmp_path: Path, ending: str):
    (tmp_path / "plain.txt").write_bytes((TEXT + ending).encode())
    with lzma.open(tmp_path / "packed.txt.xz", "wb") as file:
        file.write((TEXT + ending).encode())
    assert read_books(tmp_path / "plain.txt") == BOOKS
    assert read_books(tmp_path / "packed.txt.xz") == BOOKS


def test_reading_says_what_is_wrong(tmp_path: Path):
    (tmp_path / "damaged.xz").write_bytes(b"no xz")
    with pytest.raises(lzma.LZMAError):
        read_books(tmp_path / "damaged.xz")
    with pytest.raises(FileNotFoundError):
        read_books(tmp_path / "nothing.txt")


def test_encoded_books_end_in_end_of_text(tokenizer: Tokenizer, books: list[str]):
    streams = encode_books(tokenizer, books[:2])
    assert [stream.dtype for stream in streams] == [np.uint16, np.uint16]
    for stream, book in zip(streams, books, strict=False):
        assert stream[-1] == 0
        assert 0 not in stream[:-1]
        assert tokenizer.decode(stream[:-1].tolist()) == book


def test_plain_books_are_those_at_their_positions():
    training = [np.array([number]) for number in range(1, 187)]
    assert [int(book[0]) for book in plain_books(training)] == list(PLAIN_BOOKS)
    with pytest.raises(ValueError, match="the corpus has 185"):
        plain_books(training[:-1])


def stream(length: int = 1003, context: int = 10, seed: int = 5) -> TokenStream:
    """Return a stream of tokens that are their own positions."""
    tokens = np.arange(length, dtype=np.uint16)
    return TokenStream([tokens[:400], tokens[400:]], context, seed)


def test_windows_depend_on_seed_and_index_alone():
    whole = stream().batch(0, 250)
    assert whole.shape == (250, 11)
    assert whole.dtype == np.int64
    resumed = stream()
    resumed.batch(200, 3)  # in a later pass than what is read next
    assert np.array_equal(resumed.batch(90, 160), whole[90:])
    assert not np.array_equal(stream(seed=6).batch(0, 250), whole)


@pytest.mark.parametrize("length", [1001, 1002, 1010, 1011])
@pytest.mark.parametrize("number", range(4))
def test_a_pass_repeats_nothing_and_leaves_out_less_than_two_windows(length: int, number: int):
    one = stream(length)
    windows = one.batch(number * one.windows_per_pass, one.windows_per_pass)
    assert (windows[:, 1:] - windows[:, :-1] == 1).all()  # every window is a run of the text
    read = windows[:, :-1].flatten()
    assert len(set(read)) == len(read)
    assert length - len(read) <= 2 * one.context
    assert not np.array_equal(np.sort(windows[:, 0]), windows[:, 0])  # and in another order


def test_passes_differ_in_order_and_offset():
    one = stream()
    starts = [one.batch(n * one.windows_per_pass, one.windows_per_pass)[:, 0] for n in range(8)]
    assert len({tuple(start) for start in starts}) == 8
    assert len({int(start[0]) % one.context for start in starts}) > 1


def test_too_little_text_is_refused():
    with pytest.raises(ValueError, match="fewer than two windows"):
        stream(length=20)
    assert stream(length=21).batch(0, 1).shape == (1, 11)
