"""What MIDI and MusicXML files have in common, and how much of a stranger's file is read before it is turned down."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from lab.music.melody import TICKS_PER_QUARTER

MAX_BYTES, MAX_UNPACKED = 2_000_000, 5_000_000
MAX_EVENTS = 20_000  # MIDI events, or notes of a score
FINE = 10_080  # parts of a tick in which time is counted until it is rounded: exact for tuplets of 3, 5, 6, 7 and 9
QUARTER = FINE * TICKS_PER_QUARTER

TOO_LARGE = "The file is too large. Please take one of at most 2 MB with a single piece in it."
TOO_MANY = "The file has too many notes or events. Please export only the melody, or fewer bars, and try again."
BROKEN = "The file is damaged or cut short. Please export it once more from your music program and try again."


class Sound(NamedTuple):
    """A note that sounds from start to end: in FINE parts of a tick as it is read, in ticks once it is rounded."""

    start: int
    end: int
    pitch: int
    phrase_end: bool = False


@dataclass
class Part:
    """A voice or an instrument. Times are in FINE parts of a tick.

    Attributes:
        sounds: in any order, several at once if need be.
        meters: time signatures in their order, such as ``3/4``.
        key: sharps (flats below zero), the mode's name or nothing, and semitones from written to sounding pitch.
        bar_lines: where bars begin, in order; one of them is enough if all bars are full.
        end: of the last bar, if the file says where it is.
        shortest_rest: in ticks; less between two notes is how they were played.
    """

    sounds: list[Sound] = field(default_factory=list)
    meters: list[str] = field(default_factory=list)
    key: tuple[int, str, int] | None = None
    bar_lines: list[int] = field(default_factory=lambda: [0])
    end: int | None = None
    shortest_rest: int = 1

    @property
    def height(self) -> float:
        """Mean pitch of its sounds, of which there must be one."""
        return sum(sound.pitch for sound in self.sounds) / len(self.sounds)

    def rounded(self) -> list[Sound]:
        """Return the sounds in ticks, none shorter than one, in order, the highest first where several begin."""
        starts = [tick(sound.start) for sound in self.sounds]
        sounds = [
            sound._replace(start=start, end=max(tick(sound.end), start + 1))
            for sound, start in zip(self.sounds, starts, strict=True)
        ]
        return sorted(sounds, key=lambda sound: (sound.start, -sound.pitch))

    def chordal(self) -> bool:
        """Tell whether more than half of the onsets have several notes."""
        pitches: dict[int, set[int]] = defaultdict(set)
        for sound in self.sounds:
            pitches[tick(sound.start)].add(sound.pitch)
        return 2 * sum(len(chord) > 1 for chord in pitches.values()) > len(pitches)


def tick(time: int) -> int:
    """Return the tick nearest to a time in FINE parts of one."""
    return (time + FINE // 2) // FINE
