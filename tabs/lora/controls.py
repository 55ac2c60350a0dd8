"""The controls of the LoRA tab, and the two ways between them and the settings.

An adapter is a switch with a strength, in percent; a blend is two adapters, the balance between them, and a strength.
In the settings both are outfits, as in a link: ``shakespeare=1;shakespeare=0.5+fairy-tales=0.5``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from lab.text.adapting import MAX_COLUMNS, AdaptSettings
from lab.text.outfits import Outfit, Strength, blend, outfits_to_text
from lab.text.strategies import Kind, Strategy
from tabs.controls import slider
from tabs.decoding.controls import KIND_CHOICES, main_properties, strategy_of
from tabs.lora.offers import Offers
from tabs.page import PRIVATE

MAX_SWITCHES = MAX_COLUMNS - 2  # beside the base and the blend
FULL, HALF = 100, 50  # percent


def percent_slider(label: str, value: float = FULL, **arguments: Any) -> gr.Slider:
    """Return a slider for a strength in percent."""
    low, high = Strength.bounds("strength")
    return gr.Slider(FULL * low, FULL * high, value=value, step=1, label=label, **arguments)


@dataclass(frozen=True)
class Switch:
    """The controls of one adapter."""

    group: gr.Column
    on: gr.Checkbox
    strength: gr.Slider


@dataclass(frozen=True)
class Blend:
    """The controls of the blend."""

    group: gr.Column
    on: gr.Checkbox
    first: gr.Dropdown
    second: gr.Dropdown
    balance: gr.Slider
    strength: gr.Slider

    @property
    def values(self) -> list[Any]:
        """The components that carry values."""
        return [self.on, self.first, self.second, self.balance, self.strength]


@dataclass(frozen=True)
class Choosing:
    """The controls of the decoding strategy, which is the same in all columns."""

    kind: gr.Dropdown
    main: gr.Slider
    temperature: gr.Slider
    repetition_penalty: gr.Slider

    @property
    def all(self) -> list[Any]:
        """The components, in the order of :func:`strategy_updates`."""
        return [self.kind, self.main, self.temperature, self.repetition_penalty]


def add_choosing() -> Choosing:
    """Add the controls of the decoding strategy."""
    shown = AdaptSettings().chosen_strategy
    with gr.Row():
        kind = gr.Dropdown(KIND_CHOICES, value=str(shown.kind), label="Strategy", min_width=140)
        main = gr.Slider(**main_properties(shown), min_width=140)
        temperature = slider(Strategy, "temperature", "temperature", value=shown.temperature, min_width=140)
        repetition = slider(Strategy, "repetition_penalty", "repetition_penalty", min_width=140)
    choosing = Choosing(kind, main, temperature, repetition)
    # "input", not "change": a link that sets the kind must not reset the numbers that it sets beside it.
    kind.input(_kind_chosen, choosing.all, choosing.all, trigger_mode="always_last", queue=False, **PRIVATE)
    return choosing


def _kind_chosen(kind: Any, main: Any, temperature: Any, repetition: Any) -> list[Any]:
    strategy = Strategy.lenient({"kind": kind, "temperature": temperature, "repetition_penalty": repetition})[0]
    return strategy_updates(strategy)


def strategy_updates(strategy: Strategy) -> list[Any]:
    """Return updates for :attr:`Choosing.all` that show a strategy."""
    return [
        str(strategy.kind),
        gr.update(**main_properties(strategy)),
        gr.update(value=strategy.temperature, visible=strategy.samples and strategy.kind is not Kind.TEMPERATURE),
        strategy.repetition_penalty,
    ]


def add_switches(offered: Offers) -> tuple[list[Switch], Blend]:
    """Add a switch for each adapter that may come to be offered, and the blend; those without one are hidden."""
    outfits = AdaptSettings().outfits
    singles = {outfit.names[0]: outfit.parts[0][1] for outfit in outfits if len(outfit.parts) == 1}
    switches = []
    with gr.Row(elem_classes="sd-slots sd-lora-switches"):
        with gr.Column(min_width=150, elem_classes="sd-slot sd-lora-base"):
            gr.HTML('<p><b class="sd-frozen">Base</b><span>the frozen model, always on</span></p>')
        for place in range(MAX_SWITCHES):
            name, title = offered[place] if place < len(offered) else ("", "")
            with gr.Column(visible=bool(name), min_width=170, elem_classes="sd-slot sd-lora-switch") as group:
                on = gr.Checkbox(name in singles, label=title or f"Adapter {place + 1}", container=True)
                strength = percent_slider(f"{title}, %", value=round(FULL * singles.get(name, 1.0), 2))
            switches.append(Switch(group, on, strength))
        first, second, balance, strength_of_both = _blend_of(next((o for o in outfits if o.is_blend), None), offered)
        choices = _choices(offered)
        with gr.Column(
            visible=len(offered) > 1, min_width=260, elem_classes="sd-slot sd-lora-switch sd-lora-blend"
        ) as group:
            on = gr.Checkbox(True, label="Blend of two", container=True)
            with gr.Row():
                one = gr.Dropdown(choices, value=first, label="First", min_width=110)
                other = gr.Dropdown(choices, value=second, label="Second", min_width=110)
            mixed = gr.Slider(0, FULL, value=balance, step=1, label="First 0 … 100 second")
            both = percent_slider("Blend, %", value=strength_of_both)
    return switches, Blend(group, on, one, other, mixed, both)


def _choices(offered: Offers) -> list[tuple[str, str]]:
    return [(title, name) for name, title in offered]


def _blend_of(outfit: Outfit | None, offered: Offers) -> tuple[str | None, str | None, float, float]:
    """Return what the blend's controls show: first, second, balance and strength in percent."""
    names = [name for name, _ in offered]
    if outfit is not None and len(outfit.parts) == 2 and set(outfit.names) <= set(names):
        (first, one), (second, other) = outfit.parts
        strength = one + other
        balance = other / strength if strength else 0.5
        return first, second, round(FULL * balance, 2), round(FULL * strength, 2)
    first, second = (*names[:2], None, None)[:2]
    return first, second, HALF, FULL


