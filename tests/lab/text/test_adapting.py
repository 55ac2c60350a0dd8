"""Base and adapters side by side: the texts are those of merged models, and so are the scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from transformers import GPT2LMHeadModel

from lab.errors import PromptError, VisitorError
from lab.text import adapting, scoring
from lab.text.adapting import MAX_COLUMNS, Adaptation, AdaptSettings, Column, adapt
from lab.text.decoding import ResultCache
from lab.text.models import LanguageModel
from lab.text.outfits import BASE, Outfit
from lab.text.shifts import step_shifts
from tests.lab.text.conftest import wait_until
from tests.lab.text.test_adapters import merged, random_adapter

TITLES = {"one": "The first", "two": "The second"}
COLUMNS = "one=1;two=0.5;one=0.75+two=0.5"
SETTINGS = AdaptSettings(prompt="The old house", adapters=COLUMNS, max_new_tokens=12, seed=3)


@pytest.fixture(scope="module")
def adapters(language_model: LanguageModel, network: GPT2LMHeadModel) -> Mapping[str, object]:
    made = {"one": random_adapter(network, 1), "two": random_adapter(network, 2, ["mlp.c_fc"], rank=5)}
    for name, adapter in made.items():
        language_model.engine.add_adapter(name, adapter)
    return made


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what another has computed."""
    monkeypatch.setattr(adapting, "_written", ResultCache())
    monkeypatch.setattr(adapting, "_scored", ResultCache())


def run(model: LanguageModel, settings: AdaptSettings = SETTINGS) -> Adaptation:
    *_, result = adapt(model, settings, TITLES, interval=0.0)
    assert result.done
    return result


def dressed(network: GPT2LMHeadModel, adapters: Mapping, outfit: Outfit) -> GPT2LMHeadModel:
    for name, strength in outfit.parts:
        network = merged(network, adapters[name], strength)
    return network


def log_probabilities(network: GPT2LMHeadModel, result: Adaptation, column: Column) -> list[float]:
    ids = [token.id for token in column.tokens]
    with torch.inference_mode():
        logits = network(torch.tensor([[*result.prompt_ids, *ids]])).logits[0]
    scores = logits[len(result.prompt_ids) - 1 : -1].float().log_softmax(-1)
    return scores[torch.arange(len(ids)), torch.tensor(ids)].tolist()


def test_columns_are_scored_as_merged_models_score_them(
    language_model: LanguageModel, network: GPT2LMHeadModel, adapters: Mapping
) -> None:
    result = run(language_model)
    assert [column.outfit.to_text() for column in result.columns] == ["base", *COLUMNS.split(";")]
    base, *others = result.columns
    assert set(base.under) == {column.outfit for column in result.columns}
    for column in others:
        assert set(column.under) == {BASE, column.outfit}
    for column in result.columns:
        for outfit, scores in column.under.items():
            expected = log_probabilities(dressed(network, adapters, outfit), result, column)
            assert scores == pytest.approx(expected, abs=1e-4)
            assert column.perplexity(outfit) == pytest.approx(math.exp(-sum(expected) / len(expected)), rel=1e-3)
        if not column.outfit.is_base:
            own, base_scores = column.under[column.outfit], column.under[BASE]
            assert column.gains == pytest.approx([a - b for a, b in zip(own, base_scores, strict=True)])
    assert base.gains == ()
    assert base.perplexity(Outfit((("nobody", 1.0),))) is None


def test_texts_grow_and_the_last_result_is_done(language_model: LanguageModel, adapters: Mapping) -> None:
    results = list(adapt(language_model, SETTINGS, TITLES, interval=0.0))
    assert [result.done for result in results] == [False] * (len(results) - 1) + [True]
    lengths = [sum(len(column.tokens) for column in result.columns) for result in results]
    assert lengths == sorted(lengths) and lengths[0] == 0 and lengths[-1] > 0
    for column in results[-1].columns:
        assert column.reason is not None and column.measures is not None
        assert column.text == language_model.vocabulary.text([token.id for token in column.tokens])


def test_a_column_is_the_same_whoever_stands_beside_it(language_model: LanguageModel, adapters: Mapping) -> None:
    together = {column.outfit: [t.id for t in column.tokens] for column in run(language_model).columns}
    assert len(set(map(tuple, together.values()))) == 4
    for text in COLUMNS.split(";"):
        adapting._written = ResultCache()
        _, alone = run(language_model, SETTINGS.model_copy(update={"adapters": text})).columns
        assert [token.id for token in alone.tokens] == together[alone.outfit]


