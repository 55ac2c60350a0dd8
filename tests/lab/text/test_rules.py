"""Rows that keep to rules draw only what these allow; everything else about them, and about others, is as ever."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
import torch
from transformers import GPT2LMHeadModel

from lab.music.grammar import Grammar
from lab.music.tokens import PHRASE_ENDS, Vocabulary
from lab.music.tokens import read as read_melody
from lab.text.engine import Engine
from lab.text.rows import Finished, Reason, Row, Token
from lab.text.strategies import Kind, Strategy
from tests.lab.text.conftest import END_OF_TEXT, gated, read, reference, run_alone, tiny_gpt2, wait_until, written
from tests.lab.text.test_adapters import random_adapter
from tests.lab.text.test_strategies import CHAINS

VOCABULARY = 97  # of the model of most tests
GREEDY = Strategy(kind=Kind.GREEDY)
DICE = Strategy(kind=Kind.TEMPERATURE)
PROMPTS = [(5,), (6, 7, 8, 9), (11, 3, 3, 40, 11, 3, 3)]


def mask_of(tokens: Iterable[int], size: int = VOCABULARY) -> torch.Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    mask[list(tokens)] = True
    return mask


@dataclass
class Turn:
    """Progress of rules under which each token must be of another remainder than the one before it."""

    masks: Sequence[torch.Tensor]
    taken: list[int]
    seen: list[int] = field(default_factory=list)

    def allowed(self) -> torch.Tensor:
        return self.masks[(self.taken[-1] + 1) % len(self.masks)]

    def advance(self, token: int) -> None:
        self.taken.append(token)
        self.seen.append(token)


class Turns:
    """After a token of remainder r comes one of remainder r + 1. Stateless: every row has a progress of its own."""

    def __init__(self, parts: int, of: Iterable[int] = range(1, VOCABULARY)) -> None:
        tokens = list(of)
        self.masks = [mask_of(token for token in tokens if token % parts == part) for part in range(parts)]
        self.parts = parts
        self.started: list[Turn] = []

    def start(self, ids: Sequence[int]) -> Turn:
        if ids[0] == 13:
            raise ValueError("these rules do not apply to 13")
        self.started.append(Turn(self.masks, list(ids)))
        return self.started[-1]

    def are_kept(self, prompt: Sequence[int], text: Sequence[int]) -> bool:
        ids = [prompt[-1], *text]
        return all(b % self.parts == (a + 1) % self.parts for a, b in pairwise(ids))


class Only:
    """Rules of one mask for all."""

    def __init__(self, tokens: Iterable[int], size: int = VOCABULARY) -> None:
        self.mask = mask_of(tokens, size)

    def start(self, ids: Sequence[int]) -> Only:
        return self

    def allowed(self) -> torch.Tensor:
        return self.mask

    def advance(self, token: int) -> None:
        pass


def tokens_of(engine: Engine, row: Row) -> tuple[Token, ...]:
    *_, finished = read(engine.submit([row]))
    assert isinstance(finished, Finished)
    return finished.tokens


def raw_log_probabilities(model: GPT2LMHeadModel, row: Row, text: Sequence[int]) -> torch.Tensor:
    """The model's own, before each token of a text; shape (tokens, vocabulary)."""
    with torch.inference_mode():
        logits = model(torch.tensor([[*row.prompt, *text]])).logits[0]
    return logits[len(row.prompt) - 1 : -1].float().log_softmax(-1)


# --- what is drawn --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", CHAINS[::2], ids=Strategy.to_text)
def test_only_allowed_tokens_are_drawn(model: GPT2LMHeadModel, engine: Engine, strategy: Strategy) -> None:
    rules = Turns(5)
    rows = [Row(prompt, strategy, seed=seed, max_new_tokens=8, rules=rules) for prompt in PROMPTS for seed in (1, 2)]
    texts = written(read(engine.submit(rows)))
    for index, row in enumerate(rows):
        assert len(texts[index]) == 8
        assert rules.are_kept(row.prompt, texts[index]), row
    free = written(read(engine.submit([replace(row, rules=None) for row in rows])))
    assert not all(rules.are_kept(row.prompt, free[index]) for index, row in enumerate(rows))


