"""The controls show what the settings say, and the settings say what the controls show."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest
from pydantic import Field

from lab.text.decoding import DEFAULT_COLUMNS, MAX_COLUMNS, DecodingSettings, View
from lab.text.models import BUILT_IN, Models
from lab.text.strategies import MAIN_PARAMETER, SAMPLERS, Kind, Strategy
from lab.text.sweep import values_of
from tabs.decoding import controls as decoding_controls
from tabs.decoding.controls import (
    NO_COLUMN,
    SLOT_OUTPUTS,
    SLOT_VALUES,
    Controls,
    Slot,
    column_added,
    kind_chosen,
    main_properties,
    slot_updates,
    strategy_of,
)
from tabs.decoding.examples import EXAMPLES
from tabs.decoding.page import _DecodingPage
from tabs.decoding.sampler import text_of
from tabs.decoding.samples import usual_range
from tabs.page import Services
from tests.lab.text.test_decoding import random_settings, random_strategy


@pytest.fixture(scope="module")
def page() -> _DecodingPage:
    with gr.Blocks(analytics_enabled=False):
        return _DecodingPage(Services(Models()))


@pytest.fixture(scope="module")
def controls(page: _DecodingPage) -> Controls:
    return page._controls


class FrontEnd:
    """What a page in a browser holds: the properties of each component, changed by the updates that come."""

    def __init__(self, controls: Controls) -> None:
        self.controls = controls
        self.properties = {c: dict(c.get_config()) for c in controls.outputs}
        self.slot_outputs = [output for slot in controls.slots for output in slot.outputs]

    def take(self, outputs: list[Any], updates: list[Any]) -> None:
        assert len(outputs) == len(updates)
        for component, update in zip(outputs, updates, strict=True):
            if isinstance(update, dict) and update.get("__type__") == "update":
                properties = {key: value for key, value in update.items() if key != "__type__"}
                assert properties.keys() <= self.properties[component].keys(), component
                self.properties[component] |= properties
            else:
                self.properties[component]["value"] = update

    @property
    def values(self) -> list[Any]:
        """What is sent as the inputs of an event, after each component has checked it as the server does."""
        return [self._checked(component) for component in self.controls.inputs]

    def _checked(self, component: Any) -> Any:
        properties = self.properties[component]
        value = properties.get("value")
        if isinstance(component, gr.Dropdown) and value is not None:
            assert value in [choice for _, choice in properties["choices"]]
        if isinstance(component, gr.Slider) and properties.get("visible", True):
            assert properties["minimum"] <= value <= properties["maximum"]
        return value

    def choose_kind(self, place: int, kind: str) -> None:
        """Do what the visitor does, and what follows on it."""
        self.properties[self.controls.slots[place].kind]["value"] = kind
        self.take(self.slot_outputs, kind_chosen(place, *self.slot_values))

    @property
    def slot_values(self) -> list[Any]:
        return self.values[len(self.controls.simple) :]

    def settings(self) -> DecodingSettings:
        settings, notes = self.controls.settings(*self.values)
        assert notes == []
        return settings


@pytest.fixture
def front_end(controls: Controls) -> FrontEnd:
    return FrontEnd(controls)


def with_model(settings: DecodingSettings) -> DecodingSettings:
    """Controls always name a model."""
    return settings.model_copy(update={"model": settings.model or BUILT_IN})


def test_an_untouched_page_shows_the_defaults(front_end: FrontEnd) -> None:
    assert front_end.settings() == with_model(DecodingSettings())


@pytest.mark.parametrize("seed", range(4))
def test_settings_come_back_from_the_controls(front_end: FrontEnd, controls: Controls, seed: int) -> None:
    """One after the other in the same page, so that what is left over from the one before would show."""
    rng = random.Random(seed)
    models = [BUILT_IN, "openai-community/gpt2", ""]
    for _ in range(40):
        settings = random_settings(rng).model_copy(update={"model": rng.choice(models)})
        front_end.take(controls.outputs, controls.updates(settings, BUILT_IN))
        assert front_end.settings() == with_model(settings)


def test_examples_come_back_from_the_controls(front_end: FrontEnd, controls: Controls) -> None:
    for _, settings in EXAMPLES:
        front_end.take(controls.outputs, controls.updates(settings, BUILT_IN))
        assert front_end.settings() == with_model(settings)


def test_a_step_that_the_last_result_does_not_have_can_be_asked_for(front_end: FrontEnd, controls: Controls) -> None:
    """A result leaves choices for its own columns and tokens only; an example or a link may ask for others."""
    front_end.properties[controls.simple["column"]] |= {"choices": [("1 · Greedy", 1)], "value": 1}
    front_end.properties[controls.simple["step"]] |= {"maximum": 3, "value": 3}
    settings = DecodingSettings(column=5, step=120)
    front_end.take(controls.outputs, controls.updates(settings, BUILT_IN))
    assert front_end.settings() == with_model(settings)


def test_columns_that_are_not_there_are_hidden(front_end: FrontEnd, controls: Controls) -> None:
    for count in (MAX_COLUMNS, 1, 3):
        settings = DecodingSettings(columns=";".join(["greedy"] * count))
        front_end.take(controls.outputs, controls.updates(settings, BUILT_IN))
        shown = [front_end.properties[slot.group]["visible"] for slot in controls.slots]
        assert shown == [True] * count + [False] * (MAX_COLUMNS - count)


def sliders_of(slot: Slot) -> Iterator[tuple[str, gr.Slider]]:
    yield from (
        ("main", slot.main),
        ("temperature", slot.temperature),
        ("repetition_penalty", slot.repetition_penalty),
        ("length_penalty", slot.length_penalty),
    )


@pytest.mark.parametrize("kind", list(Kind))
def test_a_chosen_kind_shows_its_numbers_and_no_others(front_end: FrontEnd, controls: Controls, kind: Kind) -> None:
    rng = random.Random(str(kind))
    slot = controls.slots[1]
    for _ in range(20):
        before = random_strategy(rng)
        front_end.take(slot.outputs, slot_updates(before))
        front_end.choose_kind(1, str(kind))
        properties = {name: front_end.properties[slider] for name, slider in sliders_of(slot)}
        # The number that the kind is named after begins at its default, the others stay.
        expected = {name: getattr(before, name) for name in Strategy(kind=kind).parameters}
        expected |= {MAIN_PARAMETER[kind]: Strategy.default(MAIN_PARAMETER[kind])} if kind in MAIN_PARAMETER else {}
        assert strategy_of(*front_end.slot_values[SLOT_VALUES:][:SLOT_VALUES]) == Strategy(kind=kind, **expected)
        assert front_end.properties[slot.group]["visible"]
        assert properties["main"]["visible"] is (kind in MAIN_PARAMETER)
        if kind in MAIN_PARAMETER:
            name = MAIN_PARAMETER[kind]
            assert properties["main"]["label"] == name
            assert (properties["main"]["minimum"], properties["main"]["maximum"]) == Strategy.bounds(name)
        numbers = Strategy(kind=kind).parameters
        assert properties["temperature"]["visible"] is ("temperature" in numbers and kind is not Kind.TEMPERATURE)
        assert properties["length_penalty"]["visible"] is ("length_penalty" in numbers)
        for slider in properties.values():
            assert slider["minimum"] <= slider["value"] <= slider["maximum"]


def test_a_number_of_which_nothing_is_said_has_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever adds a strategy need not think of its slider."""

    class Wider(Strategy):
        eta: float = Field(0.1, ge=0.0, le=1.0)
        depth: int = Field(2, ge=1, le=9)

    monkeypatch.setattr(decoding_controls, "Strategy", Wider)
    for name, step in (("eta", 0.05), ("depth", 1), ("top_p", 0.01)):
        monkeypatch.setitem(MAIN_PARAMETER, Kind.MIN_P, name)
        properties = main_properties(Wider(kind=Kind.MIN_P))
        assert (properties["label"], properties["step"]) == (name, step)


