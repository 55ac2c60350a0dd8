"""Style words: what counts as a word, and what share of a text is the style's."""

from __future__ import annotations

import pytest

from lab.text import lexicon
from lab.text.lexicon import style_share, style_words, styles_with_words, words_of


def test_words_are_letters_with_apostrophes_between() -> None:
    assert list(words_of("’Tis not—“I’ll” go'st, 3 times; o’er_the")) == [
        "Tis", "not", "I’ll", "go’st", "times", "o’er", "the",
    ]  # fmt: skip


def test_the_share_is_of_words_whatever_their_letters() -> None:
    assert {"thou", "hath", "o’er"} <= style_words("shakespeare")
    assert not {"the", "house", "hamlet", "romeo"} & style_words("shakespeare")
    assert style_share("Thou hath the house.", "shakespeare") == 0.5
    assert style_share("THOU O'ER", "shakespeare") == 1
    assert style_share("The old house had been empty for years.", "shakespeare") == 0


@pytest.mark.parametrize("text", ["", "  \n", "3 + 4 = …"])
def test_a_text_without_words_has_none(text: str) -> None:
    assert style_share(text, "shakespeare") == 0


@pytest.mark.parametrize("style", ["jeeves", "", "../style-words/shakespeare", "README"])
def test_a_style_without_a_list_is_a_key_error(style: str) -> None:
    with pytest.raises(KeyError):
        style_share("thou", style)


def test_the_lists_are_clean() -> None:
    assert styles_with_words() == ("shakespeare",)
    lines = (lexicon.WORDS / "shakespeare.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines)) > 500
    assert all(list(words_of(line)) == [line] and line == line.lower() for line in lines)
