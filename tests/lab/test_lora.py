"""LoRA from scratch is what PEFT computes, and reads and writes what PEFT writes and reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

from lab.lora import (
    Adapter,
    LoRALinear,
    Mix,
    adapter_of,
    inject,
    load_peft,
    low_rank,
    save_peft,
    trainable_parameters,
)
from lab.text.forward import CachedGPT2
from tests.lab.text.conftest import tiny_gpt2
from tests.lab.text.test_adapters import TARGETS, merged, random_adapter

INPUTS, OUTPUTS, RANK, ALPHA = 12, 20, 3, 6.0
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # transformers to itself
TEXTS = [[5, 6, 7, 8, 9], [11, 3, 3, 40, 11]]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def linear(kind: str) -> nn.Module:
    torch.manual_seed(1)
    layer = nn.Linear(INPUTS, OUTPUTS) if kind == "Linear" else Conv1D(OUTPUTS, INPUTS)
    nn.init.normal_(layer.bias)
    return layer


both_kinds = pytest.mark.parametrize("kind", ["Linear", "Conv1D"])


def random_lora(kind: str, *, dropout: float = 0.0) -> LoRALinear:
    """A layer with a change that is not zero."""
    lora = LoRALinear(linear(kind), RANK, ALPHA, dropout)
    torch.manual_seed(2)
    nn.init.normal_(lora.A)
    nn.init.normal_(lora.B)
    return lora


def some_input(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, INPUTS, generator=torch.Generator().manual_seed(3))


def logits_of(model: nn.Module, texts: list[list[int]] = TEXTS) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor(texts)).logits


def close(one: torch.Tensor, other: torch.Tensor, atol: float = 1e-6) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=atol)


# --- one layer ------------------------------------------------------------------------------------------------------


def peft_layer(kind: str, lora: LoRALinear) -> nn.Module:
    """The same layer with the same A and B, as PEFT makes it."""
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["layer"], fan_in_fan_out=kind == "Conv1D")
    model = get_peft_model(nn.ModuleDict({"layer": linear(kind)}).double(), config)
    layer = model.base_model.model["layer"].double()
    with torch.no_grad():
        layer.lora_A["default"].weight.copy_(lora.A.T)
        layer.lora_B["default"].weight.copy_(lora.B.T)
    return layer


@both_kinds
@pytest.mark.parametrize("shape", [(), (4,), (2, 5)])
def test_forward_and_gradients_are_those_of_peft(kind: str, shape: tuple[int, ...]) -> None:
    lora = random_lora(kind).double()
    theirs = peft_layer(kind, lora)
    ours_x, their_x = (some_input(*shape).double().requires_grad_() for _ in range(2))
    ours_y, their_y = lora(ours_x), theirs(their_x)
    assert ours_y.shape == (*shape, OUTPUTS)
    close(ours_y, their_y, 1e-10)
    for y in (ours_y, their_y):
        y.square().sum().backward()
    close(ours_x.grad, their_x.grad, 1e-10)
    close(lora.A.grad.T, theirs.lora_A["default"].weight.grad, 1e-10)
    close(lora.B.grad.T, theirs.lora_B["default"].weight.grad, 1e-10)
    assert lora.base.weight.grad is None
    assert theirs.base_layer.weight.grad is None


@both_kinds
def test_a_new_layer_does_exactly_what_its_base_does(kind: str) -> None:
    base = linear(kind)
    lora = LoRALinear(linear(kind), RANK, ALPHA)
    assert lora.A.shape == (INPUTS, RANK)
    assert lora.B.shape == (RANK, OUTPUTS)
    assert lora.A.any()
    assert not lora.B.any()
    assert torch.equal(lora(some_input(4)), base(some_input(4)))


@both_kinds
def test_the_scale_is_alpha_over_rank_times_strength(kind: str) -> None:
    lora = random_lora(kind)
    x = some_input(4)
    assert lora.scale == ALPHA / RANK
    change = low_rank(x, lora.A, lora.B)
    for strength in (1.0, 0.5, 2.0, -1.0):
        lora.strength = strength
        close(lora(x) - lora.base(x), change * 2 * strength, 1e-4)
        close(lora.delta(), lora.A @ lora.B * 2 * strength, 1e-5)
    lora.strength = 0.0
    assert torch.equal(lora(x), lora.base(x))


@both_kinds
def test_a_merged_layer_does_the_same_as_an_unmerged_one(kind: str) -> None:
    lora = random_lora(kind).double()
    x, weight = some_input(4).double(), lora.base.weight.clone()
    before = lora(x)
    lora.merge()
    assert lora.merged
    assert not torch.equal(lora.base.weight, weight)
    close(lora(x), before, 1e-12)
    lora.merge()  # again: nothing happens
    close(lora(x), before, 1e-12)
    lora.unmerge()
    assert not lora.merged
    close(lora.base.weight, weight, 1e-12)
    close(lora(x), before, 1e-12)
    lora.unmerge()
    close(lora.base.weight, weight, 1e-12)


def test_unmerging_takes_out_what_was_merged() -> None:
    """The frozen weight must not drift because the strength, or the change, was another meanwhile."""
    lora = random_lora("Conv1D").double()
    weight = lora.base.weight.clone()
    lora.merge()
    lora.strength = 0.25
    nn.init.normal_(lora.B)
    lora.unmerge()
    close(lora.base.weight, weight, 1e-12)


def test_dropout_is_for_training_only_and_for_the_change_only() -> None:
    lora = random_lora("Linear", dropout=0.5)
    x = some_input(64)
    without = random_lora("Linear")(x)
    lora.train()
    torch.manual_seed(0)
    dropped = lora(x)
    assert not torch.allclose(dropped, without)
    lora.strength = 0.0
    assert torch.equal(lora(x), lora.base(x))
    lora.strength = 1.0
    lora.eval()
    assert torch.equal(lora(x), without)


def test_precision_is_the_bases() -> None:
    lora = LoRALinear(linear("Linear").double(), 2, 2.0)
    assert lora.A.dtype == lora.B.dtype == torch.float64


@pytest.mark.parametrize("rank", [0, -1])
def test_a_rank_below_one_is_refused(rank: int) -> None:
    with pytest.raises(ValueError, match="rank"):
        LoRALinear(linear("Linear"), rank, 1.0)


@pytest.mark.parametrize("layer", [nn.LayerNorm(4), nn.Embedding(4, 4), nn.Conv2d(2, 2, 3), nn.GELU()])
def test_layers_that_are_not_linear_are_refused(layer: nn.Module) -> None:
    with pytest.raises(TypeError, match=type(layer).__name__):
        LoRALinear(layer, 2, 2.0)


# --- a whole model --------------------------------------------------------------------------------------------------


def test_inject_freezes_the_model_and_names_what_it_put_in() -> None:
    model = tiny_gpt2()
    before = logits_of(model)
    layers = inject(model, ["attn.c_proj", "c_fc"], RANK, ALPHA)
    assert list(layers) == [
        "transformer.h.0.attn.c_proj", "transformer.h.0.mlp.c_fc",
        "transformer.h.1.attn.c_proj", "transformer.h.1.mlp.c_fc",
    ]  # fmt: skip
    assert all(model.get_submodule(name) is layer for name, layer in layers.items())
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning == {f"{name}.{side}" for name in layers for side in "AB"}
    assert trainable_parameters(model) == 2 * RANK * (32 + 32) + 2 * RANK * (32 + 128)
    assert adapter_of(layers).parameters == trainable_parameters(model)
    assert torch.equal(logits_of(model), before)


def test_a_target_is_the_end_of_a_name_and_not_of_a_word() -> None:
    assert list(inject(tiny_gpt2(), ["h.1.mlp.c_fc"], 1, 1.0)) == ["transformer.h.1.mlp.c_fc"]
    assert list(inject(tiny_gpt2(), ["transformer.h.0.mlp.c_fc"], 1, 1.0)) == ["transformer.h.0.mlp.c_fc"]
    for target in ("fc", "tn.c_proj", "C_FC", "lm_head.weight"):
        with pytest.raises(ValueError, match="no module named"):
            inject(tiny_gpt2(), [target], 1, 1.0)


def test_a_step_of_training_changes_the_change_and_nothing_else() -> None:
    model = tiny_gpt2()
    layers = inject(model, TARGETS, RANK, ALPHA)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    ids = torch.tensor(TEXTS)
    losses = []
    for _ in range(3):
        loss = model(ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[2] < losses[0]
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == {f"{name}.{side}" for name in layers for side in "AB"}


def test_an_adapter_is_a_copy_of_what_was_learnt() -> None:
    model = tiny_gpt2()
    layers = inject(model, TARGETS, RANK, ALPHA)
    adapter = adapter_of(layers)
    assert (adapter.rank, adapter.alpha, adapter.scale) == (RANK, ALPHA, ALPHA / RANK)
    first = next(iter(layers))
    nn.init.ones_(layers[first].B)
    assert not adapter.matrices[first][1].any()


def test_an_adapter_fits_a_model_that_has_its_modules_in_its_sizes() -> None:
    model = tiny_gpt2()
    adapter = random_adapter(model, 0)
    assert adapter.fits(model)
    assert not adapter.fits(nn.Linear(2, 2))
    name = "transformer.h.0.mlp.c_fc"
    a, b = adapter.matrices[name]
    for other in (
        {name: (b.T, a.T)},
        {name: (a[:-1], b)},
        {name: (a, b[:, :-1])},
        {name: (a[:, :-1], b)},
        {"transformer.h.2.mlp.c_fc": (a, b)},
        {"transformer.h.0.ln_1": (a, b)},
        {"transformer.wte": (torch.zeros(97, 1), torch.zeros(1, 32))},
        {"": (a, b)},
    ):
        assert not Adapter({**adapter.matrices, **other}, 1.0, RANK, ALPHA).fits(model), list(other)


# --- PEFT's files ---------------------------------------------------------------------------------------------------


def peft_gpt2(**changes: object) -> PeftModel:
    """PEFT's LoRA on the tiny GPT-2, with a change that is not zero."""
    arguments = {"r": RANK, "lora_alpha": ALPHA, "target_modules": list(TARGETS), "fan_in_fan_out": True} | changes
    model = get_peft_model(tiny_gpt2(dtype=torch.float32), LoraConfig(task_type="CAUSAL_LM", **arguments))
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.eval()


