"""The controls show what the settings say, the settings say what the controls show, and a link says it all."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr
import pytest

from lab.music.composing import METERS, MelodySettings, View
from lab.music.melody import Mode
from lab.music.midi import INSTRUMENTS
from lab.music.sound import synthesizers
from lab.music.voices import Voice
from tabs.melodies.examples import EXAMPLES
from tests.tabs.melodies.conftest import Tab

OPENINGS = ["", "E2 | A2 B2 c2 d2 | e4", "c2 d\ne2\n", "  | ", "^f3/2 z/2 & % + = # “ü” 🎵", "x" * 2000]


def random_settings(rng: random.Random) -> MelodySettings:
    """Return settings of which all can be seen in the controls; voices are in their usual order."""

    def number(name: str) -> float:
        low, high = MelodySettings.bounds(name)
        return rng.choice([low, high, rng.uniform(low, high)])

    return MelodySettings(
        view=rng.choice(list(View)),
        opening=rng.choice(OPENINGS),
        meter=rng.choice(METERS),
        mode=rng.choice(list(Mode)),
        phrases=round(number("phrases")),
        temperature=number("temperature"),
        top_p=number("top_p"),
        seed=round(number("seed")),
        mask=rng.randint(0, 1),
        cadence=rng.randint(0, 1),
        originality=rng.randint(0, 1),
        voices=",".join(voice for voice in Voice if rng.random() < 0.5) or "scratch",
        strength=number("strength"),
        instrument=rng.choice(list(INSTRUMENTS)),
        tempo=round(number("tempo")),
        transpose=round(number("transpose")),
        synthesizer=rng.choice(synthesizers()),
    )


def from_link(query: str) -> tuple[MelodySettings, list[str]]:
    """Return what a link's query says."""
    return MelodySettings.lenient(dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)))


def test_every_setting_has_a_control(tab: Tab) -> None:
    assert set(tab.controls.components) == set(MelodySettings.model_fields)
    assert len(set(tab.controls.all)) == len(tab.controls.all)


def test_an_untouched_page_shows_the_defaults(tab: Tab) -> None:
    shown = [component.value for component in tab.controls.all]
    assert tab.controls.settings(*shown) == (MelodySettings(), [])


def test_settings_come_back_from_the_controls(tab: Tab) -> None:
    rng = random.Random(1)
    for _ in range(200):
        settings = random_settings(rng)
        assert tab.controls.settings(*tab.values(**settings.model_dump())) == (settings, [])


@pytest.mark.parametrize(("title", "settings"), EXAMPLES)
def test_examples_come_back_from_the_controls_and_from_a_link(tab: Tab, title: str, settings: MelodySettings) -> None:
    assert tab.controls.settings(*tab.values(**settings.model_dump())) == (settings, [])
    assert from_link(settings.to_query()) == (settings, [])
    assert title


@pytest.mark.parametrize("name", ["phrases", "temperature", "top_p", "strength", "tempo", "transpose"])
def test_sliders_have_the_bounds_of_their_setting(tab: Tab, name: str) -> None:
    slider = tab.controls.components[name]
    assert (slider.minimum, slider.maximum) == MelodySettings.bounds(name)
    assert slider.value == MelodySettings.default(name)


def test_choices_are_those_that_settings_take(tab: Tab) -> None:
    for name, expected in {
        "meter": METERS,
        "mode": [str(mode) for mode in Mode],
        "instrument": list(INSTRUMENTS),
        "voices": [str(voice) for voice in Voice],
        "synthesizer": synthesizers(),
    }.items():
        component = tab.controls.components[name]
        assert [value for _, value in component.choices] == list(expected), name
        assert all(isinstance(title, str) and title for title, _ in component.choices), name


def test_a_link_says_it_all() -> None:
    rng = random.Random(2)
    for _ in range(300):
        settings = random_settings(rng)
        assert from_link(settings.to_query()) == (settings, [])


def test_a_copied_link_is_what_the_controls_show(tab: Tab) -> None:
    settings = random_settings(random.Random(3))
    assert from_link(tab.page._query(*tab.values(**settings.model_dump()))) == (settings, [])


