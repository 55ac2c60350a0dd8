"""What programs can call: ``rank`` and ``reward``. Arguments are checked like a link's: clamped, with notes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.preferences import MAX_COMPLETION, PreferenceError, parse_lines
from lab.preferences.pairs import Completion, Ranked, pairs_of
from lab.preferences.rounds import write_round
from lab.preferences.settings import DEFAULT_PROMPT, RewardSettings
from lab.preferences.standing import standings
from tabs.reward.rank import adapters_of
from tabs.reward.shared import Shared

log = logging.getLogger(__name__)

MAX_TEXTS = 64
MAX_RANKINGS = 2_000


def add_api(shared: Shared) -> None:
    """Add the API names to the page under construction."""
    services = shared.services

    def rank(
        prompt: str = DEFAULT_PROMPT,
        completions: int = 4,
        max_new_tokens: int = 40,
        temperature: float = 0.9,
        top_p: float = 0.95,
        seed: int = 7,
        mixed: bool = True,
    ) -> dict[str, Any]:
        """Write completions of a prompt that are to be ranked.

        Returns each with the model and the adapter that wrote it; mixed lets adapters write beside the model itself.
        Nothing is kept.
        """
        settings, notes = lenient(locals(), mixed=int(bool(mixed)))

        def write() -> dict[str, Any]:
            model = services.models.get(services.models.default)
            *_, found = write_round(model, settings, adapters_of(model))
            return {
                "settings": settings.model_dump(mode="json", include=set(WRITING)),
                "notes": [*notes, *found.notes],
                "prompt": found.prompt,
                "completions": [asdict(item) for item in found.items],
            }

        return answer(write, "The completions could not be written.")

    def reward(
        texts: list[str],
        rankings: list[dict[str, Any]] | None = None,
        annotator: str = "cheerful",
        simulated: int = 300,
        head: str = "linear",
        features: str = "both",
    ) -> dict[str, Any]:
        """Score texts with a reward model.

        It learns from the rankings, each a pair (prompt, chosen, rejected) or a full ranking (prompt, items, ranks) as
        the download has them; without any from the simulated annotator, so many rankings of its. Returns for each text
        the learned reward and the annotator's true score, and which share of the shipped texts it beats by either, in
        percent; and measures of the model. features: completion, with prompt, words or both. Nothing is kept.
        """
        settings, notes = lenient({"annotator": annotator, "rankings": simulated, "head": head, "features": features})

        def score() -> dict[str, Any]:
            wanted = checked_texts(texts)
            given, problems = read_rankings(rankings)
            learnt = shared.learner.learn_from(settings, given) if given else shared.learner.learn(settings)
            fit = learnt.fit
            held_out = fit.held_out
            return {
                "notes": [*notes, *problems, *learnt.notes],
                "learned_from": "the rankings given" if given else learnt.annotator.title,
                "texts": [
                    {
                        "text": one.completion.text,
                        "reward": one.reward,
                        "true_score": one.true_score,
                        "beats_by_reward": one.learned,
                        "beats_by_rule": one.true,
                    }
                    for one in standings(learnt, [Completion("", text) for text in wanted])
                ],
                "measures": {
                    "pairs": len(learnt.pairs),
                    "tied": learnt.pairs.tied,
                    "repeated": learnt.pairs.repeated,
                    "prompts": learnt.pairs.prompts,
                    "parameters": fit.parameters,
                    "l2": learnt.model.l2,
                    "training_accuracy": fit.accuracy,
                    "training_loss": fit.losses[-1],
                    "held_out_accuracy": held_out and held_out.accuracy.share,
                    "held_out_interval": held_out and [held_out.accuracy.low, held_out.accuracy.high],
                    "held_out_loss": held_out and held_out.loss,
                    "calibration_error": held_out and held_out.calibration.error,
                    "seconds": fit.seconds,
                },
            }

        return answer(score, "The texts could not be scored.")

    gr.api(rank, api_name="rank")
    gr.api(reward, api_name="reward")


WRITING = ("prompt", "completions", "max_new_tokens", "temperature", "top_p", "seed", "mixed")


def lenient(given: dict[str, Any], **changes: Any) -> tuple[RewardSettings, list[str]]:
    """Return settings from a call's arguments."""
    values = {name: value for name, value in given.items() if name in RewardSettings.model_fields} | changes
    return RewardSettings.lenient(values)


def checked_texts(texts: Any) -> list[str]:
    """Return texts fit to be scored.

    Raises:
        PreferenceError: if there are none or too many, or one is none, empty or too long.
    """
    if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_TEXTS:
        raise PreferenceError(f"texts is a list of 1 to {MAX_TEXTS} texts.")
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str) or not text.strip():
            raise PreferenceError(f"Text {number} is empty or no text.")
        if len(text) > MAX_COMPLETION:
            raise PreferenceError(f"Text {number} has {len(text):,} characters; there is room for {MAX_COMPLETION:,}.")
    return texts


def read_rankings(rankings: Any) -> tuple[list[Ranked], list[str]]:
    """Return rankings that a program sent, and notes on those that could not be read.

    Raises:
        PreferenceError: if it is no list, too long, or none of it can be read.
    """
    if rankings is None or rankings == []:
        return [], []
    if not isinstance(rankings, list) or len(rankings) > MAX_RANKINGS:
        raise PreferenceError(f"rankings is a list of at most {MAX_RANKINGS:,} pairs or rankings.")
    try:
        lines = [json.dumps(one) for one in rankings]
    except (TypeError, ValueError, RecursionError) as error:
        raise PreferenceError("The rankings are no JSON.") from error
    good, problems = parse_lines(lines)
    notes = [f"ranking {number}: {reason}" for number, reason in problems]
    if not good:
        raise PreferenceError(" ".join(["None of the rankings could be read.", *notes[:1]]))
    found = [Ranked(prompt, tuple(item.completion for item in items), ranks) for prompt, items, ranks in good]
    if not len(pairs_of(found)):
        raise PreferenceError("All of it is tied or the same text, so there is no pair to learn from.")
    return found, notes


def answer(run: Callable[[], dict[str, Any]], failure: str) -> dict[str, Any]:
    """Return what a call returns; errors become words."""
    try:
        return run()
    except VisitorError as error:
        raise gr.Error(str(error), print_exception=False) from error
    except Exception as error:  # the trace is for us, the caller gets words
        log.exception("a call failed")
        raise gr.Error(failure, print_exception=False) from error
