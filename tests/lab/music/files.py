"""Melodies as MIDI and MusicXML files, made by other means than the app's own writers, for tests of its readers."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import mido

from lab.music.melody import Melody, Meter, Mode, Note, normalized
from lab.music.upload import Upload, read_upload

DOCTYPE = (
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 3.1 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">'
)
STEPS = [("C", 0), ("C", 1), ("D", 0), ("E", -1), ("E", 0), ("F", 0), ("F", 1), ("G", 0), ("A", -1), ("A", 0),
         ("B", -1), ("B", 0)]  # fmt: skip
FOUR = Meter(4, 4)
C_MAJOR = [60, 62, 64, 65, 67, 69, 71, 72]


def melody(
    notes: Sequence[tuple[int | None, int]],
    meter: Meter = FOUR,
    pickup: int = 0,
    tonic: int = 0,
    mode: Mode | None = None,
) -> Melody:
    """A melody of pitches and ticks; the last one ends a phrase, as a reader would say."""
    made = [Note(pitch, duration) for pitch, duration in notes]
    made[-1] = Note(made[-1].pitch, made[-1].duration, True)
    return normalized(made, meter, tonic, pickup, mode)


# ---- MIDI ----------------------------------------------------------------------------------------------------------


def track(notes: Sequence[tuple[Any, ...]], per_quarter: int = 480, channel: int = 0) -> mido.MidiTrack:
    """A track of (pitch, start, end) in ticks, which may be fractions."""
    unit = per_quarter / 8
    events = [(round(start * unit), 1, pitch) for pitch, start, _ in notes]
    events += [(round(end * unit), 0, pitch) for pitch, _, end in notes]
    made, now = mido.MidiTrack(), 0
    for when, on, pitch in sorted(events):
        made.append(mido.Message("note_on" if on else "note_off", note=pitch, channel=channel, time=when - now))
        now = when
    return made


def midi(*tracks: mido.MidiTrack, meta: Sequence[mido.MetaMessage] = (), per_quarter: int = 480) -> bytes:
    file = mido.MidiFile(ticks_per_beat=per_quarter, type=1)
    file.tracks.append(mido.MidiTrack(meta))
    file.tracks.extend(tracks)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def signature(beats: int, unit: int, when: int = 0) -> mido.MetaMessage:
    return mido.MetaMessage("time_signature", numerator=beats, denominator=unit, time=when)


def key(name: str) -> mido.MetaMessage:
    return mido.MetaMessage("key_signature", key=name)


def sounds(tune: Melody, start: int = 0) -> list[tuple[int, int, int]]:
    """A melody as sounding (pitch, start, end)."""
    return [(n.pitch, start + t, start + t + n.duration) for t, n in tune.sounding().onsets() if n.pitch is not None]


def as_midi(tune: Melody, name: str | None, per_quarter: int = 480) -> bytes:
    start = (tune.meter.bar - tune.pickup) % tune.meter.bar
    meta = [signature(tune.meter.beats, tune.meter.unit), *([key(name)] if name else [])]
    return midi(track(sounds(tune, start), per_quarter), meta=meta, per_quarter=per_quarter)


def run_of(pitches: Sequence[int], duration: float = 8, start: float = 0) -> list[tuple[int, float, float]]:
    return [(p, start + n * duration, start + (n + 1) * duration) for n, p in enumerate(pitches)]


# ---- MusicXML ------------------------------------------------------------------------------------------------------


def xml_note(pitch: int | None, duration: float, more: str = "", before: str = "") -> str:
    if pitch is None:
        body = "<rest/>"
    else:
        step, alter = STEPS[pitch % 12]
        body = f"<pitch><step>{step}</step><alter>{alter}</alter><octave>{pitch // 12 - 1}</octave></pitch>"
    return f"<note>{before}{body}<duration>{duration}</duration>{more}</note>"


def attributes(meter: str = "4/4", fifths: int | None = 0, mode: str = "", divisions: float = 8, more: str = "") -> str:
    signature = "" if fifths is None else f"<key><fifths>{fifths}</fifths>{mode and f'<mode>{mode}</mode>'}</key>"
    beats, _, unit = meter.partition("/")
    times = f"<time><beats>{beats}</beats><beat-type>{unit}</beat-type></time>" if meter else ""
    return f"<attributes><divisions>{divisions}</divisions>{signature}{times}{more}</attributes>"


def score(*parts: Sequence[str], doctype: str = DOCTYPE) -> bytes:
    """A score; each part is a list of its measures' content."""
    content = "".join(
        f'<part id="P{n}">{"".join(f"<measure>{measure}</measure>" for measure in part)}</part>'
        for n, part in enumerate(parts)
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>{doctype}<score-partwise>{content}</score-partwise>'.encode()


def as_xml(tune: Melody, fifths: int, mode: str = "") -> bytes:
    """Write it with bar lines across which notes are tied."""
    tune = tune.sounding()
    bars = [attributes(str(tune.meter), fifths, mode)]
    room = tune.pickup or tune.meter.bar
    for note in tune.notes:
        left, tied = note.duration, False
        while left:
            if not room:
                bars.append("")
                room = tune.meter.bar
            length = min(left, room)
            left, room = left - length, room - length
            ties = ('<tie type="stop"/>' if tied else "") + ('<tie type="start"/>' if left else "")
            fermata = "<notations><fermata/></notations>" if note.phrase_end and not left else ""
            bars[-1] += xml_note(note.pitch, length, (ties if note.pitch is not None else "") + fermata)
            tied = True
    return score(bars)


def packed(
    content: bytes, path: str = "score.xml", container: bool = True, method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        if container:
            named = f'<container><rootfiles><rootfile full-path="{path}"/></rootfiles></container>'
            archive.writestr("META-INF/container.xml", named)
        archive.writestr(path, content)
    return buffer.getvalue()


def read(data: bytes, name: str = "tune") -> Upload:
    return read_upload(data, name)


TUNES = [
    (melody([(p, 8) for p in C_MAJOR]), 0, "C", ""),
    (melody([(67, 8), (72, 24), (None, 8), (76, 4), (74, 4), (72, 16)], Meter(3, 4), pickup=8, tonic=0), 0, "C", ""),
    (melody([(62, 40), (66, 12), (69, 20), (62, 24)], tonic=2), 2, "D", "major"),
    (
        melody([(64, 4), (67, 8), (71, 4), (None, 12), (72, 12), (71, 8)], Meter(6, 8), 4, 4, Mode.MINOR),
        1,
        "Em",
        "minor",
    ),
    (melody([(70, 1), (72, 1), (74, 2), (75, 12), (70, 48)], tonic=10), -2, "Bb", ""),
    (melody([(69, 8), (None, 8), (72, 16), (76, 32), (69, 8)], Meter(2, 2), 0, 9, Mode.MINOR), 0, "Am", "minor"),
]
