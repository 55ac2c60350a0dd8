"""The Decoding tab's subject: links hold all settings, columns are what ``generate`` writes, any step can be seen."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest
import torch
from transformers import GPT2LMHeadModel

from lab.errors import PromptError
from lab.text import decoding
from lab.text.decoding import (
    DEFAULT_COLUMNS,
    MAX_COLUMNS,
    Comparison,
    DecodingSettings,
    ResultCache,
    View,
    compare,
    inspect,
)
from lab.text.models import LanguageModel
from lab.text.rows import Reason, Row
from lab.text.strategies import SAMPLERS, Kind, Strategy
from lab.text.stream import Stream
from tests.lab.text.conftest import CONTEXT, gated, reference, wait_until

PROMPT = "The old house had"


@pytest.fixture(autouse=True)
def fresh_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another test has computed must not answer."""
    monkeypatch.setattr(decoding, "_finished", ResultCache())


# Links


def read_query(query: str) -> tuple[DecodingSettings, list[str]]:
    """Read a query as the server does."""
    return DecodingSettings.lenient(dict(parse_qsl(query, keep_blank_values=True)))


def random_strategy(rng: random.Random) -> Strategy:
    kind = rng.choice(list(Kind))
    values: dict[str, object] = {"kind": kind}
    for name in Strategy(kind=kind).parameters:
        low, high = Strategy.bounds(name)
        whole = Strategy.model_fields[name].annotation is int
        exact = rng.uniform(low, high)
        if rng.random() < 0.7:
            values[name] = (
                rng.randint(int(low), int(high)) if whole else rng.choice([exact, round(exact, 2), low, high])
            )
    return Strategy.lenient(values)[0]