def test_greedy_takes_the_best_that_is_allowed(model: GPT2LMHeadModel, engine: Engine) -> None:
    rules = Turns(7)
    row = Row(PROMPTS[1], GREEDY, max_new_tokens=10, rules=rules)
    text = run_alone(engine, row)
    raw = raw_log_probabilities(model, row, text)
    for place, token in enumerate(text):
        before = [*row.prompt, *text][len(row.prompt) + place - 1]
        assert token == int(raw[place].masked_fill(~rules.masks[(before + 1) % 7], -torch.inf).argmax())


def test_a_single_allowed_token_is_drawn_however_unlikely(model: GPT2LMHeadModel, engine: Engine) -> None:
    raw = raw_log_probabilities(model, Row(PROMPTS[1]), [1])[0]
    unlikely = int(raw.argmin())
    for strategy in CHAINS:
        (token,) = tokens_of(engine, Row(PROMPTS[1], strategy, max_new_tokens=1, rules=Only([unlikely])))
        assert token.id == unlikely
        assert token.rank == VOCABULARY
        assert token.strategy_probability == pytest.approx(1.0)


def test_rules_that_allow_everything_change_nothing(model: GPT2LMHeadModel, engine: Engine) -> None:
    rows = [Row(PROMPTS[2], strategy, seed=4, max_new_tokens=8) for strategy in CHAINS]
    everything = Only(range(VOCABULARY))
    free, ruled = (
        {event.row: event.tokens for event in read(engine.submit(some)) if isinstance(event, Finished)}
        for some in (rows, [replace(row, rules=everything) for row in rows])
    )
    assert free == ruled


def test_the_end_of_the_text_keeps_to_the_rules(ending_model: GPT2LMHeadModel, ending_engine: Engine) -> None:
    size = ending_model.config.vocab_size
    rows = [Row(PROMPTS[1], DICE, seed=seed, max_new_tokens=20) for seed in range(8)]
    never, at_once = Only(range(1, size), size), Only([END_OF_TEXT], size)
    free, kept = (
        [event for event in read(ending_engine.submit(some)) if isinstance(event, Finished)]
        for some in (rows, [replace(row, rules=never) for row in rows])
    )
    assert sum(end.reason is Reason.END_OF_TEXT for end in free) > 2
    assert all(end.reason is Reason.LENGTH and len(end.tokens) == 20 for end in kept)
    assert all(token.id != END_OF_TEXT for end in kept for token in end.tokens)
    assert run_alone(ending_engine, replace(rows[0], rules=at_once)) == [END_OF_TEXT]


# --- what is reported -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [GREEDY, DICE, Strategy(kind=Kind.TOP_K, top_k=3)], ids=Strategy.to_text)
def test_log_probability_rank_and_entropy_are_those_of_the_raw_model(
    model: GPT2LMHeadModel, engine: Engine, strategy: Strategy
) -> None:
    row = Row(PROMPTS[1], strategy, seed=3, max_new_tokens=10, rules=Turns(5))
    tokens = tokens_of(engine, row)
    raw = raw_log_probabilities(model, row, [token.id for token in tokens])
    for place, token in enumerate(tokens):
        assert token.log_probability == pytest.approx(float(raw[place, token.id]), abs=1e-5)
        assert token.rank == 1 + int((raw[place] > raw[place, token.id]).sum())
        assert token.entropy == pytest.approx(float(-(raw[place].exp() * raw[place]).sum()), abs=1e-4)
    assert max(token.rank for token in tokens) > 5  # the rules did forbid better ones


