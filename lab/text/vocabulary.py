"""Text to token ids and back, for byte-level BPE tokenizers.

A token is a run of bytes, and a character outside ASCII may lie across several tokens. So the pieces of a text are
decoded one after the other by an incremental UTF-8 decoder: a piece that ends inside a character is shown empty, and
the one that completes it carries the character.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lab.errors import PromptError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

MAX_PROMPT_CHARACTERS = 20_000
LONG = 20_000  # characters of a text that others would feel


def readable(text: str) -> tuple[str, list[str]]:
    """Return text that a tokenizer can take, and notes on what was changed.

    Control characters, NUL and lone surrogates are taken out, line ends become ``\\n``, and of a very long text the end
    is kept, since that is what the model would see of it.
    """
    notes = []
    if len(text) > MAX_PROMPT_CHARACTERS:
        notes.append(f"The prompt has {len(text):,} characters; its last {MAX_PROMPT_CHARACTERS:,} are read.")
        text = text[-MAX_PROMPT_CHARACTERS:]
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(c for c in lines if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    if len(kept) < len(lines):
        notes.append("Characters that are no text (control characters, halves of characters) were taken out.")
    return kept, notes


def clean_prompt(text: object) -> tuple[str, list[str]]:
    """Return a prompt made :func:`readable`, without spaces at its end, and notes on what was changed.

    Raises:
        PromptError: if nothing but white space is left.
    """
    if not isinstance(text, str):
        raise PromptError("The prompt is not a text. Please write a few words to begin with.")
    kept, notes = readable(text)
    if not kept.strip():
        raise PromptError("The prompt is empty. Please write a few words for the model to continue.")
    # A space at the end would be a token of its own, after which the model has never seen a word begin.
    return kept.rstrip(" \t"), notes


class Vocabulary:
    """A tokenizer with the views of it that the app needs. Safe to use from several threads.

    Raises:
        ValueError: if the tokenizer is not a byte-level one.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer.backend_tokenizer
        # What a visitor types is text, even if it spells a special token.
        self._tokenizer.encode_special_tokens = True
        self.end_of_text: int = tokenizer.eos_token_id
        self._special = set(tokenizer.all_special_ids)
        byte_of = {character: byte for byte, character in _byte_characters().items()}
        self._bytes: list[bytes] = []
        for token, text in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer)))):
            if token in self._special or text is None:
                self._bytes.append(b"")
                continue
            try:
                self._bytes.append(bytes(byte_of[character] for character in text))
            except KeyError:
                raise ValueError("the tokenizer is not a byte-level BPE, which GPT-2's is") from None

    def __len__(self) -> int:
        return len(self._bytes)

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the token ids of a text."""
        if len(text) < LONG:
            return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)
        # The other way of the library holds all threads of this process until it is done: a second for a megabyte.
        (encoded,) = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        return tuple(encoded.ids)

    def encode_prompt(self, text: object, room: int) -> tuple[tuple[int, ...], list[str]]:
        """Clean a prompt, encode it, and cut it at the left to ``room`` tokens; return the ids and notes.

        Raises:
            PromptError: see :func:`clean_prompt`.
        """
        cleaned, notes = clean_prompt(text)
        ids = self.encode(cleaned)
        if len(ids) <= room:
            return ids, notes
        end = ids[-room:]
        notes.append(
            f"The prompt has {len(ids):,} tokens, but there is room for {room:,}: only its end is read, from "
            f"“{self.text(end[:6]).strip()} …” on."
        )
        return end, notes

    def text(self, ids: Iterable[int]) -> str:
        """Return the text of tokens; bytes that are no UTF-8 become �, special tokens vanish."""
        return b"".join(self._bytes_of(token) for token in ids).decode("utf-8", "replace")

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return the text that each token adds; joined they are :meth:`text` of all."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        pieces = [decoder.decode(self._bytes_of(token)) for token in ids]
        if pieces:
            pieces[-1] += decoder.decode(b"", final=True)
        return pieces

    def label(self, token: int) -> str:
        """Return a token as a table shows it: spaces and line ends visible, what cannot be seen in hexadecimal."""
        if token in self._special:
            return "⟨end of text⟩"
        raw = self._bytes_of(token)
        if not raw:
            return "⟨unused⟩"
        try:
            text = raw.decode("utf-8").replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")
        except UnicodeDecodeError:
            text = "\0"
        # Parts of characters, control characters, odd spaces and marks that turn the direction of writing.
        return text if text.isprintable() else "⟨" + raw.hex(" ") + "⟩"

    def _bytes_of(self, token: int) -> bytes:
        # A model may have more rows than its tokenizer has tokens, to make a round number; chance can draw one of them.
        return self._bytes[token] if token < len(self._bytes) else b""


def _byte_characters() -> dict[int, str]:
    """Return the printable character by which GPT-2's byte-level vocabulary writes each byte (Radford et al., 2019)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}
