"""Batches of melodies for the training scripts, and the loss in nats per note.

Every row of a batch is one melody from its header on, filled up at the right; what is filled up counts nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.nn import functional
from transformers import GPT2LMHeadModel

from lab.music.melody import Meter
from lab.music.tokens import MODES, Vocabulary, parse_note

HEADER = 3  # tokens before the first note
IGNORED = -100  # target of what is filled up


def rescaled(names: Sequence[str], factor: float) -> list[str] | None:
    """Return a melody written in notes twice or half as long, 2/4 as 2/2 or 4/4 as 4/8; None if that does not work out.

    Collectors did not agree on what to write, so it is the same music.
    """
    out: list[str] = []
    for name in names:
        if "/" in name:
            meter = Meter.parse(name)
            unit = meter.unit / factor
            if unit not in (1, 2, 4, 8, 16, 32):
                return None
            name = str(Meter(meter.beats, int(unit)))
        elif ":" in name:
            pitch, duration = parse_note(name)
            if duration * factor != int(duration * factor):
                return None
            name = f"{'r' if pitch is None else pitch}:{int(duration * factor)}"
        out.append(name)
    return out


class MelodyBatches:
    """Endless batches over melodies; batch ``i`` depends on the seed and on ``i`` alone.

    Args:
        melodies: names of tokens, one sequence per melody.
        vocabulary: rescaled versions with tokens that it lacks are not used.
        tokens: a batch holds as many rows as fit into so many tokens, filling included.
        rescale: probability with which a melody is taken in notes twice or half as long.
    """

    def __init__(
        self, melodies: Sequence[Sequence[str]], vocabulary: Vocabulary, *, tokens: int, rescale: float, seed: int
    ) -> None:
        known = set(vocabulary.names)
        self._versions: list[list[list[int]]] = []
        for names in melodies:
            others = [
                version for factor in (2, 0.5) if (version := rescaled(names, factor)) and known.issuperset(version)
            ]
            self._versions.append([vocabulary.encode(version) for version in (list(names), *others)])
        self._tokens = tokens
        self._rescale = rescale
        self._seed = seed

    def batches(self) -> Iterator[torch.Tensor]:
        """Yield batches without end, shape (rows, time), filled up with ``IGNORED``."""
        epoch = 0
        while True:
            for rows in self._epoch_of(epoch):
                yield padded(rows)
            epoch += 1

    def _epoch_of(self, epoch: int) -> list[list[list[int]]]:
        generator = np.random.default_rng((self._seed, epoch))
        rows = []
        for versions in self._versions:
            other = len(versions) > 1 and generator.random() < self._rescale
            rows.append(versions[1 + int(generator.integers(len(versions) - 1))] if other else versions[0])
        # Rows of like length together, with some disorder, so that little is filled up and batches still differ.
        lengths = np.array([len(row) for row in rows])
        order = np.argsort(lengths * generator.uniform(0.9, 1.1, len(rows)))
        batches: list[list[list[int]]] = [[]]
        longest = 0
        for index in order.tolist():
            longest = max(longest, len(rows[index]))
            if batches[-1] and (len(batches[-1]) + 1) * longest > self._tokens:
                batches.append([])
                longest = len(rows[index])
            batches[-1].append(rows[index])
        return [batches[i] for i in generator.permutation(len(batches))]


def padded(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return rows of token ids as one tensor, (rows, time), filled up with ``IGNORED``."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[IGNORED] * (longest - len(row))] for row in rows])


def token_losses(model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Return the loss of each token but the first, 0 for what is filled up; (rows, time) → (rows, time - 1), nats."""
    # Filling stands at the right, where causal attention of real tokens never looks.
    logits = model(input_ids=batch[:, :-1].clamp_min(0), use_cache=False).logits  # (rows, time - 1, vocabulary)
    losses = functional.cross_entropy(
        logits.flatten(0, 1), batch[:, 1:].flatten(), ignore_index=IGNORED, reduction="none"
    )
    return losses.view(len(batch), -1)


def training_loss(model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Return the mean loss in nats per token."""
    return token_losses(model, batch).sum() / (batch[:, 1:] != IGNORED).sum()


@torch.no_grad()
def nats_per_note(model: GPT2LMHeadModel, vocabulary: Vocabulary, melodies: Sequence[Sequence[str]]) -> float:
    """Return what everything after the header costs (notes, rests, bar lines, phrase ends, end), by sounding note.

    The model is left in the state, training or evaluation, in which it was.
    """
    training = model.training
    model.eval()
    rows = sorted((vocabulary.encode(names) for names in melodies), key=len)
    nats = sum(
        token_losses(model, padded(rows[first : first + 32]))[:, HEADER - 1 :].sum().item()
        for first in range(0, len(rows), 32)
    )
    model.train(training)
    return nats / sum(is_sounding(name) for names in melodies for name in names)


def is_sounding(name: str) -> bool:
    """Tell whether a token is a note; a note that a bar line divides counts as two."""
    return ":" in name and not name.startswith("r") and name not in MODES