def test_the_strategys_probability_is_a_share_of_what_is_allowed(model: GPT2LMHeadModel, engine: Engine) -> None:
    rules = Turns(5)
    row = Row(PROMPTS[1], DICE, seed=3, max_new_tokens=10, rules=rules)
    tokens = tokens_of(engine, row)
    raw = raw_log_probabilities(model, row, [token.id for token in tokens]).exp()
    before = row.prompt[-1]
    for place, token in enumerate(tokens):
        allowed = rules.masks[(before + 1) % 5]
        share = float(raw[place, token.id] / raw[place][allowed].sum())
        assert token.strategy_probability == pytest.approx(share, rel=1e-4)
        before = token.id


def test_a_distribution_shows_the_models_and_what_the_rules_leave(engine: Engine) -> None:
    allowed, forbidden = (30, 31, 32, 33), (50, 51)
    for strategy in (GREEDY, DICE):
        row = Row(PROMPTS[1], strategy, max_new_tokens=3, top=3, include=forbidden, rules=Only(allowed))
        for token in tokens_of(engine, row):
            table = {candidate.id: candidate for candidate in token.distribution.candidates}
            assert token.id in allowed
            assert {token.id, *forbidden} <= table.keys()
            assert all(table[id_].raw > 0 for id_ in table)
            assert all(table[id_].final == table[id_].tempered == 0 for id_ in forbidden)
            assert token.distribution.kept_tokens == 4
            assert token.distribution.kept_mass == pytest.approx(1.0)


# --- beside others --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", CHAINS[::3], ids=Strategy.to_text)
def test_rows_with_and_without_rules_do_not_disturb_each_other(
    model: GPT2LMHeadModel, engine: Engine, strategy: Strategy
) -> None:
    """In one group: the same strategy, and for some the same prompt and seed."""
    rules = [None, Turns(5), None, Turns(2), Only([40, 41])]
    rows = [Row(prompt, strategy, seed=6, max_new_tokens=8, rules=rule) for rule in rules for prompt in PROMPTS]
    together = written(read(engine.submit(rows)))
    for index, row in enumerate(rows):
        if row.rules is None:
            assert together[index] == reference(model, row)
        else:
            assert together[index] == run_alone(engine, row)


def test_rows_under_the_same_rules_have_each_its_own_progress(engine: Engine) -> None:
    rules = Turns(5)
    rows = [Row(prompt, DICE, seed=seed, max_new_tokens=7, rules=rules) for prompt in PROMPTS for seed in range(3)]
    texts = written(read(engine.submit(rows)))
    assert [turn.seen for turn in rules.started] == [texts[index] for index in range(len(rows))]
    assert [turn.taken[: -len(turn.seen)] for turn in rules.started] == [list(row.prompt) for row in rows]


def test_rows_with_rules_join_while_others_run(model: GPT2LMHeadModel, engine: Engine) -> None:
    running = Row(PROMPTS[0], DICE, seed=9, max_new_tokens=12)
    joining = Row(PROMPTS[2], DICE, seed=9, max_new_tokens=9, rules=Turns(3))
    alone = run_alone(engine, joining)
    with gated(engine) as gate:
        first = engine.submit([running])
        gate.wait_held()
        other = replace(running, seed=10)
        second = engine.submit([joining, other])
        gate.open()
        assert written(read(first))[0] == reference(model, running)
        assert written(read(second)) == {0: alone, 1: reference(model, other)}


def test_rules_and_an_adapter_in_one_row(model: GPT2LMHeadModel, engine: Engine) -> None:
    engine.add_adapter("one", random_adapter(model, 1))
    rules = Turns(3)
    row = Row(PROMPTS[1], DICE, seed=2, max_new_tokens=10, rules=rules)
    texts = written(read(engine.submit([row, replace(row, adapter="one"), replace(row, adapter="one", rules=None)])))
    assert rules.are_kept(row.prompt, texts[0])
    assert rules.are_kept(row.prompt, texts[1])
    assert texts[0] != texts[1]
    assert not rules.are_kept(row.prompt, texts[2])


# --- forced tokens --------------------------------------------------------------------------------------------------