def test_numbers_survive_a_look_at_another_kind(front_end: FrontEnd, controls: Controls) -> None:
    there = Strategy(kind=Kind.TOP_P, top_p=0.9, temperature=0.7, repetition_penalty=1.3)
    front_end.take(controls.slots[0].outputs, slot_updates(there))
    for kind in (Kind.BEAM, Kind.TEMPERATURE, Kind.GREEDY, Kind.TOP_P):
        front_end.choose_kind(0, str(kind))
    assert front_end.settings().strategies[0] == there


def test_penalties_that_do_something_are_in_sight(front_end: FrontEnd, controls: Controls) -> None:
    slot = controls.slots[0]
    for penalised in (True, False):
        strategy = Strategy(kind=Kind.GREEDY, repetition_penalty=1.3 if penalised else 1.0)
        front_end.take(slot.outputs, slot_updates(strategy))
        assert front_end.properties[slot.penalties]["open"] is penalised


def test_after_a_removed_column_the_others_close_the_gap(front_end: FrontEnd, controls: Controls) -> None:
    """So that a column has the same number in its controls as in the result."""
    front_end.choose_kind(0, NO_COLUMN)
    shown = [front_end.properties[slot.group]["visible"] for slot in controls.slots]
    assert shown == [True] * 3 + [False] * 3
    assert front_end.settings().columns == DEFAULT_COLUMNS.removeprefix("greedy;")
    front_end.choose_kind(1, NO_COLUMN)
    assert [s.kind for s in front_end.settings().strategies] == [Kind.TEMPERATURE, Kind.TOP_P]
    assert SLOT_OUTPUTS * len(controls.slots) == len(front_end.slot_outputs)


