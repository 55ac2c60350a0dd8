"""A made corpus and a tokenizer trained on it, both small enough for a test."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from training.corpus import END_OF_TEXT
from training.tokenizer import save_tokenizer, train_tokenizer

SUBJECTS = ("The fox", "A child", "Our captain", "The old man", "She", "He", "My aunt", "Nobody")
VERBS = ("didn’t see", "found", "took", "wouldn’t open", "looked for", "can’t forget", "sold", "hid")
OBJECTS = ("the door", "a letter", "the moon", "his hat", "the garden", "a ship", "her purse", "the key")


def made_book(seed: int, sentences: int = 60) -> str:
    """Return a book of nonsense in the typography of the corpus."""
    chooser = random.Random(seed)
    paragraphs = []
    for _ in range(sentences // 3):
        said, *others = (" ".join(map(chooser.choice, (SUBJECTS, VERBS, OBJECTS))) for _ in range(3))
        paragraphs.append(f"“{said}—” {'; '.join(others)}.")
    return "\n".join(paragraphs) + "\n"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def books() -> list[str]:
    """Eight books: four to train on and the four that are held out."""
    return [made_book(seed) for seed in range(8)]


@pytest.fixture(scope="session")
def tokenizer(books: list[str]) -> Tokenizer:
    """A tokenizer of 300 tokens."""
    return train_tokenizer(books, vocabulary_size=300)


@pytest.fixture
def corpus(books: list[str], tmp_path: Path) -> Path:
    """The books in one file."""
    path = tmp_path / "prose.txt"
    path.write_text("".join(f"{book}{END_OF_TEXT}\n" for book in books), encoding="utf-8")
    return path


@pytest.fixture
def out(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    """A folder that holds the tokenizer and is to take a model with a context of 32 tokens."""
    save_tokenizer(tokenizer, tmp_path / "made-gpt2", context=32)
    return tmp_path / "made-gpt2"