@pytest.fixture(scope="module")
def peft_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.Tensor]:
    """What PEFT wrote, and the logits of its model."""
    model, folder = peft_gpt2(), tmp_path_factory.mktemp("peft")
    model.save_pretrained(folder)
    return folder, logits_of(model)


def wear(model: GPT2LMHeadModel, adapter: Adapter) -> None:
    layers = inject(model, list(adapter.matrices), adapter.rank, adapter.alpha)
    assert layers.keys() == adapter.matrices.keys()
    with torch.no_grad():
        for name, (a, b) in adapter.matrices.items():
            layers[name].A.copy_(a)
            layers[name].B.copy_(b)


def test_what_peft_wrote_gives_what_peft_gives(peft_folder: tuple[Path, torch.Tensor]) -> None:
    folder, expected = peft_folder
    adapter = load_peft(folder)
    assert (adapter.rank, adapter.alpha, adapter.scale) == (RANK, ALPHA, ALPHA / RANK)
    assert len(adapter.matrices) == 8
    model = tiny_gpt2(dtype=torch.float32)
    assert adapter.fits(model)
    assert float((logits_of(model) - expected).abs().max()) > 0.1  # the change is to be seen

    forward = CachedGPT2(model)
    assert forward.can_wear(adapter)
    last = forward.prefill(TEXTS, [1, 1], Mix([[(adapter, 1.0)]] * 2))
    close(last, expected[:, -1], 1e-4)
    wear(model, adapter)
    close(logits_of(model), expected, 1e-4)


