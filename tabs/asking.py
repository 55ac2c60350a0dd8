"""What a tab asks for before a language model writes: prompt, length, seed and model; and examples to start from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import gradio as gr

from lab.errors import VisitorError
from lab.settings import Settings
from lab.text.models import LanguageModel, Models
from tabs.controls import slider
from tabs.loading import wait_for_model
from tabs.rendering import message

Example = TypeVar("Example")
Chosen = TypeVar("Chosen", bound=Settings)


def add_asking(settings: type[Settings], models: Models, elem_id: str) -> tuple[dict[str, Any], gr.HTML]:
    """Add the controls of a prompt to the Blocks under construction.

    Args:
        settings: have ``prompt``, ``max_new_tokens``, ``seed`` and ``model``.
        elem_id: of the prompt.

    Returns:
        The controls by name, and where a word on the model stands.
    """
    controls: dict[str, Any] = {
        "prompt": gr.Textbox(
            settings.default("prompt"), label="Prompt", lines=3, max_lines=8, max_length=None, elem_id=elem_id
        )
    }
    with gr.Row():
        controls["max_new_tokens"] = slider(settings, "max_new_tokens", "New tokens", min_width=160)
        # Without bounds of its own, beyond which Gradio would put up an error: the settings clamp it with a note.
        controls["seed"] = gr.Number(settings.default("seed"), label="Seed", precision=0, min_width=120)
        controls["model"] = gr.Dropdown(
            [(title, name) for name, title in models.choices.items()],
            value=models.default,
            label="Model",
            min_width=220,
        )
    return controls, gr.HTML("", visible=False)


def add_examples(examples: Sequence[tuple[str, Example]], min_width: int = 120) -> list[tuple[gr.Button, Example]]:
    """Add a row of buttons, one for each example by its title; return them with what they stand for."""
    with gr.Row(elem_classes="sd-examples"):
        gr.HTML('<span class="sd-hint">Try:</span>', elem_classes="sd-try")
        return [(gr.Button(title, size="sm", min_width=min_width, scale=0), example) for title, example in examples]


def model_facts(model: LanguageModel) -> str:
    """Return what a model is, in a line."""
    return (
        f"{model.title}: {model.parameters / 1e6:,.1f} million parameters, {model.layers} layers of width "
        f"{model.width}, {len(model.vocabulary):,} tokens, context {model.context}. All of them frozen."
    )


def choose_model(models: Models, name: str) -> Iterator[list[Any]]:
    """Load a model when it is chosen, so that a visitor learns at once whether it can be had.

    Yields:
        Updates of the choice, which is the default where the model cannot be had, and of the word on the model.
    """
    try:
        for news in wait_for_model(models, name):
            if isinstance(news, str):
                yield [gr.skip(), gr.update(value=message(news), visible=True)]
            else:
                yield [gr.skip(), gr.update(value=message(model_facts(news)), visible=True)]
    except VisitorError as error:
        yield [models.default, gr.update(value=message(str(error), alert=True), visible=True)]


def with_model_here(settings: Chosen, models: Models) -> tuple[Chosen, list[str]]:
    """Return settings of a link with a model that is offered here, and a note if it asked for another."""
    asked: str = getattr(settings, "model", "")
    if asked in models.choices:
        return settings, []
    notes = [f"model: {asked[:40]} is not offered here; using {models.default}."] if asked else []
    return settings.model_copy(update={"model": models.default}), notes
