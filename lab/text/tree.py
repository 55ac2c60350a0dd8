"""Beam search as a tree: which continuations were weighed at each step, which went on, which were dropped."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab.text.decoding import DecodingSettings
from lab.text.rows import BeamStep, Finished, Row, Token
from lab.text.strategies import Kind, Strategy

if TYPE_CHECKING:
    from lab.text.models import LanguageModel


@dataclass(frozen=True)
class Node:
    """A token in the tree.

    Attributes:
        step: counted from 1; the root, which is the prompt, has step 0.
        parent: place of its parent among the nodes.
        score: sum of the log-probabilities from the root, in nats.
        kept: whether it went on (or ended a text) instead of being dropped.
        best: whether it is on the path of the text that won.
    """

    step: int
    parent: int | None
    token: int | None
    label: str
    probability: float
    score: float
    kept: bool
    best: bool = False


@dataclass(frozen=True)
class Tree:
    """The nodes, a parent before its children; the winner's and greedy's text and log-probability for comparison.

    ``length`` and ``greedy_length`` are the numbers of tokens of the two texts.
    """

    nodes: tuple[Node, ...]
    text: str
    log_probability: float
    greedy_text: str
    greedy_log_probability: float
    notes: tuple[str, ...] = ()
    length: int = 0
    greedy_length: int = 0


def grow(model: LanguageModel, settings: DecodingSettings) -> Tree:
    """Run beam search and greedy from one prompt, in one batch, and return the tree.

    Raises:
        PromptError: if there is nothing to continue.
        EngineError: if the engine cannot serve.
    """
    length = min(settings.beam_steps, model.context - 1)
    prompt, notes = model.vocabulary.encode_prompt(settings.prompt, model.context - length)
    beam = Strategy(kind=Kind.BEAM, num_beams=settings.num_beams, length_penalty=settings.length_penalty)
    rows = [Row(prompt, beam, max_new_tokens=length), Row(prompt, Strategy(kind=Kind.GREEDY), max_new_tokens=length)]
    nodes = [Node(0, None, None, "prompt", 1.0, 0.0, kept=True)]
    ends: dict[tuple[int, ...], int] = {}  # path of token ids → node
    paths: dict[int, tuple[int, ...]] = {0: ()}
    beams = [0] * settings.num_beams  # node at which each running beam stands
    finished: dict[int, tuple[Token, ...]] = {}
    step = 0
    for event in model.engine.submit(rows):
        if isinstance(event, Finished):
            finished[event.row] = event.tokens
        elif isinstance(event, BeamStep):
            step += 1
            following = dict(enumerate(beams))
            for place_in_order, candidate in enumerate(event.candidates):
                parent = beams[candidate.parent]
                label = model.vocabulary.label(candidate.token.id)
                probability = math.exp(candidate.token.log_probability)
                # Texts that end are taken from the best num_beams candidates only; the others were a reserve.
                kept = candidate.beam is not None or (candidate.ended and place_in_order < settings.num_beams)
                nodes.append(Node(step, parent, candidate.token.id, label, probability, candidate.score, kept))
                place = len(nodes) - 1
                paths[place] = (*paths[parent], candidate.token.id)
                ends[paths[place]] = place
                if candidate.beam is not None:
                    following[candidate.beam] = place
            beams = list(following.values())
    winner = tuple(token.id for token in finished[0])
    place: int | None = ends.get(winner)
    while place is not None:
        node = nodes[place]
        nodes[place] = replace(node, kept=True, best=True)
        place = node.parent
    greedy = tuple(token.id for token in finished[1])
    return Tree(
        nodes=tuple(nodes),
        text=model.vocabulary.text(winner),
        log_probability=sum(token.log_probability for token in finished[0]),
        greedy_text=model.vocabulary.text(greedy),
        greedy_log_probability=sum(token.log_probability for token in finished[1]),
        notes=tuple(notes),
        length=len(winner),
        greedy_length=len(greedy),
    )