def random_settings(rng: random.Random) -> DecodingSettings:
    values: dict[str, object] = {}
    for name, field in DecodingSettings.model_fields.items():
        if field.annotation in (int, float) and rng.random() < 0.8:
            low, high = DecodingSettings.bounds(name)
            values[name] = rng.randint(low, high) if field.annotation is int else rng.uniform(low, high)
    characters = "abc é&=?#%+;,()\"'<>/\\\n\t😀שλ\u200f\u0301ß"
    return DecodingSettings(
        **values,
        view=rng.choice(list(View)),
        prompt="".join(rng.choices(characters, k=rng.randint(0, 60))),
        model=rng.choice(["", "prose-gpt2", "openai-community/gpt2", "mine & yours"]),
        columns=";".join(random_strategy(rng).to_text() for _ in range(rng.randint(1, MAX_COLUMNS))),
        picks=".".join(str(rng.randrange(60_000)) for _ in range(rng.randint(0, 50))),
        vary=rng.choice(sorted(SAMPLERS)),
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_link_reads_back_as_what_was_written(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        settings = random_settings(rng)
        query = settings.to_query()
        query.encode("ascii")
        again, notes = read_query(query)
        assert again == settings
        assert again.strategies == settings.strategies
        assert notes == []


def test_a_link_with_nothing_in_it_is_the_default() -> None:
    assert DecodingSettings().to_query() == "v=1"
    for query in ("", "v=1", "tab=decoding&utm_source=mail&__theme=dark&fbclid=x"):
        assert read_query(query) == (DecodingSettings(), [])


def test_a_number_by_itself_goes_to_the_columns_that_are_named_by_it() -> None:
    settings, notes = read_query("prompt=Hello&top_p=0.6&temperature=0.5&seed=9")
    assert settings.columns == "greedy;temperature(temperature=0.5);top_k(top_k=40);top_p(top_p=0.6)"
    assert (settings.prompt, settings.seed) == ("Hello", 9)
    assert notes == []
    settings, notes = read_query("columns=top_p(top_p=0.3,temperature=2);top_p;greedy&top_p=7")
    assert settings.columns == "top_p(top_p=1,temperature=2);top_p(top_p=1);greedy"
    assert notes == ["top_p: 7 is outside 0.01 to 1; using 1."] * 2
    assert read_query("columns=greedy&top_p=0.5")[0].columns == "greedy"  # no column has one: no effect
    assert read_query("top_k=12.4")[0].strategies[2].top_k == 12


def test_columns_of_a_link_are_cleaned() -> None:
    settings, notes = read_query("columns=greedy;magic(x=1);beam(num_beams=99);;top_p(top_p=0.5,evil=1)")
    assert settings.columns == "greedy;beam(num_beams=8);top_p(top_p=0.5)"
    assert len(notes) == 3
    settings, notes = read_query("columns=" + ";".join(["greedy"] * 9))
    assert len(settings.strategies) == MAX_COLUMNS == len(settings.columns.split(";"))
    assert notes == ["There is room for 6 columns; the rest is left out."]
    for query in ("columns=", "columns=;;", "columns=magic"):
        assert read_query(query)[0].columns == DEFAULT_COLUMNS


def test_a_prompt_that_is_too_long_or_broken_is_mended_rather_than_replaced() -> None:
    settings, notes = DecodingSettings.lenient({"prompt": "x" * 90_000 + "the end"})
    assert settings.prompt.endswith("xthe end")
    assert len(settings.prompt) == 20_000
    assert notes == ["The prompt has 90,007 characters; its last 20,000 are read."]
    settings, notes = DecodingSettings.lenient({"prompt": "half \ud83d a\0 character\r\n"})
    assert settings.prompt == "half  a character\n"
    assert len(notes) == 1


def test_only_what_samples_can_be_varied() -> None:
    for kind in Kind:
        settings, notes = read_query(f"vary={kind}")
        assert settings.vary is (kind if kind in SAMPLERS else Kind.TEMPERATURE)
        assert bool(notes) is (kind not in SAMPLERS)


HOSTILE = {
    "empty": "",
    "space": " ",
    "nan": "NaN",
    "nan number": math.nan,
    "inf": "inf",
    "-inf": "-Infinity",
    "-1": "-1",
    "1e999": "1e999",
    "huge": "9" * 400,
    "10k characters": "x" * 10_000,
    "10k digits": "7" * 10_000,
    "list": ["1", "2"],
    "dict": {"$gt": ""},
    "none text": "None",
    "bool": True,
    "bytes": b"\xff",
    "sql": "1'; DROP TABLE users; --",
    "html": "<img src=x onerror=alert(1)>",
    "template": "${alert(1)}{{7*7}}",
    "path": "../../../../etc/passwd",
    "nul": "1\0",
    "surrogate": "\ud800",
    "right to left": "\u202e1",
    "arabic digits": "٧",
    "half": "0.5",
    "hexadecimal": "0x10",
    "unknown strategy": "magic(power=9)",
    "nested": "top_p(top_p=(0.5))",
    "brackets": "(" * 3000,
    "separators": ";" * 4000,
    "dots": "." * 1999,
    "commas": "top_p(" + "," * 299 + ")",
}
LOOSE = ("temperature", "top_k", "top_p", "min_p", "typical_p")


@pytest.mark.parametrize("name", [*DecodingSettings.model_fields, *LOOSE])
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_query_raises_or_leaves_the_bounds(name: str, value: object) -> None:
    settings, notes = DecodingSettings.lenient({"seed": "5", name: value})
    assert settings.seed == 5 or name == "seed"  # what was good beside it stays
    assert len(notes) <= 4100
    for note in notes[:10]:
        assert len(note) < 300
        note.encode()
    assert 1 <= len(settings.strategies) <= MAX_COLUMNS
    assert all(isinstance(token, int) for token in settings.picked)
    assert settings.vary in SAMPLERS
    for number, field in DecodingSettings.model_fields.items():
        if field.annotation in (int, float):
            low, high = DecodingSettings.bounds(number)
            assert type(getattr(settings, number)) is field.annotation
            assert low <= getattr(settings, number) <= high
    DecodingSettings.model_validate(settings.model_dump())
    assert read_query(settings.to_query())[0] == settings


@pytest.mark.parametrize(
    "query", ["&&&", "=", "%", "%00=%00", "prompt=%ff%fe", "seed", "a=b=c", "seed=1&seed=2", "?" * 9000]
)
def test_broken_queries_are_read(query: str) -> None:
    settings, _ = read_query(query)
    DecodingSettings.model_validate(settings.model_dump())


# Columns


def run(model: LanguageModel, **values: object) -> list[Comparison]:
    return list(compare(model, DecodingSettings(**({"prompt": PROMPT} | values)), interval=0.0))


ALL_KINDS = (
    "greedy",
    "temperature(temperature=0.8)",
    "top_k(top_k=7,temperature=1.3)",
    "top_p(top_p=0.8)",
    "beam(num_beams=3)",
    "min_p(min_p=0.1,repetition_penalty=1.2)",
)


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1])
def test_columns_are_what_generate_writes(language_model: LanguageModel, network: GPT2LMHeadModel, seed: int) -> None:
    results = run(language_model, columns=";".join(ALL_KINDS), seed=seed, max_new_tokens=24)
    last = results[-1]
    assert last.done
    assert not any(result.done for result in results[:-1])
    prompt = language_model.vocabulary.encode(PROMPT)
    assert last.prompt_ids == prompt
    assert [column.strategy.to_text() for column in last.columns] == list(ALL_KINDS)
    for column in last.columns:
        ids = [token.id for token in column.tokens]
        assert ids == reference(network, Row(prompt, column.strategy, seed, 24))
        assert column.text == language_model.vocabulary.text(ids)
        assert len(column.pieces) == len(ids) == column.measures.tokens
        assert column.reason is Reason.LENGTH


