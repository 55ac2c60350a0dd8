"""How the reward model is fooled: best of n that overdoes it, an attack by inserted words, and the hole closed again.

    python -m benchmarks.reward_breaking [--json] [--budget 8]

The models are those that the tab opens on. A standing is the share of shipped completions that a text beats.
"""

from __future__ import annotations

import os

import torch

from benchmarks.report import Figure, parser, report
from lab.embeddings.model import Embedder
from lab.preferences.attack import attack
from lab.preferences.breaking import close_hole, deceiving_words, dull_text
from lab.preferences.learning import Learner
from lab.preferences.overoptimisation import over_optimisation
from lab.preferences.pairs import Completion
from lab.preferences.pool import load_pool
from lab.preferences.settings import RewardSettings
from lab.preferences.standing import standings
from lab.preferences.store import Store

NS = (1, 2, 4, 8, 16, 32, 64)


def overdone() -> list[Figure]:
    """Measure the curve of best of n on which the tab opens."""
    figures = []
    for point in over_optimisation(load_pool()):
        if point.n in NS:
            figures += [
                Figure(f"best_of_{point.n}_reward", f"best of {point.n}: learned reward", point.reward),
                Figure(f"best_of_{point.n}_true", f"best of {point.n}: true score", point.true_score),
            ]
    return figures


def broken(budget: int) -> list[Figure]:
    """Attack the default model from the worst shipped text, add what came of it as rejected, and learn once more."""
    store = Store(":memory:")
    learner, settings = Learner(store, Embedder()), RewardSettings()
    learnt = learner.learn(settings)
    dull = dull_text(learnt)
    words = deceiving_words(learnt, dull)
    *_, last = attack("", dull, learnt.model.score, words, budget, learnt.annotator.score)
    (start,) = standings(learnt, [Completion("", dull)])
    closed = close_hole(learner, settings, "", "", (), [last.text])
    (before,), (after,) = closed.before, closed.after
    figures = [
        Figure("words_inserted", f"default model ({learnt.annotator.title}): words inserted", last.number),
        Figure("dull_standing", "the worst shipped text, by the model", start.learned, "%"),
        Figure("fooled_standing", "with those words, by the model", before.learned, "%"),
        Figure("fooled_true", "with those words, by the true rule", before.true, "%"),
        Figure("pairs_added", "pairs in which it is the rejected one", len(closed.added)),
        Figure("closed_standing", "after learning from them, by the model", after.learned, "%"),
        Figure("share_closed", "share of the hole that is closed", 100 * closed.share_closed, "%"),
        Figure("agreement_before", "agreement with the rule before", 100 * closed.accuracy_before.share, "%"),
        Figure("agreement_after", "agreement with the rule after", 100 * closed.accuracy_after.share, "%"),
    ]
    store.close()
    return figures


def main() -> None:
    """Measure all and print the figures."""
    options = parser(__doc__)
    options.add_argument("--budget", type=int, default=RewardSettings().budget, help="words that the attack may insert")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    figures = overdone() + broken(arguments.budget)
    facts = {"cores": str(os.cpu_count()), "budget": str(arguments.budget)}
    report(figures, facts=facts, as_json=arguments.json, save=arguments.save)


if __name__ == "__main__":
    main()
