"""What programs can call: ``adapt``. Arguments are checked like a link's: clamped, with notes."""

from __future__ import annotations

import math
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.text.adapting import DEFAULT_ADAPTERS, DEFAULT_PROMPT, DEFAULT_STRATEGY, AdaptSettings, Column, adapt
from tabs.lora.offers import loaded, offers_here
from tabs.page import Services


def add_api(services: Services) -> None:
    """Add the API name to the page under construction."""

    def adapt_text(
        prompt: str = DEFAULT_PROMPT,
        adapters: str = DEFAULT_ADAPTERS,
        strategy: str = DEFAULT_STRATEGY,
        seed: int = AdaptSettings.default("seed"),
        max_new_tokens: int = 60,
        model: str = "",
    ) -> dict[str, Any]:
        """Continue a prompt with the base model and with adapters, all in one batch.

        adapters are columns separated by semicolons, each an adapter with its strength from 0 to 2, or several with
        "+" between them, whose changes are added: "shakespeare=1;shakespeare=0.5+fairy-tales=0.5". The base comes first
        by itself. strategy is a decoding strategy, such as "top_p(top_p=0.9,temperature=0.8)". Returns for each column
        the text, its tokens, its perplexity under the base and under what it wears, and its measures; and notes on
        arguments that were changed.
        """
        given = {"prompt": prompt, "adapters": adapters, "strategy": strategy, "seed": seed, "model": model}
        settings, notes = AdaptSettings.lenient(given | {"max_new_tokens": max_new_tokens})
        try:
            return _adapt(services, settings, notes)
        except VisitorError as error:
            raise gr.Error(str(error), print_exception=False) from error

    adapt_text.__name__ = "adapt"  # what the tool is called where the app is an MCP server
    gr.api(adapt_text, api_name="adapt")


def _adapt(services: Services, settings: AdaptSettings, notes: list[str]) -> dict[str, Any]:
    models = services.models
    model = models.get(settings.model or models.default)
    *_, result = adapt(model, settings, loaded(model, offers_here(models, model.name)))
    return {
        "model": model.name,
        "prompt_tokens": len(result.prompt_ids),
        "seed": settings.seed,
        "strategy": settings.chosen_strategy.to_text(),
        "notes": [*notes, *result.notes],
        "columns": [_described(column, result.parting(column)) for column in result.columns],
    }


def _described(column: Column, parting: int | None) -> dict[str, Any]:
    """Return a column as JSON."""
    return {
        "adapters": column.outfit.to_text(),
        "text": column.text,
        "ended": str(column.reason),
        "leaves_base": parting,
        "perplexity": {outfit.to_text(): column.perplexity(outfit) for outfit in column.under},
        "style_share": column.style_share,
        "tokens_per_second": column.measures.tokens_per_second if column.measures else None,
        "tokens": [
            {
                "id": token.id,
                "text": piece,
                "probability": math.exp(token.log_probability),
                "log_probability": token.log_probability,
                "base_log_probability": base,
                "rank": token.rank,
            }
            for token, piece, base in zip(column.tokens, column.pieces, _under_base(column), strict=True)
        ],
    }


def _under_base(column: Column) -> list[float]:
    return [
        token.log_probability - gain
        for token, gain in zip(column.tokens, column.gains or [0.0] * len(column.tokens), strict=True)
    ]
