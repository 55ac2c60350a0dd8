"""Melodies in batches, their loss, and the four ways to adapt a tiny model."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from lab.lora import LoRALinear, load_peft
from lab.music.corpus import Collection, Split, load_split, load_vocabulary
from lab.music.tokens import read
from training import melody_adapters
from training.melody_adapters import (
    METHODS,
    Data,
    Method,
    Result,
    adapt,
    lora_of,
    median_run,
    merged,
    parse_arguments,
    prepare,
    run,
    write_adapter,
)
from training.melody_batches import HEADER, IGNORED, MelodyBatches, nats_per_note, padded, rescaled, token_losses
from training.melody_corpus import split_of_clusters
from training.melody_model import build_model, learning_rate_factor

TUNES = [tune.tokens for tune in load_split(Collection.BACH, Split.TEST)[:6]]


@pytest.fixture(scope="module")
def base() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(len(load_vocabulary()), layers=2, width=32, heads=2, dropout=0.0)


def small_data() -> Data:
    tunes = {(c, s): TUNES for c in Collection for s in Split}
    return Data(load_vocabulary(), tunes)


@pytest.mark.parametrize("factor", [2, 0.5])
def test_rescaled_melodies_are_the_same_music(factor: float) -> None:
    for names in TUNES:
        version = rescaled(names, factor)
        if version is None:
            continue
        before, after = read(names).melody, read(version).melody
        assert after.pitches == before.pitches
        assert [n.duration for n in after.notes] == [n.duration * factor for n in before.notes]
        assert all(read(version).checks()) == all(read(names).checks())


def test_what_cannot_be_halved_is_left_alone() -> None:
    assert rescaled(["major", "4/4", "1 phrases", "|", "60:1"], 0.5) is None
    assert rescaled(["major", "4/32"], 0.5) is None


def test_batches_depend_on_the_seed_alone_and_hold_every_melody_once_an_epoch() -> None:
    def rows(seed: int, count: int) -> list[torch.Tensor]:
        batches = MelodyBatches(TUNES, load_vocabulary(), tokens=300, rescale=0.0, seed=seed).batches()
        return list(islice(batches, count))

    for one, same in zip(rows(1, 8), rows(1, 8), strict=True):
        assert torch.equal(one, same)
    epoch: list[tuple[int, ...]] = []
    for batch in rows(2, 50):
        assert batch.numel() <= 300 or len(batch) == 1
        epoch += [tuple(row[row != IGNORED].tolist()) for row in batch]
    wanted = sorted(tuple(load_vocabulary().encode(names)) for names in TUNES)
    assert sorted(epoch[: len(TUNES)]) == wanted


def test_the_loss_of_a_row_is_that_of_the_row_alone(base: torch.nn.Module) -> None:
    rows = [load_vocabulary().encode(names) for names in TUNES[:3]]
    together = token_losses(base.eval(), padded(rows))
    for row, losses in zip(rows, together, strict=True):
        ids = torch.tensor([row])
        alone = functional.cross_entropy(base(ids[:, :-1]).logits[0], ids[0, 1:], reduction="none")
        assert torch.allclose(losses[: len(alone)], alone, atol=1e-5)
        assert (losses[len(alone) :] == 0).all()


def test_nats_per_note_leave_the_header_out(base: torch.nn.Module) -> None:
    names = TUNES[0]
    ids = torch.tensor([load_vocabulary().encode(names)])
    losses = functional.cross_entropy(base.eval()(ids[:, :-1]).logits[0], ids[0, 1:], reduction="none")
    notes = sum(":" in name and not name.startswith("r") for name in names)
    expected = losses[HEADER - 1 :].sum().item() / notes
    assert nats_per_note(base, load_vocabulary(), [names]) == pytest.approx(expected, rel=1e-4)


def test_the_learning_rate_warms_up_and_ends_at_nothing() -> None:
    factors = [learning_rate_factor(step, 1000) for step in range(1000)]
    assert factors[0] < 0.05
    assert max(factors) == 1
    assert factors[499] == pytest.approx(1, abs=0.01)
    assert factors[-1] == pytest.approx(0.002)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_only_what_the_method_trains_moves(base: torch.nn.Module, method, tmp_path) -> None:
    quick = type(method)(method.name, method.title, method.learning_rate, 4)
    model, result = adapt(quick, base, small_data(), seed=0, evaluate_every=2)
    assert isinstance(result, Result)
    assert result.trainable_parameters == sum(p.numel() for p in prepare(method, base).parameters() if p.requires_grad)
    frozen = dict(base.named_parameters())
    moved = {n for n, p in model.named_parameters() if n in frozen and not torch.equal(p, frozen[n])}
    if method.name == "lora":
        assert not moved
        assert all(layer.B.abs().max() > 0 for layer in model.modules() if isinstance(layer, LoRALinear))
    elif method.name == "last-block":
        assert moved
        assert all(name.startswith(("transformer.h.1.", "transformer.ln_f.")) for name in moved)
    else:
        assert len(moved) == len(frozen)
    write_adapter(method, model, tmp_path / method.name)
    assert any((tmp_path / method.name).glob("*.safetensors"))
    if method.name == "lora":
        assert load_peft(tmp_path / "lora").parameters == lora_of(model).parameters == result.trainable_parameters


def test_what_an_unknown_method_trains_is_not_guessed(base: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match="norms"):
        prepare(Method("norms", "Norms", 1e-3, 1), base)


def table_of(*methods: str, seeds: int = 2, bach: float = 2.0) -> dict[str, Any]:
    """Return a table as the script writes it, of made-up runs."""
    base = {"title": "Folk", "parameters": 1000, "test_bach": bach, "test_folk": 1.5}
    runs = [{"method": method, "seed": seed} for method in methods for seed in range(seeds)]
    return {"base": base, "rank": 8, "alpha": 16, "targets": ["c"], "runs": runs, "shipped": dict.fromkeys(methods, 1)}


def test_training_one_method_keeps_what_was_said_of_the_others() -> None:
    before = table_of("last-block", "lora", "full", seeds=3)
    after = merged(table_of("lora", "norms", bach=2.0001), before)
    count = Counter(run["method"] for run in after["runs"])
    assert count == {"last-block": 3, "lora": 2, "full": 3, "norms": 2}
    assert list(count) == list(after["shipped"]) == ["last-block", "lora", "full", "norms"]
    for other in (table_of("lora", bach=2.1), table_of("lora") | {"rank": 4}):
        with pytest.raises(ValueError, match="train all methods anew"):
            merged(other, before)


def test_the_table_is_merged_when_some_methods_are_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_model(len(load_vocabulary()), layers=1, width=32, heads=2, dropout=0.0).save_pretrained(tmp_path / "base")
    monkeypatch.setattr(melody_adapters.Data, "load", small_data)
    monkeypatch.setattr(Data, "loss", lambda *_: 2.0)
    monkeypatch.setattr(melody_adapters, "write_adapter", lambda *_: None)

    def trained(method: Method, base: torch.nn.Module, data: Data, seed: int) -> tuple[torch.nn.Module, Result]:
        return base, Result(method.name, method.title, seed, 1, 1.0, 1, seed, 0.0, 0.0)

    monkeypatch.setattr(melody_adapters, "adapt", trained)
    words = ["--base", str(tmp_path / "base"), "--out", str(tmp_path), "--seeds", "1"]
    for chosen in ([], ["--methods", "lora"]):
        run(parse_arguments([*words, *chosen]))
        table = json.loads((tmp_path / "bach.json").read_text(encoding="utf-8"))
        assert [one["method"] for one in table["runs"]] == list(table["shipped"]) == [m.name for m in METHODS]
    with pytest.raises(SystemExit):
        parse_arguments([*words, "--methods", "nothing"])


def test_the_median_seed_ships() -> None:
    runs = [
        (None, Result("lora", "LoRA", seed, 1, 1.0, 1, loss, 0.0, 0.0)) for seed, loss in enumerate((3.0, 1.0, 2.0))
    ]
    assert median_run(runs)[1].seed == 2
    assert median_run(runs[:2])[1].seed == 1  # of two the lower


def test_clusters_are_dealt_whole_and_in_proportion() -> None:
    import numpy as np

    numbers = np.repeat(np.arange(100), np.arange(100) % 5 + 1)
    dealt = split_of_clusters(numbers, (0.8, 0.1, 0.1))
    assert set(dealt) == set(range(100))
    shares = {split: sum(dealt[n] is split for n in numbers.tolist()) / len(numbers) for split in Split}
    assert shares[Split.TRAIN] == pytest.approx(0.8, abs=0.03)
    assert shares[Split.TEST] == pytest.approx(0.1, abs=0.03)