def test_without_any_column_the_default_ones_come_back(front_end: FrontEnd, controls: Controls) -> None:
    assert controls.has_columns(*front_end.values)
    for slot in controls.slots:
        front_end.take(slot.outputs, slot_updates(None))
    assert not controls.has_columns(*front_end.values)
    assert front_end.settings().columns == DEFAULT_COLUMNS


def test_a_new_column_takes_the_first_free_place(front_end: FrontEnd) -> None:
    for count in (5, 6):
        front_end.take(front_end.slot_outputs, column_added(*front_end.slot_values))
        assert len(front_end.settings().strategies) == count
        assert front_end.settings().strategies[-1] == Strategy(kind=Kind.TOP_P, top_p=0.6)
    full = front_end.settings()
    front_end.take(front_end.slot_outputs, column_added(*front_end.slot_values))
    assert front_end.settings() == full  # there is no place left


def test_cleared_and_broken_fields_become_defaults(controls: Controls) -> None:
    for value in (None, "", "x", float("nan"), -1e30, [], {}):
        settings, notes = controls.settings(*[value] * len(controls.inputs))
        DecodingSettings.model_validate(settings.model_dump())
        assert settings.columns == DEFAULT_COLUMNS
        assert all(isinstance(note, str) for note in notes)
    assert controls.settings(*[None] * len(controls.inputs)) == (DecodingSettings(), [])
    assert controls.settings() == (DecodingSettings(), [])


@pytest.mark.parametrize("kind", ["", None, "magic", 7, [], {}, "GREEDY"])
def test_what_is_no_kind_is_no_column(kind: object) -> None:
    assert strategy_of(kind, 0.5, 1.0, 1.0, 1.0) is None


def test_ranges_and_defaults_are_those_of_the_settings(controls: Controls) -> None:
    for name, component in controls.simple.items():
        if isinstance(component, gr.Slider) and name != "step":
            assert (component.minimum, component.maximum) == DecodingSettings.bounds(name), name
            assert component.value == DecodingSettings.default(name)
            assert component.label
    assert set(controls.simple) | {"columns"} == set(DecodingSettings.model_fields)  # none is forgotten
    for slot in controls.slots:
        for name, slider in sliders_of(slot):
            if name != "main":
                assert (slider.minimum, slider.maximum) == Strategy.bounds(name)


# Links


def restored(page: _DecodingPage, controls: Controls, query: dict[str, str]) -> FrontEnd:
    front_end = FrontEnd(controls)
    updates = list(page._restore(query))
    assert len(updates) == len(page.page.outputs)
    front_end.take(controls.outputs, updates[: len(controls.outputs)])
    return front_end


def test_a_copied_link_opens_what_was_there(page: _DecodingPage, controls: Controls, front_end: FrontEnd) -> None:
    from urllib.parse import parse_qsl

    rng = random.Random(5)
    for _ in range(25):
        settings = random_settings(rng).model_copy(update={"model": rng.choice(["", "openai-community/gpt2"])})
        front_end.take(controls.outputs, controls.updates(settings, BUILT_IN))
        query = page._query(None, *front_end.values)
        again = restored(page, controls, dict(parse_qsl(f"tab=decoding&{query}", keep_blank_values=True)))
        assert again.settings() == with_model(settings)
        assert ("model=" in query) is (settings.model != "")  # the default may be another one elsewhere


