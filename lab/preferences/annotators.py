"""Simulated annotators: each ranks by a rule that can be read, so that what a reward model learned can be compared
with what it should have learned.

The rules are deliberately simple, and see only words and marks; the reward model sees only an embedding.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lab.preferences.pairs import Pairs, Ranked
from lab.preferences.pool import PoolPrompt
from lab.source import source_of


def words_of(text: str) -> list[str]:
    """Return the words of a text in small letters."""
    return re.findall(r"[a-z]+", text.lower())


CHEERFUL = frozenset(
    words_of(
        "beautiful bless blessed bright charming cheerful cheerfully comfortable dance danced dancing darling dear"
        " dearest delight delighted delightful enjoy enjoyed enjoyment flower flowers friend friends fun game games"
        " garden gay gentle glad gladly good happier happily happiness happy hearty heaven holiday hope hopeful"
        " joke jokes jolly joy joyful joyfully kind kindly kiss kissed laugh laughed laughing laughs laughter love"
        " lovely merrily merry music nice play played playing pleasant pleased pleasure pretty rejoice rejoiced"
        " sang sing singing smile smiled smiles smiling song songs spring summer sun sunny sunshine sweet thank"
        " thankful thanks warm wedding welcome wonderful"
    )
)
GLOOMY = frozenset(
    words_of(
        "afraid alone anger angry awful bad bitter blood blow broken burned cold corpse cried cruel cry crying"
        " danger dangerous dark darkness dead death despair destroyed devil die died dreadful enemy evil fear fever"
        " fight frightened ghost gloom gloomy grave grief hate horrible horror hunger hungry hurt ill kill killed"
        " knife lonely lost mad miserable misery misfortune moan murder murdered murderer night pain pains pale"
        " pity poor prison ruin ruined sad sadly scream shadow shame sick sigh sighed sorrow sorry storm suffering"
        " tears terrible terror thief tired tomb trouble ugly unhappy victim villain war weary weep wept wicked"
        " worse worst wound wounded wrong"
    )
)
ELIZABETHAN = frozenset(
    words_of(
        "anon art ay behold canst didst dost doth fie forsooth hast hath hence hither ho lo nay o prithee shalt sir"
        " sirrah thee thine thither thou thy thyself tis twas unto wast whence wherefore wilt ye yea yonder"
    )
)


def spoken_words(text: str) -> list[str]:
    """Return the words between quotation marks; a text that first closes some began inside them."""
    straight = text.replace("“", '"').replace("”", '"')
    first = re.search("[“”]", text)
    parts = straight.split('"')
    began_inside = first is not None and first[0] == "”"
    return words_of(" ".join(parts[0 if began_inside else 1 :: 2]))


def cheerful(text: str) -> float:
    """Likes cheerful words and dislikes gloomy ones."""
    words = words_of(text)
    return sum(word in CHEERFUL for word in words) - sum(word in GLOOMY for word in words)


def short_sentences(text: str) -> float:
    """Likes short sentences: the fewer words in each, the better."""
    sentences = [words_of(part) for part in re.split(r"[.!?…]+", text)]
    lengths = [len(words) for words in sentences if words]
    return -sum(lengths) / len(lengths) if lengths else -100.0


def dialogue(text: str) -> float:
    """Likes dialogue: the share of the words that somebody speaks."""
    return len(spoken_words(text)) / max(len(words_of(text)), 1)


def ten_words(text: str) -> float:
    """Likes sentences of about ten words: the longer or shorter, the worse; ten words off, all are equally bad."""
    return -min(abs(-short_sentences(text) - 10), 10.0)


def talk_and_tale(text: str) -> float:
    """Likes talk and tale in balance: best if half of the words are spoken; all talk is as bad as none."""
    return 1 - abs(2 * dialogue(text) - 1)


def elizabethan(text: str) -> float:
    """Likes the English of Shakespeare's time: so many of its words in each hundred."""
    words = words_of(text)
    return 100 * sum(word in ELIZABETHAN for word in words) / max(len(words), 1)


