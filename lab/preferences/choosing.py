"""Let a reward model choose among the pool's held-out completions: the best of n, or a policy on a leash.

Both are judged twice: by the learned reward, which chooses, and by the true rule, which the one who chooses cannot see.
Gao, Schulman and Hilton, Scaling laws for reward model overoptimization (2023), call them proxy and gold.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lab.preferences import PreferenceError
from lab.preferences.best_of_n import MAX_N, BestOfN, best_of_n, best_of_n_curve, draw
from lab.preferences.leash import Leash, leash_curve, optimal, uniform
from lab.preferences.pairs import Completion
from lab.preferences.pool import FOLDER, TEXTS
from lab.preferences.report import Judged

if TYPE_CHECKING:
    from lab.preferences.learning import Learnt
    from lab.preferences.settings import RewardSettings

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # of the curves over n
READ = (1, 4, 16, 64)  # sizes whose choice can be read
BETAS = tuple(float(beta) for beta in np.logspace(-2, 2, 33))
MOVED = 6  # completions shown whose probability rose most, and fell most
NOTICED = 0.05  # standard deviations by which the true score must fall to be called a fall


@dataclass(frozen=True, eq=False)
class Candidates:
    """Completions of a prompt, each with its learned reward and its score by the true rule, (completions,)."""

    prompt: str
    texts: tuple[str, ...]
    rewards: np.ndarray
    true_scores: np.ndarray

    @property
    def scores(self) -> tuple[np.ndarray, np.ndarray]:
        """Rewards and true scores."""
        return self.rewards, self.true_scores

    def judged(self, row: int) -> Judged:
        """Return one of them with its scores."""
        completion = Completion(self.prompt, self.texts[row])
        return Judged(completion, float(self.rewards[row]), float(self.true_scores[row]))


@dataclass(frozen=True)
class Scale:
    """Means and standard deviations over all candidates, to draw rewards and true scores on one axis."""

    reward_mean: float
    reward_deviation: float
    true_mean: float
    true_deviation: float

    def reward(self, value: float) -> float:
        """Return a reward in standard deviations from the mean; 0 where all rewards are the same."""
        return (value - self.reward_mean) / self.reward_deviation if self.reward_deviation > 0 else 0.0

    def true_score(self, value: float) -> float:
        """Return a true score likewise."""
        return (value - self.true_mean) / self.true_deviation if self.true_deviation > 0 else 0.0


@cache
def held_out_prompts(path: Path = FOLDER / TEXTS) -> tuple[str, ...]:
    """Return the pool's held-out prompts, without what takes time to load; none if there is no pool."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")]
    except OSError:
        return ()
    return tuple(line["prompt"] for line in lines if line["held_out"])


def candidates(learnt: Learnt) -> list[Candidates]:
    """Return the held-out prompts' completions with both scores."""
    rewards, true_scores = learnt.shipped
    found, start = [], 0
    for prompt in learnt.pool.held_out:
        rows = slice(start, start + len(prompt.items))
        found.append(Candidates(prompt.prompt, prompt.texts, rewards[rows], true_scores[rows]))
        start = rows.stop
    return found


def scale_of(groups: Sequence[Candidates]) -> Scale:
    """Return means and deviations over the candidates of all prompts."""
    rewards = np.concatenate([group.rewards for group in groups])
    true_scores = np.concatenate([group.true_scores for group in groups])
    return Scale(float(rewards.mean()), float(rewards.std()), float(true_scores.mean()), float(true_scores.std()))


def numbered(groups: Sequence[Candidates], number: int) -> Candidates:
    """Return the candidates of the prompt with this number, counted from 1.

    Raises:
        PreferenceError: if there is none.
    """
    if not 1 <= number <= len(groups):
        raise PreferenceError(f"There is no prompt {number}; the pool has prompts 1 to {len(groups)}.")
    return groups[number - 1]


@dataclass(frozen=True, eq=False)
class Choice:
    """The best of n completions of a prompt, and what n does on average.

    Attributes:
        number: of the prompt, from 1.
        n: completions drawn, no more than there are.
        kl: of the choice from equal shares over this prompt's completions, nats.
        drawn: in the order of the draw.
        chosen: the one of the highest reward.
        read: for some sizes up to the largest what would have been chosen of the same draw.
        own: expectation over n for this prompt.
        mean: the same averaged over all prompts, of which there are ``prompts``.
        fall_error: standard error of :attr:`fall`, since other prompts would give another one.
    """

    learnt: Learnt
    number: int
    n: int
    kl: float
    drawn: tuple[Judged, ...]
    chosen: Judged
    read: tuple[tuple[int, Judged], ...]
    own: tuple[BestOfN, ...]
    mean: tuple[BestOfN, ...]
    prompts: int
    fall_error: float
    scale: Scale

    @property
    def peak(self) -> BestOfN:
        """Where the mean true score is highest; the smallest such n."""
        return max(self.mean, key=lambda point: point.true_score)

    @property
    def fall(self) -> float:
        """By how many standard deviations the mean true score falls from its peak to the largest n."""
        return self.scale.true_score(self.peak.true_score) - self.scale.true_score(self.mean[-1].true_score)

    @property
    def overdone(self) -> bool:
        """Whether the mean true score falls noticeably while the learned reward still rises."""
        return self.fall > NOTICED


