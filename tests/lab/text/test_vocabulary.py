"""Text to tokens and back: nothing is lost, nothing that a visitor types has powers, nothing raises but PromptError."""

from __future__ import annotations

import random

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from lab.errors import PromptError, VisitorError
from lab.text.vocabulary import MAX_PROMPT_CHARACTERS, Vocabulary, clean_prompt
from tests.tiny import SENTENCES
from training.corpus import END_OF_TEXT

TEXTS = {
    "plain": SENTENCES[0],
    "speech": SENTENCES[1],
    "spaces": "  two  spaces\n\n\tand a tab \n ",
    "emoji": "a 😀 and a family 👩‍👩‍👧 and a flag 🇩🇪",
    "right to left": "שלום עולם، مرحبا بالعالم",
    "direction marks": "a\u202eb\u202c\u200f",
    "combining": "e\u0301 n\u0303 Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢",
    "not normalised": "Å \u212b A\u030a ﬁ",
    "scripts": "日本語 한국어 हिन्दी ไทย Ελληνικά Русский",
    "last plane": "\U0010fffd\U000e0041",
    "bom": "\ufeffa\ufffe",
    "special": f"before{END_OF_TEXT}after",
    "only special": END_OF_TEXT,
    "code": "<script>${alert(1)}</script> {{7*7}} %s \\n",
}


def random_texts(count: int) -> list[str]:
    """Return texts of characters from everywhere in Unicode that the tokenizer's typography leaves as they are."""
    chooser = random.Random(0)
    ranges = (
        (0x20, 0x7F),
        (0xA0, 0x250),
        (0x300, 0x370),
        (0x590, 0x700),
        (0x4E00, 0x4F00),
        (0x1F300, 0x1F700),
        (0xE000, 0xE010),
        (0x10000, 0x110000),
    )
    texts = []
    for _ in range(count):
        characters = [chr(chooser.randrange(*chooser.choice(ranges))) for _ in range(chooser.randint(1, 30))]
        texts.append("".join(c for c in characters if c not in "\"'-."))
    return texts


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_text_comes_back_as_it_was(vocabulary: Vocabulary, text: str) -> None:
    ids = vocabulary.encode(text)
    assert vocabulary.text(ids) == text
    assert "".join(vocabulary.pieces(ids)) == text
    assert all(0 < token < len(vocabulary) for token in ids)  # 0 is the special token


def test_any_text_comes_back_as_it_was(vocabulary: Vocabulary) -> None:
    for text in random_texts(300):
        ids = vocabulary.encode(text)
        assert vocabulary.text(ids) == text
        assert "".join(vocabulary.pieces(ids)) == text


def test_pieces_of_any_tokens_join_to_their_text(vocabulary: Vocabulary) -> None:
    """A model may write bytes in any order, so characters are broken off, begun twice, never finished."""
    chooser = random.Random(1)
    for _ in range(500):
        ids = [chooser.randrange(len(vocabulary)) for _ in range(chooser.randint(0, 12))]
        pieces = vocabulary.pieces(ids)
        assert len(pieces) == len(ids)
        assert "".join(pieces) == vocabulary.text(ids)


def test_a_character_across_tokens_comes_with_its_last_one(vocabulary: Vocabulary) -> None:
    ids = vocabulary.encode("a😀b")
    assert vocabulary.pieces(ids) == ["a", "", "", "", "😀", "b"]
    assert vocabulary.pieces(ids[:3]) == ["a", "", "�"]  # two of its four bytes, and the text ends
    assert vocabulary.pieces([*ids[:3], ids[-1]]) == ["a", "", "", "�b"]  # two of its four bytes, and another follows
    assert vocabulary.pieces([]) == []


def test_a_special_token_typed_by_a_visitor_is_text(vocabulary: Vocabulary) -> None:
    assert vocabulary.end_of_text == 0
    ids, notes = vocabulary.encode_prompt(f"A{END_OF_TEXT}B", room=60)
    assert 0 not in ids
    assert vocabulary.text(ids) == f"A{END_OF_TEXT}B"
    assert notes == []
    assert vocabulary.text([*vocabulary.encode("A"), 0, *vocabulary.encode("B")]) == "AB"  # the true one is no text


def test_a_prompt_that_is_fine_stays_as_it_is() -> None:
    assert clean_prompt("A word,\n\tand  more\n") == ("A word,\n\tand  more\n", [])
    assert clean_prompt("\u00a0“Ärger” 👩‍👧 e\u0301 \u200f") == ("\u00a0“Ärger” 👩‍👧 e\u0301 \u200f".rstrip(" "), [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        " \n\t \r\n",
        "\0",
        "\0 \x1b",
        "\ud800",
        "\udfff \ud83d",
        "\u00a0\u2003\u3000",
        None,
        [],
        ["a"],
        7,
        1.5,
        b"a",
        object(),
        {"a": 1},
        True,
    ],
)
def test_a_prompt_without_text_is_refused_in_plain_words(vocabulary: Vocabulary, text: object) -> None:
    with pytest.raises(PromptError, match=r"^The prompt is .*\. Please write a few words") as error:
        clean_prompt(text)
    assert isinstance(error.value, VisitorError)
    with pytest.raises(PromptError):
        vocabulary.encode_prompt(text, room=10)


