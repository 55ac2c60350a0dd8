"""How long three voices take to write and to sound, and what 150 melodies of each voice are like.

    python -m benchmarks.melodies [--json] [--repeats 7] [--melodies 150]

All voices write without an opening, at the tab's default temperature and top_p, under the headers (mode, meter, number
of phrases) of test chorales, so that none is given more of Bach than the others; the folk model also writes under
headers of test folk songs. Real test tunes stand beside them, since real tunes share runs of intervals, too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import mean, median

import torch

from benchmarks.report import Figure, parser, report
from lab.music.classifier import Kind, load_classifier
from lab.music.composing import MelodySettings, Piece, compose, write_all
from lab.music.corpus import Collection, Split, load_split
from lab.music.melody import Melody
from lab.music.performance import Manner, forget
from lab.music.plagiarism import LONGEST_RUN, closest
from lab.music.sound import render
from lab.music.voices import Voice, Voices
from tabs.melodies.cards import piece_card

LONG_RUN = LONGEST_RUN + 1  # intervals; the aim counts melodies that share so long a run with a training tune
AIMS = {"folk": ("<= 0.15", ""), "lora": (">= 0.85", ">= 0.6"), "full": (">= 0.85", ">= 0.6")}


@dataclass(frozen=True)
class Table:
    """What many melodies of one kind are like; all are shares of melodies but ``bars``, a share of bars."""

    bach: float
    bach_by_pitch: float
    mean_probability: float
    tonic: float
    copied: float
    bars: float = 1.0


def described(melodies: Sequence[Melody]) -> Table:
    """Return what melodies are like."""
    everything, pitch = (load_classifier(kind) for kind in (Kind.ALL, Kind.PITCH))
    probabilities = [everything.probability(melody) for melody in melodies]
    return Table(
        bach=mean(p > 0.5 for p in probabilities),
        bach_by_pitch=mean(pitch.probability(melody) > 0.5 for melody in melodies),
        mean_probability=mean(probabilities),
        tonic=tonic(melodies),
        copied=copied(melodies),
    )


def tonic(melodies: Sequence[Melody]) -> float:
    """Return the share of melodies that end on their tonic."""
    return mean(melody.pitches[-1] % 12 == melody.mode.tonic for melody in melodies)


def copied(melodies: Sequence[Melody]) -> float:
    """Return the share of melodies that have a long run in common with a training tune."""
    return mean(closest(melody).length >= LONG_RUN for melody in melodies)


def write(voices: Voices, voice: Voice, style: Collection, count: int, **rules: int) -> list[Piece]:
    """Return melodies of a voice under the headers of the test tunes of a collection, by the tab's default rules."""
    pieces: list[Piece] = []
    headers = islice(cycle(tune.tokens[:3] for tune in load_split(style, Split.TEST)), count)
    by_header: dict[tuple[str, ...], list[int]] = {}
    for seed, header in enumerate(headers):
        by_header.setdefault(header, []).append(seed)
    for (mode, meter, phrases), seeds in by_header.items():
        settings = MelodySettings(
            opening="", mode=mode, meter=meter, phrases=int(phrases.split()[0]), strength=1.0, **rules
        )
        pieces += write_all(voices, settings, [(voice, None, seed) for seed in seeds])
    return pieces


def bars(pieces: Sequence[Piece]) -> float:
    """Return the share of bars that are complete."""
    return sum(p.written.complete_bars for p in pieces) / sum(len(p.written.bars) for p in pieces)


