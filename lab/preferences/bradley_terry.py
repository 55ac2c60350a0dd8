"""The reward model: Bradley & Terry's model of paired comparisons on frozen sentence embeddings.

    P(a is preferred to b) = σ(reward(a) - reward(b))        reward = head(embedding)

R. A. Bradley and M. E. Terry, Rank analysis of incomplete block designs, Biometrika 39 (1952), 324-345; as the reward
of a language model: Christiano et al. (2017), Stiennon et al. (2020). The embedder is frozen; what is trained is the
head, 768 weights by default, by full-batch L-BFGS (Liu & Nocedal, 1989).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from lab.preferences.heads import Head
from lab.preferences.pairs import Completion, Pairs
from lab.preferences.word_vectors import average_words

Embed = Callable[[Sequence[str]], np.ndarray]  # one row of unit length per text, as Embedder.embed

TOLERANCE = 1e-5  # largest entry of the mean loss's gradient at the end
MAX_ITERATIONS = 1000


class Features(StrEnum):
    """What the head sees of a completion.

    The prompt's own embedding would be no use to a linear head: both sides of a pair share it, and it cancels.
    """

    COMPLETION = "completion"  # its embedding
    WITH_PROMPT = "with prompt"  # and its product, number by number, with the prompt's
    WORDS = "words"  # the average of the vectors with which the embedder begins, without sense or order
    BOTH = "both"  # its embedding, and that average

    def of(self, completions: Sequence[Completion], embed: Embed) -> np.ndarray:
        """Return the features of completions, (completions, 384), or 768 with the prompt or both, float64.

        Raises:
            ModelUnavailable: if the embedder cannot be loaded.
        """
        written = [completion.text for completion in completions]
        if self is Features.WORDS:
            return average_words(written).astype(np.float64)
        texts = embed(written).astype(np.float64)
        if self is Features.COMPLETION:
            return texts
        if self is Features.BOTH:
            return np.concatenate([texts, average_words(written)], axis=1)
        prompts = embed([completion.prompt for completion in completions]).astype(np.float64)
        # Of unit length on average, so that regularisation treats both halves alike.
        return np.concatenate([texts, texts * prompts * texts.shape[1] ** 0.5], axis=1)


@dataclass(frozen=True)
class Solution:
    """Where the solver ended: parameters, (size,), and the mean loss of the pairs in nats before each iteration and
    at the end, regularisation not counted. log 2 = 0.693 is a guess."""

    parameters: np.ndarray
    losses: tuple[float, ...]


def softplus(x: np.ndarray) -> np.ndarray:
    """Return log(1 + exp(x)) without overflow."""
    return np.logaddexp(0, x)


def sigmoid(x: np.ndarray | float) -> np.ndarray | float:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return np.exp(-np.logaddexp(0, np.negative(x)))


def pair_loss(rewards: np.ndarray, chosen: np.ndarray, rejected: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean of -log P(chosen is preferred), nats, and its gradient with respect to the rewards.

    Args:
        rewards: one for each completion, (completions,).
        chosen, rejected: rows of them for each pair, (pairs,); at least one pair.
    """
    margins = rewards[chosen] - rewards[rejected]
    push = sigmoid(-margins) / len(margins)  # how much each pair still pulls its two apart
    completions = len(rewards)
    gradient = np.bincount(rejected, push, completions) - np.bincount(chosen, push, completions)
    return float(softplus(-margins).mean()), gradient


def solve(
    head: Head,
    features: np.ndarray,
    chosen: np.ndarray,
    rejected: np.ndarray,
    l2: float,
    start: np.ndarray | None = None,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> Solution:
    """Fit a head: least sum of the pairs' losses plus l2 / 2 · |parameters|².

    Seen by Bayes, the most probable parameters if each is normal with variance 1 / l2 beforehand. So one strength
    means the same for ten pairs and for ten thousand.

    Args:
        features: of the completions, (completions, features).
        chosen, rejected: rows of ``features`` for each pair, (pairs,).
        l2: must be positive: separable pairs, and few pairs always are, would drive the weights to infinity.
        start: parameters to start from, for example those of a neighbouring l2.
        seed: of the head's own start.
        tolerance: the solver ends when no entry of the gradient of the mean loss is larger.

    Raises:
        ValueError: if there is no pair, or l2 is not positive.
    """
    from scipy.optimize import minimize

    if not len(chosen) or not l2 > 0:
        raise ValueError(f"{len(chosen)} pairs and an l2 of {l2}: at least one pair and a positive l2 are needed")
    # Completions that are in none of these pairs, as in cross-validation, are not computed.
    used, numbers = np.unique(np.concatenate([chosen, rejected]), return_inverse=True)
    chosen, rejected = numbers[: len(chosen)], numbers[len(chosen) :]
    features = features[used]
    decay = l2 / len(chosen)

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        loss, of_rewards = pair_loss(head.rewards(parameters, features), chosen, rejected)
        gradient = head.gradient(parameters, features, of_rewards) + decay * parameters
        return loss + decay / 2 * float(parameters @ parameters), gradient

    def loss_of(parameters: np.ndarray, value: float) -> float:
        return float(value - decay / 2 * float(parameters @ parameters))

    begin = head.start(seed) if start is None else start
    losses = [loss_of(begin, objective(begin)[0])]
    result = minimize(
        objective,
        begin,
        jac=True,
        method="L-BFGS-B",
        callback=lambda intermediate_result: losses.append(loss_of(intermediate_result.x, intermediate_result.fun)),
        options={"maxiter": MAX_ITERATIONS, "maxfun": 2 * MAX_ITERATIONS, "gtol": tolerance, "ftol": 1e-12},
    )
    return Solution(result.x, tuple(losses))


@dataclass(frozen=True, eq=False)
class RewardModel:
    """A fitted head on frozen embeddings.

    Rewards are known up to a constant; here 0 is the mean of the completions that were ranked. A difference of 1 means
    that the better one is preferred 73 times in 100.
    """

    head: Head
    features: Features
    parameters: np.ndarray
    l2: float
    offset: float = 0.0
    embed: Embed | None = field(default=None, repr=False)

    def score(self, completions: Sequence[Completion]) -> np.ndarray:
        """Return a reward for each completion, (completions,), float64.

        Raises:
            ModelUnavailable: if the embedder cannot be loaded.
            ValueError: if the model was made without an embedder.
        """
        if self.embed is None:
            raise ValueError("this reward model has no embedder, only weights")
        return self.score_features(self.features.of(completions, self.embed))

    def score_features(self, features: np.ndarray) -> np.ndarray:
        """Return a reward for each row of features, (rows,)."""
        return self.head.rewards(self.parameters, features) - self.offset

    def margins(self, pairs: Pairs) -> np.ndarray:
        """Return reward(chosen) - reward(rejected) for each pair, (pairs,): positive where the model agrees."""
        rewards = self.score(pairs.completions)
        return rewards[pairs.chosen] - rewards[pairs.rejected]
