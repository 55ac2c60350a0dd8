"""A melody as sound: by symusic's own synthesizer, which takes milliseconds, or by FluidSynth, which sounds rounder.

Both play the small SoundFont that the pretty_midi package carries, so nothing has to be downloaded.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import wave
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from lab.errors import VisitorError
from lab.music.melody import TICKS_PER_QUARTER, Melody
from lab.music.midi import DEFAULT_PROGRAM, MIDI_TICKS_PER_QUARTER, midi_score, played, to_midi

if TYPE_CHECKING:
    from symusic.core import Synthesizer

RATE = 44100
PEAK = 10 ** (-1 / 20)  # -1 dBFS
INAUDIBLE = PEAK / 1000  # what stays 60 dB below the peak counts as silence
FADE_SECONDS = 0.012  # short enough not to be heard as a fade, long enough not to click
FLUIDSYNTH_SECONDS = 60  # it needs two hundredths of the music's length; past this something is wrong
# midi2audio waits without end, lets FluidSynth print to our output and ignores its exit code: so it works in a process
# of its own, which can be silenced and ended.
MIDI2AUDIO = "import sys, midi2audio as m; m.FluidSynth(sys.argv[1], int(sys.argv[2])).midi_to_audio(*sys.argv[3:])"


@dataclass(frozen=True, eq=False)
class Sound:
    """Sound as numbers.

    Attributes:
        samples: shape (frames, channels), float32, -1 to 1.
        rate: frames per second.
    """

    samples: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


def render(
    melody: Melody, *, tempo: float = 96.0, program: int = DEFAULT_PROGRAM, synthesizer: str = "symusic"
) -> Sound:
    """Play a melody at the pitch it is written at; the same arguments always give the same samples.

    The loudest sample is at -1 dBFS. The sound ends with the melody, or when the last note has died away.

    Args:
        tempo: in quarter notes per minute.
        program: of General MIDI, 0 to 127.
        synthesizer: one of those that ``synthesizers`` names.

    Returns:
        One channel from symusic, two from FluidSynth.

    Raises:
        VisitorError: if the synthesizer cannot be had here, or fails.
        ValueError: if the tempo, the program or a pitch is one that MIDI cannot express.
    """
    if synthesizer not in synthesizers():
        raise VisitorError(f"The synthesizer “{synthesizer[:40]}” is not available here.")
    samples = SYNTHESIZERS[synthesizer](melody, tempo, program)
    nominal = round(melody.duration / TICKS_PER_QUARTER * 60 / tempo * RATE)
    return Sound(_finished(samples, nominal), RATE)


def synthesizers() -> list[str]:
    """Return the names of the synthesizers that can be used here, the fastest first."""
    if not _sound_font().is_file():
        return []
    available = ["symusic"] if find_spec("symusic") else []
    return [*available, "fluidsynth"] if shutil.which("fluidsynth") and find_spec("midi2audio") else available


def to_wav(sound: Sound) -> bytes:
    """Return a WAV file, 16-bit PCM."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(sound.samples.shape[1])
        out.setsampwidth(2)
        out.setframerate(sound.rate)
        out.writeframes((sound.samples * 32767).round().astype("<i2").tobytes())
    return file.getvalue()


@cache
def _sound_font() -> Path:
    """Return the SoundFont's path, which need not exist. Finding pretty_midi is enough; importing it takes a while."""
    spec = find_spec("pretty_midi")
    return Path(spec.origin if spec and spec.origin else "missing").parent / "TimGM6mb.sf2"


_symusic_lock = threading.Lock()


@cache
def _symusic_synthesizer() -> Synthesizer:
    from symusic import Synthesizer

    return Synthesizer(sf_path=str(_sound_font()), sample_rate=RATE)


def _play_symusic(melody: Melody, tempo: float, program: int) -> np.ndarray:
    """Return samples, shape (frames, 1). One channel: a lone voice gains nothing by a second, and pages load faster."""
    score = midi_score(melody, tempo=tempo, program=program)
    if not melody.pitches:
        return np.zeros((0, 1), np.float32)
    with _symusic_lock:  # rendering holds the interpreter anyway, and nothing promises that threads may share it
        samples = np.array(_symusic_synthesizer().render(score, stereo=False)).T
    # Its notes end within a millisecond, many with a click. Where silence follows, they get a softer end.
    frames_per_tick = 60 / tempo / MIDI_TICKS_PER_QUARTER * RATE
    notes = played(melody, tempo)
    starts = [round(start * frames_per_tick) for start, *_ in notes] + [len(samples)]
    for (start, duration, _), following in zip(notes, starts[1:], strict=True):
        end = round((start + duration) * frames_per_tick)
        if following > end:
            _fade_out(samples[:end])
            samples[end:following] = 0
    return samples


def _play_fluidsynth(melody: Melody, tempo: float, program: int) -> np.ndarray:
    """Return samples, shape (frames, 2). Raises VisitorError if FluidSynth gives none, or not in time."""
    midi = to_midi(melody, tempo=tempo, program=program)
    if not melody.pitches:
        return np.zeros((0, 2), np.float32)
    with TemporaryDirectory(prefix="melody-") as folder:
        score, sound = Path(folder, "melody.mid"), Path(folder, "melody.wav")
        score.write_bytes(midi)
        command = [sys.executable, "-c", MIDI2AUDIO, _sound_font(), str(RATE), score, sound]
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(FLUIDSYNTH_SECONDS)
        except subprocess.TimeoutExpired:
            raise VisitorError("FluidSynth took too long. The other synthesizer still plays.") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # the group, for FluidSynth is a child of that process
                process.wait()
        try:
            with wave.open(str(sound)) as file:
                if file.getsampwidth() != 2:
                    raise VisitorError("FluidSynth wrote a sound that is not of 16 bits.")
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
                return (samples.reshape(-1, file.getnchannels()) / 32768).astype(np.float32)
        except (FileNotFoundError, EOFError, wave.Error):
            raise VisitorError("FluidSynth made no sound. The other synthesizer still plays.") from None


SYNTHESIZERS: dict[str, Callable[[Melody, float, int], np.ndarray]] = {
    "symusic": _play_symusic,
    "fluidsynth": _play_fluidsynth,
}


def _finished(samples: np.ndarray, frames: int) -> np.ndarray:
    """Return samples, (n, channels), at full level, cut behind the last sound but to at least that many frames."""
    peak = float(np.abs(samples).max(initial=0))
    scaled = samples * np.float32(PEAK / peak) if peak else samples
    audible = np.flatnonzero(np.abs(scaled).max(axis=1, initial=0) > INAUDIBLE)
    end = int(audible[-1]) + 1 if len(audible) else 0
    finished = np.zeros((max(frames, end), samples.shape[1]), np.float32)
    finished[:end] = scaled[:end]
    _fade_out(finished)
    return finished


def _fade_out(samples: np.ndarray) -> None:
    """Bring the end of samples, (n, channels), down to zero, in place."""
    length = min(round(FADE_SECONDS * RATE), len(samples))
    if length:
        samples[-length:] *= np.linspace(1, 0, length, dtype=np.float32)[:, None]
