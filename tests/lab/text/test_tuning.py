"""Training on a text: each method learns, moves what it should and nothing else, and keeps the best."""

from __future__ import annotations

import copy
from itertools import islice, pairwise
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from lab.errors import TuningError
from lab.lora import load_peft
from lab.text import tuning
from lab.text.tuning import (
    MIN_TOKENS,
    Corpus,
    Tuned,
    TuningStep,
    batches,
    blocks,
    held_out_loss,
    split_text,
    split_tokens,
    tune,
    tuned_model,
)
from lab.text.tuning_settings import Method, Targets, TuningSettings
from lab.text.vocabulary import Vocabulary
from tests.lab.text.conftest import CONTEXT, tiny_gpt2
from tests.tiny import SENTENCES

QUICK = TuningSettings(
    steps=12, learning_rate=0.02, batch_size=4, context=16, evaluate_every=4, rank=2, virtual_tokens=4
)
all_methods = pytest.mark.parametrize("method", list(Method))


@pytest.fixture(scope="module")
def base() -> GPT2LMHeadModel:
    return tiny_gpt2(spread=0.1, dtype=torch.float32)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """A text with an order that can be learnt: every token is followed by the next of a circle of 12."""
    return split_tokens([10 + place % 12 for place in range(600)])


def run(base: GPT2LMHeadModel, corpus: Corpus, **changes: object) -> list[TuningStep]:
    return list(tune(copy.deepcopy(base), corpus, QUICK.model_copy(update=changes)))


def equal(one: Tuned, other: Tuned) -> bool:
    def tensors(tuned: Tuned) -> list[torch.Tensor]:
        return [
            *tuned.tensors.values(),
            *(m for pair in (tuned.adapter.matrices.values() if tuned.adapter else ()) for m in pair),
        ]

    return all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(other), strict=True))


# --- training -------------------------------------------------------------------------------------------------------


@all_methods
def test_the_loss_falls(base: GPT2LMHeadModel, corpus: Corpus, method: Method) -> None:
    events = run(base, corpus, method=method, steps=30)
    assert [event.step for event in events] == list(range(31))
    assert events[0].training_loss is None
    assert all(event.training_loss is not None for event in events[1:])
    measured = [event.step for event in events if event.held_out_loss is not None]
    assert measured == [0, 4, 8, 12, 16, 20, 24, 28, 30]
    assert events[-1].best.held_out_loss < events[0].held_out_loss - 0.2
    assert events[-1].tokens == 30 * 4 * 16
    assert all(earlier.seconds <= later.seconds for earlier, later in pairwise(events))


@all_methods
def test_what_was_kept_has_the_loss_that_it_says(base: GPT2LMHeadModel, corpus: Corpus, method: Method) -> None:
    best = run(base, corpus, method=method)[-1].best
    model, prompt = tuned_model(base, best)
    windows = blocks(corpus.held_out, QUICK.context)
    assert held_out_loss(model, windows, prompt) == pytest.approx(best.held_out_loss, abs=1e-5)


