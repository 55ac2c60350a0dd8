"""The melody models that ship: they go on from an opening as folk songs do, and their table is of the files there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lab.lora import load_peft
from lab.music.composing import MelodySettings, Piece, bars_of, compose, write_all
from lab.music.corpus import load_vocabulary
from lab.music.melody import Meter, Mode
from lab.music.opening import read_opening
from lab.music.voices import ADAPTERS, BASE, Voice, Voices, training_table

pytestmark = pytest.mark.smoke

SEEDS = range(10)
OWN_FILES = {
    "last-block": "last_block.safetensors",
    "lora": "adapter_model.safetensors",
    "full": "model.safetensors",
    "scratch": "model.safetensors",
}


@pytest.fixture(scope="module")
def voices() -> Iterator[Voices]:
    voices = Voices()
    yield voices
    voices.close()


@pytest.fixture(scope="module")
def free(voices: Voices) -> list[Piece]:
    """What the folk voice writes after the default opening, without a mask."""
    return write_all(voices, MelodySettings(mask=0), [(Voice.FOLK, None, seed) for seed in SEEDS])


def test_models_and_vocabulary_fit() -> None:
    config = json.loads((BASE / "config.json").read_text(encoding="utf-8"))
    assert config["vocab_size"] == len(load_vocabulary())
    assert config["eos_token_id"] == load_vocabulary().end == 0


def test_the_folk_model_continues_the_default_opening(free: list[Piece]) -> None:
    settings = MelodySettings()
    opening = read_opening(settings.opening, Meter.parse(settings.meter), Mode(settings.mode))
    for piece in free:
        assert piece.given == len(opening.notes)
        assert piece.melody.pitches[: piece.given] == opening.pitches
        assert len(piece.melody.notes) > 2 * piece.given
    assert len({piece.melody for piece in free}) == len(SEEDS)


def test_the_folk_model_keeps_to_bars_by_itself(free: list[Piece]) -> None:
    complete, bars = (sum(numbers) for numbers in zip(*map(bars_of, free), strict=True))
    assert bars > 5 * len(SEEDS)
    assert complete / bars >= 0.95


def test_the_folk_model_ends_its_melodies(free: list[Piece]) -> None:
    assert sum(piece.written.ended for piece in free) >= 9
    asked = MelodySettings().phrases
    assert sum(sum(note.phrase_end for note in piece.melody.notes) == asked for piece in free) >= 8


def test_every_voice_plays_and_keeps_to_the_mask(voices: Voices) -> None:
    pieces = compose(voices, MelodySettings(voices=",".join(Voice)))
    assert [piece.voice for piece in pieces] == list(Voice)
    for piece in pieces:
        if piece.written.ended:
            complete, bars = bars_of(piece)
            assert complete == bars


def test_the_lora_at_strength_zero_is_the_folk_voice(voices: Voices) -> None:
    folk, lora, worn = write_all(
        voices, MelodySettings(), [(Voice.FOLK, None, None), (Voice.LORA, 0.0, None), (Voice.LORA, 1.0, None)]
    )
    assert lora.written == folk.written
    assert worn.written != folk.written


def test_the_table_is_of_the_files_that_are_there(voices: Voices) -> None:
    table = training_table()
    assert table["shipped"].keys() == OWN_FILES.keys()
    for method, file in OWN_FILES.items():
        assert (ADAPTERS / f"bach-{method}" / file).is_file()
        runs = [run for run in table["runs"] if run["method"] == method]
        assert table["shipped"][method] in {run["seed"] for run in runs}
        assert len({run["seed"] for run in runs}) == len(runs)
        assert voices.engine(Voice(method)).vocabulary_size == len(load_vocabulary())


def test_the_table_says_how_much_was_trained() -> None:
    from safetensors import safe_open

    table = training_table()
    trained = {run["method"]: run["trainable_parameters"] for run in table["runs"]}
    lora = load_peft(ADAPTERS / "bach-lora")
    assert (lora.rank, lora.alpha) == (table["rank"], table["alpha"])
    assert lora.parameters == trained["lora"]
    assert {".".join(name.split(".")[-2:]) for name in lora.matrices} == set(table["targets"])
    for method in ("last-block", "full", "scratch"):
        with safe_open(ADAPTERS / f"bach-{method}" / OWN_FILES[method], "pt") as file:
            shapes = [file.get_slice(name).get_shape() for name in file.keys() if name != "lm_head.weight"]  # noqa: SIM118
        numbers = 0
        for shape in shapes:
            size = 1
            for side in shape:
                size *= side
            numbers += size
        assert numbers == trained[method]
        assert numbers <= table["base"]["parameters"]


def test_adapting_helps_on_chorales() -> None:
    table = training_table()
    for run in table["runs"]:
        if run["method"] != "scratch":
            assert run["test_bach"] < table["base"]["test_bach"]
            assert run["test_folk"] > table["base"]["test_folk"]