def speed(voices: Voices, repeats: int) -> list[Figure]:
    """Measure three melodies with their scores, sounds and cards, as the page makes them, and the sound alone."""
    compose(voices, MelodySettings())  # what is slow only the first time
    for kind in Kind:
        load_classifier(kind)
    took, sound = [], []
    for seed in range(repeats + 1):
        settings = MelodySettings(seed=1000 + seed)
        forget()
        start = time.perf_counter()
        pieces = compose(voices, settings)
        for piece in pieces:
            piece_card(piece, Manner(), "x")
        took.append(time.perf_counter() - start)
        start = time.perf_counter()
        rendered = render(pieces[0].melody)
        sound.append(rendered.seconds / (time.perf_counter() - start))
    return [
        Figure(
            "three_voices_s", "three melodies with scores and sounds, without the page", median(took[1:]), "s", "<= 1.5"
        ),
        Figure("sound_times_real_time", "sound, times faster than real time", median(sound[1:]), "x", ">= 200"),
    ]


def quality(voices: Voices, count: int) -> list[Figure]:
    """Describe melodies of each voice, and real ones."""
    tables: dict[str, Table] = {}
    free: dict[str, float] = {}
    not_led: dict[str, float] = {}
    unhindered: dict[str, float] = {}
    masked: dict[str, float] = {}
    kinds = [("folk", Voice.FOLK, Collection.FOLK), ("folk_bach_header", Voice.FOLK, Collection.BACH)]
    kinds += [
        (v.replace("-", "_"), v, Collection.BACH) for v in (Voice.LAST_BLOCK, Voice.LORA, Voice.FULL, Voice.SCRATCH)
    ]
    for name, voice, style in kinds:
        pieces = write(voices, voice, style, count)
        tables[name] = described([piece.melody for piece in pieces])
        masked[name] = bars(pieces)
        free[name] = bars(write(voices, voice, style, count, mask=0))
        not_led[name] = tonic([piece.melody for piece in write(voices, voice, style, count, cadence=0)])
        unhindered[name] = copied([piece.melody for piece in write(voices, voice, style, count, originality=0)])
    for name, collection in (("real_folk", Collection.FOLK), ("real_bach", Collection.BACH)):
        tables[name] = described([tune.melody for tune in load_split(collection, Split.TEST)])
    figures = []
    for name, table in tables.items():
        title = name.replace("_", " ")
        all_aim, pitch_aim = AIMS.get(name, ("", ""))
        machine = not name.startswith("real")
        figures += [
            Figure(f"{name}_judged_bach", f"{title}: judged Bach", table.bach, "", all_aim),
            Figure(f"{name}_judged_bach_by_pitch", f"{title}: by pitch alone", table.bach_by_pitch, "", pitch_aim),
            Figure(f"{name}_mean_probability", f"{title}: mean probability of Bach", table.mean_probability),
            Figure(f"{name}_final_tonic", f"{title}: ends on the tonic", table.tonic, "", ">= 0.8" if machine else ""),
            Figure(
                f"{name}_copied",
                f"{title}: shares {LONG_RUN} intervals",
                table.copied,
                "",
                "<= 0.02" if machine else "",
            ),
        ]
        if machine:
            figures += [
                Figure(f"{name}_bars_masked", f"{title}: complete bars, masked", masked[name], "", ">= 1"),
                Figure(f"{name}_bars_free", f"{title}: complete bars, free", free[name]),
                Figure(f"{name}_final_tonic_free", f"{title}: ends on the tonic, cadence free", not_led[name]),
                Figure(f"{name}_copied_free", f"{title}: shares {LONG_RUN}, copies allowed", unhindered[name]),
            ]
    return figures


def main() -> None:
    """Measure all and print the figures."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=7, help="turns of the measurement of speed")
    options.add_argument("--melodies", type=int, default=150, help="of each voice")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    voices = Voices()
    try:
        figures = speed(voices, arguments.repeats) + quality(voices, arguments.melodies)
    finally:
        voices.close()
    settings = MelodySettings()
    facts = {
        "cores": str(os.cpu_count()),
        "melodies": str(arguments.melodies),
        "temperature": f"{settings.temperature:g}",
        "top_p": f"{settings.top_p:g}",
    }
    report(figures, facts=facts, as_json=arguments.json, save=arguments.save)


if __name__ == "__main__":
    main()
