"""Examples to click: titles and settings."""

from __future__ import annotations

import logging

from lab.errors import VisitorError
from lab.text.adapting import AdaptSettings, adapt
from lab.text.models import Models
from tabs.lora.offers import loaded, offers_here

log = logging.getLogger(__name__)

EXAMPLES = (
    ("A king, a tale, a play", AdaptSettings()),
    (
        "Four voices before a locked door",
        AdaptSettings(
            prompt="The door was locked, and nobody had the key. At last",
            adapters="shakespeare=1;fairy-tales=1;science-fiction=1;jeeves=1",
            seed=3,
        ),
    ),
    ("A whisper of Shakespeare", AdaptSettings(adapters="shakespeare=0.5", prompt="My dear friend,", seed=4)),
    (
        "Twice as strong as trained",
        AdaptSettings(adapters="shakespeare=2;fairy-tales=2", prompt="In the morning the sun", seed=5),
    ),
    (
        "Jeeves in verse",
        AdaptSettings(
            adapters="jeeves=1;shakespeare=1;jeeves=0.6+shakespeare=0.6", prompt="“I say, Jeeves,” I said,", seed=3
        ),
    ),
)


def warm_examples(models: Models) -> None:
    """Compute the examples, so that a click shows them at once."""
    model = models.get(models.default)
    titles = loaded(model, offers_here(models, model.name))
    for _, settings in EXAMPLES:
        try:
            for _ in adapt(model, settings, titles, interval=0.0):
                pass
        except VisitorError as error:
            log.warning("the LoRA tab is not warm: %s", error)
            return
