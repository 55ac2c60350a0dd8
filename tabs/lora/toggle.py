"""Toggle: the base and what adapters make of it, side by side in one batch, and a look inside each step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.text.adapting import Adaptation, AdaptSettings, adapt
from lab.text.models import LanguageModel
from lab.text.outfits import outfits_to_text
from lab.text.shifts import step_shifts
from tabs.loading import run_with_model
from tabs.looking import Looking, StepPanel, looked_at
from tabs.lora.controls import ALL_COLUMNS, Controls
from tabs.lora.offers import GONE, Offers, gone, loaded
from tabs.lora.render.board import LEGEND, board, empty_board, run_status
from tabs.lora.render.shifts import SHIFT_COLUMNS, shift_plot, shift_summary, shift_table
from tabs.made import Made, send_button
from tabs.page import PRIVATE, Services
from tabs.rendering import message, plain_markdown
from tabs.runs import Runs

LOOKING = Looking("sdWorn")
CLICK_A_TOKEN = (
    "Once a text is there, click one of its tokens, or choose one here, to see which tokens the adapter raised and "
    "lowered there."
)
NO_ADAPTER = "There is only the base here: switch an adapter on to see what it raises and lowers."


class TogglePanel:
    """The buttons, the board of columns, and the panel that looks into a step."""

    def __init__(self, services: Services) -> None:
        self._services = services
        with gr.Row(elem_classes="sd-actions"):
            self.run_button = gr.Button("Generate", variant="primary", min_width=130, scale=0)
            self.cancel_button = gr.Button("Cancel", min_width=90, scale=0)
            self.status = gr.HTML("", elem_classes="sd-status")
        gr.HTML(LEGEND)
        self.board = gr.HTML(empty_board(), js_on_load=LOOKING.board_js, elem_id="sd-lora-board")
        self.result = gr.State(None)
        self.runs = gr.State(Runs())
        send_button(services, made_texts, [self.result])
        self.inside = StepPanel(
            LOOKING,
            AdaptSettings,
            "Look inside a step: what the adapter raised and lowered",
            CLICK_A_TOKEN,
            SHIFT_COLUMNS,
            ALL_COLUMNS,
            "sd-lora-step",
        )

    @property
    def inputs(self) -> list[Any]:
        """What a run takes."""
        return [self.runs, *self._controls.inputs]

    @property
    def outputs(self) -> list[Any]:
        """What a run sets."""
        return [self.status, self.board, self.result, self.inside.column, self.inside.step]

    def wire(self, controls: Controls) -> None:
        """Connect the buttons and switches, once all controls exist."""
        self._controls = controls
        self.inside.wire(self.board, self.result, self.look)
        run = {"fn": self.run, "inputs": self.inputs, "outputs": self.outputs, "trigger_mode": "multiple", **PRIVATE}
        self.inside.look_after(self.run_button.click(**run))
        # A switch is an order by itself; columns that were written before are there at once.
        for switch in (*(switch.on for switch in controls.switches), controls.blend.on):
            self.inside.look_after(switch.input(**run))
        self.cancel_button.click(Runs.stop, self.runs, None, queue=False, **PRIVATE)

    def run(self, runs: Runs, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Yield the board as it grows; on bad input a message, and what is shown stays."""
        settings, more = self._controls.settings(*values)
        updates = self._run(settings, self._controls.offers_of(values), [*notes, *more])
        yield from runs.follow(updates, self._stopped)

    def _run(self, settings: AdaptSettings, offered: Offers, notes: list[str]) -> Iterator[list[Any]]:
        def adapted(model: LanguageModel) -> Iterator[list[Any]]:
            return self._adapt(model, settings, offered, notes)

        yield from run_with_model(self._services.models, settings.model, adapted, len(self.outputs))

    @staticmethod
    def _stopped(update: list[Any]) -> list[Any]:
        result = update[2]
        drawn = board(replace(result, done=True)) if isinstance(result, Adaptation) else gr.skip()
        return [message("Stopped. What was written stays."), drawn, *update[2:]]

    @staticmethod
    def _adapt(model: LanguageModel, settings: AdaptSettings, offered: Offers, notes: list[str]) -> Iterator[list[Any]]:
        missing = gone(model, offered, {name for outfit in settings.outfits for name in outfit.names})
        if missing:
            kept = [outfit for outfit in settings.outfits if missing.keys().isdisjoint(outfit.names)]
            settings = settings.model_copy(update={"adapters": outfits_to_text(kept)})
            notes = [*notes, *(GONE.format(title=title) for title in missing.values())]
        for n, result in enumerate(adapt(model, settings, loaded(model, offered))):
            controls = [gr.skip(), gr.skip()]
            if n == 0:  # and never later: by then the visitor may have chosen another
                controls = StepPanel.choices(settings, [one.outfit.label(result.titles) for one in result.columns])
            yield [run_status(result, notes), board(result), result, *controls]

    def look(self, result: Adaptation | None, column: Any, step: Any) -> list[Any]:
        """Return summary, plot and table of a step; columns and steps count from 1."""
        found = looked_at(result.columns, column, step) if result else None
        if found is None:
            return self.inside.nothing()
        chosen, place = found
        # The base's own text is looked at through the first adapter.
        outfit = next((one.outfit for one in (chosen, *result.columns) if not one.outfit.is_base), None)
        if outfit is None:
            return self.inside.nothing(NO_ADAPTER)
        ids = [token.id for token in chosen.tokens]
        try:
            model = self._services.models.get(result.settings.model or self._services.models.default)
            shifts = step_shifts(model, (*result.prompt_ids, *ids[:place]), outfit, ids[place])
        except VisitorError as error:  # such as an adapter of the visitor's own that has been taken away
            return self.inside.nothing(plain_markdown(str(error)))
        title = f"Token {place + 1} of {chosen.outfit.label(result.titles)}: {model.vocabulary.label(ids[place])}"
        summary = f"**{plain_markdown(title)}** · {plain_markdown(shift_summary(shifts, result.titles))}"
        return self.inside.shown(summary, shift_plot(shifts), shift_table(shifts))


def made_texts(result: Adaptation | None) -> list[Made]:
    """Return what the columns have written, for the map of the Embeddings tab."""
    if result is None:
        return []
    return [Made("LoRA", one.outfit.label(result.titles), one.text) for one in result.columns]