@dataclass(frozen=True)
class Annotator:
    """Somebody who ranks by a rule.

    Attributes:
        name: by which links and programs ask for it.
        title: for people.
        rule: text to score, more is better; its docstring says what it likes.
        step: scores are ranked to the nearest multiple of it, since nobody tells 40 from 42 % of dialogue; 0 to
            tell all apart.
        noise: scale of the Gumbel noise on each score, 0 for none. With it, P(a before b) is Bradley and Terry's
            σ((score(a) - score(b)) / noise), and the whole order Plackett and Luce's.
    """

    name: str
    title: str
    rule: Callable[[str], float]
    step: float = 0.0
    noise: float = 0.0

    @property
    def description(self) -> str:
        """What it likes, in a sentence."""
        described = " ".join((self.rule.__doc__ or "").split())
        return f"{described} But it is not sure of itself." if self.noise else described

    @property
    def source(self) -> str:
        """The rule as code."""
        return source_of(__name__, self.rule.__name__)

    def score(self, text: str) -> float:
        """Return what the rule says, without noise."""
        return float(self.rule(text))

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Return what the rule says of each text, (texts,)."""
        return np.array([self.rule(text) for text in texts], dtype=float)

    def rank(self, prompt: str, texts: Sequence[str], seed: int = 0) -> tuple[int, ...]:
        """Return the rank of each text, 1 for the best; equal scores are ties. The seed draws the noise, if any."""
        scores = self.scores(texts)
        if self.step:
            scores = self.step * np.floor(scores / self.step + 0.5)
        if self.noise:
            dice = np.random.default_rng([seed, zlib.crc32(prompt.encode())])
            scores = scores + self.noise * dice.gumbel(size=len(texts))
        return tuple((np.unique(-scores, return_inverse=True)[1] + 1).tolist())


ANNOTATORS = {
    one.name: one
    for one in (
        Annotator("cheerful", "Likes cheerful words", cheerful),
        Annotator("short-sentences", "Likes short sentences", short_sentences, step=8),
        Annotator("dialogue", "Likes dialogue", dialogue, step=0.5),
        Annotator("elizabethan", "Likes Elizabethan English", elizabethan),
        # Two with a catch: most texts have too little of what they like, so what is learned is "the more, the better".
        Annotator("ten-words", "Likes ten-word sentences", ten_words, step=4),
        Annotator("talk-and-tale", "Likes talk and tale in balance", talk_and_tale, step=0.25),
        Annotator("noisy", "Likes dialogue, but wavers", dialogue, noise=0.25),
    )
}


def simulate(
    annotator: Annotator, prompts: Sequence[PoolPrompt], count: int, per_ranking: int = 4, seed: int = 0
) -> list[Ranked]:
    """Return rankings by an annotator: prompt after prompt in an order that the seed draws, some texts of each.

    Fewer rankings are the beginning of more, so a learning curve grows by what is added.
    """
    dice = np.random.default_rng(seed)
    order = dice.permutation(len(prompts))
    found = []
    for number in range(count):
        prompt = prompts[order[number % len(order)]]
        texts = tuple(prompt.texts[n] for n in dice.permutation(len(prompt.texts))[:per_ranking])
        found.append(Ranked(prompt.prompt, texts, annotator.rank(prompt.prompt, texts, seed + number), annotator.name))
    return found


def ceiling(annotator: Annotator, pairs: Pairs) -> float:
    """Return the share of an annotator's pairs that its own rule orders as it did, equal scores counting half.

    1 without noise. With noise no reward model can be expected to do better on many pairs, for what chance decided
    cannot be learned.

    Raises:
        ValueError: if there is no pair.
    """
    if not len(pairs):
        raise ValueError("there is no pair")
    scores = annotator.scores([completion.text for completion in pairs.completions])
    margins = scores[pairs.chosen] - scores[pairs.rejected]
    return float(np.where(margins == 0, 0.5, margins > 0).mean())
