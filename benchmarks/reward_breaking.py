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
from lab.preferences.choosing import choose, hold
from lab.preferences.learning import Learner
from lab.preferences.overoptimisation import CURE, EXAMPLE
from lab.preferences.pairs import Completion
from lab.preferences.settings import RewardSettings
from lab.preferences.standing import standings
from lab.preferences.store import Store

NS = (1, 2, 4, 8, 16, 32, 64)


def overdone(learner: Learner) -> list[Figure]:
    """Measure best of n and the leash on which the tab opens, and the cure."""
    learnt = learner.learn(EXAMPLE)
    choice, held = choose(learnt, EXAMPLE), hold(learnt, EXAMPLE)
    cured = choose(learner.learn(CURE), CURE)
    points = [point for point in choice.mean if point.n in NS]
    return [
        *(Figure(f"reward_{point.n}", f"best of {point.n}: learned reward", point.reward) for point in points),
        *(Figure(f"away_{point.n}", f"best of {point.n}: words away from ten", -point.true_score) for point in points),
        Figure("best_n", "n where the true score is best", choice.peak.n),
        Figure("fall", "fall of the true score from there to the largest n, standard deviations", choice.fall),
        Figure("fall_error", "    its standard error over prompts", choice.fall_error),
        Figure("best_beta", "leash: the best beta", held.peak.beta),
        Figure("best_beta_away", "    words away from ten", -held.peak.true_score),
        Figure("let_go_away", "    words away from ten at the smallest beta", -held.curve[0].true_score),
        Figure(
            "cured_away",
            f"an MLP on {CURE.rankings:,} rankings, best of 64: words away",
            -cured.mean[-1].true_score,
        ),
    ]


def broken(learner: Learner, budget: int) -> list[Figure]:
    """Attack the default model from the worst shipped text, add what came of it as rejected, and learn once more."""
    settings = RewardSettings()
    learnt = learner.learn(settings)
    dull = dull_text(learnt)
    words = deceiving_words(learnt, dull)
    *_, last = attack("", dull, learnt.model.score, words, budget, learnt.annotator.score)
    (start,) = standings(learnt, [Completion("", dull)])
    closed = close_hole(learner, settings, "", "", (), [last.text])
    (before,), (after,) = closed.before, closed.after
    return [
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


def main() -> None:
    """Measure all and print the figures."""
    options = parser(__doc__)
    options.add_argument("--budget", type=int, default=RewardSettings().budget, help="words that the attack may insert")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    store = Store(":memory:")
    learner = Learner(store, Embedder())
    figures = overdone(learner) + broken(learner, arguments.budget)
    store.close()
    facts = {"cores": str(os.cpu_count()), "budget": str(arguments.budget)}
    report(figures, facts=facts, as_json=arguments.json, save=arguments.save)


if __name__ == "__main__":
    main()