@pytest.mark.parametrize("half", [False, True])
def test_peft_reads_what_was_written_for_it(tmp_path: Path, half: bool) -> None:
    model = tiny_gpt2(dtype=torch.float32)
    adapter = random_adapter(model, 1)
    if half:
        matrices = {name: (a.half().float(), b.half().float()) for name, (a, b) in adapter.matrices.items()}
        adapter = Adapter(matrices, adapter.scale, adapter.rank, adapter.alpha)
    save_peft(adapter, tmp_path / "new" / "folder", "tiny", half=half)
    theirs = PeftModel.from_pretrained(tiny_gpt2(dtype=torch.float32), tmp_path / "new" / "folder").eval()
    expected = logits_of(merged(model, adapter, 1.0))
    close(logits_of(theirs), expected, 1e-4)
    again = load_peft(tmp_path / "new" / "folder")
    assert (again.rank, again.alpha, again.scale) == (adapter.rank, adapter.alpha, adapter.scale)
    assert again.matrices.keys() == adapter.matrices.keys()
    for name, pair in adapter.matrices.items():
        for matrix, read in zip(pair, again.matrices[name], strict=True):
            assert torch.equal(matrix, read)


@pytest.mark.filterwarnings("ignore:Found missing adapter keys")
def test_peft_reads_an_adapter_of_the_last_block_only(tmp_path: Path) -> None:
    model = tiny_gpt2(dtype=torch.float32)
    whole = random_adapter(model, 2)
    adapter = Adapter({name: m for name, m in whole.matrices.items() if ".h.1." in name}, 0.5, RANK, 1.5)
    save_peft(adapter, tmp_path, "tiny", half=False)
    theirs = PeftModel.from_pretrained(tiny_gpt2(dtype=torch.float32), tmp_path).eval()
    close(logits_of(theirs), logits_of(merged(model, adapter, 1.0)), 1e-4)


