"""Unedited samples: a fixed list of openings, continued by a model with fixed seeds."""

from __future__ import annotations

import re

import torch
from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

TEMPERATURE = 0.8
TOP_P = 0.9
NEW_TOKENS = 80

OPENINGS = (
    # detective stories
    "The inspector looked at the body for a long time before he spoke.",
    "“You have been in the garden this morning,” said the detective, “and you left in a hurry.",
    "There was only one key to the library, and it had never left her",
    "I found the letter where no one had thought to look for it:",
    # children's books
    "Once upon a time there was a little girl who lived with her grandmother at the edge of",
    "The rabbit put on his hat, shut the door behind him, and",
    "“Let us pretend,” said Anne, “that the pond is",
    "On the first day of the holidays it rained, and the children",
    # adventure
    "The ship had been three weeks out of Bristol when the captain",
    "We had lost the path, and the wolves were",
    "At the mouth of the cave he lit his last match and saw",
    "The horses would go no farther. Before us lay",
    # letters and diaries
    "My dear mother,—I am quite well, and you must not worry about",
    "Dear Sir,—In answer to your letter of the third of May, I am sorry to",
    "12 June.—I could not sleep last night. All the time I heard",
    "When I had read the telegram twice I put it in the fire and",
    # dialogue
    "“Where have you been?” she asked.\n“",
    "“I don’t believe a word of it,” said the old man, and he",
    "“Well, Jeeves,” I said, “what do you think of the",
    "“Do you take sugar?”\n“No, thank you,” said the",
)


@torch.inference_mode()
def continuation(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerBase, opening: str, seed: int) -> str:
    """Return what the model writes after the opening: up to ``NEW_TOKENS`` tokens, fewer if it ends the text."""
    inputs = tokenizer(opening, return_tensors="pt")
    torch.manual_seed(seed)
    ids = model.generate(
        input_ids=inputs.input_ids,
        attention_mask=inputs.attention_mask,
        do_sample=True,
        temperature=TEMPERATURE,
        top_p=TOP_P,
        top_k=0,  # off, it would be 50
        max_new_tokens=NEW_TOKENS,
        pad_token_id=tokenizer.eos_token_id,
    )
    return tokenizer.decode(ids[0, inputs.input_ids.size(1) :], skip_special_tokens=True)


def escape_markdown(text: str) -> str:
    """Return text with all that Markdown or HTML would read as markup made literal."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])|^(\s*\d*)([-+.)])", _escape_match, text, flags=re.MULTILINE)


def _escape_match(match: re.Match[str]) -> str:
    return f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}"


def quote(opening: str, written: str) -> str:
    """Return a Markdown block quote, a paragraph for each line: the opening in bold, then what was written after it."""
    # Tags, since Markdown does not end bold text in a quotation mark that a letter follows.
    bold = "\n".join(f"<b>{escape_markdown(line)}</b>" for line in opening.split("\n"))
    lines = (bold + escape_markdown(written)).split("\n")
    return "\n>\n".join(f"> {line.strip()}" for line in lines if line.strip())


def samples_markdown(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerBase, count: int) -> str:
    """Return ``count`` samples as Markdown; sample i has seed i, and openings are used again once all have been."""
    quotes = []
    for seed in range(count):
        opening = OPENINGS[seed % len(OPENINGS)]
        quotes.append(f"Seed {seed}:\n\n{quote(opening, continuation(model, tokenizer, opening, seed))}")
    return "\n\n".join(quotes) + "\n"
