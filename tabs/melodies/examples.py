"""Examples to click."""

from __future__ import annotations

from lab.music.composing import MelodySettings, View
from lab.music.melody import Mode

EXAMPLES: tuple[tuple[str, MelodySettings], ...] = (
    ("Folk becomes Bach", MelodySettings()),
    (
        "A children's song, five ways",
        MelodySettings(
            opening="c d e f | g4 g4",
            mode=Mode.MAJOR,
            meter="2/4",
            voices="folk,last-block,lora,full,scratch",
            instrument="Music box",
            tempo=80,
        ),
    ),
    (
        "Is asking enough?",
        MelodySettings(opening="", mode=Mode.MAJOR, meter="3/4", voices="folk,header,lora", seed=11),
    ),
    (
        "Without the rules of the bar",
        MelodySettings(mask=0, temperature=1.1, voices="folk,lora,scratch", seed=3),
    ),
    ("Morph a waltz", MelodySettings(view=View.MORPH, opening="G2 | c4 e2 | g4", meter="3/4")),
)