def test_results_grow(language_model: LanguageModel) -> None:
    results = run(language_model, max_new_tokens=20)
    assert [len(column.tokens) for column in results[0].columns] == [0, 0, 0, 0]
    for before, after in itertools.pairwise(results):
        for old, new in zip(before.columns, after.columns, strict=True):
            assert new.tokens[: len(old.tokens)] == old.tokens  # none of these takes anything back
            assert "".join(new.pieces) == new.text
    assert all(column.reason and column.measures for column in results[-1].columns)


def test_leaves_greedy_is_where_a_column_first_differs_from_the_greedy_one(language_model: LanguageModel) -> None:
    columns = "greedy;" + ";".join(["top_k(top_k=2)", "top_k(top_k=1)", "top_p(top_p=0.3)", "temperature"])
    left = set()
    for seed in range(6):
        greedy, *others = run(language_model, columns=columns, seed=seed, max_new_tokens=12)[-1].columns
        assert greedy.leaves_greedy is None
        for column in others:
            differs = [a.id != b.id for a, b in zip(column.tokens, greedy.tokens, strict=True)]
            assert column.leaves_greedy == (differs.index(True) if any(differs) else None)
            left.add(column.leaves_greedy)
        assert others[1].leaves_greedy is None  # top-k with k = 1 is greedy
    assert len(left) > 3


