"""An automatic attack on a reward model: greedy insertion of words that raise the reward, whatever becomes of the text.

In the manner of Ebrahimi et al., HotFlip (2018), and Wallace et al., Universal adversarial triggers (2019), but without
gradients: the attacker asks for rewards and nothing else, as a policy that is trained on them does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lab.preferences.annotators import words_of
from lab.preferences.explain import Reward
from lab.preferences.pairs import Completion

WORDS = 300  # from which the attack chooses
TRIED = 10  # words tried at each step
PLACES = 4  # where each of them is tried
LEAST_GAIN = 1e-6


@dataclass(frozen=True)
class AttackStep:
    """A text on its way up.

    Attributes:
        number: of words inserted so far, 0 for the text as it was.
        word: the last one inserted, empty at first; ``start`` is where it stands in the text.
        reward: of the reward model.
        true_score: by the rule that the reward model should have learned, None if there is none.
        tried: texts scored so far.
    """

    number: int
    text: str
    word: str
    start: int
    reward: float
    true_score: float | None
    tried: int


def frequent_words(texts: Iterable[str], count: int = WORDS) -> list[str]:
    """Return the most frequent words of three letters or more, the most frequent first."""
    found = Counter(word for text in texts for word in words_of(text) if len(word) > 2)
    return [word for word, _ in sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:count]]


def insertions(text: str, word: str, places: int = PLACES) -> list[tuple[str, int]]:
    """Return the text with a word put in at evenly spaced gaps between its words, each with where the word starts."""
    parts = text.split(" ")
    gaps = np.unique(np.linspace(0, len(parts), places).round().astype(int))
    found = []
    for gap in gaps:
        before = " ".join(parts[:gap])
        start = len(before) + 1 if gap else 0
        found.append((" ".join([*parts[:gap], word, *parts[gap:]]), start))
    return found


def attack(
    prompt: str,
    text: str,
    reward: Reward,
    words: Sequence[str],
    budget: int,
    true_score: Callable[[str], float] | None = None,
) -> Iterator[AttackStep]:
    """Yield the text, and then the text after each insertion, until the budget is spent or nothing helps any more.

    First each word is scored by itself; the best ones are then tried at several places, and the best insertion is kept.

    Args:
        reward: as ``RewardModel.score``.
        words: to choose from, such as :func:`frequent_words` of the pool.
        budget: most words to insert.

    Raises:
        ModelUnavailable: if the embedder cannot be loaded.
    """

    def step(number: int, text: str, word: str, start: int, value: float) -> AttackStep:
        return AttackStep(number, text, word, start, value, true_score(text) if true_score else None, tried)

    tried = 1
    best = float(reward([Completion(prompt, text)])[0])
    yield step(0, text, "", 0, best)
    if not words:
        return
    alone = reward([Completion(prompt, word) for word in words])
    tried += len(words)
    chosen = [words[number] for number in np.argsort(-alone, kind="stable")[:TRIED]]
    for number in range(1, budget + 1):
        options = [(new, word, start) for word in chosen for new, start in insertions(text, word)]
        values = reward([Completion(prompt, new) for new, _, _ in options])
        tried += len(options)
        top = int(np.argmax(values))
        if values[top] <= best + LEAST_GAIN:
            return
        best = float(values[top])
        text, word, start = options[top]
        yield step(number, text, word, start, best)
