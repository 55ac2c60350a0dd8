"""An example in which too much of a learned reward does harm, from what ships, the same each time.

The annotator likes sentences of about ten words. Most of the pool's are longer, so from its rankings a linear head
learns "the more full stops, the better", which is right for most texts and wrong for the few that choosing the best of
many finds.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.preferences.annotators import ANNOTATORS, Annotator, simulate
from lab.preferences.best_of_n import MAX_N, BestOfN, best_of_n_curve
from lab.preferences.bradley_terry import Embed, Features
from lab.preferences.fitting import Fit, fit
from lab.preferences.pairs import pairs_of
from lab.preferences.pool import Pool

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


@dataclass(frozen=True)
class Example:
    """Whose rankings, how many of them, and what the reward model sees."""

    annotator: str = "ten-words"
    rankings: int = 100
    features: Features = Features.WORDS


EXAMPLE = Example()


def learn(pool: Pool, example: Example = EXAMPLE, embed: Embed | None = None, seed: int = 0) -> Fit:
    """Return the reward model of an example. ``embed`` defaults to the pool's own; the seed draws the rankings."""
    rankings = simulate(ANNOTATORS[example.annotator], pool.train, example.rankings, seed=seed)
    return fit(pairs_of(rankings), embed or pool.embed, features=example.features)


def curve(pool: Pool, fitted: Fit, annotator: Annotator) -> list[BestOfN]:
    """Return best-of-n by the learned reward, averaged over the held-out prompts, with the rule's score beside it."""
    prompts = pool.held_out
    pools = [(fitted.model.score(prompt.completions), annotator.scores(prompt.texts)) for prompt in prompts]
    most = min(MAX_N, *(len(prompt.items) for prompt in prompts))
    return best_of_n_curve(pools, [n for n in SIZES if n <= most])


def over_optimisation(pool: Pool, example: Example = EXAMPLE, seed: int = 0) -> list[BestOfN]:
    """Return the curve of an example: ``reward`` rises with n, while ``true_score`` rises and falls."""
    return curve(pool, learn(pool, example, seed=seed), ANNOTATORS[example.annotator])