def test_the_same_seed_writes_the_same_and_another_something_else(
    language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = []
    for seed in (3, 3, 4):
        monkeypatch.setattr(decoding, "_finished", ResultCache())
        texts.append([column.text for column in run(language_model, seed=seed, max_new_tokens=15)[-1].columns])
    assert texts[0] == texts[1]
    assert texts[0][0] == texts[2][0]  # greedy rolls no dice
    assert texts[0][1:] != texts[2][1:]


def test_the_second_time_the_answer_is_there_at_once(
    language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(language_model, max_new_tokens=10)[-1]

    def submit(rows: object) -> Stream:
        raise AssertionError("the engine was asked again")

    monkeypatch.setattr(language_model.engine, "submit", submit)
    # What is not part of the text (the step that is looked into, the view) does not matter.
    (second,) = run(language_model, max_new_tokens=10, step=4, view=View.COMPARE, num_beams=5)
    assert second.done
    assert second.columns == first.columns
    assert second.settings.step == 4
    for other in (
        {"seed": DecodingSettings.default("seed") + 1},
        {"max_new_tokens": 11},
        {"columns": "greedy"},
        {"prompt": "Another"},
    ):
        with pytest.raises(AssertionError, match="asked again"):
            run(language_model, **({"max_new_tokens": 10} | other))


def test_the_cache_forgets_the_oldest() -> None:
    cache = ResultCache(size=2)
    for key in "ab":
        cache.put(key, key.upper())
    assert cache.get("a") == "A"  # used again, so b is now the oldest
    cache.put("c", "C")
    assert [cache.get(key) for key in "abc"] == ["A", None, "C"]
    cache.put("a", "A")  # made by another at the same time, so that c is the oldest
    cache.put("d", "D")
    assert [cache.get(key) for key in "acd"] == ["A", None, "D"]


def test_closing_frees_the_rows(language_model: LanguageModel) -> None:
    engine = language_model.engine
    with gated(engine) as gate:
        running = compare(language_model, DecodingSettings(prompt=PROMPT, max_new_tokens=40), interval=0.0)
        next(running)
        next(running)
        gate.wait_held()
        assert engine.load[0] == 4
        running.close()
        gate.open()
        wait_until(lambda: engine.load == (0, 0))
        assert gate.steps < 5  # they did not write on to their end
    assert not decoding._finished._entries  # half a result is none


def test_a_prompt_that_is_too_long_for_the_model_is_cut_with_a_note(
    language_model: LanguageModel, network: GPT2LMHeadModel
) -> None:
    prompt = "word after word " * 30 + "and the end"
    last = run(language_model, prompt=prompt, columns="greedy;beam(num_beams=2)", max_new_tokens=30)[-1]
    assert last.prompt_ids == language_model.vocabulary.encode(prompt)[-(CONTEXT - 30) :]
    assert len(last.notes) == 1
    assert "only its end is read" in last.notes[0]
    for column in last.columns:
        assert [t.id for t in column.tokens] == reference(network, Row(last.prompt_ids, column.strategy, 7, 30))


@pytest.mark.parametrize("length", [CONTEXT - 1, CONTEXT, 200])
def test_a_text_longer_than_the_model_can_write_ends_at_the_context(language_model: LanguageModel, length: int) -> None:
    last = run(language_model, columns="greedy;top_p", max_new_tokens=length)[-1]
    assert len(last.prompt_ids) == 1
    assert {len(column.tokens) for column in last.columns} <= set(range(1, CONTEXT))
    assert len(last.notes) == 1


@pytest.mark.parametrize("prompt", ["", " \n", "\0"])
def test_nothing_to_continue(language_model: LanguageModel, prompt: str) -> None:
    with pytest.raises(PromptError, match="Please write a few words"):
        run(language_model, prompt=prompt)
    assert language_model.engine.load == (0, 0)


# A step


def probabilities(network: GPT2LMHeadModel, ids: tuple[int, ...]) -> torch.Tensor:
    with torch.inference_mode():
        return network(torch.tensor([ids])).logits[0, -1].softmax(-1)


@pytest.fixture(scope="module")
def prompt(language_model: LanguageModel) -> tuple[int, ...]:
    return language_model.vocabulary.encode(PROMPT)


def test_the_stages_of_a_step(language_model: LanguageModel, network: GPT2LMHeadModel, prompt: tuple[int, ...]) -> None:
    strategy = Strategy(kind=Kind.TOP_K, top_k=5, temperature=0.5)
    found = inspect(language_model, prompt, strategy, top=30)
    raw = probabilities(network, prompt)
    order = raw.argsort(descending=True)
    assert [c.id for c in found.distribution.candidates] == order[:30].tolist()
    tempered = (raw.log() / 0.5).softmax(-1)
    for rank, candidate in enumerate(found.distribution.candidates):
        assert candidate.raw == pytest.approx(float(raw[candidate.id]), rel=1e-4)
        assert candidate.tempered == pytest.approx(float(tempered[candidate.id]), rel=1e-4)
        final = float(tempered[candidate.id] / tempered[order[:5]].sum()) if rank < 5 else 0.0
        assert candidate.final == pytest.approx(final, rel=1e-4)
    assert found.distribution.kept_tokens == 5
    assert found.distribution.kept_mass == pytest.approx(float(tempered[order[:5]].sum()), rel=1e-4)
    assert found.distribution.vocabulary_size == len(language_model.vocabulary)
    assert found.entropy == pytest.approx(float(-(raw * raw.log()).sum()), rel=1e-4)
    assert found.chosen is None
    assert found.token_labels == tuple(language_model.vocabulary.label(c.id) for c in found.distribution.candidates)


def test_a_chosen_token_outside_the_top_is_reported(
    language_model: LanguageModel, network: GPT2LMHeadModel, prompt: tuple[int, ...]
) -> None:
    order = probabilities(network, prompt).argsort(descending=True).tolist()
    strategy = Strategy(kind=Kind.TEMPERATURE)
    far = inspect(language_model, prompt, strategy, chosen=order[200], top=10)
    assert [c.id for c in far.distribution.candidates if c.id != order[200]][:10] == order[:10]
    assert order[200] in [c.id for c in far.distribution.candidates]
    assert far.chosen == order[200]
    assert len(far.token_labels) == len(far.distribution.candidates)
    near = inspect(language_model, prompt, Strategy(kind=Kind.GREEDY), chosen=order[3], top=10)
    assert [c.id for c in near.distribution.candidates] == order[:10]


@pytest.mark.parametrize(
    "strategy", [Strategy(kind=Kind.TEMPERATURE, temperature=5.0), Strategy(kind=Kind.GREEDY, repetition_penalty=3.0)]
)
def test_where_nothing_was_chosen_only_the_top_is_reported(language_model: LanguageModel, strategy: Strategy) -> None:
    """The row that looks chooses a token of its own; in half of these cases it lies beyond the top."""
    for n in range(12):
        ids = language_model.vocabulary.encode("the the house the the house" + " old" * n)
        assert len(inspect(language_model, ids, strategy, top=1).distribution.candidates) == 1


def test_of_beam_search_the_raw_model_is_shown(
    language_model: LanguageModel, network: GPT2LMHeadModel, prompt: tuple[int, ...]
) -> None:
    found = inspect(language_model, prompt, Strategy(kind=Kind.BEAM, num_beams=4), chosen=5)
    raw = probabilities(network, prompt)
    for candidate in found.distribution.candidates:
        assert candidate.raw == pytest.approx(float(raw[candidate.id]), rel=1e-4)
        assert candidate.final == pytest.approx(candidate.raw, rel=1e-4)
    assert not found.strategy.samples


def test_of_penalised_beam_search_the_model_before_the_penalty_is_shown(
    language_model: LanguageModel, network: GPT2LMHeadModel, prompt: tuple[int, ...]
) -> None:
    """Its penalty is laid on log-probabilities: what it would do to the logits is not what happened."""
    strategy = Strategy(kind=Kind.BEAM, num_beams=4, repetition_penalty=2.0)
    found = inspect(language_model, prompt, strategy, chosen=5)
    assert found.strategy == strategy
    assert all(c.tempered == pytest.approx(c.raw, rel=1e-4) for c in found.distribution.candidates)


def test_a_penalised_step_is_listed_in_the_penalised_order(
    language_model: LanguageModel, network: GPT2LMHeadModel
) -> None:
    ids = language_model.vocabulary.encode("the old house had the old house")
    found = inspect(language_model, ids, Strategy(kind=Kind.GREEDY, repetition_penalty=3.0), top=len(set(ids)) + 5)
    with torch.inference_mode():
        logits = network(torch.tensor([ids])).logits[0, -1]
    seen = torch.tensor(sorted(set(ids)))
    penalised = logits.clone()
    penalised[seen] = torch.where(logits[seen] < 0, logits[seen] * 3.0, logits[seen] / 3.0)
    assert [c.id for c in found.distribution.candidates] == penalised.topk(len(set(ids)) + 5).indices.tolist()
    masses = [mass for _, mass in found.distribution.cumulative]
    assert masses[0] == pytest.approx(found.distribution.candidates[0].tempered, rel=1e-4)


def every_step(result: Comparison) -> Iterator[tuple[int, int]]:
    for place, column in enumerate(result.columns):
        for step in range(len(column.tokens)):
            yield place, step


def test_every_step_of_a_text_that_fills_the_context_can_be_seen(
    language_model: LanguageModel, network: GPT2LMHeadModel
) -> None:
    result = run(language_model, prompt="word " * 100, columns="top_p(top_p=0.7)", max_new_tokens=CONTEXT - 5)[-1]
    assert len(result.prompt_ids) + len(result.columns[0].tokens) == CONTEXT
    for place, step in every_step(result):
        column = result.columns[place]
        ids = (*result.prompt_ids, *(token.id for token in column.tokens[:step]))
        found = inspect(language_model, ids, column.strategy, column.tokens[step].id, top=5)
        (chosen,) = (c for c in found.distribution.candidates if c.id == found.chosen)
        # What is looked at afterwards is what happened.
        assert math.log(chosen.raw) == pytest.approx(column.tokens[step].log_probability, abs=1e-4)
        assert chosen.final == pytest.approx(column.tokens[step].strategy_probability, rel=1e-4)
        assert found.entropy == pytest.approx(column.tokens[step].entropy, abs=1e-4)


def test_a_text_longer_than_the_context_is_seen_from_its_end(
    language_model: LanguageModel, network: GPT2LMHeadModel
) -> None:
    ids = language_model.vocabulary.encode("word after word " * 40)
    assert len(ids) > CONTEXT
    found = inspect(language_model, ids, Strategy(kind=Kind.GREEDY), top=3)
    raw = probabilities(network, ids[-(CONTEXT - 1) :])
    assert [c.id for c in found.distribution.candidates] == raw.argsort(descending=True)[:3].tolist()
