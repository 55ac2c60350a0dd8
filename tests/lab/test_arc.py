"""The table of the arc: what ships is counted as other code counts it, and what is missing has no row."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from lab.arc import GPT2_SHAPE, LORA, SCRATCH, TRANSFER, Row, _bach, _styles, _ways, arc, collection_size, log_entries
from lab.embeddings.model import PACKAGE
from lab.music.voices import VOICES, About
from lab.sizes import gpt2_parameters, package_weights, tensor_shapes, weights
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


def test_a_count_of_positions_is_no_parameter(tmp_path: Path) -> None:
    """The sentence encoder's file holds one, and its card counts 22,713,216 parameters."""
    shapes = {"embeddings.position_ids": [1, 512], "position_ids": [7], "embeddings.position_embeddings": [3, 2]}
    safetensors(tmp_path / "model.safetensors", shapes)
    assert weights(tmp_path)[0] == 6
    encoder = package_weights(PACKAGE)
    assert encoder is not None and encoder[0] == 22_713_216


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


def test_a_new_way_has_a_row_as_its_voice_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = {
        "method": "norms",
        "seed": 1,
        "trainable_parameters": 100,
        "seconds": 9.0,
        "test_bach": 1.5,
        "test_folk": 2.2,
    }
    unknown = run | {"method": "nobody's", "trainable_parameters": 50}  # trained, and nothing is said of it yet
    base = {"parameters": 1000, "test_bach": 2.0, "test_folk": 2.0}
    table = {"base": base, "runs": [run, unknown], "shipped": {"norms": 1, "nobody's": 1}}
    (tmp_path / "adapters" / "bach-norms").mkdir(parents=True)
    (tmp_path / "adapters" / "bach.json").write_text(json.dumps(table))
    safetensors(tmp_path / "adapters" / "bach-norms" / "model.safetensors", {"w": [100]})
    about = About(title="Norms", frozen="All else.", changed="Norms.", stage=TRANSFER, explanation="Only the norms.")
    monkeypatch.setitem(VOICES, "norms", about)
    (row,) = _bach(tmp_path)
    assert (row.name, row.stage, row.frozen, row.changed) == ("Bach chorales, Norms", TRANSFER, "All else", "Norms")
    assert (row.total, row.gain, row.forgetting) == pytest.approx((1000, 0.25, 0.1))
    monkeypatch.setitem(VOICES, "norms", replace(about, beside="A·B"))
    (row,) = _bach(tmp_path)
    assert (row.total, row.frozen) == (1100, "All else; switched off, nothing is forgotten")


def test_only_the_control_was_trained_on_the_new_style_alone(rows: dict[str, Row]) -> None:
    controls = [row for row in rows.values() if row.is_control]
    assert [row.name for row in controls] == ["Bach chorales, From scratch"]
    assert all(row.stage == SCRATCH and row.gain < 0 for row in controls)


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert log_entries(tmp_path / "nothing.jsonl") == []


def test_a_collection_is_counted_as_it_is_read() -> None:
    from lab.music.corpus import Collection, Split, load_split

    for collection in Collection:
        path = ROOT / "assets" / "melodies" / f"{collection}.jsonl"
        assert collection_size(path) == len(load_split(collection, Split.TRAIN))


def test_ways_and_styles_are_read_from_their_tables(tmp_path: Path) -> None:
    run = {"method": "lora", "rank": 4, "trainable_parameters": 100, "processor_seconds": 9.0, "file_bytes": 200,
           "style_loss": 3.0, "prose_loss": 4.4}  # fmt: skip
    base = {"parameters": 1000, "style_loss": 4.0, "prose_loss": 4.0}
    full = run | {"method": "full", "rank": None, "trainable_parameters": 1000}
    table = {"base": base, "style": "shakespeare", "steps": 10, "batch_size": 2, "context": 8, "runs": [run, full]}
    (tmp_path / "adapters" / "one").mkdir(parents=True)
    (tmp_path / "adapters" / "methods.json").write_text(json.dumps(table))
    safetensors(tmp_path / "adapters" / "one" / "adapter_model.safetensors", {"w": [10]})
    one = {"title": "One", "trainable_parameters": 10, "training_tokens": 5000, "seconds": 3.0, "own_base": 2.0,
           "own_adapter": 1.0, "prose_base": 4.0, "prose_adapter": 5.0}  # fmt: skip
    styles = {"prose-gpt2": {"parameters": 1000, "adapters": {"one": one, "not-there": one}}}
    (tmp_path / "adapters" / "text.json").write_text(json.dumps(styles))
    lora, whole = _ways(tmp_path)
    assert (lora.name, lora.stage, lora.data) == ("Shakespeare in 10 steps, LoRA r = 4", LORA, "160 tokens")
    assert (lora.gain, lora.forgetting) == pytest.approx((0.25, 0.1))
    assert (lora.total, whole.total, whole.share) == (1100, 1000, 1.0)
    (style,) = _styles(tmp_path)
    assert (style.name, style.gain, style.forgetting) == ("Style, One", 0.5, 0.25)
    assert style.size == (tmp_path / "adapters" / "one" / "adapter_model.safetensors").stat().st_size
    for targets, changed in (("mlp", "MLP"), ("attention", "attention"), ("all", "layers")):
        styles["prose-gpt2"]["adapters"]["one"]["targets"] = targets
        (tmp_path / "adapters" / "text.json").write_text(json.dumps(styles))
        (style,) = _styles(tmp_path)
        assert style.changed == f"Low-rank matrices beside each block's {changed}"


def test_tables_that_are_not_there_give_no_rows(tmp_path: Path) -> None:
    assert [*_ways(tmp_path), *_styles(tmp_path)] == []
