"""The blind test: clips of real and machine-made melodies in a random order, to be told apart by ear.

Nothing is shown of a clip but its sound. Long ones are cut at the first end of a phrase after 32 quarters; shorter ones
stay whole, so lengths differ. All are played on the same instrument; the real tunes are from the test split, so the
models have never heard them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

from lab.music.composing import MelodySettings, write_all
from lab.music.corpus import Collection, Split, Tune, load_split
from lab.music.melody import TICKS_PER_QUARTER, Melody
from lab.music.voices import VOICES, Voice, Voices

CLIP_QUARTERS = 32  # a clip ends with the first phrase that ends after so long
SHORTEST_QUARTERS = 12
MACHINES = (Voice.FOLK, Voice.LAST_BLOCK, Voice.LORA, Voice.FULL)
TEMPERATURE, TOP_P = 1.0, 0.95


class Truth(StrEnum):
    """What a clip is, and what a listener may say it is."""

    BACH = "bach"
    FOLK = "folk"
    MACHINE = "machine"


TRUTHS = {Truth.BACH: "Bach chorale", Truth.FOLK: "Folk song", Truth.MACHINE: "Machine"}


@dataclass(frozen=True)
class Clip:
    """A melody to be judged.

    Attributes:
        source: the voice that wrote it, or the id of the tune that it is from.
        about: what to say of it once it was judged.
    """

    melody: Melody
    truth: Truth
    source: str
    about: str


def round_of(voices: Voices, seed: int) -> list[Clip]:
    """Return three clips, one of each kind, in an order that the seed decides; the same seed gives the same clips.

    Raises:
        ModelUnavailable: if the voice that is to play cannot be loaded.
    """
    chance = random.Random(seed)
    clips = [_real(chance, Collection.BACH), _real(chance, Collection.FOLK), _machine(voices, chance)]
    chance.shuffle(clips)
    return clips


def clip_of(melody: Melody) -> Melody:
    """Return a melody from its beginning to the first phrase that ends after ``CLIP_QUARTERS``, in C or A minor."""
    ticks = 0
    for place, note in enumerate(melody.notes):
        ticks += note.duration
        if note.phrase_end and ticks >= CLIP_QUARTERS * TICKS_PER_QUARTER:
            return replace(melody, notes=melody.notes[: place + 1])
    return melody


def _real(chance: random.Random, collection: Collection) -> Clip:
    tune = chance.choice(_long_enough(collection))
    about = f"{tune.title}, {'chorale melody' if collection is Collection.BACH else tune.origin}"
    truth = Truth.BACH if collection is Collection.BACH else Truth.FOLK
    return Clip(clip_of(tune.melody), truth, tune.id, about)


def _machine(voices: Voices, chance: random.Random) -> Clip:
    """Let a voice write a melody of its own under the header of a real tune in its style."""
    voice = chance.choice(MACHINES)
    style = Collection.FOLK if voice is Voice.FOLK else Collection.BACH
    mode, meter, phrases = chance.choice(_long_enough(style)).tokens[:3]
    settings = MelodySettings(
        opening="",
        mode=mode,
        meter=meter,
        phrases=int(phrases.split()[0]),
        temperature=TEMPERATURE,
        top_p=TOP_P,
        seed=chance.randrange(2**31),
    )
    (piece,) = write_all(voices, settings, [(voice, 1.0, None)])
    return Clip(clip_of(piece.melody), Truth.MACHINE, str(voice), f"written by the voice “{VOICES[voice].title}”")


@cache
def _long_enough(collection: Collection) -> list[Tune]:
    least = SHORTEST_QUARTERS * TICKS_PER_QUARTER
    return [tune for tune in load_split(collection, Split.TEST) if tune.melody.duration >= least]
