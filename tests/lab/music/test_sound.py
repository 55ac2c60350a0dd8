"""Sound is judged as an ear would: how high, how loud, how long, and whether rests are silent."""

from __future__ import annotations

import io
import os
import time
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lab.errors import VisitorError
from lab.music import sound
from lab.music.melody import Melody, Meter, Mode, Note
from lab.music.midi import INSTRUMENTS
from lab.music.sound import Sound, render, synthesizers, to_wav

FLUTE = INSTRUMENTS["Flute"]
needs_fluidsynth = pytest.mark.skipif(
    "fluidsynth" not in synthesizers(), reason="the program fluidsynth is not installed here"
)
each_synthesizer = pytest.mark.parametrize(
    "synthesizer", ["symusic", pytest.param("fluidsynth", marks=needs_fluidsynth)]
)


def melody_of(*notes: tuple[int | None, int]) -> Melody:
    return Melody(tuple(Note(pitch, ticks) for pitch, ticks in notes), Meter(4, 4), Mode.MAJOR)


def between(audio: Sound, start: float, end: float) -> np.ndarray:
    """Return the samples between two times in seconds as one channel."""
    return audio.samples[round(start * audio.rate) : round(end * audio.rate)].mean(axis=1)


def fundamental(samples: np.ndarray, rate: int) -> float:
    """Return the lowest frequency, in Hz, that is about as strong as the strongest."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8 * len(samples)))
    first = int(np.flatnonzero(spectrum > 0.4 * spectrum.max())[0])
    peak = first + int(np.argmax(spectrum[first : first + 80]))
    return peak * rate / (8 * len(samples))


def level(samples: np.ndarray) -> float:
    """Return the root mean square in dB of full scale."""
    return 20 * np.log10(np.sqrt(np.mean(samples**2)) + 1e-12)


@each_synthesizer
def test_notes_have_their_pitch_level_and_length_and_rests_are_silent(synthesizer: str) -> None:
    audio = render(
        melody_of((69, 16), (None, 16), (76, 16)), tempo=60, program=FLUTE, synthesizer=synthesizer
    )  # 2 s each
    assert fundamental(between(audio, 0.3, 1.8), audio.rate) == pytest.approx(440, rel=0.01)
    assert fundamental(between(audio, 4.3, 5.8), audio.rate) == pytest.approx(659.26, rel=0.01)
    assert 20 * np.log10(np.abs(audio.samples).max()) == pytest.approx(-1, abs=0.1)
    assert level(between(audio, 0.3, 1.8)) > -20
    assert level(between(audio, 4.3, 5.8)) > -20
    assert level(between(audio, 3.2, 3.9)) < -45  # FluidSynth's room dies away first
    assert 6 <= audio.seconds < 8
    assert audio.samples.dtype == np.float32
    assert audio.samples.ndim == 2
    assert np.isfinite(audio.samples).all()
    assert np.abs(audio.samples[-1]).max() == 0


def test_symusic_rests_are_digital_silence_without_a_click() -> None:
    audio = render(melody_of((69, 8), (None, 8), (69, 8)), tempo=60, program=INSTRUMENTS["Violin"])
    assert not between(audio, 1.0, 2.0).any()
    steps = np.abs(np.diff(audio.samples[:, 0]))
    end = audio.rate
    assert steps[end - 40 : end + 1].max() < 0.02 < steps[: end - 1000].max()
    assert audio.seconds == 3


def test_repeated_notes_are_heard_apart() -> None:
    audio = render(melody_of((69, 8), (69, 8)), tempo=60, program=INSTRUMENTS["Church organ"])
    assert level(between(audio, 0.95, 0.995)) < -60
    assert level(between(audio, 0.8, 0.9)) > -20


def test_tempo_scales_time_and_pitches_stay() -> None:
    melody = melody_of((69, 16), (71, 16))
    slow, fast = (render(melody, tempo=tempo, program=FLUTE) for tempo in (60, 120))
    assert (slow.seconds, fast.seconds) == pytest.approx((4, 2))
    assert fundamental(between(fast, 0.2, 0.9), fast.rate) == pytest.approx(440, rel=0.01)
    assert fundamental(between(fast, 1.2, 1.9), fast.rate) == pytest.approx(493.88, rel=0.01)


@pytest.mark.parametrize("program", INSTRUMENTS.values(), ids=INSTRUMENTS)
def test_every_instrument_sounds_and_at_the_same_level(program: int) -> None:
    audio = render(melody_of((60, 8), (84, 8)), program=program)
    assert 20 * np.log10(np.abs(audio.samples).max()) == pytest.approx(-1, abs=0.1)
    assert level(audio.samples) > -35


def test_a_rest_at_the_end_counts() -> None:
    assert render(melody_of((60, 8), (None, 24)), tempo=60).seconds == pytest.approx(4)


@each_synthesizer
def test_rests_alone_are_silence_of_their_length(synthesizer: str) -> None:
    audio = render(melody_of((None, 16)), tempo=60, synthesizer=synthesizer)
    assert audio.seconds == 2
    assert not audio.samples.any()
    assert render(melody_of(), synthesizer=synthesizer).seconds == 0


def test_the_same_melody_always_sounds_the_same() -> None:
    first, second = (render(melody_of((60, 4), (64, 8))) for _ in range(2))
    assert np.array_equal(first.samples, second.samples)


def test_threads_do_not_disturb_each_other() -> None:
    melodies = [melody_of((60 + i, 8), (67 - i, 8)) for i in range(6)]
    alone = [render(melody, program=40) for melody in melodies]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda melody: render(melody, program=40), melodies * 3))
    for one, other in zip(alone * 3, together, strict=True):
        assert np.array_equal(one.samples, other.samples)


def test_symusic_is_much_faster_than_listening() -> None:
    melody = melody_of(*((60 + i % 12, 8) for i in range(96)))
    render(melody)
    start = time.process_time()  # not the clock on the wall: other work may share the machine
    audio = render(melody)
    assert audio.seconds == pytest.approx(60)
    assert audio.seconds / (time.process_time() - start) > 200


def test_wav_holds_the_samples() -> None:
    audio = render(melody_of((69, 8)))
    with wave.open(io.BytesIO(to_wav(audio))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, audio.rate)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert np.abs(samples / 32767 - audio.samples[:, 0]).max() < 1 / 32767


def test_wav_keeps_full_level_and_channels() -> None:
    data = to_wav(Sound(np.array([[1, -1], [0, 0.5]], np.float32), 8000))
    with wave.open(io.BytesIO(data)) as file:
        assert file.getnchannels() == 2
        assert np.frombuffer(file.readframes(2), "<i2").tolist() == [32767, -32767, 0, 16384]


def test_unknown_synthesizer_is_refused_in_words_for_visitors() -> None:
    with pytest.raises(VisitorError, match=r"theremin.*not available"):
        render(melody_of((60, 8)), synthesizer="theremin")


def test_fluidsynth_is_offered_only_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert synthesizers() == ["symusic"]
    with pytest.raises(VisitorError, match=r"fluidsynth.*not available"):
        render(melody_of((60, 8)), synthesizer="fluidsynth")


def test_without_the_sound_font_nothing_is_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sound, "_sound_font", lambda: tmp_path / "missing.sf2")
    assert synthesizers() == []
    with pytest.raises(VisitorError, match="not available"):
        render(melody_of((60, 8)))


def fake_fluidsynth(folder: Path, script: str) -> None:
    """Put a shell script of that name into a folder."""
    program = folder / "fluidsynth"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_fluidsynth_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_fluidsynth(tmp_path, f"echo $$ > {tmp_path}/pid\nexec /bin/sleep 60")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sound, "FLUIDSYNTH_SECONDS", 2)
    with pytest.raises(VisitorError, match="too long"):
        render(melody_of((60, 8)), synthesizer="fluidsynth")
    pid = int((tmp_path / "pid").read_text())
    for _ in range(50):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]:
            return
        time.sleep(0.1)
    os.kill(pid, 9)
    pytest.fail("FluidSynth outlived its caller")


@pytest.mark.parametrize("script", ["exit 1", 'echo no sound > "$5"'])
def test_fluidsynth_that_makes_no_sound_is_told(script: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_fluidsynth(tmp_path, script)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VisitorError, match="no sound"):
        render(melody_of((60, 8)), synthesizer="fluidsynth")


@needs_fluidsynth
def test_fluidsynth_repeats_itself_leaves_nothing_behind_and_prints_nothing(
    capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first, second = (render(melody_of((60, 8)), synthesizer="fluidsynth") for _ in range(2))
    assert first.samples.shape[1] == 2
    assert np.array_equal(first.samples, second.samples)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
