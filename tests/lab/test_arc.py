"""The table of the arc: what ships is counted as other code counts it, and what is missing has no row."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import pytest

from lab.arc import GPT2_SHAPE, LORA, SCRATCH, Row, arc, gpt2_parameters, log_entries, tensor_shapes, weights
from lab.source import ROOT


def safetensors(path: Path, shapes: dict[str, list[int]]) -> None:
    """Write a file in the format, by hand: header length, header, numbers of two bytes."""
    header, start = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        end = start + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [start, end]}
        start = end
    data = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(data)) + data + bytes(start))


def test_shapes_come_from_the_header(tmp_path: Path) -> None:
    safetensors(tmp_path / "a.safetensors", {"w": [3, 4], "b": [4], "scalar": []})
    safetensors(tmp_path / "b.safetensors", {"v": [10]})
    assert tensor_shapes(tmp_path / "a.safetensors") == {"w": (3, 4), "b": (4,), "scalar": ()}
    parameters, size = weights(tmp_path)
    assert parameters == 12 + 4 + 1 + 10
    assert size == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert weights(tmp_path / "nothing") == (0, 0)


@pytest.mark.parametrize("content", [b"", b"abc", b"\x00" * 8, struct.pack("<Q", 10**15) + b"{}"])
def test_what_is_no_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError):
        tensor_shapes(tmp_path / "x.safetensors")


def test_shapes_agree_with_the_library() -> None:
    from safetensors import safe_open

    path = ROOT / "adapters" / "bach-lora" / "adapter_model.safetensors"
    with safe_open(path, "pt") as file:
        expected = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    assert tensor_shapes(path) == expected


@pytest.mark.parametrize("folder", ["prose-gpt2", "folk-gpt2"])
def test_the_formula_counts_what_ships(folder: str) -> None:
    config = json.loads((ROOT / "assets" / folder / "config.json").read_text(encoding="utf-8"))
    counted = gpt2_parameters(config["vocab_size"], config["n_positions"], config["n_embd"], config["n_layer"])
    assert counted == weights(ROOT / "assets" / folder)[0]


def test_the_formula_counts_gpt2() -> None:
    assert gpt2_parameters(**GPT2_SHAPE) == 124_439_808  # as transformers says


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    return {row.name: row for row in arc()}


def test_each_row_is_sound(rows: dict[str, Row]) -> None:
    assert len(rows) == len(arc()) >= 8
    for row in rows.values():
        assert 0 <= row.trainable <= row.total
        assert 0 <= row.share <= 1
        assert row.frozen and row.changed and row.data
        assert (row.gain is None) == (row.forgetting is None)
        assert row.seconds is None or row.seconds > 0
        assert row.size is None or row.size > 0


def test_the_bach_rows_say_what_the_runs_say(rows: dict[str, Row]) -> None:
    table = json.loads((ROOT / "adapters" / "bach.json").read_text(encoding="utf-8"))
    run = next(r for r in table["runs"] if r["method"] == "lora" and r["seed"] == table["shipped"]["lora"])
    row = rows["Bach chorales, LoRA"]
    assert row.stage == LORA
    assert row.trainable == run["trainable_parameters"]
    assert row.trainable == weights(ROOT / "adapters" / "bach-lora")[0]  # the file holds what was trained
    assert row.gain == pytest.approx((table["base"]["test_bach"] - run["test_bach"]) / table["base"]["test_bach"])
    assert row.forgetting == pytest.approx((run["test_folk"] - table["base"]["test_folk"]) / table["base"]["test_folk"])
    assert row.seconds == run["seconds"]


def test_only_the_control_was_trained_on_the_new_style_alone(rows: dict[str, Row]) -> None:
    controls = [row for row in rows.values() if row.is_control]
    assert [row.name for row in controls] == ["Bach chorales, From scratch"]
    assert all(row.stage == SCRATCH and row.gain < 0 for row in controls)


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert log_entries(tmp_path / "nothing.jsonl") == []
