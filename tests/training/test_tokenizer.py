"""The tokenizer: typography, contractions, and that nothing is lost."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from training.corpus import END_OF_TEXT
from training.tokenizer import typographic_normalizer


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ('"Hello," she said. "Who\'s there?"', "“Hello,” she said. “Who’s there?”"),
        ("\"'Go,' he said,\" said I.", "“‘Go,’ he said,” said I."),
        ('("Hm")', "(“Hm”)"),
        ("the dogs' tails", "the dogs’ tails"),
        ("'Tis, 'twas, give 'em, 'Ere, rock 'n' roll", "’Tis, ’twas, give ’em, ’Ere, rock ’n’ roll"),
        ("'Erect', 'never', 'emerald'", "‘Erect’, ‘never’, ‘emerald’"),
        ('"But I--" he said.', "“But I—” he said."),
        ('"But I--"', "“But I—”"),
        ("'But--' he", "‘But—’ he"),
        ('He said--"Go!"--and went', "He said—“Go!”—and went"),
        ("it read--'Go'", "it read—‘Go’"),
        ("yes -- no --- or...", "yes—no—or…"),
        ("well-known - and so", "well-known - and so"),
        ("“Already, ‘printed’ — it’s…”", "“Already, ‘printed’ — it’s…”"),
    ],
)
def test_typed_marks_become_printed_ones(typed: str, printed: str):
    assert typographic_normalizer().normalize_str(typed) == printed


@pytest.mark.parametrize("apostrophe", ["’", "'"])
def test_a_contraction_has_one_tail(tokenizer: Tokenizer, apostrophe: str):
    encoding = tokenizer.encode(f"She didn{apostrophe}t, she can{apostrophe}t.")
    tails = [token for token in encoding.ids if tokenizer.decode([token]) == "’t"]
    assert len(tails) == 2
    pieces = [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str("I’ll o’clock ’tis dogs’ he’d’ve")]
    words = [tokenizer.decoder.decode([piece]) for piece in pieces]
    assert words == ["I", "’ll", " o", "’", "clock", " ’", "tis", " dogs", "’", " he", "’d", "’ve"]


def test_numbers_are_split_by_threes(tokenizer: Tokenizer):
    pieces = [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str("in 12345 days")]
    assert pieces == ["in", "Ġ123", "45", "Ġdays"]


@pytest.mark.parametrize(
    "text",
    [
        "“I can’t—” said ‘Joe’…\n\n  Two spaces,\ttab \n",
        "café naïve Ærø ⸺ £5 ½",
        "👩‍👩‍👧 🇨🇭 e\u0301 \u200b\ufeff 漢字 العربية",
        "".join(map(chr, range(1, 0x22))) + "\x7f\x80\xff",
    ],
)
def test_curly_text_and_emoji_come_back_as_they_were(tokenizer: Tokenizer, text: str):
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_any_characters_come_back_as_they_were(tokenizer: Tokenizer):
    chooser = random.Random(0)
    alphabet = [chr(c) for c in range(0x11000) if not 0xD800 <= c < 0xE000 and chr(c) not in "'\"-."]
    for _ in range(200):
        text = "".join(chooser.choices(alphabet, k=40))
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_all_256_bytes_have_a_token(tokenizer: Tokenizer):
    alphabet = {name for name in tokenizer.get_vocab() if len(name) == 1}
    assert len(alphabet) == 256


def test_end_of_text_is_id_0_and_the_saved_form_is_read_by_transformers(tokenizer: Tokenizer, out: Path):
    loaded = AutoTokenizer.from_pretrained(out)
    assert loaded(f"Hi{END_OF_TEXT}").input_ids[-1] == loaded.eos_token_id == loaded.bos_token_id == 0
    assert loaded.model_max_length == 32
    text = "“She didn’t,” he said ; and , so …"
    assert loaded(text).input_ids == tokenizer.encode(text).ids
    assert loaded.decode(loaded(text).input_ids) == text


def test_vocabulary_is_as_large_as_asked(tokenizer: Tokenizer):
    assert tokenizer.get_vocab_size() == 300
    assert sorted(tokenizer.get_vocab().values()) == list(range(300))


SHIPPED = Path(__file__).parents[2] / "assets" / "prose-gpt2" / "tokenizer.json"


def test_the_shipped_tokenizer_splits_and_joins_as_this_script_would(tokenizer: Tokenizer):
    shipped, made = json.loads(SHIPPED.read_text(encoding="utf-8")), json.loads(tokenizer.to_str())
    assert shipped["pre_tokenizer"] == made["pre_tokenizer"]
    assert shipped["decoder"] == made["decoder"]


def test_the_shipped_tokenizer_sets_marks_as_this_script_would(tokenizer: Tokenizer):
    shipped, made = json.loads(SHIPPED.read_text(encoding="utf-8")), json.loads(tokenizer.to_str())
    assert shipped["normalizer"] == made["normalizer"]
