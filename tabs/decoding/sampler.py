"""You are the sampler: a text built token by token by the visitor, with a strategy to hand over to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.text.decoding import DecodingSettings, View
from lab.text.models import LanguageModel
from lab.text.playing import continue_from, play
from tabs.decoding import render
from tabs.decoding.controls import NO_COLUMNS, Controls
from tabs.loading import run_with_model
from tabs.page import PRIVATE, Services

GO_ON_TOKENS = 20
NO_ROOM = "The model's context of {context} tokens is full, so nothing can be added. Undo some tokens to go on."
OTHER_TEXT = "The prompt or the model has changed, so the text starts again from the prompt."

# From a settings' picks to the picks that follow.
Change = Callable[[LanguageModel, DecodingSettings], tuple[int, ...]]

# One turn at a time, since each takes the picks that the one before has left: as long as one runs, the panel is busy,
# and the last click waits, unless it was on a choice of a text that is over. Gradio's trigger modes know of one button.
GAME_JS = """
const panel = element.closest('#sd-sampler');
let before = '', waiting = null;
panel.addEventListener('click', event => {
    if (!event.target.closest('[data-token], .sd-turn')) return;
    if (panel.hasAttribute('aria-busy')) {
        event.stopImmediatePropagation();
        if (event.target.closest('.sd-turn') || element.innerHTML !== before) waiting = event.target;
    } else {
        panel.setAttribute('aria-busy', 'true');
        before = element.innerHTML;
    }
}, {capture: true});
panel.addEventListener('turn-over', () => {
    const next = waiting;
    waiting = null;
    panel.removeAttribute('aria-busy');
    next?.click();
});
element.addEventListener('click', event => {
    const button = event.target.closest('[data-token]');
    if (button) trigger('pick', {token: Number(button.dataset.token)});
});
"""
TURN_OVER_JS = "() => { document.getElementById('sd-sampler').dispatchEvent(new Event('turn-over')); return []; }"


class SamplerPanel:
    """The text so far, the twenty most probable next tokens as buttons, undo, and handing over to a strategy."""

    def __init__(self, services: Services) -> None:
        self._services = services
        # The picked ids, as a control, so that a link carries them; and the prompt and the model that they continue.
        self.picks = gr.Textbox("", visible=False, label="picks")
        self.picked_for = gr.State(None)
        with gr.Column(elem_id="sd-sampler"):
            gr.Markdown("At each step the model only *offers*. **You** choose, as a decoding strategy does.")
            with gr.Row(elem_classes="sd-actions"):
                turn = {"elem_classes": "sd-turn", "scale": 0}
                self.start_button = gr.Button("Start from the prompt", variant="primary", min_width=180, **turn)
                self.undo_button = gr.Button("Undo", min_width=90, **turn)
                self.go_on_button = gr.Button(f"Column 1 goes on ({GO_ON_TOKENS} tokens)", min_width=220, **turn)
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
    def inputs(self) -> list[Any]:
        """What a turn takes."""
        return [self.picked_for, *self._controls.inputs]

    @property
    def outputs(self) -> list[Any]:
        """What a turn sets."""
        return [self.status, self.picks, self.picked_for, self.board, self.table]

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, once all controls exist."""
        self._controls = controls
        turns = (
            (self.start_button.click, self._start),
            (self.undo_button.click, self._undo),
            (self.go_on_button.click, self._hand_over),
            (self.board.pick, self._pick),
        )
        for happens, turn in turns:
            played = happens(turn, self.inputs, self.outputs, trigger_mode="multiple", **PRIVATE)
            for over in (played.then, played.failure):  # "then" does not come after a request that failed
                over(None, None, None, js=TURN_OVER_JS, **PRIVATE)

    def show(
        self,
        picked_for: object,
        settings: DecodingSettings,
        notes: Sequence[str],
        change: Change = lambda model, settings: settings.picked,
    ) -> Iterator[list[Any]]:
        """Yield the game after a change to the picks; on bad input a message, and what is shown stays.

        If what is shown continues another text than that of the settings, it is dropped, without the change.
        """
        if picked_for not in (None, text_of(settings)):
            notes, change = [*notes, OTHER_TEXT], self._nothing
        models = self._services.models
        yield from run_with_model(
            models, settings.model, lambda model: self._play(model, settings, notes, change), len(self.outputs)
        )

    @staticmethod
    def _play(
        model: LanguageModel, settings: DecodingSettings, notes: Sequence[str], change: Change
    ) -> Iterator[list[Any]]:
        prompt, more = model.vocabulary.encode_prompt(
            settings.prompt, max(model.context - settings.max_new_tokens - 1, 1)
        )
        state = play(model, prompt, change(model, settings))
        if state.left_out:
            more = [*more, NO_ROOM.format(context=model.context)]
        yield [
            render.notes_html([*notes, *more]),
            ".".join(str(pick.id) for pick in state.picks),
            text_of(settings),
            render.game(state),
            gr.update(value=render.game_table(state), visible=bool(state.picks)),
        ]

    def resume(self, picked_for: object, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Yield the game as a link left it."""
        settings, more = self._controls.settings(*values, view=View.SAMPLER)
        yield from self.show(picked_for, settings, [*notes, *more])

    def _start(self, picked_for: object, *values: Any) -> Iterator[list[Any]]:
        yield from self.show(None, *self._controls.settings(*values, view=View.SAMPLER), self._nothing)

    def _undo(self, picked_for: object, *values: Any) -> Iterator[list[Any]]:
        settings, notes = self._controls.settings(*values, view=View.SAMPLER)
        yield from self.show(picked_for, settings, notes, lambda model, settings: settings.picked[:-1])

    def _hand_over(self, picked_for: object, *values: Any) -> Iterator[list[Any]]:
        change = self._go_on if self._controls.has_columns(*values) else self._without_columns
        yield from self.show(picked_for, *self._controls.settings(*values, view=View.SAMPLER), change)

    def _pick(self, event: gr.EventData, picked_for: object, *values: Any) -> Iterator[list[Any]]:
        try:
            token = int(event.token)
        except (AttributeError, TypeError, ValueError, OverflowError):
            yield [gr.skip()] * len(self.outputs)  # to yield nothing at all would empty them
            return
        settings, notes = self._controls.settings(*values, view=View.SAMPLER)
        yield from self.show(picked_for, settings, notes, lambda model, settings: (*settings.picked, token))

    @staticmethod
    def _nothing(model: LanguageModel, settings: DecodingSettings) -> tuple[int, ...]:
        return ()

    @staticmethod
    def _without_columns(model: LanguageModel, settings: DecodingSettings) -> tuple[int, ...]:
        raise VisitorError(NO_COLUMNS)

    @staticmethod
    def _go_on(model: LanguageModel, settings: DecodingSettings) -> tuple[int, ...]:
        prompt, _ = model.vocabulary.encode_prompt(settings.prompt, model.context - GO_ON_TOKENS)
        # Another turn, other dice: else the same strategy would repeat what it wrote at the last press.
        seed = (settings.seed + len(settings.picked)) % 2**31
        added = continue_from(model, prompt, settings.picked, settings.strategies[0], seed, GO_ON_TOKENS)
        return (*settings.picked, *added)


def text_of(settings: DecodingSettings) -> tuple[str, str]:
    """Return what picks continue: a prompt, as a model reads it."""
    return settings.prompt, settings.model


def own_picks(picked_for: object, settings: DecodingSettings) -> DecodingSettings:
    """Return the settings without picks that continue another text."""
    return settings if picked_for in (None, text_of(settings)) else settings.model_copy(update={"picks": ""})
