"""Reads the parts of a standard MIDI file: tracks, divided by channel.

By its own few lines, as a stranger may have made the file: mido reads two megabytes of events to their end, numbers of
any length among them, and turns a whole file down for one odd key signature.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from struct import unpack_from

from lab.errors import UploadError
from lab.music.upload_parts import BROKEN, MAX_EVENTS, QUARTER, TOO_MANY, Part, Sound

DRUMS = 9  # the channel that General MIDI keeps for them
META, SYSEX, SYSEX_END = 0xFF, 0xF0, 0xF7
END_OF_TRACK, TIME_SIGNATURE, KEY_SIGNATURE = 0x2F, 0x58, 0x59
SHORTEST_REST = 2  # ticks, a sixteenth


def midi_parts(data: bytes) -> list[Part]:
    """Return a part for each track and channel in which something but drums sounds.

    Raises:
        UploadError: if the file is broken, too large, or counts time in seconds.
    """
    if len(data) < 14:
        raise UploadError(BROKEN)
    per_quarter = unpack_from(">H", data, 12)[0]
    if per_quarter & 0x8000:
        raise UploadError("The file counts time in film frames, not in beats. Please export it with beats (PPQ).")
    if not per_quarter:
        raise UploadError(BROKEN)
    sounds: dict[tuple[int, int], list[Sound]] = defaultdict(list)
    meters: list[tuple[int, Fraction, str]] = []  # tick, length in quarters, name
    keys: list[tuple[int, int, str]] = []  # tick, sharps, mode
    events = 0
    for number, track in enumerate(_tracks(data)):
        sounding: dict[tuple[int, int], int] = {}  # channel and pitch to the tick of the onset
        now = 0
        for now, status, body in _events(track):
            events += 1
            if events > MAX_EVENTS:
                raise UploadError(TOO_MANY)
            channel, kind = status & 0x0F, status & 0xF0
            if status == META and body[0] == TIME_SIGNATURE and len(body) >= 3 and body[1] and body[2] <= 6:
                meters.append((now, Fraction(4 * body[1], 2 ** body[2]), f"{body[1]}/{2 ** body[2]}"))
            elif status == META and body[0] == KEY_SIGNATURE and len(body) >= 3:
                sharps = body[1] - 256 if body[1] > 127 else body[1]
                # Many programs write major for whatever they do not know: only minor is a statement.
                keys.append((now, sharps, "minor" if body[2] == 1 else ""))
            elif kind in (0x80, 0x90) and channel != DRUMS:
                start = sounding.pop((channel, body[0]), None)
                if start is not None:
                    sounds[number, channel].append(_sound(start, now, body[0], per_quarter))
                if kind == 0x90 and body[1]:
                    sounding[channel, body[0]] = now
        for (channel, pitch), start in sounding.items():  # never switched off: they end with the track
            sounds[number, channel].append(_sound(start, now, pitch, per_quarter))
    names, bar_line = _meters(meters, per_quarter)
    keys = sorted((key for key in keys if -7 <= key[1] <= 7), key=lambda key: key[0])
    key = (keys[0][1], keys[0][2], 0) if keys else None
    bar_lines = [_fine(bar_line, per_quarter)]
    return [Part(sounds[place], names, key, bar_lines, shortest_rest=SHORTEST_REST) for place in sorted(sounds.keys())]


def _fine(time: int, per_quarter: int) -> int:
    return round(time * QUARTER / per_quarter)


def _sound(start: int, end: int, pitch: int, per_quarter: int) -> Sound:
    return Sound(_fine(start, per_quarter), _fine(end, per_quarter), pitch)


def _meters(meters: list[tuple[int, Fraction, str]], per_quarter: int) -> tuple[list[str], int]:
    """Return time signatures in order, and the tick of a bar line.

    Score writers make a pickup a short first bar under a meter of its own, such as one bar of 1/4 before 4/4; that one
    is left out.
    """
    meters = sorted(meters, key=lambda meter: meter[0])
    if len(meters) > 1:
        (first, length, _), (second, full, _) = meters[:2]
        if length < full and second - first == length * per_quarter:
            meters = meters[1:]
    return [name for _, _, name in meters], meters[0][0] if meters else 0


def _tracks(data: bytes) -> Iterator[bytes]:
    """Yield the content of each track; chunks of other kinds are skipped. Raises UploadError if some are cut off."""
    length, _, promised = unpack_from(">IHH", data, 4)
    position = 8 + length
    while promised and position + 8 <= len(data):
        name, size = unpack_from(">4sI", data, position)
        position += 8 + size
        if name == b"MTrk":
            if position > len(data):
                break
            promised -= 1
            yield data[position - size : position]
    if promised:
        raise UploadError(BROKEN)


def _events(track: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield each event's time in MIDI ticks, status byte and data; a meta event's data begin with its type.

    Raises:
        UploadError: at what cannot be an event.
    """
    position = now = status = 0
    try:
        while position < len(track):
            delta, position = _variable(track, position)
            now += delta
            if track[position] & 0x80:
                running, status = status, track[position]
                position += 1
            if status == META:
                begin, (size, position) = position, _variable(track, position + 1)
                body = track[begin : begin + 1] + track[position : position + size]
                position += size
            elif status in (SYSEX, SYSEX_END):
                size, position = _variable(track, position)
                body = track[position : position + size]
                position += size
            else:
                size = 1 if status & 0xE0 == 0xC0 else 2
                body = track[position : position + size]
                position += size
                if not 0x80 <= status < SYSEX or max(body) > 0x7F:
                    raise UploadError(BROKEN)
            if position > len(track):
                raise UploadError(BROKEN)
            yield now, status, body
            if status == META and body[0] == END_OF_TRACK:
                return
            if status in (META, SYSEX, SYSEX_END):  # these do not run on, but what ran before them may
                status = running
    except (IndexError, ValueError):  # the track ends within an event
        raise UploadError(BROKEN) from None


def _variable(track: bytes, position: int) -> tuple[int, int]:
    """Read a number of up to four bytes, seven bits in each. Return it and the position after it."""
    value = 0
    for place in range(position, position + 4):
        value = value << 7 | track[place] & 0x7F
        if track[place] < 0x80:
            return value, place + 1
    raise UploadError(BROKEN)