@pytest.mark.parametrize(
    ("text", "cleaned", "noted"),
    [
        ("a\0b", "ab", True),
        ("a\ud83db", "ab", True),
        ("a\udc00", "a", True),
        ("bell\x07 escape\x1b[31m delete\x7f next line\x85", "bell escape[31m delete next line", True),
        ("a\r\nb\rc\n\rd", "a\nb\nc\n\nd", False),
        ("trailing  \t ", "trailing", False),
        ("line end stays\n", "line end stays\n", False),
        ("a\n  ", "a\n", False),
        ("  leading", "  leading", False),
    ],
)
def test_a_prompt_is_cleaned(text: str, cleaned: str, noted: bool) -> None:
    result, notes = clean_prompt(text)
    assert result == cleaned
    assert bool(notes) is noted
    assert clean_prompt(result) == (result, [])
    result.encode()


def test_of_a_very_long_prompt_the_end_is_read(vocabulary: Vocabulary) -> None:
    text = "b" * 80_000 + "a" * (MAX_PROMPT_CHARACTERS - 3) + "end"
    cleaned, notes = clean_prompt(text)
    assert cleaned == text[80_000:]
    assert notes == ["The prompt has 100,000 characters; its last 20,000 are read."]
    ids, notes = vocabulary.encode_prompt(text, room=5)
    assert vocabulary.text(ids).endswith("aend")
    assert len(ids) == 5
    assert len(notes) == 2


def test_long_runs_of_anything_are_encoded(vocabulary: Vocabulary) -> None:
    for text in (" " * 100_000 + "a", "a" * 100_000, "\n" * 100_000 + "a", "😀" * 30_000, "’" * 30_000, "a\0" * 50_000):
        ids, _ = vocabulary.encode_prompt(text, room=8)
        assert 1 <= len(ids) <= 8


def test_long_texts_are_encoded_as_short_ones_are(vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join([*SENTENCES, "<|endoftext|> 😀 ’", " " * 90]) * 3
    short = vocabulary.encode(text)
    monkeypatch.setattr("lab.text.vocabulary.LONG", 10)
    assert vocabulary.encode(text) == short


@pytest.mark.parametrize("room", [1, 2, 6, 7, 20])
def test_a_prompt_is_cut_at_the_left_with_a_note(vocabulary: Vocabulary, room: int) -> None:
    whole = vocabulary.encode(SENTENCES[0])
    ids, (note,) = vocabulary.encode_prompt(SENTENCES[0], room)
    assert ids == whole[-room:]
    assert f"has {len(whole)} tokens" in note
    assert f"room for {room}" in note
    assert f"“{vocabulary.text(ids[:6]).strip()} …”" in note


def test_a_prompt_that_just_fits_is_not_cut(vocabulary: Vocabulary) -> None:
    whole = vocabulary.encode(SENTENCES[0])
    assert vocabulary.encode_prompt(SENTENCES[0], len(whole)) == (whole, [])


def token_of(vocabulary: Vocabulary, text: str | bytes) -> int:
    raw = text.encode() if isinstance(text, str) else text
    return vocabulary._bytes.index(raw)


def test_labels_show_what_cannot_be_seen(vocabulary: Vocabulary) -> None:
    expected = {
        " the": "␣the",
        " ": "␣",
        "\n": "⏎",
        "\t": "⇥",
        "a": "a",
        "<": "<",  # escaping is the page's business
        "\0": "⟨00⟩",
        "\x1b": "⟨1b⟩",
        "\x7f": "⟨7f⟩",
        b"\xf0": "⟨f0⟩",
        b"\xff": "⟨ff⟩",
    }
    for raw, label in expected.items():
        assert vocabulary.label(token_of(vocabulary, raw)) == label
    assert vocabulary.label(vocabulary.end_of_text) == "⟨end of text⟩"
    for token in range(len(vocabulary)):
        label = vocabulary.label(token)
        assert label
        assert label.isprintable()
        assert " " not in label or label.startswith("⟨")


def test_labels_of_characters_that_show_nothing_or_turn_the_text() -> None:
    characters = {"\u00a0": "⟨c2 a0⟩", "\u200b": "⟨e2 80 8b⟩", "\u202e": "⟨e2 80 ae⟩", "é": "é", "“": "“"}
    from training.tokenizer import train_tokenizer

    backend = train_tokenizer([" ".join(character * 40 for character in characters)] * 9, 300)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=END_OF_TEXT, bos_token=END_OF_TEXT)
    vocabulary = Vocabulary(tokenizer)
    for character, label in characters.items():
        assert vocabulary.label(token_of(vocabulary, character)) == label


def test_tokens_that_only_the_model_has_are_no_text(vocabulary: Vocabulary) -> None:
    """Some GPT-2 models have more rows than their tokenizer has tokens; chance can draw one of them."""
    beyond = len(vocabulary) + 50
    assert vocabulary.text([beyond]) == ""
    assert vocabulary.pieces([token_of(vocabulary, "a"), beyond]) == ["a", ""]
    assert vocabulary.label(beyond) == "⟨unused⟩"


def test_a_tokenizer_that_is_not_byte_level_is_refused() -> None:
    words = Tokenizer(models.WordLevel({END_OF_TEXT: 0, "▁the": 1, "▁house": 2, "<unk>": 3}, unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token=END_OF_TEXT)
    with pytest.raises(ValueError, match="not a byte-level BPE"):
        Vocabulary(tokenizer)
