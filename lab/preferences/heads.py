"""Heads: what is trained on top of the frozen embeddings. Features in, one number out, the reward.

A head is a recipe without state; its parameters are one flat vector, so that one solver fits them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np


class HeadKind(StrEnum):
    """The heads that can be chosen."""

    LINEAR = "linear"
    MLP = "mlp"


class Head(Protocol):
    """Turns features into rewards."""

    @property
    def size(self) -> int:
        """Number of parameters."""

    def start(self, seed: int) -> np.ndarray:
        """Return parameters to start from, (size,)."""

    def rewards(self, parameters: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Return a reward for each row of features, (rows,)."""

    def gradient(self, parameters: np.ndarray, features: np.ndarray, of_rewards: np.ndarray) -> np.ndarray:
        """Return the gradient of a loss, (size,), from its gradient with respect to the rewards, (rows,)."""


@dataclass(frozen=True)
class Linear:
    """One weight per feature: reward = weights · features.

    Without an intercept: it would cancel in each pair. The loss is convex, so whatever the start, the end is the same.
    """

    features: int

    @property
    def size(self) -> int:
        return self.features

    def start(self, seed: int) -> np.ndarray:
        return np.zeros(self.features)

    def rewards(self, parameters: np.ndarray, features: np.ndarray) -> np.ndarray:
        return features @ parameters

    def gradient(self, parameters: np.ndarray, features: np.ndarray, of_rewards: np.ndarray) -> np.ndarray:
        return of_rewards @ features


@dataclass(frozen=True)
class MLP:
    """One hidden layer: reward = output · tanh(features · inputs + bias). It can like some of a thing, but not much."""

    features: int
    hidden: int = 16

    @property
    def size(self) -> int:
        return (self.features + 2) * self.hidden

    def start(self, seed: int) -> np.ndarray:
        # Embeddings have unit length, so these make the sums under tanh about as large as 1.
        scales = np.ones((self.features + 2, self.hidden))
        scales[-2], scales[-1] = 0.1, self.hidden**-0.5
        return (np.random.default_rng(seed).standard_normal(scales.shape) * scales).ravel()

    def rewards(self, parameters: np.ndarray, features: np.ndarray) -> np.ndarray:
        inputs, bias, output = self._parts(parameters)
        return np.tanh(features @ inputs + bias) @ output

    def gradient(self, parameters: np.ndarray, features: np.ndarray, of_rewards: np.ndarray) -> np.ndarray:
        inputs, bias, output = self._parts(parameters)
        hidden = np.tanh(features @ inputs + bias)  # (rows, hidden)
        of_sums = of_rewards[:, None] * output * (1 - hidden**2)
        parts = (features.T @ of_sums, of_sums.sum(axis=0)[None], (of_rewards @ hidden)[None])
        return np.concatenate(parts).ravel()

    def _parts(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        table = parameters.reshape(self.features + 2, self.hidden)
        return table[:-2], table[-2], table[-1]


def head_of(kind: HeadKind, features: int) -> Head:
    """Return a head for so many features."""
    return Linear(features) if kind is HeadKind.LINEAR else MLP(features)
