"""Write the pool of completions that the Reward model tab ranks, learns from and chooses from.

    python -m training.preference_pool --out assets/pool --adapters shakespeare fairy-tales

The prompts are those of ``preference_prompts.txt``, our own words. Every eighth is held out and gets 64 completions,
enough for best-of-64; the others get 12. The voices, base first and then the adapters, take turns, and so do the ways
to draw: three of four cautiously, one at a higher temperature, since a reward model that never saw nonsense could not
learn what to think of it. About a quarter of an hour on one CPU core.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from itertools import cycle, islice, product
from pathlib import Path
from string import Template

from lab.embeddings import Embedder
from lab.lora import load_peft
from lab.preferences.pool import PoolItem, PoolPrompt, finished, load_pool, save_pool
from lab.text.models import ASSETS, BUILT_IN, LanguageModel, load_folder
from lab.text.rows import Finished, Row
from lab.text.strategies import Kind, Strategy

HERE = Path(__file__).parent
ADAPTERS = HERE.parent / "adapters"
HELD_OUT_EVERY = 8
HELD_OUT_ITEMS, TRAIN_ITEMS = 64, 12
BATCH = 128  # completions written at the same time
NEW_TOKENS = 56
CAUTIOUS = Strategy(kind=Kind.TOP_P, top_p=0.95, temperature=0.9)
WILD = Strategy(kind=Kind.TEMPERATURE, temperature=1.15)
WAYS = (CAUTIOUS, CAUTIOUS, CAUTIOUS, WILD)


def read_prompts(path: Path = HERE / "preference_prompts.txt") -> list[str]:
    """Return the prompts, one from each line."""
    return path.read_text(encoding="utf-8").splitlines()


def write_items(
    model: LanguageModel, prompts: Sequence[tuple[int, str]], adapters: Sequence[str], count: int
) -> list[tuple[PoolItem, ...]]:
    """Let the voices write ``count`` different completions of each prompt, all prompts in one batch.

    Empty completions are left out and made up for. Seeds go up from a thousand times the prompt's number.
    """
    found: list[dict[str, PoolItem]] = [{} for _ in prompts]
    ids = [model.vocabulary.encode_prompt(prompt, model.context - NEW_TOKENS)[0] for _, prompt in prompts]
    # Each prompt begins with another way, so that a few turns of the voices are not always the cautious ones.
    ways = [WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)] for number, _ in prompts]
    turns = [
        enumerate(cycle(product(mine, ("", *adapters))), 1000 * number)
        for (number, _), mine in zip(prompts, ways, strict=True)
    ]
    while any(len(items) < count for items in found):
        drawn = [
            (place, *way, seed)
            for place, items in enumerate(found)
            for seed, way in islice(turns[place], count - len(items))
        ]
        rows = [Row(ids[place], way, seed, NEW_TOKENS, adapter=voice or None) for place, way, voice, seed in drawn]
        for event in model.engine.submit(rows):
            if isinstance(event, Finished):
                place, way, voice, seed = drawn[event.row]
                text = finished(model.vocabulary.text([token.id for token in event.tokens]))
                if text.strip():
                    found[place].setdefault(text, PoolItem(text, voice, way.temperature, seed))
    return [tuple(sorted(items.values(), key=lambda item: item.seed)) for items in found]


def card(prompts: Sequence[PoolPrompt], adapters: Sequence[str]) -> str:
    """Return the card of a pool."""
    items = [item for prompt in prompts for item in prompt.items]
    voices = Counter(item.adapter or "base" for item in items)
    values = {
        "prompts": len(prompts),
        "held_out": sum(prompt.held_out for prompt in prompts),
        "items": f"{len(items):,}",
        "words": f"{sum(len(item.text.split()) for item in items) / len(items):.0f}",
        "voices": "\n".join(f"| {voice} | {count:,} |" for voice, count in voices.items()),
        "arguments": f" --adapters {' '.join(adapters)}" if adapters else "",
        "cautious": CAUTIOUS.label,
        "wild": WILD.label,
        "new_tokens": NEW_TOKENS,
        "held_out_items": max(len(prompt.items) for prompt in prompts if prompt.held_out),
        "train_items": min(len(prompt.items) for prompt in prompts),
    }
    return Template((HERE / "preference_card.md").read_text(encoding="utf-8")).substitute(values)


def main() -> None:
    """Write the pool."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True, help="folder of the pool")
    options.add_argument("--adapters", nargs="*", default=[], help="folders in adapters/ whose voices take turns")
    options.add_argument("--held-out-items", type=int, default=HELD_OUT_ITEMS, help="completions of a held-out prompt")
    options.add_argument("--train-items", type=int, default=TRAIN_ITEMS, help="completions of any other prompt")
    options.add_argument("--prompts", type=int, help="only so many, for a try")
    arguments = options.parse_args()
    model = load_folder(ASSETS / BUILT_IN, BUILT_IN, "Built-in")
    for name in arguments.adapters:
        model.engine.add_adapter(name, load_peft(ADAPTERS / name))
    numbered = list(enumerate(read_prompts()[: arguments.prompts]))
    written: dict[int, PoolPrompt] = {}
    for held_out, count in ((True, arguments.held_out_items), (False, arguments.train_items)):
        chosen = [pair for pair in numbered if (pair[0] % HELD_OUT_EVERY == 0) == held_out]
        size = max(1, BATCH // count)
        for block in (chosen[first : first + size] for first in range(0, len(chosen), size)):
            items = write_items(model, block, arguments.adapters, count)
            written |= {n: PoolPrompt(text, held_out, mine) for (n, text), mine in zip(block, items, strict=True)}
            print(f"{len(written)} of {len(numbered)}: {block[0][1]} …{items[0][0].text}", flush=True)
    prompts = [written[number] for number, _ in numbered]
    model.engine.close()
    save_pool(arguments.out, prompts, Embedder().embed)
    (arguments.out / "README.md").write_text(card(prompts, arguments.adapters), encoding="utf-8")
    load_pool.cache_clear()
    pool = load_pool(arguments.out)
    print(f"{len(pool.prompts)} prompts, {len(pool.item_vectors)} completions")


if __name__ == "__main__":
    main()