@dataclass(frozen=True)
class Controls:
    """All controls: the simple ones by the name of their setting, the strategy, the switches, the blend.

    ``offered`` holds the adapters that the switches stand for.
    """

    simple: Mapping[str, Any]
    choosing: Choosing
    offered: gr.State
    switches: Sequence[Switch]
    blend: Blend

    @property
    def inputs(self) -> list[Any]:
        """The components whose values :meth:`settings` takes, in order."""
        switches = [part for switch in self.switches for part in (switch.on, switch.strength)]
        return [*self.simple.values(), *self.choosing.all, self.offered, *switches, *self.blend.values]

    @property
    def switch_outputs(self) -> list[Any]:
        """The components that :meth:`switch_updates` sets, in order."""
        switches = [part for switch in self.switches for part in (switch.group, switch.on, switch.strength)]
        return [self.offered, *switches, self.blend.group, *self.blend.values]

    @property
    def outputs(self) -> list[Any]:
        """The components that :meth:`updates` sets, in order."""
        return [*self.simple.values(), *self.choosing.all, *self.switch_outputs]

    def settings(self, *values: Any) -> tuple[AdaptSettings, list[str]]:
        """Return the settings that the controls show, and notes on what had to be changed."""
        named = dict(zip(self.simple, values, strict=False))
        rest = values[len(self.simple) :]
        kind, main, temperature, repetition, offered, *switches = rest
        if named.get("seed") is None:
            named.pop("seed", None)
        strategy = strategy_of(kind, main, temperature, repetition, 1.0)
        if strategy is not None:
            named["strategy"] = strategy.to_text()
        outfits, notes = self._outfits(offered, switches)
        settings, more = AdaptSettings.lenient(named | {"adapters": outfits_to_text(outfits)})
        return settings, [*notes, *more]

    def offers_of(self, values: Sequence[Any]) -> Offers:
        """Return the adapters on offer, from the values of :attr:`inputs`."""
        return values[len(self.simple) + len(self.choosing.all)]

    @staticmethod
    def _outfits(offered: Offers, values: Sequence[Any]) -> tuple[list[Outfit], list[str]]:
        *switches, on, first, second, balance, strength = values
        names = [name for name, _ in offered]
        outfits = [
            Outfit(((name, share(strength_of_one, 1.0)),))
            for name, chosen, strength_of_one in zip(names, switches[::2], switches[1::2], strict=False)
            if chosen is True
        ]
        if on is not True or len(names) < 2:
            return outfits, []
        if first not in names or second not in names or first == second:
            return outfits, ["A blend needs two different adapters; it is left out."]
        return [*outfits, blend(first, second, share(balance, 0.5, 1.0), share(strength, 1.0))], []

    def updates(self, settings: AdaptSettings, default_model: str, offered: Offers) -> list[Any]:
        """Return updates that make the controls show settings."""
        values: list[Any] = []
        for name in self.simple:
            value = getattr(settings, name)
            match name:
                case "model":
                    values.append(value or default_model)
                case "view":
                    values.append(str(value))
                case "column":  # the last result may have left fewer choices than the settings ask for
                    values.append(gr.update(choices=ALL_COLUMNS, value=value))
                case "step":
                    values.append(gr.update(maximum=settings.bounds("step").maximum, value=value))
                case "adapter":
                    values.append(self.adapter_update(settings, offered))
                case "layer":  # whether the adapter has it is seen when it is looked into
                    values.append(gr.update(choices=[value], value=value))
                case _:
                    values.append(value)
        return [*values, *strategy_updates(settings.chosen_strategy), *self.switch_updates(settings, offered)]

    @staticmethod
    def adapter_update(settings: AdaptSettings, offered: Offers) -> Any:
        """Return the update of the choice of the adapter that is looked into."""
        names = [name for name, _ in offered]
        chosen = settings.adapter if settings.adapter in names else next(iter(names), None)
        return gr.update(choices=_choices(offered), value=chosen)

    def switch_updates(self, settings: AdaptSettings, offered: Offers) -> list[Any]:
        """Return updates that make the switches stand for what is offered, and show what the settings wear."""
        singles = {outfit.names[0]: outfit.parts[0][1] for outfit in settings.outfits if len(outfit.parts) == 1}
        blended = next((outfit for outfit in settings.outfits if outfit.is_blend), None)
        values: list[Any] = [offered]
        for place in range(len(self.switches)):
            name, title = offered[place] if place < len(offered) else ("", "")
            values += [
                gr.update(visible=bool(name)),
                gr.update(value=name in singles, label=title or f"Adapter {place + 1}"),
                gr.update(value=round(FULL * singles.get(name, 1.0), 2), label=f"{title}, %"),
            ]
        first, second, balance, strength = _blend_of(blended, offered)
        choices = _choices(offered)
        return [
            *values,
            gr.update(visible=len(offered) > 1),
            blended is not None,
            gr.update(choices=choices, value=first),
            gr.update(choices=choices, value=second),
            balance,
            strength,
        ]


