"""How long a training takes on this machine: a guess from the size of the model, and what the last ones have taken."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.text.tuning_settings import Method, TuningSettings

if TYPE_CHECKING:
    from lab.text.models import LanguageModel

STARTUP = 9.0  # seconds until a process has its libraries and the base, first guess
SPEED = 60e9  # floating-point operations per second of a training, first guess
MEASURED_WINDOWS = 16  # at most, in a measurement of the held-out loss


@dataclass
class Pace:
    """Operations per second of a training, and seconds before its first step."""

    speed: float = SPEED
    startup: float = STARTUP

    def seconds(self, model: LanguageModel, settings: TuningSettings, tokens: int) -> float:
        """Return about how long a training takes on a text of so many tokens, its start included."""
        return self.startup + operations(model, settings, tokens) / self.speed

    def learn(self, done: float, seconds: float) -> None:
        """Take in how many operations were done in how many seconds."""
        if seconds > 0 and done > 0:
            self.speed = math.sqrt(self.speed * done / seconds)  # half way there, in ratios


def operations(model: LanguageModel, settings: TuningSettings, tokens: int) -> float:
    """Return about how many floating-point operations a training takes.

    Two for each weight and token forwards, and two backwards; a frozen matrix costs no gradient of its own, one that is
    trained two more. The embeddings count, as they are the output layer, too.
    """
    weights = 12 * model.layers * model.width**2 + len(model.vocabulary) * model.width
    context = min(settings.context, model.context, tokens)
    backwards = 4 if settings.method is Method.FULL else 2
    trained = settings.steps * settings.batch_size * context * (2 + backwards) * weights
    windows = min(MEASURED_WINDOWS, max(1, tokens // 10 // context))
    measurements = 1 + math.ceil(settings.steps / settings.evaluate_every)
    return trained + measurements * windows * context * 2 * weights
