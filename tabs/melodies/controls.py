"""The controls of the melodies tab, and the two ways between them and the settings."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lab.music.composing import METERS, MelodySettings
from lab.music.melody import Mode
from lab.music.midi import INSTRUMENTS
from lab.music.performance import Manner
from lab.music.plagiarism import LONGEST_RUN
from lab.music.sound import synthesizers
from lab.music.voices import VOICES
from tabs.controls import NamedControls, slider

MODE_TITLES = {Mode.MAJOR: "C major", Mode.MINOR: "A minor"}
RULES = ("mask", "cadence", "originality")  # each of them on or off
MANNER = ("instrument", "tempo", "transpose", "synthesizer")  # how melodies are played
SYNTHESIZERS = {"symusic": "symusic (fast)", "fluidsynth": "FluidSynth"}


class Controls(NamedControls):
    """The controls of the tab."""

    @property
    def manner(self) -> list[Any]:
        """The components that say how melodies are played."""
        return [self.components[name] for name in MANNER]

    def settings(self, *values: Any) -> tuple[MelodySettings, list[str]]:
        """Return the settings that the controls show, and notes on what had to be changed."""
        named = self.named(values)
        named |= {name: int(bool(named[name])) for name in RULES}
        named["voices"] = ",".join(named["voices"] or [])
        if named["seed"] is None:
            del named["seed"]
        return MelodySettings.lenient(named)

    def updates(self, settings: MelodySettings) -> list[Any]:
        """Return values that make the controls show settings."""
        values: list[Any] = []
        for name in self.components:
            value = getattr(settings, name)
            match name:
                case _ if name in RULES:
                    values.append(bool(value))
                case "voices":
                    values.append([str(voice) for voice in settings.chosen])
                case "mode" | "view" | "method":
                    values.append(str(value))
                case "synthesizer":
                    values.append(value if value in synthesizers() else "symusic")
                case _:
                    values.append(value)
        return values


def manner_of(settings: MelodySettings) -> Manner:
    """Return how the settings want melodies played."""
    return Manner(settings.instrument, settings.tempo, settings.transpose, settings.synthesizer)


def add_composing() -> dict[str, Any]:
    """Add what a melody is asked to be: meter, mode, length, chance, voices."""
    default = MelodySettings.default
    found: dict[str, Any] = {}
    with gr.Row():
        found["meter"] = gr.Dropdown(list(METERS), value=default("meter"), label="Meter", min_width=100, scale=2)
        found["mode"] = gr.Dropdown(
            [(title, str(mode)) for mode, title in MODE_TITLES.items()],
            value=str(default("mode")),
            label="Key",
            min_width=110,
            scale=2,
        )
        found["phrases"] = slider(MelodySettings, "phrases", "Phrases", min_width=130, scale=3)
        found["temperature"] = slider(MelodySettings, "temperature", "temperature", min_width=130, scale=4)
        found["top_p"] = slider(MelodySettings, "top_p", "top_p", min_width=130, scale=3)
        found["seed"] = gr.Number(default("seed"), label="Seed", precision=0, min_width=100, scale=2)
    with gr.Row():
        found["voices"] = gr.CheckboxGroup(
            [(about.title, str(voice)) for voice, about in VOICES.items()],
            value=[str(voice) for voice in MelodySettings().chosen],
            label="Voices",
            min_width=320,
        )
        with gr.Column(min_width=200, scale=1):
            found["mask"] = gr.Checkbox(
                bool(default("mask")), label="Complete bars only", info="Mask what would break a bar"
            )
            found["cadence"] = gr.Checkbox(
                bool(default("cadence")),
                label="End on the tonic",
                info="With complete bars: mask an end elsewhere",
            )
            found["originality"] = gr.Checkbox(
                bool(default("originality")),
                label="No long copies",
                info=f"Mask what would share {LONGEST_RUN + 1} intervals in a row with a training tune",
            )
    return found


def add_manner() -> dict[str, Any]:
    """Add how melodies are played: that can change without writing them again."""
    default = MelodySettings.default
    found: dict[str, Any] = {}
    with gr.Row():
        found["instrument"] = gr.Dropdown(list(INSTRUMENTS), value=default("instrument"), label="Instrument")
        found["tempo"] = slider(MelodySettings, "tempo", "Tempo (quarters per minute)", step=2)
        found["transpose"] = slider(MelodySettings, "transpose", "Transpose (semitones)")
        found["synthesizer"] = gr.Radio(
            [(SYNTHESIZERS[name], name) for name in synthesizers()] or [("none", "symusic")],
            value=default("synthesizer"),
            label="Synthesizer",
        )
    return found