def test_the_best_is_kept_and_not_the_last(
    base: GPT2LMHeadModel, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([5.0, 3.0, 4.0, 4.5])
    monkeypatch.setattr(tuning, "held_out_loss", lambda *_: next(losses))
    events = run(base, corpus)
    assert [event.best.step for event in events] == [0] * 4 + [4] * 9
    assert events[-1].best.held_out_loss == 3.0
    monkeypatch.undo()
    fresh = run(base, corpus)
    assert equal(events[-1].best, fresh[4].best)  # a copy: later steps have not moved it


@all_methods
def test_the_same_settings_give_the_same_weights(base: GPT2LMHeadModel, corpus: Corpus, method: Method) -> None:
    first, same, other = (
        run(base, corpus, method=method, steps=3, dropout=0.2, seed=seed)[-1].best for seed in (1, 1, 2)
    )
    assert equal(first, same)
    assert not equal(first, other)


def test_closing_keeps_what_was_best(base: GPT2LMHeadModel, corpus: Corpus) -> None:
    training = tune(copy.deepcopy(base), corpus, QUICK)
    *_, last = islice(training, 6)
    training.close()
    assert last.step == 5
    assert last.best.step == 4
    assert equal(last.best, run(base, corpus)[5].best)


def test_a_training_that_goes_astray_says_so(base: GPT2LMHeadModel, corpus: Corpus) -> None:
    model = copy.deepcopy(base)
    training = tune(model, corpus, QUICK)
    best = next(training).best
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(float("nan"))
    with pytest.raises(TuningError, match="smaller learning rate"):
        next(training)
    assert best.step == 0


# --- what is trained ------------------------------------------------------------------------------------------------


def moved(base: GPT2LMHeadModel, model: GPT2LMHeadModel) -> set[str]:
    frozen = dict(base.named_parameters())
    return {name for name, p in model.named_parameters() if name in frozen and not torch.equal(p, frozen[name])}


def test_each_method_moves_its_own_and_nothing_else(base: GPT2LMHeadModel, corpus: Corpus) -> None:
    names = {name for name, _ in base.named_parameters()}
    expected = {
        Method.LORA: set(),
        Method.PROMPT: set(),
        Method.LAST_BLOCK: {name for name in names if name.startswith(("transformer.h.1.", "transformer.ln_f."))},
        Method.FULL: names,
    }
    counts = {}
    for method, touched in expected.items():
        model = copy.deepcopy(base)
        *_, last = tune(model, corpus, QUICK.model_copy(update={"method": method, "steps": 2, "evaluate_every": 1}))
        assert moved(base, model) == touched, method
        if last.best.tensors.keys() != {"prompt"}:
            assert last.best.tensors.keys() == touched
        counts[method] = last.best.parameters
    width = 32
    assert counts[Method.PROMPT] == 4 * width
    assert counts[Method.LORA] == 2 * 2 * sum((width + 3 * width, width + width, width + 4 * width, width + 4 * width))
    assert counts[Method.FULL] == sum(p.numel() for p in base.parameters())
    assert counts[Method.LAST_BLOCK] == sum(base.get_parameter(name).numel() for name in expected[Method.LAST_BLOCK])


@pytest.mark.parametrize("targets", list(Targets))
def test_targets_are_modules_of_every_block(base: GPT2LMHeadModel, corpus: Corpus, targets: Targets) -> None:
    (event,) = islice(tune(copy.deepcopy(base), corpus, QUICK.model_copy(update={"targets": targets})), 1)
    expected = {f"transformer.h.{layer}.{name}" for layer in (0, 1) for name in targets.modules}
    assert event.best.adapter.matrices.keys() == expected
    assert event.best.adapter.rank == 2
    assert event.best.adapter.scale == QUICK.alpha / 2


def test_prompt_tuning_by_hand(base: GPT2LMHeadModel, corpus: Corpus) -> None:
    """Vectors before the embeddings; the loss is that of the text alone; the first step goes down its gradient."""
    changes = {"method": Method.PROMPT, "steps": 1, "evaluate_every": 1, "learning_rate": 0.001}
    settings = QUICK.model_copy(update=changes)
    model = copy.deepcopy(base)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    before, after = tune(model, corpus, settings)
    prompt = before.best.tensors["prompt"].clone().requires_grad_()
    assert all((row == base.transformer.wte.weight[10:22]).all(1).any() for row in prompt)  # words of the text
    batch = next(batches(corpus.training, 16, 4, settings.seed))

    vectors = torch.cat([prompt.repeat(4, 1, 1), base.transformer.wte(batch[:, :-1])], 1)
    logits = base(inputs_embeds=vectors).logits[:, 4:]  # after the first word of the text and each later one
    loss = functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
    assert after.training_loss == pytest.approx(loss.item(), abs=1e-5)
    (gradient,) = torch.autograd.grad(loss, prompt)
    # Adam's first step is the learning rate in the direction of the gradient's sign.
    expected = prompt - settings.learning_rate * gradient.sign()
    assert after.best.step == 1
    torch.testing.assert_close(after.best.tensors["prompt"], expected.detach(), atol=1e-5, rtol=0)


def test_prompt_tuning_is_that_of_peft(base: GPT2LMHeadModel, corpus: Corpus) -> None:
    from peft import PromptTuningConfig, get_peft_model

    best = run(base, corpus, method=Method.PROMPT, steps=4)[-1].best
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    theirs = get_peft_model(copy.deepcopy(base), config).eval()
    with torch.no_grad():
        theirs.prompt_encoder["default"].embedding.weight.copy_(best.tensors["prompt"])
        text = corpus.held_out[None, :17]
        logits = theirs(input_ids=text[:, :-1]).logits[0, 4:]
    expected = float(functional.cross_entropy(logits, text[0, 1:]))
    assert held_out_loss(base, text, best.tensors["prompt"]) == pytest.approx(expected, abs=1e-5)


@all_methods
def test_what_is_saved(base: GPT2LMHeadModel, corpus: Corpus, method: Method, tmp_path: Path) -> None:
    best = run(base, corpus, method=method, steps=4)[-1].best
    file = best.save(tmp_path / "new", "tiny")
    assert file.suffix == ".safetensors"
    assert best.parameters * 2 < file.stat().st_size < best.parameters * 2 + 6000  # half precision and a header
    if method is Method.LORA:
        assert load_peft(tmp_path / "new").parameters == best.parameters


# --- texts ----------------------------------------------------------------------------------------------------------


def test_a_text_is_split_into_contiguous_parts(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    text = " ".join(SENTENCES * 20)
    vocabulary = Vocabulary(tiny_tokenizer)
    corpus = split_text(text, vocabulary)
    ids = vocabulary.encode(text)
    first = int(0.8 * len(ids))
    assert corpus.held_out.tolist() == list(ids[first : int(0.9 * len(ids))])
    assert corpus.training.tolist() == [*ids[:first], *ids[int(0.9 * len(ids)) :]]


@pytest.mark.parametrize("count", [0, 1, MIN_TOKENS - 1])
def test_a_text_that_is_too_short_is_refused(count: int) -> None:
    with pytest.raises(TuningError, match=f"{count:,} tokens; at least"):
        split_tokens([1] * count)


def test_the_shortest_text_can_be_trained_on(base: GPT2LMHeadModel) -> None:
    corpus = split_tokens([3, 4, 5, 6] * (MIN_TOKENS // 4))
    *_, last = tune(copy.deepcopy(base), corpus, TuningSettings(steps=2, rank=1))
    assert last.step == 2
    assert last.held_out_loss is not None


def test_blocks_predict_each_token_once() -> None:
    tokens = torch.arange(100)
    windows = blocks(tokens, 10)
    assert windows[:, 1:].flatten().tolist() == list(range(1, 91))
    assert windows[:, 0].tolist() == list(range(0, 90, 10))
    assert blocks(tokens, 10, 3)[:, 0].tolist() == [0, 40, 80]
    assert blocks(tokens, 500).tolist() == [list(range(100))]


def test_batches_read_the_whole_text_before_they_repeat() -> None:
    tokens = torch.arange(1000)
    windows = torch.cat(list(islice(batches(tokens, 10, 7, seed=1), 14)))  # 98 windows: at most one pass
    starts = windows[:, 0].tolist()
    assert len(set(starts)) == 98
    assert starts != sorted(starts)
    assert torch.equal(windows, windows[:, :1] + torch.arange(11))
    again = torch.cat(list(islice(batches(tokens, 10, 7, seed=1), 14)))
    assert torch.equal(windows, again)
    later = torch.cat(list(islice(batches(tokens, 10, 7, seed=1), 14, 28)))
    assert len({start % 10 for start in later[:, 0].tolist()}) > 1 or later[0, 0] % 10 != starts[0] % 10


# --- settings -------------------------------------------------------------------------------------------------------


def test_the_learning_rate_rises_stays_and_falls() -> None:
    settings = TuningSettings(steps=100, warmup=0.1, decay=0.5)
    factors = [settings.learning_rate_factor(step) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[10:50] == [1.0] * 40
    assert factors[99] == pytest.approx(0.02)
    assert TuningSettings(steps=1).learning_rate_factor(0) == 1
    assert [TuningSettings(steps=3, warmup=0, decay=0).learning_rate_factor(step) for step in range(3)] == [1, 1, 1]


def test_a_rank_that_is_no_low_rank_is_refused(base: GPT2LMHeadModel, corpus: Corpus) -> None:
    next(tune(copy.deepcopy(base), corpus, TuningSettings(rank=32)))
    with pytest.raises(TuningError, match="at most 32"):
        next(tune(copy.deepcopy(base), corpus, TuningSettings(rank=33)))


def test_too_many_virtual_tokens_are_refused(base: GPT2LMHeadModel, corpus: Corpus) -> None:
    with pytest.raises(TuningError, match="no room"):
        next(tune(copy.deepcopy(base), corpus, TuningSettings(method=Method.PROMPT, virtual_tokens=CONTEXT)))
