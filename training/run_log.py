"""The log of a training run, one JSON object a line: written while it trains, cleaned and thinned for the repository.

Keys: step, tokens (read so far), seconds (of training, over all resumptions), training_nats_per_token (mean since the
line before), tokens_per_second, learning_rate_factor, and now and then held_out_nats_per_token, held_out_bits_per_byte
and held_out_tokens (how many were predicted).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Line = dict[str, Any]


class RunLog:
    """Collects the losses of steps and appends their mean, with the time they took, to a file and to the screen.

    Args:
        progress: the run's counters ``step``, ``tokens`` and ``seconds``; the first two are read, the last is kept.
    """

    def __init__(self, path: Path, progress: Line) -> None:
        self.path = path
        self.progress = progress
        self._losses: list[float] = []
        self._tokens = progress["tokens"]
        self._since = time.monotonic()

    def add(self, loss: float) -> None:
        """Count a step's loss in. Raises FloatingPointError if it is not finite, before a checkpoint is made of it."""
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss of step {self.progress['step']} is {loss}")
        self._losses.append(loss)

    def write(self, **figures: float | int) -> None:
        """Append a line on the steps since the last one and the figures; nothing if there is neither."""
        now = time.monotonic()
        elapsed, self._since = now - self._since, now
        self.progress["seconds"] += elapsed
        if not self._losses and not figures:
            return
        line = {key: self.progress[key] for key in ("step", "tokens")}
        line["seconds"] = round(self.progress["seconds"], 1)
        if self._losses:
            line["training_nats_per_token"] = round(sum(self._losses) / len(self._losses), 4)
            line["tokens_per_second"] = round((self.progress["tokens"] - self._tokens) / max(elapsed, 1e-9))
        line |= {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()}
        self._losses, self._tokens = [], self.progress["tokens"]
        with self.path.open("a", encoding="utf-8") as file:
            print(json.dumps(line), file=file)
        print(json.dumps(line), flush=True)


def read_log(path: Path) -> list[Line]:
    """Return the lines that made the final model, in order of steps.

    A run that was killed repeats the steps after its last checkpoint: what they had logged the first time is left out.
    So are the zeros in the loss and speed of a line on no step at all. Raises ValueError if the log is empty.
    """
    lines: list[Line] = []
    for text in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if not line.get("tokens_per_second", 1):
            del line["tokens_per_second"], line["training_nats_per_token"]
        while lines and lines[-1]["step"] > line["step"]:
            lines.pop()
        if lines and lines[-1]["step"] == line["step"]:  # the same step's later figures
            line = lines.pop() | line
        lines.append(line)
    if not lines:
        raise ValueError(f"{path} has no lines")
    return lines


def evenly(items: Sequence[Line], count: int) -> list[Line]:
    """Return at most ``count`` items, evenly spread from the first to the last."""
    if len(items) <= count:
        return list(items)
    return [items[index] for index in np.linspace(0, len(items) - 1, count).round().astype(int)]


def thin(lines: Sequence[Line], count: int = 100) -> list[Line]:
    """Return about ``count`` lines: the first, the last, those with held-out figures, and others evenly between."""
    ends = [lines[0], lines[-1]]
    evaluated = evenly([line for line in lines[1:-1] if "held_out_nats_per_token" in line], count - len(ends))
    others = [line for line in lines[1:-1] if "held_out_nats_per_token" not in line]
    kept = [*ends, *evaluated, *evenly(others, count - len(ends) - len(evaluated))]
    return sorted({line["step"]: line for line in kept}.values(), key=lambda line: line["step"])


def write_lines(lines: Iterable[Line], path: Path) -> None:
    """Write lines as they stand in a log, replacing the file and creating its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def batch_sizes(lines: Sequence[Line]) -> list[tuple[int, int]]:
    """Return for each stretch of steps of one size how many tokens had been read before it, and tokens a step.

    A run that is resumed may go on with larger batches. Between two lines with steps of both sizes neither is told.
    """
    stretches: list[tuple[int, int]] = []
    step = tokens = 0
    for line in lines:
        if line["step"] > step:
            size, odd = divmod(line["tokens"] - tokens, line["step"] - step)
            if not odd and (not stretches or stretches[-1][1] != size):
                stretches.append((tokens, size))
            step, tokens = line["step"], line["tokens"]
    return stretches


def estimate_schedule(lines: Sequence[Line]) -> tuple[int, int]:
    """Return how many tokens were read at the full learning rate and how many while it fell to zero.

    Read from the first line in the decay, to the nearest 100,000 (to the token for runs of less than a million). Raises
    ValueError if the log has no line in the decay.
    """
    total, per_step = lines[-1]["tokens"], lines[-1]["tokens"] // lines[-1]["step"]
    warm = [index for index, line in enumerate(lines) if line.get("learning_rate_factor") == 1]
    falling = [line for line in lines[warm[0] if warm else 0 :] if 0 < line.get("learning_rate_factor", 1) < 1]
    if not falling:
        raise ValueError("the log has no line in the decay of the learning rate")
    decay = (total - (falling[0]["tokens"] - per_step)) / falling[0]["learning_rate_factor"]
    digits = -5 if total >= 1_000_000 else 0
    return int(round(total - decay, digits)), int(round(decay, digits))
