"""Write the cards of the text adapters, with samples.

    python -m training.text_cards
    python -m training.text_cards --samples-only --samples 20

Figures come from adapters/text.json and the adapters' files; the text is text_cards.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import torch
from transformers import AutoTokenizer

from lab.lora import load_peft
from lab.text.adapters import ADAPTERS, BUILT_IN, FIGURES, ShippedAdapter, shipped_adapters
from lab.text.models import ASSETS
from lab.text.tuning import Tuned, tuned_model
from lab.text.tuning_settings import Method, Targets
from training.samples import NEW_TOKENS, OPENINGS, TEMPERATURE, TOP_P, continuation, quote
from training.text_adapters import SHORT, Base, read_figures
from training.text_styles import STYLES

TEMPLATE = Path(__file__).with_suffix(".md")
SAMPLES = 10
TEXTS = ("own", "own_short", "prose")


def samples(base: Base, adapter: ShippedAdapter, count: int) -> str:
    """Return unedited continuations of every second opening, then of the others, as Markdown."""
    tuned = Tuned(Method.LORA, 0, 0.0, load_peft(adapter.folder))
    model, _ = tuned_model(base.model, tuned)
    tokenizer = AutoTokenizer.from_pretrained(base.folder)
    openings = [*OPENINGS[::2], *OPENINGS[1::2]]
    quotes = []
    for seed in range(count):
        opening = openings[seed % len(openings)]
        quotes.append(f"Seed {seed}:\n\n{quote(opening, continuation(model, tokenizer, opening, seed))}")
    return "\n\n".join(quotes)


def grid_table(grid: Mapping[str, Any] | None, own: Mapping[str, Any]) -> str:
    """Return what the grid has compared, as Markdown with a sentence before it; nothing without a grid.

    own: what a style is trained with instead of the grid's choice.
    """
    if not grid:
        return ""
    rows = "\n".join(
        f"| {run['targets']} | {run['rank']} | {run['learning_rate']:g} | {run['trainable_parameters']:,} "
        f"| {run['validation_loss']:.3f} |"
        for run in grid["runs"]
    )
    instead = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in own.items())
    return (
        f"Targets, rank and learning rate were compared on the validation text of {STYLES[grid['style']].title}, "
        f"{grid['steps']} steps each.\nThe best below 1 % of the base's parameters is what all styles are trained with"
        f"{f', this one with {instead}' if instead else ''}.\n\n"
        "| targets | rank | learning rate | parameters | validation, nats per token |\n"
        f"| --- | ---: | ---: | ---: | ---: |\n{rows}\n"
    )


def card(base: Base, adapter: ShippedAdapter, entry: Mapping[str, Any], written: str, count: int) -> str:
    """Return an adapter's card."""
    style, figures = STYLES[adapter.name], adapter.figures
    built_in = base.name == BUILT_IN
    losses = {f"{text}_{who}": f"{figures[f'{text}_{who}']:.3f}" for text in TEXTS for who in ("base", "adapter")}
    changes = {f"{t}_change": f"{figures[f'{t}_adapter'] - figures[f'{t}_base']:+.3f}" for t in TEXTS}
    seen = (
        "\n\nThe base model has read the style's books in its own training, those measured by included, so that its\n"
        "loss on them is lower than on new ones. The adapter has not read those."
    )
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        losses | changes,
        name=adapter.folder.name,
        title=adapter.title,
        base=base.name,
        base_path=f"assets/{BUILT_IN}" if built_in else base.name,
        folder=f"adapters/{adapter.folder.name}",
        training_works=style.works[0],
        validation_works=style.works[1],
        test_works=style.works[2],
        trainable=f"{figures['trainable_parameters']:,}",
        share=f"{figures['share']:.2%}",
        kilobytes=f"{figures['bytes'] / 1000:,.0f}",
        context=figures["context"],
        long=base.context,
        **{f"{text}_tokens": f"{figures[f'{text}_tokens']:,}" for text in TEXTS},
        short=SHORT,
        seen=seen if built_in and adapter.name != "shakespeare" else "",
        training_tokens=f"{figures['training_tokens']:,}",
        rank=figures["rank"],
        alpha=f"{figures['alpha']:g}",
        targets=", ".join(Targets(figures["targets"]).modules),
        steps=figures["steps"],
        batch_size=figures["batch_size"],
        tokens_read=f"{figures['steps'] * figures['batch_size'] * figures['context']:,}",
        best_step=figures["best_step"],
        learning_rate=f"{figures['learning_rate']:g}",
        seed=figures["seed"],
        seconds=f"{figures['seconds']:,.0f}",
        grid=grid_table(entry["grid"], style.own),
        run=f"{adapter.folder.name}-lora.jsonl",
        count=count,
        temperature=TEMPERATURE,
        top_p=TOP_P,
        new_tokens=NEW_TOKENS,
        samples=written,
    )


def main(words: Sequence[str] | None = None) -> None:
    """Write the card of each adapter that is there for the base, or print samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=str(ASSETS / BUILT_IN), help="a folder, or a name on the Hub")
    parser.add_argument("--adapters", type=Path, default=ADAPTERS)
    parser.add_argument("--styles", nargs="*", choices=STYLES, default=list(STYLES))
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--samples-only", action="store_true", help="print the samples and write nothing")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(words)
    torch.set_num_threads(arguments.threads)
    base = Base(arguments.base)
    entry = read_figures(arguments.adapters / FIGURES).get(base.name, {})
    for name, adapter in shipped_adapters(base.name, arguments.adapters).items():
        if name not in arguments.styles:
            continue
        written = samples(base, adapter, arguments.samples)
        if arguments.samples_only:
            print(f"# {name}\n\n{written}\n")
            continue
        text = card(base, adapter, entry, written, arguments.samples)
        (adapter.folder / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
