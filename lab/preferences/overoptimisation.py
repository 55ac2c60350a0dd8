"""An example in which too much of a learned reward does harm, from what ships, the same each time; and its cure.

The annotator likes sentences of about ten words. Most of the pool's are longer, so from its rankings a linear head
learns "the more full stops, the better", which is right for most texts and wrong for the few that choosing the best of
many finds. The cure is a head that can like some of a thing but not much of it, and the rankings that it takes to learn
that.
"""

from __future__ import annotations

from lab.preferences.bradley_terry import Features
from lab.preferences.heads import HeadKind
from lab.preferences.settings import RewardSettings

EXAMPLE = RewardSettings(annotator="ten-words", rankings=300, features=Features.WORDS)
CURE = EXAMPLE.model_copy(update={"rankings": 1000, "head": HeadKind.MLP})
