"""A melody as a MIDI file, and the instruments that can play it.

MIDI tick = 1/480 of a quarter, 60 to a tick of ours, so that a note can end a little before the next begins
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from lab.music.melody import TICKS_PER_QUARTER, TICKS_PER_WHOLE, Melody

if TYPE_CHECKING:
    from symusic.core import ScoreTick

INSTRUMENTS = {  # name → program of General MIDI; the first is the default
    "Church organ": 19,
    "Piano": 0,
    "Harpsichord": 6,
    "Music box": 10,
    "Choir": 52,
    "Flute": 73,
    "Recorder": 74,
    "Oboe": 68,
    "Clarinet": 71,
    "Violin": 40,
    "Accordion": 21,
}
DEFAULT_PROGRAM = next(iter(INSTRUMENTS.values()))
MIDI_TICKS_PER_QUARTER = 480
SLOWEST, FASTEST = 4.0, 1000.0  # quarters per minute; the file's three bytes for a tempo end just below
BREATH_SECONDS = 0.06  # cut off a note's end before the same pitch comes again, and where a phrase ends
VELOCITY = 90
MOST_BEATS = 255  # that a time signature can name


def to_midi(melody: Melody, *, tempo: float = 96.0, program: int = DEFAULT_PROGRAM) -> bytes:
    """Return a standard MIDI file with the melody, at the pitch it is written at, on one track.

    A pickup is a bar of its own with its own time signature, so that the first note stands at 0 and the bar lines of
    a notation program still fall where they should.

    Args:
        tempo: in quarter notes per minute.
        program: of General MIDI, 0 to 127.

    Raises:
        ValueError: if the tempo, the program or a pitch is one that MIDI cannot express.
    """
    return midi_score(melody, tempo=tempo, program=program).dumps_midi()


def midi_score(melody: Melody, *, tempo: float, program: int) -> ScoreTick:
    """Return the melody as symusic's score, from which it writes a file and makes sound. Raises as ``to_midi``."""
    from symusic import Note, Score, Tempo, TimeSignature, Track

    if not SLOWEST <= tempo <= FASTEST:
        raise ValueError(f"a tempo of {tempo} quarters per minute, not {SLOWEST:g} to {FASTEST:g}")
    if not 0 <= program <= 127:
        raise ValueError(f"there is no MIDI program {program}")
    score = Score(MIDI_TICKS_PER_QUARTER)
    score.tempos.append(Tempo(0, tempo))
    if melody.pickup:
        common = gcd(melody.pickup, TICKS_PER_WHOLE)
        if melody.pickup // common <= MOST_BEATS:  # else it cannot be written, and the bar lines fall beside
            score.time_signatures.append(TimeSignature(0, melody.pickup // common, TICKS_PER_WHOLE // common))
    start = melody.pickup * MIDI_TICKS_PER_QUARTER // TICKS_PER_QUARTER
    score.time_signatures.append(TimeSignature(start, melody.meter.beats, melody.meter.unit))
    track = Track(name="Melody", program=program)
    for time, duration, pitch in played(melody, tempo):
        track.notes.append(Note(time, duration, pitch, VELOCITY))
    score.tracks.append(track)
    return score


def played(melody: Melody, tempo: float) -> list[tuple[int, int, int]]:
    """Return start and duration in MIDI ticks, and pitch, of each note that sounds.

    Notes follow each other without a gap, except where one would melt into its repetition or a phrase ends.

    Raises:
        ValueError: if a pitch is not among MIDI's 0 to 127.
    """
    scale = MIDI_TICKS_PER_QUARTER // TICKS_PER_QUARTER
    breath = round(BREATH_SECONDS * tempo / 60 * MIDI_TICKS_PER_QUARTER)
    following = [*melody.notes, None][1:]
    notes = []
    for (tick, note), after in zip(melody.onsets(), following, strict=True):
        if note.pitch is None:
            continue
        if not 0 <= note.pitch <= 127:
            raise ValueError(f"there is no MIDI pitch {note.pitch}")
        duration = note.duration * scale
        if note.phrase_end or (after is not None and after.pitch == note.pitch):
            duration -= min(breath, duration // 3)
        notes.append((tick * scale, duration, note.pitch))
    return notes
