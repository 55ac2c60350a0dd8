"""What programs can call: ``decode`` and ``next_token``. Arguments are checked like a link's: clamped, with notes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import gradio as gr
from pydantic import Field

from lab.errors import VisitorError
from lab.settings import Settings
from lab.text.decoding import DEFAULT_COLUMNS, DEFAULT_PROMPT, DecodingSettings, compare, inspect
from lab.text.models import LanguageModel
from lab.text.strategies import Kind, Strategy
from tabs.page import Services


class NextToken(Settings):
    """What ``next_token`` takes beside the page's own settings."""

    top: int = Field(20, ge=1, le=200)


def add_api(services: Services) -> None:
    """Add the API names to the page under construction."""

    def decode(
        prompt: str = DEFAULT_PROMPT,
        columns: str = DEFAULT_COLUMNS,
        seed: int = DecodingSettings.default("seed"),
        max_new_tokens: int = 60,
        model: str = "",
    ) -> dict[str, Any]:
        """Continue a prompt with several decoding strategies.

        columns are strategies separated by semicolons, such as "greedy;top_p(top_p=0.9,temperature=0.8)"; kinds are
        greedy, temperature, top_k, top_p, min_p, typical, beam. Returns for each the text, its tokens with probability
        and rank under the model, and its measures; and notes on arguments that were changed.
        """
        settings, notes = DecodingSettings.lenient(
            {"prompt": prompt, "columns": columns, "seed": seed, "max_new_tokens": max_new_tokens, "model": model}
        )
        return _answer(lambda: _decode(_model(services, settings), settings, notes))

    def next_token(
        prompt: str = DEFAULT_PROMPT, strategy: str = "top_p(top_p=0.9)", top: int = 20, model: str = ""
    ) -> dict[str, Any]:
        """Return the distribution of the token after a prompt: raw, after temperature, after truncation."""
        settings, notes = DecodingSettings.lenient({"prompt": prompt, "model": model})
        return _answer(lambda: _next_token(_model(services, settings), settings, notes, strategy, top))

    # The public model names are those of the page's own choice; files of the machine cannot be named.
    gr.api(decode, api_name="decode")
    gr.api(next_token, api_name="next_token")


def _answer(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return run()
    except VisitorError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _model(services: Services, settings: DecodingSettings) -> LanguageModel:
    return services.models.get(settings.model or services.models.default)


def _decode(model: LanguageModel, settings: DecodingSettings, notes: list[str]) -> dict[str, Any]:
    *_, result = compare(model, settings)
    return {
        "model": model.name,
        "prompt_tokens": len(result.prompt_ids),
        "seed": settings.seed,
        "notes": [*notes, *result.notes],
        "columns": [
            {
                "strategy": column.strategy.to_text(),
                "text": column.text,
                "ended": str(column.reason),
                "leaves_greedy": column.leaves_greedy,
                "measures": asdict(column.measures) if column.measures else None,
                "tokens": [
                    {
                        "id": token.id,
                        "text": piece,
                        "probability": math.exp(token.log_probability),
                        "log_probability": token.log_probability,
                        "strategy_probability": token.strategy_probability,
                        "rank": token.rank,
                        "entropy": token.entropy,
                    }
                    for token, piece in zip(column.tokens, column.pieces, strict=True)
                ],
            }
            for column in result.columns
        ],
    }


def _next_token(
    model: LanguageModel, settings: DecodingSettings, notes: list[str], strategy: Any, top: Any
) -> dict[str, Any]:
    read, more = Strategy.from_text(strategy if isinstance(strategy, str) else "")
    read = read or Strategy(kind=Kind.TOP_P)
    wanted, about_top = NextToken.lenient({"top": top})
    ids, even_more = model.vocabulary.encode_prompt(settings.prompt, model.context - 1)
    found = inspect(model, ids, read, top=wanted.top)
    return {
        "model": model.name,
        "strategy": read.to_text(),
        "notes": [*notes, *more, *about_top, *even_more],
        "entropy": found.entropy,
        "kept_tokens": found.distribution.kept_tokens,
        "kept_mass": found.distribution.kept_mass,
        "candidates": [
            {**asdict(candidate), "text": model.vocabulary.text([candidate.id]), "label": label, "rank": rank}
            for rank, (candidate, label) in enumerate(
                zip(found.distribution.candidates, found.token_labels, strict=True), 1
            )
        ],
    }
