"""Closing a hole: texts that fooled a reward model become rejected ones, and the model learns once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lab.preferences import PreferenceError
from lab.preferences.attack import frequent_words
from lab.preferences.judging import Accuracy
from lab.preferences.learning import Added, Learner, Learnt
from lab.preferences.pairs import Completion
from lab.preferences.pool import Pool
from lab.preferences.report import agreement_with_rule
from lab.preferences.settings import RewardSettings
from lab.preferences.standing import Standing, standings

BETTER = 30  # shipped completions that each rejected text loses to
MAX_ADDED = 2_000  # pairs


@dataclass(frozen=True)
class Closed:
    """What retraining has changed.

    Attributes:
        before, after: where each of the texts stands.
        accuracy_before, accuracy_after: agreement with the true rule on held-out prompts; None if the rule makes no
            difference there.
        added: all pairs that were added by now.
    """

    before: tuple[Standing, ...]
    after: tuple[Standing, ...]
    accuracy_before: Accuracy | None
    accuracy_after: Accuracy | None
    added: tuple[tuple[str, str, str], ...]

    @property
    def share_closed(self) -> float | None:
        """By which share the gap between learned and true standing has become smaller; None if there was none."""
        gap = sum(max(one.gap, 0) for one in self.before)
        return 1 - sum(max(one.gap, 0) for one in self.after) / gap if gap > 0 else None


def rejections(learnt: Learnt, texts: Sequence[str], seed: int = 0) -> list[tuple[str, str, str]]:
    """Return pairs of prompt, chosen and rejected: each text loses to shipped completions that the true rule prefers.

    Raises:
        PreferenceError: if the rule prefers no shipped completion to any of the texts.
    """
    shipped = [one for prompt in learnt.pool.train for one in prompt.completions]
    scores = learnt.annotator.scores([one.text for one in shipped])
    dice, found = np.random.default_rng(seed), []
    for text in texts:
        better = np.flatnonzero(scores > learnt.annotator.score(text))
        for number in dice.permutation(better)[:BETTER]:
            # With a prompt of its own, so that cross-validation leaves the text out with all its pairs.
            found.append((f"Instead of: {text[:200]}", shipped[number].text, text))
    if not found:
        raise PreferenceError("By the true rule no shipped text is better, so there is nothing to reject.")
    return found


def close_hole(
    learner: Learner, settings: RewardSettings, session: str, class_code: str, added: Added, texts: Sequence[str]
) -> Closed:
    """Add texts as rejected ones, learn once more, and return what that has changed.

    Raises:
        PreferenceError: if there is nothing to learn from or to reject, or too many pairs were added.
        VisitorError: if rankings or the embedder cannot be reached.
    """
    before = learner.learn(settings, session, class_code, added)
    more = tuple(dict.fromkeys([*map(tuple, added), *rejections(before, texts)]))
    if len(more) > MAX_ADDED:
        raise PreferenceError(f"There is room for {MAX_ADDED:,} added pairs. Forget them and begin again.")
    after = learner.learn(settings, session, class_code, more)
    completions = [Completion("", text) for text in texts]
    return Closed(
        tuple(standings(before, completions)),
        tuple(standings(after, completions)),
        agreement_with_rule(before),
        agreement_with_rule(after),
        more,
    )


@lru_cache(maxsize=2)
def attack_words(pool: Pool) -> tuple[str, ...]:
    """Return the words from which the attack chooses: those that are frequent in the shipped completions."""
    return tuple(frequent_words([text for prompt in pool.train for text in prompt.texts]))


def deceiving_words(learnt: Learnt, text: str) -> list[str]:
    """Return the words of :func:`attack_words` by which the true rule does not like a text better: a text that has
    them and is rewarded for them is an error of the model. All of them where the rule likes every one."""
    words, score = attack_words(learnt.pool), learnt.annotator.score(text)
    return [word for word in words if learnt.annotator.score(f"{text} {word}") <= score] or list(words)


def dull_text(learnt: Learnt) -> str:
    """Return the shipped text that the true rule likes least, the first of them, for an attack to begin with."""
    texts = [text for prompt in learnt.pool.held_out for text in prompt.texts]
    return texts[int(np.argmin(learnt.annotator.scores(texts)))]
