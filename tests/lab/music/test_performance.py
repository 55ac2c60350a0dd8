"""A performance: when which note sounds, and that sound, score and file are of the same melody."""

from __future__ import annotations

import io
import wave
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from lab.errors import VisitorError
from lab.music import performance
from lab.music.composing import MelodySettings, compose
from lab.music.melody import Melody, Meter, Mode, Note
from lab.music.midi import INSTRUMENTS
from lab.music.performance import KEPT_BYTES, MAX_SECONDS, Manner, Performance, beginning, note_times, perform
from lab.music.voices import Voices
from lab.once import Once

TUNE = Melody(
    (Note(64, 8), Note(69, 12), Note(None, 4), Note(71, 48, True), Note(69, 24, True)), Meter(4, 4), Mode.MINOR, 8
)


def played(melody: Melody = TUNE, prefix: str = "test", **manner: object) -> Performance:
    return perform(melody, Manner(**manner), title="Test", prefix=prefix)


def seconds_of(wav: bytes) -> float:
    with wave.open(io.BytesIO(wav)) as file:
        return file.getnframes() / file.getframerate()


def key_of(performance: Performance) -> tuple[int, str]:
    key = ElementTree.fromstring(performance.score.musicxml).find(".//key")
    return int(key.findtext("fifths")), key.findtext("mode")


def test_times_by_hand() -> None:
    assert note_times(TUNE, 60) == ((0, 1), (1, 1.5), (2.5, 0.5), (3, 6), (9, 3))
    assert note_times(TUNE, 120) == ((0, 0.5), (0.5, 0.75), (1.25, 0.25), (1.5, 3), (4.5, 1.5))
    assert note_times(Melody((), Meter(4, 4), Mode.MAJOR), 60) == ()


@pytest.mark.parametrize("tempo", [40, 96, 200])
def test_times_and_sound_match_the_melody_at_the_tempo(tempo: int) -> None:
    one = played(tempo=tempo)
    assert one.times == note_times(TUNE, tempo)
    assert len(one.times) == len(TUNE.notes) == len(one.score.note_ids)
    nominal = TUNE.duration / 8 * 60 / tempo
    start, duration = one.times[-1]
    assert start + duration == pytest.approx(nominal)
    assert seconds_of(one.wav) == pytest.approx(one.seconds)
    assert nominal - 1e-4 <= one.seconds < nominal + 10  # the last note may ring


def test_what_a_voice_wrote_can_be_performed(voices: Voices) -> None:
    for piece in compose(voices, MelodySettings(voices="folk,lora", phrases=1)):
        one = played(piece.melody, tempo=200)
        assert len(one.times) == len(one.score.note_ids) == len(piece.melody.notes)
        assert one.melody.notes == piece.melody.notes
        assert one.midi.startswith(b"MThd") and one.wav.startswith(b"RIFF")


@pytest.mark.parametrize(("semitones", "fifths"), [(0, 0), (1, 7), (2, 2), (-2, -2), (12, 0), (-12, 0), (-7, -1)])
def test_transposing_moves_pitches_and_key(semitones: int, fifths: int) -> None:
    for melody in (TUNE, replace(TUNE, mode=Mode.MAJOR)):
        one = played(melody, transpose=semitones)
        assert one.melody.pitches == [pitch + semitones for pitch in melody.pitches]
        sharps, mode = key_of(one)
        assert mode == str(melody.mode)
        assert (sharps - fifths) % 12 == 0 and abs(sharps) <= 7
        assert one.times == played(melody).times
        assert one.melody.transposition == melody.transposition - semitones  # the source stays where it was


def test_transposing_is_heard() -> None:
    assert played(transpose=3).wav != played().wav
    assert played(transpose=3).midi != played().midi


def test_the_melody_itself_is_left_as_it_is() -> None:
    before = replace(TUNE)
    played(transpose=5, tempo=60)
    assert before == TUNE


def test_the_same_arguments_are_performed_once() -> None:
    assert played() is played()
    assert played(replace(TUNE)) is played()  # an equal melody is the same one
    assert played(tempo=96, transpose=0) is played()


@pytest.mark.parametrize(
    "changes", [{"tempo": 97}, {"transpose": 1}, {"instrument": "Flute"}, {"prefix": "other"}], ids=str
)
def test_other_arguments_are_performed_anew(changes: dict[str, object]) -> None:
    assert played(**changes) is not played()


def test_the_prefix_is_that_of_the_ids() -> None:
    for name in (name for names in played(prefix="card-2").score.note_ids for name in names):
        assert name.startswith("card-2")


def test_the_default_instrument_is_the_first() -> None:
    assert Manner().instrument == next(iter(INSTRUMENTS)) == MelodySettings().instrument
    assert (Manner().tempo, Manner().transpose) == (MelodySettings().tempo, MelodySettings().transpose)


def test_a_synthesizer_that_there_is_none_of() -> None:
    with pytest.raises(VisitorError, match="theremin"):
        played(synthesizer="theremin")


def test_the_sound_of_an_endless_melody_breaks_off_and_all_else_is_whole() -> None:
    """Two hundred notes of eight quarters at the slowest tempo are 40 minutes, 212 MB of sound."""
    long = replace(TUNE, notes=(Note(60, 64),) * 200)
    one = played(long, tempo=40)
    assert one.breaks_off and not played().breaks_off
    assert MAX_SECONDS <= one.seconds < MAX_SECONDS + 10  # the last note may ring
    assert len(one.times) == len(one.score.note_ids) == 200
    assert seconds_of(one.wav) == pytest.approx(one.seconds)
    heard = beginning(long, 40)
    assert heard.duration / 8 * 60 / 40 == pytest.approx(MAX_SECONDS)
    assert beginning(TUNE, 40) == TUNE


def test_performances_are_kept_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Once(KEPT_BYTES, lambda performance: performance.size)
    monkeypatch.setattr(performance, "_kept", kept)
    one, other = played(prefix="one"), played(prefix="other")
    assert played(prefix="one") is one
    kept.room = 2 * max(one.size, other.size)
    third = played(prefix="third")
    assert kept.results() == [one, third]  # the other was longest not asked for
    kept.room = 1
    assert played(prefix="one") is one
    alone = played(prefix="alone")
    assert kept.results() == [alone]
    performance.forget()
    assert kept.results() == []
