"""One step of many rows: from logits to chosen tokens.

Rows that use the same strategy go through its warpers together: thirty visitors with four columns each cost four
calls, not a hundred and twenty. Only the dice are rolled row by row, since each row has its own generator.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import LogitsProcessorList

from lab.text.rows import Candidate, Distribution, Token
from lab.text.strategies import Strategy, penalties, tempering, truncation


@dataclass
class Choice:
    """What choosing a row's next token needs: its strategy, the text so far, its dice, and what to report.

    ``key`` is equal for equal strategies; rows are grouped by it. ``forced`` is taken whatever the strategy would choose.
    """

    strategy: Strategy
    key: str
    ids: Sequence[int]
    generator: torch.Generator
    top: int = 0
    include: tuple[int, ...] = ()
    forced: int | None = None


def choose(logits: torch.Tensor, choices: Sequence[Choice]) -> list[Token]:
    """Choose a token for each row.

    Args:
        logits: of the raw model, shape (rows, vocabulary), fp32.
        choices: one per row.

    Returns:
        One token per row, in order.
    """
    log_probabilities = logits.log_softmax(-1)  # (rows, vocabulary)
    groups: dict[str, list[int]] = defaultdict(list)
    for row, choice in enumerate(choices):
        groups[choice.key].append(row)

    chosen = torch.empty(len(choices), dtype=torch.long)
    strategy_probability = torch.ones(len(choices))
    distributions: list[Distribution | None] = [None] * len(choices)
    for rows in groups.values():
        strategy = choices[rows[0]].strategy
        tempered, final = warp(logits[rows], strategy, [choices[row].ids for row in rows])
        probabilities = final.softmax(-1) if strategy.samples else None
        drawn = (
            final.argmax(-1)
            if probabilities is None
            else draw(probabilities, [choices[row].generator for row in rows])
        )
        for place, row in enumerate(rows):
            if choices[row].forced is not None:
                drawn[place] = choices[row].forced
        if probabilities is not None:
            strategy_probability[rows] = probabilities.gather(1, drawn[:, None])[:, 0]
        chosen[rows] = drawn
        for place, row in enumerate(rows):
            if choices[row].top:
                include = (*choices[row].include, int(drawn[place]))
                distributions[row] = distribution(
                    log_probabilities[row], tempered[place], final[place], choices[row].top, include
                )

    facts = zip(
        chosen.tolist(),
        *token_facts(log_probabilities, chosen),
        strategy_probability.tolist(),
        distributions,
        strict=True,
    )
    return [Token(token, log_p, strategy_p, rank, h, table) for token, log_p, rank, h, strategy_p, table in facts]


def warp(
    logits: torch.Tensor, strategy: Strategy, texts: Sequence[Sequence[int]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the scores after penalty and temperature, and those after truncation as well, (rows, vocabulary) each."""
    ids = _padded(texts) if penalties(strategy) else torch.empty(len(texts), 0, dtype=torch.long)
    tempered = LogitsProcessorList([*penalties(strategy), *tempering(strategy)])(ids, logits)
    return tempered, LogitsProcessorList(truncation(strategy, logits.size(-1)))(ids, tempered)


def _padded(texts: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return the texts as one tensor, the short ones filled up with a token of their own, which no penalty counts twice."""
    longest = max(map(len, texts))
    return torch.tensor([[*text, *[text[0]] * (longest - len(text))] for text in texts])


def draw(probabilities: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """Draw one token per row, each with its own generator; probabilities: (rows, vocabulary) → (rows,).

    Dividing by exponential noise and taking the largest is how torch.multinomial draws one sample, so a row gets what
    ``generate`` would draw with that seed. It also means that two strategies with the same seed roll the same dice.
    """
    noise = torch.empty_like(probabilities)
    for row, generator in enumerate(generators):
        noise[row].exponential_(1, generator=generator)
    return (probabilities / noise).argmax(-1)


def token_facts(
    log_probabilities: torch.Tensor, tokens: torch.Tensor
) -> tuple[list[float], list[int], list[float]]:
    """Return each row's log-probability of its token, the token's rank, and the entropy of the row.

    Args:
        log_probabilities: shape (rows, vocabulary).
        tokens: shape (rows,).
    """
    of_token = log_probabilities.gather(1, tokens[:, None])  # (rows, 1)
    rank = (log_probabilities > of_token).sum(-1) + 1
    entropy = -(log_probabilities.exp() * log_probabilities.clamp_min(-1e4)).sum(-1)
    return of_token[:, 0].tolist(), rank.tolist(), entropy.tolist()


def distribution(
    log_probabilities: torch.Tensor, tempered: torch.Tensor, final: torch.Tensor, top: int, include: Sequence[int]
) -> Distribution:
    """Return the top of one row's distribution at each stage; all three arguments have shape (vocabulary,)."""
    stages = torch.stack([log_probabilities.exp(), tempered.softmax(-1), final.softmax(-1)])  # (3, vocabulary)
    best = log_probabilities.topk(min(top, len(log_probabilities))).indices.tolist()
    ids = [*best, *sorted(set(include) - set(best), key=lambda token: -float(log_probabilities[token]))]
    kept = torch.isfinite(final)
    return Distribution(
        candidates=tuple(Candidate(token, *values) for token, values in zip(ids, stages[:, ids].T.tolist(), strict=True)),
        kept_tokens=int(kept.sum()),
        kept_mass=float(stages[1][kept].sum()),
        vocabulary_size=len(log_probabilities),
    )