@pytest.mark.parametrize(
    "query",
    [
        {"model": "/etc/passwd"},
        {"model": "not/here"},
        {"vary": "greedy"},
        {"vary": "x"},
        {"view": "x"},
        {"column": "6"},
        {"column": "999", "step": "999"},
        {"step": "150"},
        {"columns": "beam;beam;beam;beam;beam;beam;beam;beam"},
        {"columns": "magic", "prompt": "", "picks": "1..2", "seed": "-5"},
    ],
    ids=str,
)
def test_any_link_leaves_controls_that_work(page: _DecodingPage, controls: Controls, query: dict[str, str]) -> None:
    """A value that a control does not offer would make every event of the page fail."""
    DecodingSettings.model_validate(restored(page, controls, query).settings().model_dump())


@pytest.mark.parametrize("query", [{}, {"__theme": "dark"}, {"fbclid": "abc", "utm_source": "x", "v": "1"}], ids=str)
def test_a_query_that_is_none_of_ours_changes_nothing_and_runs_nothing(
    page: _DecodingPage, query: dict[str, str]
) -> None:
    updates = page._restore(query)
    assert len(updates) == len(page.page.outputs)
    assert all(update == gr.skip() for update in updates)


@pytest.mark.parametrize("query", [{"tab": "decoding"}, {"seed": "8"}, {"top_p": "0.5"}, {"prompt": ""}], ids=str)
def test_a_query_of_ours_runs(page: _DecodingPage, query: dict[str, str]) -> None:
    assert View.COMPARE.value in page._restore(query)


def test_a_link_carries_no_picks_of_another_text(page: _DecodingPage, controls: Controls, front_end: FrontEnd) -> None:
    settings = DecodingSettings(picks="5.6", model=BUILT_IN, prompt="Once upon")
    front_end.take(controls.outputs, controls.updates(settings, BUILT_IN))
    assert "picks=5.6" in page._query(text_of(settings), *front_end.values)
    assert "picks" not in page._query(("Once", BUILT_IN), *front_end.values)
    assert "picks" not in page._query(("Once upon", "another/model"), *front_end.values)


# Notes


def test_notes_are_those_on_what_a_tool_uses(controls: Controls, front_end: FrontEnd) -> None:
    wrong = {"seed": -4, "max_new_tokens": 999, "vary_to": -1, "num_beams": 99, "prompt": "a\0"}
    for name, value in wrong.items():
        front_end.properties[controls.simple[name]] |= {"value": value, "visible": False}
    told = {
        View.COMPARE: ["Characters", "max_new_tokens", "seed"],
        View.SAMPLER: ["Characters", "seed"],
        View.SAMPLES: ["Characters", "max_new_tokens", "seed", "vary_to"],
        View.BEAMS: ["Characters", "num_beams"],
    }
    for view, names in told.items():
        settings, notes = controls.settings(*front_end.values, view=view)
        assert sorted(re.match(r"\w+", note)[0] for note in notes) == names
        assert settings.seed == 0


def test_a_links_notes_are_kept_for_its_run(page: _DecodingPage) -> None:
    notes = page._restore({"seed": "-4", "samples": "999", "model": "/etc/passwd", "columns": "magic;greedy(5)"})[-1]
    assert [re.match(r"\w+", note)[0] for note in notes] == ["seed", "Unknown", "greedy", "model"]


def test_what_is_varied_brings_its_usual_range() -> None:
    for kind in SAMPLERS:
        low, high = usual_range(str(kind))
        bounds = Strategy.bounds(MAIN_PARAMETER[kind])
        assert bounds.minimum <= low < high <= bounds.maximum
        settings = DecodingSettings(vary=kind, vary_from=low, vary_to=high)
        assert len(values_of(settings)[1]) == settings.vary_points
    assert values_of(DecodingSettings(vary=Kind.TOP_K, vary_from=1, vary_to=900))[1][-1] == 900
    assert usual_range("nonsense") == [gr.skip(), gr.skip()]