def share(value: Any, default: float, maximum: float = Strength.bounds("strength").maximum) -> float:
    """Return percent as a share; what is no number is the default, what is too much or too little is clamped."""
    if not isinstance(value, int | float) or math.isnan(value):
        return default
    return round(min(max(value / FULL, 0.0), maximum), 4)


ALL_COLUMNS = [(f"Column {n}", n) for n in range(1, MAX_COLUMNS + 1)]


def unshown(settings: AdaptSettings, offered: Offers) -> list[str]:
    """Return notes on what the settings wear that the switches cannot show: programs can ask for more."""
    names = {name for name, _ in offered}
    strange = dict.fromkeys(name for outfit in settings.outfits for name in outfit.names if name not in names)
    notes = [f"There is no adapter named {name[:40]!r} here; it is left out." for name in strange]
    known = [outfit for outfit in settings.outfits if names.issuperset(outfit.names)]
    singles = [outfit.names[0] for outfit in known if len(outfit.parts) == 1]
    blends = [outfit for outfit in known if outfit.is_blend]
    if len(set(singles)) < len(singles):
        notes.append("The page shows each adapter at one strength; of several the last one is shown.")
    if len(blends) > 1 or any(len(outfit.parts) > 2 for outfit in blends):
        notes.append("The page shows one blend of two adapters; the rest is left out.")
    return notes
