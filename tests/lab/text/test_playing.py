"""The visitor as the sampler: scores are the model's, taking back leaves no trace, no list of picks breaks it."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import GPT2LMHeadModel

from lab.errors import PromptError, VisitorError
from lab.text.models import LanguageModel
from lab.text.playing import CHOICES, continue_from, play, score
from lab.text.rows import Row
from lab.text.strategies import Kind, Strategy
from tests.lab.text.conftest import CONTEXT, reference

PICKED = (120, 7, 300, 7, 45)


@pytest.fixture(scope="module")
def prompt(language_model: LanguageModel) -> tuple[int, ...]:
    return language_model.vocabulary.encode("The old house")


def log_probabilities(network: GPT2LMHeadModel, ids: tuple[int, ...]) -> torch.Tensor:
    """Return the model's log-probabilities after each of the tokens, (tokens, vocabulary)."""
    with torch.inference_mode():
        return network(torch.tensor([ids])).logits[0].float().log_softmax(-1)


def test_picks_have_the_models_own_scores(
    language_model: LanguageModel, network: GPT2LMHeadModel, prompt: tuple[int, ...]
) -> None:
    state = play(language_model, prompt, PICKED)
    table = log_probabilities(network, (*prompt, *PICKED))
    assert [pick.id for pick in state.picks] == list(PICKED)
    for n, pick in enumerate(state.picks):
        before = table[len(prompt) - 1 + n]
        assert pick.bits == pytest.approx(-float(before[pick.id]) / math.log(2), abs=1e-4)
        assert pick.rank == 1 + int((before > before[pick.id]).sum())
    assert state.bits == pytest.approx(sum(pick.bits for pick in state.picks))
    assert "".join(pick.piece for pick in state.picks) == language_model.vocabulary.text(PICKED)
    assert state.prompt == "The old house"


def test_what_is_offered_is_the_raw_models_top(
    language_model: LanguageModel, network: GPT2LMHeadModel, prompt: tuple[int, ...]
) -> None:
    for picked in ((), PICKED):
        offered = play(language_model, prompt, picked).next.distribution.candidates
        expected = log_probabilities(network, (*prompt, *picked))[-1]
        assert [c.id for c in offered] == expected.argsort(descending=True)[:CHOICES].tolist()
        for candidate in offered:
            assert candidate.raw == pytest.approx(float(expected[candidate.id].exp()), rel=1e-3)
            assert candidate.final == pytest.approx(candidate.raw, rel=1e-3)  # nothing is tempered or cut


def test_picking_the_first_offer_again_and_again_is_greedy(
    language_model: LanguageModel, network: GPT2LMHeadModel, prompt: tuple[int, ...]
) -> None:
    picked: tuple[int, ...] = ()
    for _ in range(6):
        picked = (*picked, play(language_model, prompt, picked).next.distribution.candidates[0].id)
    assert list(picked) == reference(network, Row(prompt, max_new_tokens=6))
    assert all(pick.rank == 1 for pick in play(language_model, prompt, picked).picks)


def test_taking_back_and_picking_again_comes_to_the_same(
    language_model: LanguageModel, prompt: tuple[int, ...]
) -> None:
    before = play(language_model, prompt, PICKED)
    back = play(language_model, prompt, PICKED[:-1])
    assert back.picks == before.picks[:-1]
    assert play(language_model, prompt, PICKED) == before
    nothing = play(language_model, prompt, PICKED[:0])
    assert nothing.picks == ()
    assert nothing.bits == 0.0
    assert play(language_model, prompt, ()[:-1]) == nothing  # undo where there is nothing to undo


@pytest.mark.parametrize("beyond", [330, 9_999_999, -1])
def test_a_token_that_does_not_exist_is_told_in_plain_words(
    language_model: LanguageModel, prompt: tuple[int, ...], beyond: int
) -> None:
    """A link may carry picks made with another model."""
    for broken in ((beyond,), (5, beyond, 6)):
        with pytest.raises(PromptError, match=r"does not exist in this model.*Start again from the prompt") as error:
            play(language_model, prompt, broken)
        assert isinstance(error.value, VisitorError)
        with pytest.raises(PromptError, match="does not exist in this model"):
            continue_from(language_model, prompt, broken, Strategy(kind=Kind.GREEDY), seed=0, length=3)
    assert language_model.engine.load == (0, 0)


@pytest.mark.parametrize("count", [CONTEXT - 3, CONTEXT - 2, CONTEXT - 1, CONTEXT, 500])
def test_more_picks_than_the_context_holds(language_model: LanguageModel, prompt: tuple[int, ...], count: int) -> None:
    picked = tuple(10 + n % 300 for n in range(count))
    state = play(language_model, prompt, picked)
    assert tuple(pick.id for pick in state.picks) == picked[: CONTEXT - 2]
    assert state.prompt_ids == prompt[-(CONTEXT - 1 - len(state.picks)) :]
    assert len(state.prompt_ids) >= 1
    assert state.left_out == max(0, count - (CONTEXT - 2))  # of which the page tells


def test_a_character_picked_byte_by_byte(language_model: LanguageModel, prompt: tuple[int, ...]) -> None:
    ids = language_model.vocabulary.encode("😀")
    assert len(ids) == 4
    assert [pick.piece for pick in play(language_model, prompt, ids).picks] == ["", "", "", "😀"]
    assert [pick.piece for pick in play(language_model, prompt, ids[:2]).picks] == ["", "�"]


def test_the_special_token_can_be_picked_and_gone_on_from(
    language_model: LanguageModel, prompt: tuple[int, ...]
) -> None:
    end = language_model.vocabulary.end_of_text
    state = play(language_model, prompt, (50, end))
    assert state.picks[1].piece == ""
    assert len(state.next.distribution.candidates) == CHOICES
    assert len(continue_from(language_model, prompt, (50, end), Strategy(kind=Kind.GREEDY), 0, 4)) >= 1


def test_score_of_a_text_that_exists(
    language_model: LanguageModel, network: GPT2LMHeadModel, prompt: tuple[int, ...]
) -> None:
    assert score(language_model, prompt, ()) == ()
    table = log_probabilities(network, (*prompt, *PICKED))[len(prompt) - 1 :]
    scored = score(language_model, prompt, PICKED)
    assert [token.id for token in scored] == list(PICKED)
    expected = [float(table[n, token]) for n, token in enumerate(PICKED)]
    assert [token.log_probability for token in scored] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_strategy_goes_on_from_the_picks_as_generate_would(
    language_model: LanguageModel, network: GPT2LMHeadModel, prompt: tuple[int, ...], kind: Kind
) -> None:
    strategy = Strategy(kind=kind)
    added = continue_from(language_model, prompt, PICKED, strategy, seed=3, length=8)
    assert list(added) == reference(network, Row((*prompt, *PICKED), strategy, 3, 8))


def test_going_on_at_the_end_of_the_context(language_model: LanguageModel, prompt: tuple[int, ...]) -> None:
    picked = tuple(range(10, 10 + CONTEXT))
    added = continue_from(language_model, prompt, picked, Strategy(kind=Kind.GREEDY), seed=0, length=20)
    assert 1 <= len(added) <= 20


@pytest.mark.parametrize("where", [0, 1, 2])
def test_an_end_of_text_among_the_picks_is_a_pick_like_any_other(
    language_model: LanguageModel, prompt: tuple[int, ...], where: int
) -> None:
    picks = [5, 6, 7]
    picks[where] = language_model.vocabulary.end_of_text
    assert [pick.id for pick in play(language_model, prompt, picks).picks] == picks