def test_what_was_written_before_is_there_at_once(
    language_model: LanguageModel, adapters: Mapping, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(language_model)
    submitted: list[int] = []
    submit = language_model.engine.submit

    def counted(rows: list) -> object:
        submitted.append(len(rows))
        return submit(rows)

    monkeypatch.setattr(language_model.engine, "submit", counted)
    again = list(adapt(language_model, SETTINGS, TITLES, interval=0.0))
    assert submitted == []
    assert again[-1].columns == first.columns
    more = SETTINGS.model_copy(update={"adapters": COLUMNS + ";two=2"})
    result = run(language_model, more)
    assert submitted == [1, 2]  # the new column, then its text under the base and the base's under it
    assert result.columns[:4] == (replace(first.columns[0], under=result.columns[0].under), *first.columns[1:])
    run(language_model, SETTINGS.model_copy(update={"seed": 4}))
    assert submitted[2:] == [4, 6]


def test_what_others_push_out_of_the_caches_is_not_missed(
    language_model: LanguageModel, adapters: Mapping, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(language_model).columns
    monkeypatch.setattr(adapting, "_written", ResultCache(size=1))
    monkeypatch.setattr(adapting, "_scored", ResultCache(size=1))
    for _ in range(2):
        for column, one in zip(run(language_model).columns, expected, strict=True):
            assert column.tokens == one.tokens
            assert column.under.keys() == one.under.keys()
            for outfit, scores in column.under.items():
                assert scores == pytest.approx(one.under[outfit])


def test_strength_zero_is_the_bases_text(language_model: LanguageModel, adapters: Mapping) -> None:
    result = run(language_model, SETTINGS.model_copy(update={"adapters": "one=0;one=2"}))
    base, zero, double = result.columns
    assert [token.id for token in zero.tokens] == [token.id for token in base.tokens]
    assert zero.gains == pytest.approx([0.0] * len(zero.tokens), abs=1e-6)
    assert result.parting(zero) is None
    place = result.parting(double)
    assert place is not None
    same = [a.id == b.id for a, b in zip(double.tokens, base.tokens, strict=False)]
    assert all(same[:place]) and (place >= len(same) or not same[place])


def test_unknown_adapters_are_left_out_with_a_note(language_model: LanguageModel, adapters: Mapping) -> None:
    result = run(language_model, SETTINGS.model_copy(update={"adapters": "nobody=1;one=1;one=1+nobody=1"}))
    assert [column.outfit.to_text() for column in result.columns] == ["base", "one=1"]
    assert len(result.notes) == 1 and "'nobody'" in result.notes[0]
    default = AdaptSettings(prompt="The", max_new_tokens=2)  # whose adapters this model has not: not a visitor's fault
    result = run(language_model, default)
    assert (len(result.columns), result.notes) == (1, ())


@pytest.mark.parametrize("prompt", ["", "  \n ", "\x00"])
def test_an_empty_prompt_is_refused_in_words(language_model: LanguageModel, prompt: str) -> None:
    with pytest.raises(PromptError, match="empty"):
        run(language_model, SETTINGS.model_copy(update={"prompt": prompt}))


def test_closing_frees_the_rows(language_model: LanguageModel, adapters: Mapping) -> None:
    running = adapt(language_model, SETTINGS.model_copy(update={"max_new_tokens": 50}), TITLES, interval=0.0)
    next(running), next(running)
    running.close()
    result = run(language_model, SETTINGS.model_copy(update={"seed": 99}))
    assert result.done
    assert language_model.engine.load == (0, 0)


def test_an_adapter_taken_away_on_the_way_is_told(language_model: LanguageModel, network: GPT2LMHeadModel) -> None:
    """As a visitor's oldest one is when a fourth comes: what was written with it cannot be scored any more."""
    language_model.engine.add_adapter("mine", random_adapter(network, 9))
    settings = SETTINGS.model_copy(update={"adapters": "mine=1", "seed": 101})
    running = adapt(language_model, settings, {"mine": "Mine"}, interval=0.0)
    next(running), next(running)  # now it is being written
    language_model.engine.remove_adapter("mine")
    with pytest.raises(VisitorError, match="'mine' is not there any more"):
        list(running)
    assert language_model.engine.load == (0, 0)


def test_closing_while_texts_are_scored_frees_the_rows(
    language_model: LanguageModel, adapters: Mapping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "INTERVAL", 0.0)
    running = adapt(language_model, SETTINGS.model_copy(update={"seed": 102}), TITLES, interval=0.0)
    while not all(column.reason for column in next(running).columns):
        pass
    assert not next(running).done  # the scores are not there yet, but whoever reads can leave
    running.close()
    wait_until(lambda: language_model.engine.load == (0, 0))


@pytest.mark.parametrize("strategy", ["greedy", "beam(num_beams=3)", "top_k(top_k=5)"])
def test_every_strategy_does(language_model: LanguageModel, adapters: Mapping, strategy: str) -> None:
    result = run(language_model, SETTINGS.model_copy(update={"strategy": strategy, "max_new_tokens": 5}))
    assert all(column.under[BASE] for column in result.columns)


def test_settings_survive_a_link() -> None:
    settings = AdaptSettings(
        view="inside", prompt="Ö & +;=", strategy="greedy(repetition_penalty=1.3)", adapters="a=0.5;a=0.5+b=0.25",
        adapter="a", layer="transformer.h.1.mlp.c_fc", calc_inputs=7, step=3, model="other",
    )  # fmt: skip
    from urllib.parse import parse_qsl

    assert AdaptSettings.lenient(dict(parse_qsl(settings.to_query()))) == (settings, [])


def test_settings_from_anything_are_settings_and_notes() -> None:
    settings, notes = AdaptSettings.lenient(
        {"adapters": "a=nan;!;b=9", "strategy": "chaos", "seed": "x", "step": 1e9, "view": "cellar", "calc_rank": 0}
    )
    assert settings.adapters == "a=1;b=2"
    assert settings.strategy == AdaptSettings.default("strategy")
    assert (settings.step, settings.view, settings.calc_rank) == (200, "toggle", 1)
    assert len(notes) == 6
    many, notes = AdaptSettings.lenient({"adapters": ";".join(f"a{n}=1" for n in range(30))})
    assert len(many.outfits) == MAX_COLUMNS
    assert "room" in notes[0]
    for value in ([], {}, None, 3, float("nan")):
        AdaptSettings.lenient({name: value for name in AdaptSettings.model_fields})


# --- a step looked into ---------------------------------------------------------------------------------------------


def test_shifts_are_those_of_the_two_models(
    language_model: LanguageModel, network: GPT2LMHeadModel, adapters: Mapping
) -> None:
    outfit = Outfit((("one", 1.0), ("two", 0.5)))
    ids = language_model.vocabulary.encode("The old captain")
    found = step_shifts(language_model, ids, outfit, chosen=5, considered=20)
    with torch.inference_mode():
        base, adapted = (
            model(torch.tensor([ids])).logits[0, -1].float().softmax(-1)
            for model in (network, dressed(network, adapters, outfit))
        )
    tops = {*base.topk(20).indices.tolist(), *adapted.topk(20).indices.tolist(), 5}
    assert {shift.id for shift in found.shifts} >= tops
    for shift in found.shifts:
        assert (shift.base, shift.adapted) == pytest.approx((float(base[shift.id]), float(adapted[shift.id])), rel=1e-3)
        assert shift.change == pytest.approx(math.log(shift.adapted / shift.base), abs=1e-3)
    changes = [shift.change for shift in found.shifts]
    assert changes == sorted(changes, reverse=True)
    extremes = found.extremes(3)
    assert [shift.change for shift in extremes] == [*changes[:3], *changes[-3:]]
    assert 0 < found.moved <= 1


def test_no_strength_shifts_nothing(language_model: LanguageModel, adapters: Mapping) -> None:
    found = step_shifts(language_model, (5, 6), Outfit((("one", 0.0),)), chosen=7)
    assert [shift.change for shift in found.shifts] == pytest.approx([0.0] * len(found.shifts), abs=1e-6)
    assert found.moved == pytest.approx(0.0, abs=1e-6)
    assert found.extremes(5) == ()


def test_of_a_long_text_the_end_is_looked_at(language_model: LanguageModel, adapters: Mapping) -> None:
    ids = [5, 6, 7, 8] * language_model.context
    found = step_shifts(language_model, ids, Outfit((("one", 1.0),)), chosen=7)
    end = step_shifts(language_model, ids[-(language_model.context - 1) :], Outfit((("one", 1.0),)), chosen=7)
    assert found == end
