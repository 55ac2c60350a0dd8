"""The controls of the Decoding tab, and the two ways between them and the settings.

Ranges and defaults come from the settings' fields; nothing about a number is written twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from lab.text.decoding import MAX_COLUMNS, DecodingSettings, View
from lab.text.strategies import MAIN_PARAMETER, SAMPLERS, TITLES, Kind, Strategy
from tabs.controls import slider, step_of
from tabs.page import PRIVATE

NO_COLUMN = ""
NO_COLUMNS = "There is no column. Add a column first."
SLOT_VALUES, SLOT_OUTPUTS = 5, 7  # components of a column that carry values, and that are set
ALL_COLUMNS = [(f"Column {n}", n) for n in range(1, MAX_COLUMNS + 1)]
KIND_CHOICES = [(TITLES[kind], str(kind)) for kind in Kind]


@dataclass(frozen=True)
class Slot:
    """The controls of one column."""

    group: gr.Column
    kind: gr.Dropdown
    main: gr.Slider
    temperature: gr.Slider
    penalties: gr.Accordion
    repetition_penalty: gr.Slider
    length_penalty: gr.Slider

    @property
    def values(self) -> list[gr.components.Component]:
        """The components that carry values, in the order in which :func:`strategy_of` takes them."""
        return [self.kind, self.main, self.temperature, self.repetition_penalty, self.length_penalty]

    @property
    def outputs(self) -> list[Any]:
        """The components that :func:`slot_updates` sets."""
        return [self.group, self.penalties, *self.values]


def add_slot(number: int, strategy: Strategy | None) -> Slot:
    """Add the controls of a column; without a strategy they are hidden."""
    shown = strategy or Strategy(kind=Kind.GREEDY)
    with gr.Column(visible=strategy is not None, min_width=190, elem_classes="sd-slot") as group:
        kind = gr.Dropdown(
            [*KIND_CHOICES, ("– remove –", NO_COLUMN)],
            value=str(shown.kind) if strategy else NO_COLUMN,
            label=f"Column {number}",
            interactive=True,
        )
        main = gr.Slider(**main_properties(shown))
        temperature = slider(Strategy, "temperature", "temperature", visible="temperature" in shown.parameters[1:])
        with gr.Accordion("Penalties", open=shown.penalised) as penalties:
            repetition = slider(Strategy, "repetition_penalty", "repetition_penalty")
            length = slider(Strategy, "length_penalty", "length_penalty", visible=shown.kind is Kind.BEAM)
    return Slot(group, kind, main, temperature, penalties, repetition, length)


def wire_slots(slots: Sequence[Slot], add: gr.Button) -> None:
    """Connect the columns' kinds and the button that adds a column."""
    values = [component for slot in slots for component in slot.values]
    outputs = [component for slot in slots for component in slot.outputs]
    arguments = {"inputs": values, "outputs": outputs, "queue": False, **PRIVATE}
    for place, slot in enumerate(slots):
        # "input", not "change": a link that sets the kind must not reset the numbers that it sets beside it.
        slot.kind.input(partial(kind_chosen, place), trigger_mode="always_last", **arguments)
    add.click(column_added, **arguments)


