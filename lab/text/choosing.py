"""One step of many rows: from logits to chosen tokens.

Rows that use the same strategy go through its warpers together: thirty visitors with four columns each cost four
calls, not a hundred and twenty. Only the dice are rolled one by one, since each row has its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import LogitsProcessorList, TopPLogitsWarper

from lab.text.rows import Candidate, Distribution, Token
from lab.text.strategies import Kind, Strategy, penalties, tempering, truncation


class Dice:
    """A row's own source of chance: the same seed rolls the same numbers, whoever else is being served."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rolls = 0
        self.generator = torch.Generator().manual_seed(seed)


CURVE_POINTS = 60  # of the cumulative distribution


@dataclass
class Choice:
    """What choosing a row's next token needs: its strategy, the text so far, its dice, and what to report.

    ``key`` is equal for equal strategies; rows are grouped by it. ``forced`` is taken whatever the strategy says;
    of the others only those that are ``allowed``, shape (vocabulary,), exist for it.
    """

    strategy: Strategy
    key: str
    ids: Sequence[int]
    dice: Dice
    top: int = 0
    include: tuple[int, ...] = ()
    forced: int | None = None
    allowed: torch.Tensor | None = None


def choose(logits: torch.Tensor, choices: Sequence[Choice]) -> list[Token]:
    """Choose a token for each row.

    Args:
        logits: of the raw model, shape (rows, vocabulary), fp32.
        choices: one per row.

    Returns:
        One token per row, in order.
    """
    sampling = [row for row, choice in enumerate(choices) if choice.strategy.samples]
    noise = dict(zip(sampling, roll([choices[row].dice for row in sampling], logits.size(-1)), strict=True))
    groups: dict[str, list[int]] = defaultdict(list)
    for row, choice in enumerate(choices):
        groups[choice.key].append(row)
    tokens: dict[int, Token] = {}
    for rows in groups.values():
        group_noise = torch.stack([noise[row] for row in rows]) if rows[0] in noise else None
        group_logits = logits.index_select(0, torch.tensor(rows))
        chosen = _choose_alike(group_logits, [choices[row] for row in rows], group_noise)
        tokens.update(zip(rows, chosen, strict=True))
    return [tokens[row] for row in range(len(choices))]


def _choose_alike(logits: torch.Tensor, choices: Sequence[Choice], noise: torch.Tensor | None) -> list[Token]:
    """Choose a token for each of several rows that have the same strategy; noise is None if it rolls no dice."""
    ruled = masked(logits, [choice.allowed for choice in choices])
    tempered, final = warp(ruled, choices[0].strategy, [choice.ids for choice in choices])
    probabilities = None if noise is None else final.softmax(-1)
    chosen = largest(final) if probabilities is None else draw(probabilities, noise)
    for row, choice in enumerate(choices):
        if choice.forced is not None:
            chosen[row] = choice.forced
    strategy_probability = [1.0] * len(choices)
    if probabilities is not None:
        strategy_probability = probabilities.gather(1, chosen[:, None])[:, 0].tolist()
    log_probabilities = logits.log_softmax(-1)
    distributions = [
        distribution(log_probabilities[row], tempered[row], final[row], choice.top, (*choice.include, int(chosen[row])))
        if choice.top
        else None
        for row, choice in enumerate(choices)
    ]
    facts = zip(
        chosen.tolist(), *token_facts(log_probabilities, chosen), strategy_probability, distributions, strict=True
    )
    return [Token(token, log_p, strategy_p, rank, h, table) for token, log_p, rank, h, strategy_p, table in facts]


def masked(logits: torch.Tensor, allowed: Sequence[torch.Tensor | None]) -> torch.Tensor:
    """Return logits, (rows, vocabulary), without the tokens that a row's rules forbid; the argument is not changed."""
    if all(mask is None for mask in allowed):
        return logits
    everything = torch.ones(logits.size(-1), dtype=torch.bool)
    keep = torch.stack([everything if mask is None else mask for mask in allowed])  # (rows, vocabulary)
    return logits.masked_fill(~keep, -torch.inf)