def config_changed(folder: Path, target: Path, **changes: object) -> Path:
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    config = json.loads((target / "adapter_config.json").read_text(encoding="utf-8"))
    (target / "adapter_config.json").write_text(json.dumps(config | changes), encoding="utf-8")
    return target


@pytest.mark.parametrize(
    "changes",
    [
        {"use_dora": True}, {"bias": "all"}, {"bias": "lora_only"}, {"lora_bias": True}, {"use_rslora": True},
        {"rank_pattern": {"c_fc": 8}}, {"alpha_pattern": {"c_fc": 8}}, {"peft_type": "LOHA"}, {"peft_type": None},
        {"modules_to_save": ["lm_head"]},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_plain_lora_is_refused(
    peft_folder: tuple[Path, torch.Tensor], tmp_path: Path, changes: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match="no plain LoRA"):
        load_peft(config_changed(peft_folder[0], tmp_path, **changes))


@pytest.mark.parametrize("changes", [{"use_dora": True}, {"modules_to_save": ["ln_f"]}, {"bias": "lora_only"}], ids=str)
def test_what_peft_writes_of_other_kinds_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    peft_gpt2(**changes).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="no plain LoRA"):
        load_peft(tmp_path)
    # Nor if the configuration does not own up to it.
    with pytest.raises(ValueError, match="no plain LoRA"):
        innocent = {"use_dora": False, "modules_to_save": None, "bias": "none"}
        load_peft(config_changed(tmp_path, tmp_path, **innocent))


@pytest.mark.parametrize("missing", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_file_is_an_os_error(peft_folder: tuple[Path, torch.Tensor], tmp_path: Path, missing: str) -> None:
    folder = config_changed(peft_folder[0], tmp_path)
    (folder / missing).unlink()
    with pytest.raises(OSError):
        load_peft(folder)


# --- rows of a batch ------------------------------------------------------------------------------------------------


def test_rows_that_wear_different_adapters_are_as_alone() -> None:
    """Whether a prompt is read or a token appended; strengths beyond one and below zero included."""
    model = tiny_gpt2()
    first, second = random_adapter(model, 1), random_adapter(model, 2, ["mlp.c_fc", "attn.c_attn"], rank=5)
    wishes = [
        (first, 1.0), (None, 1.0), (second, 1.0), (first, -1.0), (first, 2.0), (second, 0.0), (second, 0.375),
        (None, 0.0), (first, 1.0),
    ]  # fmt: skip
    texts = [[row + 1, 5, 6, *range(row)] for row in range(len(wishes))]
    forward = CachedGPT2(model)
    mix = Mix([[(adapter, strength)] if adapter else [] for adapter, strength in wishes])
    read = forward.prefill(texts, [1] * len(texts), mix)
    steps = [forward.step(torch.full((len(texts),), token), mix) for token in (40, 41)]
    for row, (adapter, strength) in enumerate(wishes):
        alone = merged(model, adapter, strength)
        for more, logits in enumerate((read, *steps)):
            expected = logits_of(alone, [[*texts[row], *(40, 41)[:more]]])[0, -1].float()
            close(logits[row], expected, 1e-5)


def test_a_row_that_wears_several_has_the_sum_of_their_changes() -> None:
    """As a model has into which both were merged, whatever their ranks and modules."""
    model = tiny_gpt2()
    first, second = random_adapter(model, 1), random_adapter(model, 2, ["mlp.c_fc", "attn.c_attn"], rank=5)
    wishes = [[(first, 0.75), (second, 0.5)], [(first, 1.0)], [], [(second, -1.0), (first, 2.0), (second, 0.0)]]
    texts = [[row + 1, 5, 6, *range(row)] for row in range(len(wishes))]
    forward, mix = CachedGPT2(model), Mix(wishes)
    read = forward.prefill(texts, [1] * len(texts), mix)
    step = forward.step(torch.full((len(texts),), 40), mix)
    for row, worn in enumerate(wishes):
        both = model
        for adapter, strength in worn:
            both = merged(both, adapter, strength)
        close(read[row], logits_of(both, [texts[row]])[0, -1].float(), 1e-5)
        close(step[row], logits_of(both, [[*texts[row], 40]])[0, -1].float(), 1e-5)


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")
def test_a_blend_is_what_peft_concatenates(tmp_path: Path) -> None:
    model = tiny_gpt2(dtype=torch.float32)
    adapters = {"one": random_adapter(model, 1), "two": random_adapter(model, 2, rank=5)}
    for name, adapter in adapters.items():
        save_peft(adapter, tmp_path / name, "tiny", half=False)
    theirs = PeftModel.from_pretrained(tiny_gpt2(dtype=torch.float32), tmp_path / "one", adapter_name="one").eval()
    theirs.load_adapter(tmp_path / "two", "two")
    theirs.add_weighted_adapter(["one", "two"], [0.75, 0.5], "both", combination_type="cat")
    theirs.set_adapter("both")
    mix = Mix([[(adapters["one"], 0.75), (adapters["two"], 0.5)]] * 2)
    close(CachedGPT2(model).prefill(TEXTS, [1, 1], mix), logits_of(theirs)[:, -1], 1e-4)


def test_strength_zero_is_the_base_exactly() -> None:
    model = tiny_gpt2(dtype=torch.float32)
    adapter = random_adapter(model, 1)
    plain = CachedGPT2(model).prefill(TEXTS, [1, 1])
    assert Mix([[(adapter, 0.0)], [], [(adapter, -0.0)]]).parts == []
    assert torch.equal(CachedGPT2(model).prefill(TEXTS, [1, 1], Mix([[(adapter, 0.0)], []])), plain)
    beside = CachedGPT2(model).prefill(TEXTS, [1, 1], Mix([[(adapter, 0.0)], [(adapter, 1.0)]]))
    assert torch.equal(beside[0], plain[0])  # whatever the others wear
    assert not torch.allclose(beside[1], plain[1])


def test_add_changes_only_the_rows_and_modules_of_an_adapter() -> None:
    a, b = torch.randn(INPUTS, RANK), torch.randn(RANK, OUTPUTS)
    adapter = Adapter({"here": (a, b)}, 0.5, RANK, 1.5)
    mix = Mix([[], [(adapter, 2.0)], [(adapter, -1.0)]])
    x, y = some_input(3, 4), torch.randn(3, 4, OUTPUTS)
    kept = y.clone()
    assert torch.equal(mix.add("there", x, y), y)
    added = mix.add("here", x, y)
    assert torch.equal(y, kept)  # what the base gave is not written over
    assert torch.equal(added[0], y[0])
    close(added[1], y[1] + x[1] @ a @ b, 1e-4)
    close(added[2], y[2] - 0.5 * (x[2] @ a @ b), 1e-4)


def test_an_adapter_of_another_precision_is_worn_in_the_models() -> None:
    """As files hold single precision, whatever the model computes in."""
    for dtype in (torch.float64, torch.bfloat16):
        model = tiny_gpt2(dtype=dtype)
        adapter = random_adapter(tiny_gpt2(dtype=torch.float32), 1)
        matrices = {name: (a.to(dtype), b.to(dtype)) for name, (a, b) in adapter.matrices.items()}
        same = Adapter(matrices, adapter.scale, adapter.rank, adapter.alpha)
        ours, expected = (CachedGPT2(model).prefill(TEXTS, [1, 1], Mix([[(one, 1.0)]] * 2)) for one in (adapter, same))
        assert torch.equal(ours, expected)