def choose(learnt: Learnt, settings: RewardSettings) -> Choice:
    """Draw n completions of a held-out prompt and take the best, as the settings say.

    Raises:
        PreferenceError: if there is no such prompt.
    """
    groups = candidates(learnt)
    group = numbered(groups, settings.among)
    most = min(MAX_N, len(group.texts))
    n = min(settings.n, most)
    best, drawn = draw(group.rewards, n, settings.draw)
    read = [(size, group.judged(draw(group.rewards, size, settings.draw)[0])) for size in READ if size <= most]
    shortest = min(len(one.texts) for one in groups)
    mean = best_of_n_curve([one.scores for one in groups], [size for size in SIZES if size <= shortest])
    scale = scale_of(groups)
    return Choice(
        learnt,
        settings.among,
        n,
        best_of_n(*group.scores, n).kl,
        tuple(group.judged(row) for row in drawn),
        group.judged(best),
        tuple(read),
        tuple(best_of_n_curve([group.scores], [size for size in SIZES if size <= most])),
        tuple(mean),
        len(groups),
        _fall_error(groups, mean, scale),
        scale,
    )


def _fall_error(groups: Sequence[Candidates], mean: Sequence[BestOfN], scale: Scale) -> float:
    """Return the standard error, over prompts, of the true score's fall from the best n to the largest."""
    sizes = [max(mean, key=lambda point: point.true_score).n, mean[-1].n]
    ends = [[scale.true_score(point.true_score) for point in best_of_n_curve([one.scores], sizes)] for one in groups]
    falls = [best - last for best, last in ends]
    return float(np.std(falls, ddof=1) / len(falls) ** 0.5) if len(falls) > 1 else 0.0


@dataclass(frozen=True)
class Moved:
    """A completion, its probability under the reference and under π*."""

    judged: Judged
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class Held:
    """What the optimal policy for a β does.

    Attributes:
        now: for this β, averaged over the prompts.
        curve: the same over many β, smallest first.
        rose, fell: completions whose probability changed most, the largest change first.
        prompts: how many there are, each with completions of its own.
        completions: of each prompt, if all have as many, else of the smallest.
    """

    learnt: Learnt
    now: Leash
    curve: tuple[Leash, ...]
    rose: tuple[Moved, ...]
    fell: tuple[Moved, ...]
    prompts: int
    completions: int
    scale: Scale

    @property
    def peak(self) -> Leash:
        """Where the true score is highest; the largest such β."""
        return max(reversed(self.curve), key=lambda point: point.true_score)

    @property
    def fall(self) -> float:
        """By how many standard deviations the true score falls from its peak to the smallest β."""
        return self.scale.true_score(self.peak.true_score) - self.scale.true_score(self.curve[0].true_score)

    @property
    def overdone(self) -> bool:
        """Whether letting go costs true score noticeably."""
        return self.fall > NOTICED


def hold(learnt: Learnt, settings: RewardSettings) -> Held:
    """Return what the optimal policy does on one held-out prompt, or on average over all of them.

    Raises:
        PreferenceError: if there is no such prompt.
    """
    groups = candidates(learnt)
    held = [numbered(groups, settings.leash_among)] if settings.leash_among else groups
    pools, beta = [group.scores for group in held], 10**settings.log_beta
    moved = sorted(_moved(held, beta), key=lambda one: one.after - one.before, reverse=True)
    return Held(
        learnt,
        leash_curve(pools, [beta])[0],
        tuple(leash_curve(pools, BETAS)),
        tuple(one for one in moved[:MOVED] if one.after > one.before),
        tuple(one for one in moved[::-1][:MOVED] if one.after < one.before),
        len(held),
        min(len(group.texts) for group in held),
        scale_of(groups),
    )


def _moved(groups: Sequence[Candidates], beta: float) -> list[Moved]:
    found = []
    for group in groups:
        before, after = uniform(len(group.texts)), optimal(group.rewards, beta)
        found += [Moved(group.judged(row), float(before[row]), float(after[row])) for row in range(len(before))]
    return found