def changed(tab: Tab, **values: Any) -> tuple[MelodySettings, list[str]]:
    """Return what the settings are when some controls send something else."""
    return tab.controls.settings(
        *[values.get(n, v) for n, v in zip(tab.controls.components, tab.values(), strict=True)]
    )


def test_what_is_empty_is_the_default(tab: Tab) -> None:
    assert changed(tab, seed=None) == (MelodySettings(), [])
    for name in ("phrases", "temperature", "tempo", "strength", "meter", "instrument", "mode", "opening"):
        assert changed(tab, **{name: None}) == (MelodySettings(), []), name


@pytest.mark.parametrize("nothing", [None, []])
def test_without_a_voice_the_folk_model_sings(tab: Tab, nothing: Any) -> None:
    settings, notes = changed(tab, voices=nothing)
    assert settings.chosen == (Voice.FOLK,)
    assert notes == []
    assert tab.controls.updates(settings)[list(tab.controls.components).index("voices")] == ["folk"]


def test_a_seed_out_of_range_is_told(tab: Tab) -> None:
    settings, (note,) = changed(tab, seed=-4)
    assert settings.seed == 0
    assert note == "seed: -4 is outside 0 to 2147483647; using 0."


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("instrument=Kazoo", "instrument"),
        ("instrument=%3Cb%3E", "instrument"),
        ("instrument=", "instrument"),
        ("meter=7/8", "meter"),
        ("meter=../..", "meter"),
        ("mode=dorian", "mode"),
        ("view=nope", "view"),
        ("seed=NaN", "seed"),
        ("seed=seven", "seed"),
        ("mask=maybe", "mask"),
        ("cadence=perfect", "cadence"),
        ("originality=very", "originality"),
        ("opening=" + "c" * 2001, "opening"),
    ],
)
def test_what_is_unknown_in_a_link_is_told_and_becomes_the_default(tab: Tab, query: str, name: str) -> None:
    settings, (note,) = from_link(query)
    assert settings == MelodySettings()
    assert note.startswith(f"{name}: ")
    assert 10 < len(note) < 200
    assert tab.controls.settings(*tab.values(**settings.model_dump())) == (settings, [])


def test_unknown_voices_are_dropped_with_a_note() -> None:
    settings, (note,) = from_link("voices=lora,mozart,folk")
    assert settings.chosen == (Voice.FOLK, Voice.LORA)
    assert note.startswith("voices: there is no voice 'mozart'")
    settings, (note,) = from_link("voices=mozart")
    assert settings.chosen == (Voice.FOLK,)
    assert "mozart" in note


def test_all_that_is_out_of_range_in_a_link_is_clamped_with_a_note() -> None:
    query = "phrases=99&temperature=-1&top_p=1e400&seed=1e12&mask=7&strength=-inf&tempo=1&transpose=13"
    settings, notes = from_link(query)
    names = ("phrases", "temperature", "top_p", "seed", "mask", "strength", "tempo", "transpose")
    shown = [getattr(settings, name) for name in names]
    assert shown == [12, 0.05, 1.0, 2**31 - 1, 1, 0.0, 40, 12]
    assert [note.partition(":")[0] for note in notes] == list(names)


def test_a_synthesizer_that_is_not_here_is_shown_as_one_that_is(tab: Tab) -> None:
    settings, _ = from_link("synthesizer=theremin")
    shown = tab.controls.updates(settings)[list(tab.controls.components).index("synthesizer")]
    assert shown in synthesizers()


def test_a_link_fills_the_page(tab: Tab) -> None:
    query = dict(parse_qsl("tab=melodies&v=1&view=morph&tempo=120&opening=c2&evil=1"))
    *values, tools, run, told = tab.page._restore(query)
    settings, notes = tab.controls.settings(*values)
    assert settings == MelodySettings(view=View.MORPH, tempo=120, opening="c2")
    assert (notes, run, list(told)) == ([], "morph", [])
    assert isinstance(tools, gr.Tabs)
    assert tools.selected == "morph"
    assert len(tab.page.page.outputs) == len(values) + 3
    *_, told = tab.page._restore({"tab": "melodies", "meter": "7/8"})
    assert [note.partition(":")[0] for note in told] == ["meter"]


def test_without_a_link_the_page_stays_as_it_is(tab: Tab) -> None:
    assert tab.page._restore({}) == [gr.skip()] * len(tab.page.page.outputs)
