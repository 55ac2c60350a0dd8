"""Beam search of one row, step by step.

The same algorithm as transformers' ``generate(num_beams=...)``, with its defaults (``early_stopping=False``): scores
are sums of log-probabilities; a text that ends is scored by its sum divided by length ** length_penalty; the search
stops once no running beam can beat the worst of the ended texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LogitsProcessorList

from lab.text.choosing import token_facts
from lab.text.rows import BeamCandidate, Row, Token
from lab.text.strategies import penalties

IMPOSSIBLE = -1e9


class BeamSearch:
    """The state of a row under beam search: running beams, ended texts, and whether the search is over."""

    def __init__(self, row: Row, end_of_text: int | None) -> None:
        self.row = row
        self.end_of_text = end_of_text
        self.beams: list[tuple[Token, ...]] = [()] * row.width
        # At first all beams are the same text: only one may count, or the best token would fill every beam.
        self.scores = torch.full((row.width,), IMPOSSIBLE)
        self.scores[0] = 0.0
        self.ended: list[tuple[float, tuple[Token, ...]]] = []
        self.done = False
        self._improvable = True

    @property
    def best(self) -> tuple[Token, ...]:
        """The text that the search would return now: the best ended one when it is over, else the leading beam."""
        return self.ended[0][1] if self.done and self.ended else self.beams[0]

    def advance(self, logits: torch.Tensor) -> tuple[list[int], list[int], tuple[BeamCandidate, ...]]:
        """Take one step.

        Args:
            logits: after each running beam, shape (num_beams, vocabulary), fp32.

        Returns:
            For each beam that goes on: which beam it continues, and with which token; and every candidate weighed,
            best first.
        """
        width, vocabulary = logits.shape
        log_probabilities = logits.log_softmax(-1)
        texts = torch.tensor([[*self.row.prompt, *(token.id for token in beam)] for beam in self.beams])
        processed = LogitsProcessorList(penalties(self.row.strategy))(texts, log_probabilities)
        totals = (processed + self.scores[:, None]).flatten()  # (num_beams * vocabulary,)
        # Twice as many as beams: if the best ones all end, as many are left to go on.
        scores, flat = totals.topk(min(2 * width, len(totals)))
        parents, tokens = flat // vocabulary, flat % vocabulary
        length = len(self.beams[0]) + 1
        ended = (
            torch.ones(len(tokens), dtype=torch.bool)
            if length == self.row.max_new_tokens
            else torch.tensor([token == self.end_of_text for token in tokens.tolist()])
        )
        made = self._tokens(log_probabilities, parents, tokens)
        texts_made = [(*self.beams[parent], token) for parent, token in zip(parents.tolist(), made, strict=True)]

        running = (scores + ended * IMPOSSIBLE).topk(width)
        places = {place: beam for beam, place in enumerate(running.indices.tolist())}
        penalty = self.row.strategy.length_penalty
        if self._improvable:
            for place in range(width):  # only the best num_beams candidates may end, the others are there as a reserve
                if ended[place]:
                    self.ended.append((float(scores[place]) / length**penalty, texts_made[place]))
            self.ended = sorted(self.ended, key=lambda item: -item[0])[:width]

        candidates = tuple(
            BeamCandidate(
                parent=int(parents[place]),
                token=made[place],
                score=float(scores[place]),
                beam=None if ended[place] else places.get(place),
                ended=bool(ended[place]),
            )
            for place in range(len(made))
            if scores[place] > IMPOSSIBLE / 2
        )
        chosen = running.indices.tolist()
        self.beams = [texts_made[place] for place in chosen]
        self.scores = running.values
        if len(self.ended) == width:
            self._improvable &= float(self.scores[0]) / length**penalty > self.ended[-1][0]
        self.done = not self._improvable or bool(ended.all())
        return [int(parents[place]) for place in chosen], [int(tokens[place]) for place in chosen], candidates

    def _tokens(self, log_probabilities: torch.Tensor, parents: torch.Tensor, tokens: torch.Tensor) -> Sequence[Token]:
        facts = zip(tokens.tolist(), *token_facts(log_probabilities[parents], tokens), strict=True)
        return [Token(token, log_p, 1.0, rank, entropy) for token, log_p, rank, entropy in facts]