def kind_chosen(place: int, *values: Any) -> list[Any]:
    """Return updates of all columns after one has got another kind; if it was removed, the others close the gap."""
    kind = values[place * SLOT_VALUES]
    if kind not in tuple(Kind):
        left = [strategy for strategy in strategies_of(values) if strategy]
        return all_slot_updates(left)
    strategy = Strategy(kind=Kind(kind))
    updates = [gr.skip()] * (SLOT_OUTPUTS * (len(values) // SLOT_VALUES))
    # The number that the kind is named after starts at its default; temperature and penalties stay as they are set.
    updates[place * SLOT_OUTPUTS : (place + 1) * SLOT_OUTPUTS] = [
        gr.update(visible=True),
        gr.skip(),
        gr.skip(),
        gr.update(**main_properties(strategy)),
        gr.update(visible="temperature" in strategy.parameters[1:]),
        gr.skip(),
        gr.update(visible="length_penalty" in strategy.parameters),
    ]
    return updates


def column_added(*values: Any) -> list[Any]:
    """Return updates of all columns that show one more, if there is room."""
    shown = [strategy for strategy in strategies_of(values) if strategy]
    updates = [gr.skip()] * (SLOT_OUTPUTS * (len(values) // SLOT_VALUES))
    start = len(shown) * SLOT_OUTPUTS
    if start < len(updates):
        updates[start : start + SLOT_OUTPUTS] = slot_updates(Strategy(kind=Kind.TOP_P, top_p=0.6))
    return updates


def main_properties(strategy: Strategy) -> dict[str, Any]:
    """Return the properties of the slider that shows the number which a strategy is named after."""
    name = MAIN_PARAMETER.get(strategy.kind)
    if name is None:
        return {"label": "number", "minimum": 0, "maximum": 1, "step": 1, "value": 0, "visible": False}
    low, high = Strategy.bounds(name)
    step, value = step_of(Strategy, name), getattr(strategy, name)
    return {"label": name, "minimum": low, "maximum": high, "step": step, "value": value, "visible": True}


def slot_updates(strategy: Strategy | None) -> list[Any]:
    """Return updates for :attr:`Slot.outputs` that show a strategy, or hide the column."""
    shown = strategy or Strategy(kind=Kind.GREEDY)
    return [
        gr.update(visible=strategy is not None),
        gr.update(open=shown.penalised),
        gr.update(value=str(shown.kind) if strategy else NO_COLUMN),
        gr.update(**main_properties(shown)),
        gr.update(value=shown.temperature, visible=shown.samples and shown.kind is not Kind.TEMPERATURE),
        gr.update(value=shown.repetition_penalty),
        gr.update(value=shown.length_penalty, visible=shown.kind is Kind.BEAM),
    ]


def all_slot_updates(strategies: Sequence[Strategy]) -> list[Any]:
    """Return updates for the outputs of all slots that show these strategies, and hide the columns beyond them."""
    shown: list[Strategy | None] = [*strategies, *[None] * MAX_COLUMNS][:MAX_COLUMNS]
    return [update for strategy in shown for update in slot_updates(strategy)]


def strategies_of(values: Sequence[Any]) -> list[Strategy | None]:
    """Return what each column shows, from the values of all, None for a column that is not there."""
    return [strategy_of(*values[start : start + SLOT_VALUES]) for start in range(0, len(values), SLOT_VALUES)]


def strategy_of(kind: Any, main: Any, temperature: Any, repetition: Any, length: Any) -> Strategy | None:
    """Return the strategy that a column's controls show, None for a column that is not there."""
    if kind not in tuple(Kind):  # a set would want it hashable
        return None
    values = {"kind": kind, "repetition_penalty": repetition}
    if kind in SAMPLERS:
        values["temperature"] = temperature
    if kind == Kind.BEAM:
        values["length_penalty"] = length
    if kind in MAIN_PARAMETER:
        values[MAIN_PARAMETER[Kind(kind)]] = main
    return Strategy.lenient(values)[0]


@dataclass(frozen=True)
class Controls:
    """All controls: the simple ones by the name of their setting, and the columns."""

    simple: Mapping[str, Any]
    slots: Sequence[Slot]

    @property
    def inputs(self) -> list[Any]:
        """The components whose values :meth:`settings` takes, in order."""
        return [*self.simple.values(), *(component for slot in self.slots for component in slot.values)]

    @property
    def outputs(self) -> list[Any]:
        """The components that :meth:`updates` sets, in order."""
        return [*self.simple.values(), *(component for slot in self.slots for component in slot.outputs)]

    def settings(self, *values: Any, view: View | None = None) -> tuple[DecodingSettings, list[str]]:
        """Return the settings that the controls show, and notes on what had to be changed.

        Args:
            view: the tool that wants them; it is told only about what it uses.
        """
        strategies = strategies_of(values[len(self.simple) :])
        columns = ";".join(strategy.to_text() for strategy in strategies if strategy)
        named = dict(zip(self.simple, values, strict=False)) | {"columns": columns}
        settings, notes = DecodingSettings.lenient(named)
        return settings, notes if view is None else DecodingSettings.notes_for(view, named)

    def has_columns(self, *values: Any) -> bool:
        """Return whether any column is there. (To links and programs, none means the default ones.)"""
        return any(strategies_of(values[len(self.simple) :]))

    def updates(self, settings: DecodingSettings, default_model: str) -> list[Any]:
        """Return updates that make the controls show settings."""
        values: list[Any] = []
        for name in self.simple:
            value = getattr(settings, name)
            match name:
                case "model":
                    values.append(value or default_model)
                case "vary" | "view":
                    values.append(str(value))
                case "column":  # the last result may have left fewer choices than the settings ask for
                    values.append(gr.update(choices=ALL_COLUMNS, value=value))
                case "step":
                    values.append(gr.update(maximum=settings.bounds("step").maximum, value=value))
                case _:
                    values.append(value)
        return [*values, *all_slot_updates(settings.strategies)]
