"""The MIDI file, read by mido, which had no part in writing it."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise

import mido
import pytest

from lab.music.melody import Melody, Meter, Mode, Note
from lab.music.midi import DEFAULT_PROGRAM, INSTRUMENTS, to_midi

MELODY = Melody(
    (Note(67, 8), Note(72, 12), Note(72, 4, True), Note(None, 8), Note(71, 8), Note(None, 16), Note(74, 5)),
    Meter(3, 4),
    Mode.MAJOR,
    pickup=8,
)


def read(data: bytes) -> tuple[mido.MidiFile, list[tuple[float, mido.Message]]]:
    """Return the file and its messages with their times in ticks of ours."""
    file = mido.MidiFile(file=io.BytesIO(data))
    (track,) = file.tracks
    messages, ticks = [], 0
    for message in track:
        ticks += message.time
        messages.append((ticks * 8 / file.ticks_per_beat, message))
    return file, messages


def notes(data: bytes) -> list[tuple[float, float, int]]:
    """Return start and end in ticks of ours, and pitch, of each note."""
    started: dict[int, float] = {}
    played = []
    for time, message in read(data)[1]:
        if message.type == "note_on" and message.velocity:
            assert message.note not in started, "a note starts while it sounds"
            started[message.note] = time
        elif message.type in ("note_on", "note_off"):
            played.append((started.pop(message.note), time, message.note))
    assert not started
    return sorted(played)


def test_notes_start_where_they_should_and_rests_are_silent() -> None:
    played = notes(to_midi(MELODY))
    expected = [(tick, note) for tick, note in MELODY.onsets() if note.pitch is not None]
    assert [(start, pitch) for start, _, pitch in played] == [(tick, note.pitch) for tick, note in expected]
    for (start, end, _), (tick, note) in zip(played, expected, strict=True):
        assert start < end <= tick + note.duration
        assert end - start >= note.duration * 2 / 3


def test_notes_are_joined_but_for_repetitions_and_phrase_ends() -> None:
    melody = Melody((Note(60, 8), Note(62, 8), Note(62, 8), Note(64, 8, True), Note(65, 8)), Meter(4, 4), Mode.MAJOR)
    gaps = [after[0] - before[1] for before, after in pairwise(notes(to_midi(melody, tempo=60)))]
    assert gaps == pytest.approx([0, 0.48, 0, 0.48], abs=0.02)  # 0.06 of a second is 0.48 of a tick


def test_repeated_thirty_seconds_still_sound() -> None:
    melody = Melody((Note(60, 1),) * 8, Meter(4, 4), Mode.MAJOR)
    lengths = [end - start for start, end, _ in notes(to_midi(melody, tempo=240))]
    assert lengths == pytest.approx([2 / 3] * 7 + [1])


def test_tempo_program_and_time_signatures() -> None:
    file, messages = read(to_midi(MELODY, tempo=72, program=73))
    assert file.ticks_per_beat == 480
    assert [mido.tempo2bpm(m.tempo) for _, m in messages if m.type == "set_tempo"] == pytest.approx([72], abs=0.001)
    assert [m.program for _, m in messages if m.type == "program_change"] == [73]
    signatures = [(time, m.numerator, m.denominator) for time, m in messages if m.type == "time_signature"]
    assert signatures == [(0, 1, 4), (8, 3, 4)]  # the pickup is a bar of its own


@pytest.mark.parametrize(("pickup", "expected"), [(0, None), (4, (1, 8)), (20, (5, 8)), (24, (3, 4)), (7, (7, 32))])
@pytest.mark.parametrize("meter", [Meter(4, 4), Meter(6, 8), Meter(4, 2), Meter(12, 32), Meter(2, 1)], ids=str)
def test_every_meter_and_pickup_can_be_written(meter: Meter, pickup: int, expected: tuple[int, int] | None) -> None:
    _, messages = read(to_midi(replace(MELODY, meter=meter, pickup=pickup)))
    written = [(time, m.numerator, m.denominator) for time, m in messages if m.type == "time_signature"]
    assert written == [*([(0, *expected)] if expected else []), (pickup, meter.beats, meter.unit)]


def test_a_pickup_that_no_time_signature_can_name_is_written_all_the_same() -> None:
    rest = Melody((Note(None, 297), *MELODY.notes), MELODY.meter, MELODY.mode, pickup=297)
    _, messages = read(to_midi(rest))
    assert [time for time, m in messages if m.type == "time_signature"] == [297]


def test_music21_puts_the_bar_lines_behind_the_pickup() -> None:
    from music21 import converter

    score = converter.parseData(to_midi(MELODY), format="midi")
    bars = list(score.parts[0].getElementsByClass("Measure"))
    assert [bar.offset for bar in bars[:3]] == [0, 1, 4]


def test_rests_alone_and_nothing_are_files_too() -> None:
    assert notes(to_midi(Melody((Note(None, 32),), Meter(4, 4), Mode.MAJOR))) == []
    assert notes(to_midi(Melody((), Meter(4, 4), Mode.MAJOR))) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tempo": 0}, "tempo"),
        ({"tempo": -5}, "tempo"),
        ({"tempo": float("nan")}, "tempo"),
        ({"tempo": 1e6}, "tempo"),
        ({"program": 128}, "program"),
        ({"program": -1}, "program"),
    ],
)
def test_what_midi_cannot_express_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_midi(MELODY, **change)


@pytest.mark.parametrize("pitch", [-1, 128, 300])
def test_pitches_outside_midi_are_refused(pitch: int) -> None:
    with pytest.raises(ValueError, match="pitch"):
        to_midi(Melody((Note(pitch, 8),), Meter(4, 4), Mode.MAJOR))


def test_the_same_melody_gives_the_same_file() -> None:
    assert to_midi(MELODY) == to_midi(MELODY)


def test_instruments_are_programs() -> None:
    assert len(set(INSTRUMENTS.values())) == len(INSTRUMENTS) >= 10
    assert all(0 <= program <= 127 for program in INSTRUMENTS.values())
    assert next(iter(INSTRUMENTS.values())) == DEFAULT_PROGRAM
