"""A byte-level BPE tokenizer for typographic English prose.

Byte-level BPE as in GPT-2 (Radford et al., 2019), with two differences that the corpus asks for. Its apostrophes and
quotation marks are curly, and GPT-2's splitting pattern knows contractions only with the straight one: without the
curly one in the pattern, "don't" would cost three tokens. And since people type straight quotation marks, a normaliser
turns them into the curly ones the model has learnt.

    python -m training.tokenizer --corpus prose.txt.xz --out assets/prose-gpt2
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from training.corpus import END_OF_TEXT, VALIDATION_BOOKS, read_books

VOCABULARY_SIZE = 8192

SPLIT_PATTERN = (
    r"[’'](?:s|t|re|ve|m|ll|d)(?!\p{L})"  # the tail of a contraction
    r"| ?\p{L}+| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}]+"  # words, numbers, punctuation, each with the space before it
    r"|\s+(?!\S)|\s+"
)

# Order matters: opening marks are recognised by what stands before them (after a dash, where speech mostly breaks off,
# by the letter that follows), and what is left over closes. Words that have lost their first letter take none.
CLIPPED = r"tis|tisn|twas|twasn|twere|twill|twould|em|e|im|er|ere|ave|cause|bout|n"
TYPOGRAPHY = (
    (r" ?-{2,} ?", "—"),
    (r"\.\.\.", "…"),
    (r"(?<![^\s(\[“‘])\"|(?<=—)\"(?=[\p{L}\p{N}'‘])", "“"),
    (r"\"", "”"),
    (rf"(?:(?<![^\s(\[“])|(?<=—)(?=.\p{{L}}))'(?!(?i:{CLIPPED})\b)", "‘"),
    (r"'", "’"),
)


def typographic_normalizer() -> normalizers.Normalizer:
    """Return the normaliser that turns straight quotation marks, ``--`` and ``...`` into what printers set."""
    return normalizers.Sequence([normalizers.Replace(Regex(pattern), content) for pattern, content in TYPOGRAPHY])


def train_tokenizer(texts: Iterable[str], vocabulary_size: int = VOCABULARY_SIZE) -> Tokenizer:
    """Train the tokenizer on texts and return it; its ids run from 0 (end of text) to ``vocabulary_size - 1``.

    Texts with too few pairs of characters for that give a smaller vocabulary, at least 257: end of text and all bytes.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = typographic_normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    """Write tokenizer.json and its configuration in the form that transformers reads; context in tokens."""
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)


def main() -> None:
    """Train the tokenizer on all books but the held-out ones, and save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--context", type=int, default=256)
    arguments = parser.parse_args()
    books = read_books(arguments.corpus)[:-VALIDATION_BOOKS]
    # Chapters, not books: the trainer counts words per item, and a whole book as one item cannot be spread over cores.
    tokenizer = train_tokenizer(chapter for book in books for chapter in book.split("\n\n"))
    save_tokenizer(tokenizer, arguments.out, arguments.context)
    sample = books[0][:100_000]
    print(f"{len(sample.encode()) / len(tokenizer.encode(sample).ids):.2f} bytes per token")


if __name__ == "__main__":
    main()
