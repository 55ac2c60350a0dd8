"""The proofs prove: they find nothing where all is well, and something where it is not."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch
from transformers import GPT2LMHeadModel

from lab import lora_checks
from lab.lora import Adapter, LoRALinear
from lab.lora_checks import check_merge, check_peft, wear
from tests.lab.text.conftest import PATIENCE, tiny_gpt2, wait_until
from tests.lab.text.test_adapters import merged, random_adapter

LAYER = "transformer.h.0.mlp.c_fc"
PROMPT = (5, 6, 7, 8)
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # transformers to itself


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def model() -> GPT2LMHeadModel:
    return tiny_gpt2(dtype=torch.float32)


@pytest.fixture
def adapter(model: GPT2LMHeadModel) -> Adapter:
    return random_adapter(model, 1)


def test_merging_changes_no_token_and_no_model(model: GPT2LMHeadModel, adapter: Adapter) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = check_merge(model, adapter, PROMPT, length=12)
    assert found.apart == found.merged
    assert 0 < len(found.apart) <= 12
    assert found.difference < 1e-4 < found.largest
    assert found.restored < 1e-6
    assert found.apart != check_merge(model, replace(adapter, scale=0.0, alpha=0.0), PROMPT, length=12).apart
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())
    assert not any(isinstance(module, LoRALinear) for module in model.modules())


def test_one_proof_at_a_time(model: GPT2LMHeadModel, adapter: Adapter) -> None:
    """Each holds several copies of a model."""
    told: list[str] = []
    proofs = [
        lambda: check_merge(model, adapter, PROMPT, length=2, tell=told.append),
        lambda: list(check_peft(model, adapter, LAYER, PROMPT, told.append)),
    ]
    with lora_checks._in_turn(told.append):
        threads = [threading.Thread(target=proof) for proof in proofs]
        for thread in threads:
            thread.start()
        wait_until(lambda: sum("Waiting" in words for words in told) == 2)
        assert not any("Writing" in words or "Comparing" in words for words in told)
    for thread in threads:
        thread.join(PATIENCE)
    assert sum("Writing" in words for words in told) == 1 and "Comparing the whole model …" in told


def test_a_wrong_merge_is_noticed(model: GPT2LMHeadModel, adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoRALinear, "delta", lambda self: self.A @ self.B * (self.scale * 1.5))
    assert check_merge(model, adapter, PROMPT, length=4).difference > 0.01


def test_a_worn_adapter_is_the_merged_model(model: GPT2LMHeadModel, adapter: Adapter) -> None:
    expected = merged(model, adapter, 1.0)(torch.tensor([PROMPT])).logits
    layers = wear(model, adapter)
    assert layers.keys() == adapter.matrices.keys()
    torch.testing.assert_close(model(torch.tensor([PROMPT])).logits, expected, rtol=0, atol=1e-4)


def test_peft_computes_the_same(model: GPT2LMHeadModel, adapter: Adapter) -> None:
    told: list[str] = []
    found = list(check_peft(model, adapter, LAYER, PROMPT, told.append))
    assert [one.what.partition(":")[0] for one in found] == ["Conv1D"] * 4 + ["nn.Linear"] * 4 + ["the whole model"]
    for one in found:
        assert one.difference < 1e-5 * max(one.largest, 1), one
        assert one.largest > 0
    assert len(told) == 4


def test_another_computation_is_noticed(
    model: GPT2LMHeadModel, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora_checks.LoRALinear, "forward", lambda self, x: self.base(x) + x @ self.A @ self.B)
    assert all(one.difference > 1e-4 for one in check_peft(model, adapter, LAYER, PROMPT))
