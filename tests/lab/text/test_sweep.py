"""Many samples: settings are in bounds, a sample is what its row alone would be, figures are those of the samples."""

from __future__ import annotations

import itertools
import random

import pytest
from transformers import GPT2LMHeadModel

from lab.errors import PromptError
from lab.text.decoding import DecodingSettings
from lab.text.measures import distinct_over, self_bleu
from lab.text.models import LanguageModel
from lab.text.rows import Row
from lab.text.strategies import MAIN_PARAMETER, SAMPLERS, Kind, Strategy
from lab.text.sweep import MAX_SAMPLE_TOKENS, sweep, values_of
from tests.lab.text.conftest import CONTEXT, gated, reference, wait_until

PROMPT = "The old house had"


def settings_of(**values: object) -> DecodingSettings:
    short = {"prompt": PROMPT, "samples": 3, "vary_points": 3, "max_new_tokens": 6}
    made, notes = DecodingSettings.lenient(short | values)
    assert notes == []
    return made


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, ("temperature", [0.3, 0.9, 1.5])),
        ({"vary_from": 1.5, "vary_to": 0.3}, ("temperature", [0.3, 0.9, 1.5])),  # either way round
        ({"vary_from": 0, "vary_to": 5}, ("temperature", [0.05, 2.525, 5.0])),
        ({"vary_from": 2, "vary_to": 2}, ("temperature", [2.0])),
        ({"vary": "top_p", "vary_from": 0, "vary_to": 5, "vary_points": 2}, ("top_p", [0.01, 1.0])),
        ({"vary": "top_p", "vary_from": 3, "vary_to": 5}, ("top_p", [1.0])),  # all beyond the bound
        ({"vary": "top_k", "vary_from": 0, "vary_to": 5, "vary_points": 8}, ("top_k", [1.0, 2.0, 3.0, 4.0, 5.0])),
        ({"vary": "top_k", "vary_from": 1, "vary_to": 2, "vary_points": 4}, ("top_k", [1.0, 2.0])),
        ({"vary": "min_p", "vary_from": 0, "vary_to": 0.5}, ("min_p", [0.0, 0.25, 0.5])),
        ({"vary": "typical", "vary_from": 0, "vary_to": 1, "vary_points": 2}, ("typical_p", [0.05, 1.0])),
        ({"vary": "temperature", "vary_from": 0.3, "vary_to": 0.30001, "vary_points": 8}, ("temperature", [0.3])),
    ],
)
def test_values_are_in_bounds_and_rising(values: dict[str, object], expected: tuple[str, list[float]]) -> None:
    assert values_of(settings_of(**values)) == expected


def test_any_range_gives_settings_that_exist() -> None:
    rng = random.Random(0)
    for _ in range(300):
        kind = rng.choice(sorted(SAMPLERS))
        settings, _ = DecodingSettings.lenient(
            {
                "vary": kind,
                "vary_from": rng.choice([rng.uniform(-9, 9), float("nan"), float("inf"), "x"]),
                "vary_to": rng.choice([rng.uniform(-9, 9), float("-inf"), 0, None]),
                "vary_points": rng.randint(-3, 20),
            }
        )
        name, values = values_of(settings)
        assert name == MAIN_PARAMETER[Kind(kind)]
        assert 1 <= len(values) <= 8
        assert values == sorted(set(values))
        low, high = Strategy.bounds(name)
        assert low <= values[0] <= values[-1] <= high


@pytest.mark.parametrize("vary", sorted(SAMPLERS))
def test_samples_are_what_their_rows_alone_would_write(
    language_model: LanguageModel, network: GPT2LMHeadModel, vary: str
) -> None:
    settings = settings_of(vary=vary, vary_from=0.4, vary_to=2.6, seed=11)
    *_, last = sweep(language_model, settings)
    prompt = language_model.vocabulary.encode(PROMPT)
    name, values = values_of(settings)
    assert [point.value for point in last.points] == values
    for point, value in zip(last.points, values, strict=True):
        assert point.strategy.kind == vary
        assert getattr(point.strategy, name) == value
        ids = [reference(network, Row(prompt, point.strategy, 11 + n, 6)) for n in range(3)]
        assert point.texts == tuple(map(language_model.vocabulary.text, ids))
        assert point.distinct_2 == distinct_over(ids, 2)
        assert point.self_bleu == self_bleu(point.texts)
        assert point.mean_log_probability == pytest.approx(sum(point.log_probabilities) / 3)  # all are of one length


def test_hotter_is_more_diverse_and_less_probable(language_model: LanguageModel) -> None:
    *_, last = sweep(
        language_model, settings_of(vary_from=0.05, vary_to=5, samples=8, vary_points=2, max_new_tokens=12)
    )
    cold, hot = last.points
    assert cold.mean_log_probability > hot.mean_log_probability
    assert cold.distinct_2 < hot.distinct_2
    assert cold.self_bleu > hot.self_bleu


def test_progress_rises_to_one(language_model: LanguageModel) -> None:
    results = list(sweep(language_model, settings_of(samples=4, vary_points=4)))
    shares = [result.share_done for result in results]
    assert shares[0] == 0.0
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert all(share < 1 for share in shares[:-1])
    assert results[0].points == ()
    for before, after in itertools.pairwise(results):
        kept = [point for point in after.points if point.value in {p.value for p in before.points}]
        assert kept == list(before.points)
    assert len(results[-1].points) == 4


def test_the_last_seed_has_successors(language_model: LanguageModel) -> None:
    *_, last = sweep(language_model, settings_of(seed=2**31 - 1, vary_points=2))
    assert all(len(point.texts) == 3 for point in last.points)


def test_closing_frees_the_rows(language_model: LanguageModel) -> None:
    engine = language_model.engine
    with gated(engine) as gate:
        running = sweep(language_model, settings_of(samples=5, vary_points=4, max_new_tokens=30))
        next(running)
        next(running)
        gate.wait_held()
        assert sum(engine.load) == 20
        running.close()
        gate.open()
        wait_until(lambda: engine.load == (0, 0))
        assert gate.steps < 5  # they did not write on to their end


def test_notes_tell_what_was_cut(language_model: LanguageModel) -> None:
    first, *_ = sweep(language_model, settings_of(max_new_tokens=150, prompt="word " * 90))
    length = min(MAX_SAMPLE_TOKENS, CONTEXT - 1)
    assert any("only its end is read" in note for note in first.notes)
    assert f"Samples are {length} tokens long here." in first.notes
    short, *_ = sweep(language_model, settings_of())
    assert short.notes == ()


@pytest.mark.parametrize("prompt", ["", " \n"])
def test_nothing_to_continue(language_model: LanguageModel, prompt: str) -> None:
    with pytest.raises(PromptError):
        list(sweep(language_model, settings_of(prompt=prompt)))