def test_forced_tokens_go_through_and_the_rules_go_on_after_them(model: GPT2LMHeadModel, engine: Engine) -> None:
    forced = (40, 40, 41, 96)  # 40 after 40 is against the rules
    rules = Turns(5)
    for strategy in (GREEDY, DICE):
        row = Row(PROMPTS[1], strategy, seed=1, max_new_tokens=9, forced=forced, rules=rules)
        tokens = tokens_of(engine, row)
        text = [token.id for token in tokens]
        assert tuple(text[:4]) == forced
        assert rules.are_kept((96,), text[4:])
        assert rules.started[-1].seen == text
        raw = raw_log_probabilities(model, row, text)
        for place, token in enumerate(tokens):
            assert token.log_probability == pytest.approx(float(raw[place, token.id]), abs=1e-5)
        if strategy is DICE:
            allowed = [True, False, True, False]  # 9 → 40 → 40 → 41 → 96
            assert [token.strategy_probability > 0 for token in tokens[:4]] == allowed
            assert all(token.strategy_probability > 0 for token in tokens[4:])


# --- what is refused ------------------------------------------------------------------------------------------------


def test_beam_search_with_rules_is_refused(model: GPT2LMHeadModel, engine: Engine) -> None:
    beam = Row(PROMPTS[0], Strategy(kind=Kind.BEAM), max_new_tokens=4)
    with pytest.raises(ValueError, match="beam search takes no rules"):
        engine.submit([replace(beam, rules=Turns(3))])
    assert run_alone(engine, beam) == reference(model, beam)


def test_a_prompt_to_which_the_rules_do_not_apply_is_refused_before_anything_runs(
    model: GPT2LMHeadModel, engine: Engine
) -> None:
    good = Row(PROMPTS[0], GREEDY, max_new_tokens=4)
    with pytest.raises(ValueError, match="do not apply to 13"):
        engine.submit([good, Row((13, 5), GREEDY, rules=Turns(3))])
    wait_until(lambda: engine.load == (0, 0))
    assert run_alone(engine, good) == reference(model, good)


# --- the rules of melodies ------------------------------------------------------------------------------------------


def test_a_random_model_under_the_grammar_writes_whole_bars() -> None:
    """From the rules to the text: a model that knows nothing of bars, and what it writes has them all."""
    vocabulary = Vocabulary(
        [
            "end", "|", "~", *PHRASE_ENDS, "major", "minor", "2/4", "3/4", "1 phrases", "2 phrases",
            "r:4", "60:4", "60:8", "62:8", "64:8", "65:16", "67:16", "67:24",
        ]
    )  # fmt: skip
    engine = Engine(tiny_gpt2(len(vocabulary), seed=2))
    try:
        grammar, rng = Grammar(vocabulary), random.Random(1)
        rows = [
            Row(
                tuple(vocabulary.encode([rng.choice(["major", "minor"]), rng.choice(["2/4", "3/4"]), phrases])),
                rng.choice([DICE, Strategy(kind=Kind.TOP_P, top_p=0.95), Strategy(kind=Kind.TOP_K, top_k=5)]),
                seed=seed,
                max_new_tokens=60,
                rules=rules,
            )
            for rules in (grammar, None)
            for phrases in ("1 phrases", "2 phrases")
            for seed in range(10)
        ]
        texts = written(read(engine.submit(rows)))
    finally:
        engine.close()
    ended = 0
    whole = {True: 0, False: 0}
    for index, row in enumerate(rows):
        names = vocabulary.decode([*row.prompt, *texts[index]])
        try:
            melody = read_melody(names)
        except ValueError:  # without the grammar nothing need sound
            assert row.rules is None
            continue
        good = all(melody.checks()[: len(melody.bars) - (not melody.ended)])
        whole[row.rules is not None] += good and len(melody.bars) > 1
        if row.rules is not None:
            assert good
            if melody.ended:
                ended += 1
                assert f"{sum(note.phrase_end for note in melody.melody.notes)} phrases" == names[2]
    assert ended > 5
    assert whole[True] > whole[False]
