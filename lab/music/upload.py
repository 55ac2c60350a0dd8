"""Takes the melody out of a visitor's MIDI or MusicXML file.

Both kinds of file come down to the same thing: parts, each a list of sounds with a start, an end and a pitch. One part
is chosen, reduced to one voice, put on the grid of thirty-seconds and brought to C major or A minor.

The bytes are a stranger's, so every loop has a bound. Nothing is written, unpickled, fetched or started, and no reader
in C++ is trusted with them.
"""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lab.errors import UploadError
from lab.music.melody import HIGHEST_PITCH, LOWEST_PITCH, Melody, Meter, Mode, Note, normalized
from lab.music.upload_midi import midi_parts
from lab.music.upload_parts import BROKEN, FINE, MAX_BYTES, TOO_LARGE, Part, Sound, tick
from lab.music.upload_score import UTF_16, packed_parts, score_parts

log = logging.getLogger(__name__)

MAX_NOTES = 400  # notes and rests that are taken
LEGATO = 2  # ticks; notes of one voice overlap by less when they are played smoothly
MAX_DURATION = 2048  # ticks of one note or rest, 64 whole notes: anything longer is a slip or a prank
KNOWN_SUFFIXES = (".mid", ".midi", ".musicxml", ".xml", ".mxl")
MODES = {"major": 0, "ionian": 0, "dorian": 2, "phrygian": 4, "lydian": 5, "mixolydian": 7, "aeolian": 9, "minor": 9}
KEY_NAMES = ("C", "D flat", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B")
KRUMHANSL_KESSLER = {  # from the tonic upwards
    Mode.MAJOR: (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    Mode.MINOR: (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
NO_NOTES = "There are no notes with a pitch in this file. Please take one that has a melody in it."
TOO_WIDE = "The melody spans too many octaves for one voice. Please export a single voice or instrument."


@dataclass(frozen=True)
class Upload:
    """A visitor's melody.

    Attributes:
        melody: in C major or A minor.
        notes: remarks in plain words on what was left out, rounded or guessed.
    """

    melody: Melody
    notes: tuple[str, ...]


def read_upload(data: bytes, name: str) -> Upload:
    """Take the melody out of a MIDI or MusicXML file. What kind it is, its content tells.

    Leading silence is dropped but for the place in the bar, repeats are not played out, grace notes are left out.

    Args:
        data: the file's bytes.
        name: the file's name, for the message if it holds something else.

    Raises:
        UploadError: if there is no melody to be had, and nothing else whatever the bytes are.
    """
    if len(data) > MAX_BYTES:
        raise UploadError(TOO_LARGE)
    if not data:
        raise UploadError("The file is empty. Please choose another one.")
    try:
        if data.startswith(b"MThd"):
            parts = midi_parts(data)
        elif data.startswith(b"PK\x03\x04"):
            parts = packed_parts(data)
        elif data.startswith(UTF_16) or data[:100].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            parts = score_parts(data)
        else:
            spite = "In spite of its name, the" if name.lower().endswith(KNOWN_SUFFIXES) else "The"
            raise UploadError(
                f"{spite} file holds no MIDI or MusicXML. Please export one of these from a music program."
            )
        return _upload(parts)
    except UploadError:
        raise
    except Exception as error:  # a stranger's bytes: whatever they set off, the visitor gets words and we the trace
        log.warning("an upload of %d bytes could not be read", len(data), exc_info=True)
        raise UploadError(BROKEN) from error


def estimate_key(notes: Sequence[Note]) -> tuple[int, Mode]:
    """Return the tonic's pitch class and the mode whose profile correlates best with how long each pitch class sounds.

    The algorithm of Krumhansl and Schmuckler (C. L. Krumhansl, Cognitive Foundations of Musical Pitch, Oxford 1990,
    chapter 4), with the profiles of C. L. Krumhansl and E. J. Kessler, Tracing the dynamic changes in perceived tonal
    organization in a spatial representation of musical keys, Psychological Review 89 (1982), 334-368.
    C major if all twelve sound equally long, or none does.
    """
    length = np.zeros(12)
    for note in notes:
        if note.pitch is not None:
            length[note.pitch % 12] += note.duration
    if np.ptp(length) == 0:
        return 0, Mode.MAJOR
    keys = [(tonic, mode) for mode in Mode for tonic in range(12)]
    fits = [np.corrcoef(length, np.roll(KRUMHANSL_KESSLER[mode], tonic))[0, 1] for tonic, mode in keys]
    return keys[int(np.argmax(fits))]


def _upload(parts: Sequence[Part]) -> Upload:
    """Choose a part and make a melody of it."""
    parts = [part for part in parts if part.sounds]
    if not parts:
        raise UploadError(NO_NOTES)
    part, remarks = _chosen(parts)
    meter = _meter(part, remarks)
    line = _skyline(part, remarks)
    notes, complete = _notes(line, part)
    start, end = line[0].start, line[0].start + sum(note.duration for note in notes)
    rough = [sound.start for sound in part.sounds if sound.start % FINE and start <= tick(sound.start) < end]
    if rough:
        what = "Rhythms" if any(3 * time % FINE for time in rough) else "Triplets"
        remarks.append(f"{what} were rounded to thirty-second notes.")
    tonic, mode = _key(part, line[-1], notes, remarks)
    octaves = _octaves(notes)
    if octaves:
        way = "up" if octaves > 0 else "down"
        remarks.append(f"The melody was moved {way} by {abs(octaves)} octave{'s' * (abs(octaves) > 1)}.")
        notes = [n if n.pitch is None else replace(n, pitch=n.pitch + 12 * octaves) for n in notes]
    following = bisect_right(part.bar_lines, line[0].start * FINE + FINE // 2)
    pickup = (tick(part.bar_lines[min(following, len(part.bar_lines) - 1)]) - start) % meter.bar
    melody = normalized(notes, meter, tonic, pickup, mode)
    melody = melody.shifted(12 * _octaves(melody.notes))  # in the octave next to all others, or the next that holds it
    if not complete:
        count, bars = len(melody.pitches), len(melody.bar_lengths())
        remarks.append(f"The first {count} notes ({bars} bars) were taken, the rest left out.")
    return Upload(melody, tuple(remarks))


def _chosen(parts: Sequence[Part]) -> tuple[Part, list[str]]:
    """Return the part of the highest mean pitch and remarks; one that has but a few notes is passed over.

    Chords give way to a single voice less than an octave below them: they are the accompaniment of a singer.
    """
    enough = min(16, max(len(part.sounds) for part in parts) / 4)
    candidates = [part for part in parts if len(part.sounds) >= enough]
    best = max(candidates, key=lambda part: part.height - 12 * part.chordal())
    if len(parts) == 1:
        return best, []
    which = "the highest" if best.height == max(part.height for part in parts) else "the one most like a melody"
    return best, [f"The file has {len(parts)} parts; {which} was taken."]


def _meter(part: Part, remarks: list[str]) -> Meter:
    """Return the first time signature, 4/4 if there is none that can be used."""
    if not part.meters:
        remarks.append("The file has no time signature; 4/4 was assumed.")
        return Meter(4, 4)
    if len(set(part.meters)) > 1:
        remarks.append("The time signature changes later; all was read in the first one.")
    try:
        return Meter.parse(part.meters[0])
    except ValueError:
        remarks.append("The time signature cannot be used here; 4/4 was assumed.")
        return Meter(4, 4)


def _skyline(part: Part, remarks: list[str]) -> list[Sound]:
    """Return the highest of what sounds at once, in ticks. What began below a higher note is not heard after it."""
    line: list[Sound] = []
    several = False
    for sound in part.rounded():
        if line and sound.start == line[-1].start:
            several |= sound.pitch != line[-1].pitch
            line[-1] = line[-1]._replace(phrase_end=line[-1].phrase_end or sound.phrase_end)  # stands at any of a chord
            continue
        if line and sound.start < line[-1].end:
            legato = line[-1].end - sound.start < LEGATO
            several |= not legato
            if not legato and sound.pitch < line[-1].pitch:
                continue
            line[-1] = line[-1]._replace(end=sound.start)
        line.append(sound)
    if part.chordal():
        remarks.append("The notes are chords throughout; the top note of each was taken.")
    elif several:
        remarks.append("Where several notes sounded at once, the highest was taken.")
    return line


def _notes(line: Sequence[Sound], part: Part) -> tuple[list[Note], bool]:
    """Return notes and rests, and whether they are all. A rest that is written after the last note fills its bar."""
    last = line[-1].end
    bars = [] if part.end is None else [tick(time) for time in (*part.bar_lines, part.end)]
    place = bisect_left(bars, last)
    close = bars[place] if place < len(bars) else last
    notes: list[Note] = []
    for sound, following in zip(line, [*(after.start for after in line[1:]), close], strict=True):
        rest = following - sound.end if following - sound.end >= part.shortest_rest else 0
        notes.append(Note(sound.pitch, following - rest - sound.start, sound.phrase_end))
        if rest:
            notes.append(Note(None, rest))
    complete = len(notes) <= MAX_NOTES
    notes = notes[:MAX_NOTES]
    if not complete and notes[-1].pitch is None:
        notes.pop()
    if any(note.duration > MAX_DURATION for note in notes):
        raise UploadError("A note or rest in the file lasts for dozens of bars. Please shorten it and try again.")
    notes[-1] = replace(notes[-1], phrase_end=True)
    return notes, complete


def _key(part: Part, last: Sound, notes: Sequence[Note], remarks: list[str]) -> tuple[int, Mode | None]:
    """Return the tonic's pitch class, and the mode unless the thirds are to tell it."""
    if part.key is None:
        tonic, mode = estimate_key(notes)
        remarks.append(f"The file has no key signature; {KEY_NAMES[tonic]} {mode} was guessed from the notes.")
        return tonic, mode
    sharps, name, transposition = part.key
    major = (7 * sharps + transposition) % 12
    relative = (major + MODES["minor"]) % 12
    if name in MODES:
        return (major + MODES[name]) % 12, Mode.MINOR if name in ("minor", "aeolian") else None
    return (relative, Mode.MINOR) if last.pitch % 12 == relative else (major, None)


def _octaves(notes: Sequence[Note]) -> int:
    """Return by how many octaves all must be moved to come within bounds. Raises UploadError if that does not help."""
    pitches = [note.pitch for note in notes if note.pitch is not None]
    low, high = min(pitches), max(pitches)
    octaves = max(0, -((low - LOWEST_PITCH) // 12)) or min(0, (HIGHEST_PITCH - high) // 12)
    if low + 12 * octaves < LOWEST_PITCH or high + 12 * octaves > HIGHEST_PITCH:
        raise UploadError(TOO_WIDE)
    return octaves
