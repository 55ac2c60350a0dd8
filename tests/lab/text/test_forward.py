"""The ragged forward pass gives the model's own logits, whatever joins and leaves."""

from __future__ import annotations

import random

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from lab.text.forward import SLOT_STEP, TIME_STEP, CachedGPT2, RaggedCache
from tests.lab.text.conftest import CONTEXT, tiny_gpt2


@pytest.fixture(scope="module", params=["97 tokens, fp32", "51 tokens, fp64", "unscaled attention"])
def any_model(request: pytest.FixtureRequest) -> GPT2LMHeadModel:
    if request.param == "97 tokens, fp32":
        return tiny_gpt2(97, spread=0.15, dtype=torch.float32)
    if request.param == "51 tokens, fp64":
        return tiny_gpt2(51, seed=3)
    torch.manual_seed(5)
    config = GPT2Config(
        vocab_size=97,
        n_positions=CONTEXT,
        n_embd=40,
        n_layer=3,
        n_head=5,
        initializer_range=0.2,
        scale_attn_weights=False,
        activation_function="gelu_pytorch_tanh",
        n_inner=33,
    )
    return GPT2LMHeadModel(config).eval().double()


def own_logits(model: GPT2LMHeadModel, text: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor([text])).logits[0, -1].float()


def assert_own(model: GPT2LMHeadModel, logits: torch.Tensor, texts: list[list[int]]) -> None:
    assert logits.shape == (len(texts), model.config.vocab_size)
    assert logits.dtype == torch.float32
    expected = torch.stack([own_logits(model, text) for text in texts])
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


def random_text(rng: random.Random, vocabulary: int, length: int) -> list[int]:
    return [rng.randrange(vocabulary) for _ in range(length)]


@pytest.mark.parametrize("seed", range(3))
def test_ragged_rows_that_join_and_leave(any_model: GPT2LMHeadModel, seed: int) -> None:
    """A random history of prefills, steps, repeats, drops and reorderings; after each step all logits are right."""
    rng = random.Random(seed)
    vocabulary = any_model.config.vocab_size
    forward = CachedGPT2(any_model)
    texts: list[list[int]] = []
    for _ in range(30):
        if not texts or rng.random() < 0.3:
            prompts = [random_text(rng, vocabulary, rng.randint(1, 30)) for _ in range(rng.randint(1, 3))]
            copies = [rng.randint(1, 3) for _ in prompts]
            joined = [list(prompt) for prompt, n in zip(prompts, copies, strict=True) for _ in range(n)]
            assert_own(any_model, forward.prefill(prompts, copies), joined)
            texts += joined
        if rng.random() < 0.4:
            slots = [rng.randrange(len(texts)) for _ in range(rng.randint(0, min(len(texts) + 2, 12)))]
            forward.cache.keep(slots)
            texts = [list(texts[slot]) for slot in slots]
        full = [slot for slot, text in enumerate(texts) if len(text) == CONTEXT]
        if full:
            slots = [slot for slot in range(len(texts)) if slot not in full]
            forward.cache.keep(slots)
            texts = [texts[slot] for slot in slots]
        if texts:
            tokens = random_text(rng, vocabulary, len(texts))
            for text, token in zip(texts, tokens, strict=True):
                text.append(token)
            assert_own(any_model, forward.step(torch.tensor(tokens)), texts)
        assert forward.cache.rows == len(texts)
        assert forward.cache.lengths.tolist() == [len(text) for text in texts]


def test_steps_until_the_context_is_full(any_model: GPT2LMHeadModel) -> None:
    rng = random.Random(7)
    vocabulary = any_model.config.vocab_size
    forward = CachedGPT2(any_model)
    texts = [random_text(rng, vocabulary, CONTEXT - 4), random_text(rng, vocabulary, 2)]
    assert_own(any_model, forward.prefill(texts, [1, 1]), texts)
    for _ in range(4):
        tokens = random_text(rng, vocabulary, 2)
        texts = [[*text, token] for text, token in zip(texts, tokens, strict=True)]
        assert_own(any_model, forward.step(torch.tensor(tokens)), texts)
    assert forward.cache.lengths.tolist() == [CONTEXT, 6]
    forward.cache.keep([1])  # the full one leaves, the other goes on
    texts = [[*texts[1], 3]]
    assert_own(any_model, forward.step(torch.tensor([3])), texts)