def warp(logits: torch.Tensor, strategy: Strategy, texts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the scores after penalty and temperature, and those after truncation as well, (rows, vocabulary) each."""
    ids = _padded(texts) if penalties(strategy) else torch.empty(len(texts), 0, dtype=torch.long)
    tempered = LogitsProcessorList([*penalties(strategy), *tempering(strategy)])(ids, logits)
    if strategy.kind is Kind.TOP_P and strategy.top_p < 1.0:
        return tempered, cut_top_p(tempered, strategy.top_p)
    return tempered, LogitsProcessorList(truncation(strategy, logits.size(-1)))(ids, tempered)


def cut_top_p(scores: torch.Tensor, top_p: float) -> torch.Tensor:
    """Do what TopPLogitsWarper does, to the last bit, at a tenth of the price; scores: (rows, vocabulary), fp32.

    It sorts the tokens along with their scores and undoes that afterwards, which takes longer than a forward pass.
    The sorted scores alone tell the lowest one that is kept.
    """
    ascending = torch.from_numpy(np.sort(scores.numpy(), axis=-1))  # NumPy sorts plain numbers with vector instructions
    cumulative = ascending.softmax(-1).cumsum(-1)
    limit = torch.full((len(scores), 1), 1 - top_p)
    cut = torch.searchsorted(cumulative, limit, right=True).clamp_max(scores.size(-1) - 1)  # (rows, 1), tokens to cut
    lowest = ascending.gather(-1, cut)
    below = torch.from_numpy(scores.numpy() < lowest.numpy())
    kept = scores.masked_fill(below, -torch.inf)
    # Of equal scores on both sides of the limit, which ones go is a secret of the sort of token numbers.
    tied = (cut > 0) & (ascending.gather(-1, (cut - 1).clamp_min(0)) == lowest)
    for row in tied[:, 0].nonzero()[:, 0].tolist():
        kept[row] = TopPLogitsWarper(top_p)(None, scores[row : row + 1])[0]
    return kept


def _padded(texts: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return the texts as one tensor, the short ones filled up with a token of theirs: no penalty counts it twice."""
    longest = max(map(len, texts))
    return torch.tensor([[*text, *[text[0]] * (longest - len(text))] for text in texts])


def roll(dice: Sequence[Dice], sides: int) -> list[torch.Tensor]:
    """Roll each row's dice once and return exponential noise for each, shape (sides,).

    The numbers are those that ``exponential_`` makes with the generator, -log(1 - u) of a uniform u in double
    precision, but with a logarithm in vector instructions. Columns of one visitor have the same seed: dice that have
    the same seed and were rolled as often show the same, so they are rolled once.
    """
    rolled: dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]] = {}  # seed and rolls → noise, generator's state
    noise = []
    for one in dice:
        key = one.seed, one.rolls
        if key in rolled:
            one.generator.set_state(rolled[key][1])
        else:
            uniform = torch.empty(sides, dtype=torch.float64).uniform_(generator=one.generator)
            rolled[key] = uniform.neg_().log1p_().neg_().float(), one.generator.get_state()
        one.rolls += 1
        noise.append(rolled[key][0])
    return noise


def draw(probabilities: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Draw one token per row; probabilities and noise: (rows, vocabulary) → (rows,).

    Dividing by exponential noise and taking the largest is how torch.multinomial draws one sample, so a row gets what
    ``generate`` would draw with that seed. It also means that two strategies with the same seed roll the same dice.
    """
    return largest(probabilities / noise)


def largest(scores: torch.Tensor) -> torch.Tensor:
    """Return the place of each row's largest score, the first one if several are equal; (rows, vocabulary) → (rows,).

    As torch's argmax, which takes twenty times as long as NumPy's.
    """
    return torch.from_numpy(np.argmax(scores.numpy(), axis=-1))


def token_facts(log_probabilities: torch.Tensor, tokens: torch.Tensor) -> tuple[list[float], list[int], list[float]]:
    """Return each row's log-probability of its token, the token's rank, and the entropy of the row.

    Args:
        log_probabilities: shape (rows, vocabulary).
        tokens: shape (rows,).
    """
    of_token = log_probabilities.gather(1, tokens[:, None])  # (rows, 1)
    # Counting in floats saves a copy eight times as large, and is exact far beyond any vocabulary.
    above = torch.gt(log_probabilities, of_token, out=torch.empty_like(log_probabilities)).sum(-1)
    entropy = -log_probabilities.exp().mul_(log_probabilities).sum(-1)
    return of_token[:, 0].tolist(), (above.long() + 1).tolist(), entropy.tolist()


def distribution(
    log_probabilities: torch.Tensor, tempered: torch.Tensor, final: torch.Tensor, top: int, include: Sequence[int]
) -> Distribution:
    """Return the top of one row's distribution at each stage; all three tensors have shape (vocabulary,).

    Args:
        top: how many to report at most; a token that the row's rules forbid is never among them.
        include: tokens to report beside them.
    """
    stages = torch.stack([log_probabilities.exp(), tempered.softmax(-1), final.softmax(-1)])  # (3, vocabulary)
    # Of the tempered scores: a penalty may have changed the model's own order, and rules the choice itself.
    best = tempered.topk(min(top, int(torch.isfinite(tempered).sum()))).indices.tolist()
    ids = [*best, *sorted(set(include) - set(best), key=lambda token: -float(tempered[token]))]
    kept = torch.isfinite(final)
    mass = stages[1].sort(descending=True).values.cumsum(0)
    counts = sorted({round(len(mass) ** (n / CURVE_POINTS)) for n in range(CURVE_POINTS + 1)})
    return Distribution(
        candidates=tuple(
            Candidate(token, *values) for token, values in zip(ids, stages[:, ids].T.tolist(), strict=True)
        ),
        kept_tokens=int(kept.sum()),
        kept_mass=float(stages[1][kept].sum()),
        vocabulary_size=len(log_probabilities),
        cumulative=tuple((count, min(float(mass[count - 1]), 1.0)) for count in counts),
    )
