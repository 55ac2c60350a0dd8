"""You are the sampler: a text built token by token by the visitor, with a strategy to hand over to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from lab.text.decoding import DecodingSettings
from lab.text.models import LanguageModel
from lab.text.playing import continue_from, play
from tabs.decoding import render
from tabs.decoding.controls import Controls
from tabs.loading import run_with_model
from tabs.page import PRIVATE, Services

GO_ON_TOKENS = 20

# From a settings' picks to the picks that follow.
Change = Callable[[LanguageModel, DecodingSettings], tuple[int, ...]]

GAME_JS = """
element.addEventListener('click', event => {
    const button = event.target.closest('button[data-token]');
    if (!button) return;
    element.querySelectorAll('button').forEach(other => { other.disabled = true; });
    trigger('pick', {token: Number(button.dataset.token)});
});
"""


class SamplerPanel:
    """The text so far, the twenty most probable next tokens as buttons, undo, and handing over to a strategy."""

    def __init__(self, services: Services, picks: gr.Textbox) -> None:
        """``picks`` is the control that holds the picked ids, so that a link carries them."""
        self._services = services
        self.picks = picks
        gr.Markdown("At each step the model only *offers*. **You** choose, as a decoding strategy does.")
        with gr.Row(elem_classes="sd-actions"):
            self.start_button = gr.Button("Start from the prompt", variant="primary", min_width=180, scale=0)
            self.undo_button = gr.Button("Undo", min_width=90, scale=0)
            self.go_on_button = gr.Button(f"Column 1 goes on ({GO_ON_TOKENS} tokens)", min_width=220, scale=0)
            self.status = gr.HTML("", elem_classes="sd-status")
        self.board = gr.HTML(
            render.empty_board("Press Start, then pick each next token from the twenty most probable ones."),
            js_on_load=GAME_JS,
            elem_id="sd-game",
        )
        self.table = gr.Dataframe(
            headers=render.GAME_COLUMNS,
            label="Your choices",
            visible=False,
            max_height=300,
            interactive=False,
            show_search="none",
        )

    @property
    def outputs(self) -> list[Any]:
        """What a turn sets."""
        return [self.status, self.picks, self.board, self.table]

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, once all controls exist."""
        self._controls = controls
        turns: tuple[tuple[Any, Change], ...] = (
            (self.start_button, lambda model, settings: ()),
            (self.undo_button, lambda model, settings: settings.picked[:-1]),
            (self.go_on_button, self._go_on),
        )
        for button, change in turns:
            button.click(self._turn(change), controls.inputs, self.outputs, **PRIVATE)
        self.board.pick(self._pick, controls.inputs, self.outputs, **PRIVATE)

    def show(self, settings: DecodingSettings, change: Change | None = None) -> Iterator[list[Any]]:
        """Yield the game after a change to the picks; on bad input a message, and what is shown stays."""
        models = self._services.models
        yield from run_with_model(
            models, settings.model, lambda model: self._play(model, settings, change), len(self.outputs)
        )

    @staticmethod
    def _play(model: LanguageModel, settings: DecodingSettings, change: Change | None) -> Iterator[list[Any]]:
        prompt, notes = model.vocabulary.encode_prompt(
            settings.prompt, max(model.context - settings.max_new_tokens - 1, 1)
        )
        state = play(model, prompt, change(model, settings) if change else settings.picked)
        yield [
            render.notes_html(notes),
            ".".join(str(pick.id) for pick in state.picks),
            render.game(state),
            gr.update(value=render.game_table(state), visible=bool(state.picks)),
        ]

    def resume(self, *values: Any) -> Iterator[list[Any]]:
        """Yield the game as a link left it."""
        yield from self.show(self._controls.settings(*values)[0])

    def _turn(self, change: Change) -> Callable[..., Iterator[list[Any]]]:
        def turn(*values: Any) -> Iterator[list[Any]]:
            yield from self.show(self._controls.settings(*values)[0], change)

        return turn

    def _pick(self, event: gr.EventData, *values: Any) -> Iterator[list[Any]]:
        try:
            token = int(event.token)
        except (AttributeError, TypeError, ValueError, OverflowError):
            yield [gr.skip()] * len(self.outputs)  # to yield nothing at all would empty them
            return
        settings, _ = self._controls.settings(*values)
        yield from self.show(settings, lambda model, settings: (*settings.picked, token))

    @staticmethod
    def _go_on(model: LanguageModel, settings: DecodingSettings) -> tuple[int, ...]:
        prompt, _ = model.vocabulary.encode_prompt(settings.prompt, model.context - GO_ON_TOKENS)
        # Another turn, other dice: else the same strategy would repeat what it wrote at the last press.
        seed = (settings.seed + len(settings.picked)) % 2**31
        added = continue_from(model, prompt, settings.picked, settings.strategies[0], seed, GO_ON_TOKENS)
        return (*settings.picked, *added)
