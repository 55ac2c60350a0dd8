"""Whose rankings a reward model learns from, and the model that came of it, fitted once and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from lab.once import Once
from lab.preferences import PreferenceError, Ranking
from lab.preferences.settings import RewardSettings, Source

if TYPE_CHECKING:
    from lab.embeddings import Embedder
    from lab.preferences.annotators import Annotator
    from lab.preferences.bradley_terry import RewardModel
    from lab.preferences.fitting import Fit
    from lab.preferences.pairs import Pairs, Ranked
    from lab.preferences.pool import Pool
    from lab.preferences.store import Store

MAX_RANKINGS = 10_000  # of people, the newest
MAX_OF_ONE = 200  # of one visitor in a class, so that nobody speaks for all
KEPT = 64  # fitted models

Added = Sequence[tuple[str, str, str]]  # pairs of a visitor's own: prompt, chosen, rejected


@dataclass(frozen=True, eq=False)
class Learnt:
    """A reward model, and what it learned from.

    Attributes:
        settings: with which it was asked for.
        pairs: all that it learned from; those of the fit's held-out judgement are among them.
        annotator: the rule that is shown beside the learned reward, whoever ranked.
        pool: the shipped completions.
        people: number of rankings that people gave.
        simulated: number of rankings that the annotator gave.
        added: number of pairs that were added by hand.
        notes: on what was left out.
    """

    settings: RewardSettings
    fit: Fit
    pairs: Pairs
    annotator: Annotator
    pool: Pool
    people: int
    simulated: int
    added: int
    notes: tuple[str, ...]

    @property
    def model(self) -> RewardModel:
        """The reward model."""
        return self.fit.model

    @cached_property
    def shipped(self) -> tuple[np.ndarray, np.ndarray]:
        """Rewards and true scores of the completions of the pool's held-out prompts, both (completions,)."""
        completions = [one for prompt in self.pool.held_out for one in prompt.completions]
        return self.model.score(completions), self.annotator.scores([one.text for one in completions])


class Learner:
    """Fits reward models, and keeps the last of them. Every method may be called from any thread.

    Args:
        store: with people's rankings.
        embedder: for texts that are not in the pool.
    """

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self._store, self._embedder = store, embedder
        self._kept: Once[Learnt] = Once(KEPT)

    def learn(self, settings: RewardSettings, session: str = "", class_code: str = "", added: Added = ()) -> Learnt:
        """Return the reward model that learned from what the settings say; asked for once more it is there at once.

        Args:
            session: the visitor's id, empty for none.
            class_code: of the visitor's class, empty for none.
            added: pairs that the visitor has added, such as texts that fooled a model before.

        Raises:
            PreferenceError: if there is nothing to learn from.
            StoreError: if the rankings cannot be read.
            ModelUnavailable: if the embedder cannot be loaded.
        """
        people, notes = self.people(settings.source, session, class_code)
        key = (settings.source, tuple(ranking.id for ranking in people), tuple(added))
        return self._learn(settings, people, added, notes, key)

    def learn_from(self, settings: RewardSettings, rankings: Sequence[Ranked]) -> Learnt:
        """As :meth:`learn`, from rankings that are in no store, and from nothing else. Nothing of it is kept."""
        alone = settings.model_copy(update={"source": Source.OWN})
        return self._learn(alone, rankings, (), [], None)

    def _learn(
        self,
        settings: RewardSettings,
        people: Sequence[Ranking | Ranked],
        added: Added,
        notes: Sequence[str],
        key: tuple[object, ...] | None,
    ) -> Learnt:
        """Return the model that a key names, which is then kept under it, or one that is not kept."""
        count = settings.rankings if settings.source in (Source.ANNOTATOR, Source.MIX) else 0
        if key is None:
            return self._fitted(settings, people, count, added, notes)
        key = (*key, settings.annotator, count, settings.head, settings.features)
        return self._kept.get(key, lambda: self._fitted(settings, people, count, added, notes))

    def _fitted(
        self,
        settings: RewardSettings,
        people: Sequence[Ranking | Ranked],
        count: int,
        added: Added,
        notes: Sequence[str],
    ) -> Learnt:
        """Return a new model; so many rankings of the annotator are beside those of people."""
        from lab.preferences.annotators import ANNOTATORS, simulate
        from lab.preferences.fitting import fit
        from lab.preferences.pairs import Ranked, pairs_of
        from lab.preferences.pool import load_pool

        if settings.annotator not in ANNOTATORS:
            raise PreferenceError(f"There is no annotator {settings.annotator!r}; there are {', '.join(ANNOTATORS)}.")
        annotator, pool = ANNOTATORS[settings.annotator], load_pool()
        simulated = simulate(annotator, pool.train, count)
        by_hand = [Ranked(prompt, (chosen, rejected), (1, 2), "by hand") for prompt, chosen, rejected in added]
        pairs = pairs_of([*people, *simulated, *by_hand])
        if pairs.left_out:
            notes = [*notes, f"{pairs.left_out:,} pairs more than there is room for were left out, by lot."]
        fitted = fit(pairs, pool.embed_with(self._embedder.embed), settings.head, settings.features)
        counts = len(people), len(simulated), len(by_hand)
        return Learnt(settings, fitted, pairs, annotator, pool, *counts, tuple(notes))

    def people(self, source: Source, session: str, class_code: str) -> tuple[list[Ranking], list[str]]:
        """Return people's rankings that a source stands for, oldest first, and notes on what was left out.

        Raises:
            PreferenceError: if there is none although the source is people's alone.
            StoreError: if they cannot be read.
        """
        notes: list[str] = []
        found: dict[int, Ranking] = {}
        if source in (Source.OWN, Source.MIX) and session:
            found |= {ranking.id: ranking for ranking in self._store.rankings(session=session)}
        if source in (Source.CLASS, Source.MIX) and class_code:
            found |= {ranking.id: ranking for ranking in fair(self._store.rankings(class_code=class_code))}
        if source is Source.CLASS and not class_code:
            raise PreferenceError("You are in no class. Open the link of a class, or let the model learn from you.")
        if not found and source is Source.OWN:
            raise PreferenceError("You have not ranked anything yet. Rank a few completions first.")
        if not found and source is Source.CLASS:
            raise PreferenceError("Nobody of this class has ranked anything yet.")
        rankings = [found[number] for number in sorted(found)]
        if len(rankings) > MAX_RANKINGS:
            notes.append(f"Of {len(rankings):,} rankings the newest {MAX_RANKINGS:,} are read.")
        return rankings[-MAX_RANKINGS:], notes


def fair(rankings: Sequence[Ranking]) -> list[Ranking]:
    """Return a class's rankings, at most the newest 200 of each visitor."""
    counts: dict[str, int] = {}
    kept = []
    for ranking in reversed(rankings):
        counts[ranking.session] = counts.get(ranking.session, 0) + 1
        if counts[ranking.session] <= MAX_OF_ONE:
            kept.append(ranking)
    return kept[::-1]
