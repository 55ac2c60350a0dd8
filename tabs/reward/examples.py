"""Examples to click: titles and settings."""

from __future__ import annotations

from lab.preferences.settings import RewardSettings, Source, View

EXAMPLES: tuple[tuple[str, RewardSettings], ...] = (
    ("Rank four openings", RewardSettings(prompt="When the children reached the river, they saw", seed=21)),
    ("Learn to like cheerful words", RewardSettings(view=View.TRAIN, annotator="cheerful", rankings=300)),
    (
        "Score a text",
        RewardSettings(
            view=View.SCORE,
            annotator="cheerful",
            rankings=1000,
            text="The old man was dead, and nobody wept for him. In the garden the children laughed. “What a lovely "
            "morning,” said the happy girl, and she smiled at her friends. Then it grew dark and cold.",
        ),
    ),
    (
        "Fool it with fine words",
        RewardSettings(
            view=View.BREAK,
            annotator="cheerful",
            source=Source.ANNOTATOR,
            attempt="“How splendid, how marvellous, how magnificent!” cried the murderer, and went to the feast.",
        ),
    ),
)