def test_prompt_that_fills_the_context(any_model: GPT2LMHeadModel) -> None:
    text = random_text(random.Random(8), any_model.config.vocab_size, CONTEXT)
    assert_own(any_model, CachedGPT2(any_model).prefill([text, text[:1]], [1, 2]), [text, text[:1], text[:1]])


def test_keep_repeats_drops_and_reorders_what_is_cached(any_model: GPT2LMHeadModel) -> None:
    forward = CachedGPT2(any_model)
    texts = [[1, 2, 3], [4], [5, 6, 7, 8, 9]]
    forward.prefill(texts, [1, 1, 1])
    forward.cache.keep([2, 2, 0])
    texts = [[*texts[2], 10], [*texts[2], 11], [*texts[0], 12]]
    assert_own(any_model, forward.step(torch.tensor([10, 11, 12])), texts)
    forward.cache.keep([1, 0, 2, 1, 1])  # more slots than were in use
    texts = [[*texts[slot], token] for slot, token in zip([1, 0, 2, 1, 1], range(5), strict=True)]
    assert_own(any_model, forward.step(torch.arange(5)), texts)
    forward.cache.keep([])
    assert forward.cache.rows == 0
    assert_own(any_model, forward.prefill([[13, 14]], [2]), [[13, 14], [13, 14]])


def test_a_new_row_does_not_see_what_an_old_one_left_in_its_slot(any_model: GPT2LMHeadModel) -> None:
    forward = CachedGPT2(any_model)
    forward.prefill([list(range(1, 41))], [3])
    forward.step(torch.tensor([1, 2, 3]))
    forward.cache.keep([])
    assert_own(any_model, forward.prefill([[9]], [1]), [[9]])
    assert_own(any_model, forward.step(torch.tensor([8])), [[9, 8]])


def test_memory_follows_the_rows_in_use(model: GPT2LMHeadModel) -> None:
    """A wide past and a long present must not multiply: the engine's limit counts on it."""
    forward = CachedGPT2(model)
    forward.prefill([[1]], [40])
    wide = forward.cache.keys.nbytes + forward.cache.values.nbytes
    assert wide <= forward.cache.bytes_for(40, 1)
    forward.cache.keep([0])
    forward.prefill([[1] * (CONTEXT - 1)], [1])
    forward.cache.reserve(2, TIME_STEP + 1)
    assert forward.cache.keys.nbytes + forward.cache.values.nbytes <= forward.cache.bytes_for(2, TIME_STEP + 1)
    assert_own(model, forward.step(torch.tensor([2, 3])), [[1, 2], [*[1] * (CONTEXT - 1), 3]])
    forward.cache.clear()
    assert forward.cache.keys.nbytes == forward.cache.rows == 0


def test_buffers_grow_in_blocks() -> None:
    cache = RaggedCache(1, 1, 4, torch.float32)
    cache.reserve(1, 1)
    buffers = cache.keys, cache.values
    cache.reserve(SLOT_STEP, TIME_STEP)
    assert cache.keys is buffers[0]  # nothing was allocated
    assert cache.values is buffers[1]
    cache.reserve(SLOT_STEP + 1, TIME_STEP)
    assert cache.keys.shape == (1, 2 * SLOT_STEP, 1, TIME_STEP, 4)
    cache.reserve(1, 2 * TIME_STEP)
    assert cache.keys.shape == (1, SLOT_STEP, 1, 2 * TIME_STEP, 4)  # as needed now, not as ever
    cache.reserve(SLOT_STEP + 1, 1)
    assert cache.keys.shape == (1, 2 * SLOT_STEP, 1, TIME_STEP, 4)
    assert not cache.keys.any()
    assert cache.values.shape == cache.keys.shape


@pytest.mark.parametrize("option", ["scale_attn_by_inverse_layer_idx", "add_cross_attention"])
def test_options_it_does_not_implement_are_refused(option: str) -> None:
    config = GPT2Config(vocab_size=11, n_positions=8, n_embd=8, n_layer=1, n_head=1, **{option: True})
    with pytest.raises(ValueError, match="does not implement"):
        CachedGPT2(GPT2LMHeadModel(config))
