"""The text adapters that ship: they fit the built-in model, are small, and their figures are of the files there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from lab.lora import load_peft
from lab.text.adapters import ADAPTERS, FIGURES, WEIGHTS, shipped_adapters
from lab.text.lexicon import style_share
from lab.text.models import ASSETS, BUILT_IN, LanguageModel, load_folder
from lab.text.rows import Finished, Row
from lab.text.strategies import Kind, Strategy
from lab.text.tuning_settings import Targets
from training.samples import OPENINGS

pytestmark = pytest.mark.smoke

NAMES = ("shakespeare", "fairy-tales", "science-fiction", "jeeves")


@pytest.fixture(scope="module")
def model() -> Iterator[LanguageModel]:
    model = load_folder(ASSETS / BUILT_IN, BUILT_IN, "Built-in")
    yield model
    model.engine.close()


def test_all_are_there_and_worn(model: LanguageModel) -> None:
    assert tuple(model.adapters) == NAMES
    assert {one.title for one in model.adapters.values()} == {
        "Shakespeare", "Fairy tales", "Early science fiction", "Jeeves",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_figures_are_of_the_files(name: str, model: LanguageModel) -> None:
    shipped = shipped_adapters(BUILT_IN)[name]
    adapter, figures = load_peft(shipped.folder), shipped.figures
    assert adapter.parameters == figures["trainable_parameters"]
    assert figures["share"] == pytest.approx(adapter.parameters / model.parameters, abs=1e-6)
    assert (adapter.rank, adapter.alpha) == (figures["rank"], figures["alpha"])
    assert {".".join(module.split(".")[-2:]) for module in adapter.matrices} == set(Targets(figures["targets"]).modules)
    assert (shipped.folder / WEIGHTS).stat().st_size == figures["bytes"] < 1_000_000
    config = json.loads((shipped.folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == BUILT_IN
    card = (shipped.folder / "README.md").read_text(encoding="utf-8")
    assert all(f"{figures[key]:.3f}" in card for key in ("own_base", "own_adapter", "prose_base", "prose_adapter"))
    assert card.count("Seed ") == 10


def test_they_are_small_and_learn_their_style(model: LanguageModel) -> None:
    for name, shipped in model.adapters.items():
        assert shipped.figures["share"] < (0.015 if name == "shakespeare" else 0.01)
        assert shipped.figures["own_adapter"] < shipped.figures["own_base"]


def test_the_grid_says_what_was_chosen() -> None:
    entry = json.loads((ADAPTERS / FIGURES).read_text(encoding="utf-8"))[BUILT_IN]
    small = [run for run in entry["grid"]["runs"] if run["trainable_parameters"] < 0.01 * entry["parameters"]]
    best = min(small, key=lambda run: run["validation_loss"])
    assert entry["grid"]["chosen"] == {key: best[key] for key in ("targets", "rank", "learning_rate")}
    for name, figures in entry["adapters"].items():
        assert figures["targets"] == best["targets"]
        assert figures["rank"] == best["rank"] or name == "shakespeare"


def test_the_ways_to_adapt_are_of_this_model(model: LanguageModel) -> None:
    table = json.loads((ADAPTERS / "methods.json").read_text(encoding="utf-8"))
    assert table["base"]["parameters"] == model.parameters
    runs = {(run["method"], run["rank"]): run for run in table["runs"]}
    assert list(runs) == [
        ("full", None), ("last-block", None), *(("lora", rank) for rank in (1, 2, 4, 8, 16)), ("prompt", None),
    ]  # fmt: skip
    assert runs["full", None]["trainable_parameters"] == model.parameters
    for (method, rank), run in runs.items():
        assert run["share"] == pytest.approx(run["trainable_parameters"] / model.parameters, abs=1e-6)
        assert run["style_loss"] < table["base"]["style_loss"], (method, rank)
        assert 0 < run["memory_bytes"] <= run["process_peak_bytes"]
        assert run["learning_rate"] in {one["learning_rate"] for one in table["trials"] if one["method"] == method}
    assert runs["lora", 16]["trainable_parameters"] == 16 * runs["lora", 1]["trainable_parameters"]
    memory = {key: run["memory_bytes"] for key, run in runs.items()}
    assert memory["full", None] == max(memory.values())


def test_shakespeare_is_to_be_heard(model: LanguageModel) -> None:
    """It turns most openings into a play and writes words of his own; the base does neither."""
    strategy = Strategy(kind=Kind.TOP_P, top_p=0.9, temperature=0.8)
    plays, shares = {}, {}
    for adapter in (None, "shakespeare"):
        rows = [
            Row(model.vocabulary.encode(opening), strategy, seed=seed, max_new_tokens=60, adapter=adapter)
            for seed, opening in enumerate(OPENINGS[:12])
        ]
        events = [event for event in model.engine.submit(rows) if isinstance(event, Finished)]
        texts = [model.vocabulary.text([token.id for token in event.tokens]) for event in events]
        plays[adapter] = sum(bool(re.search(r"^[A-Z ]+:$", text, re.MULTILINE)) for text in texts)
        shares[adapter] = style_share(" ".join(texts), "shakespeare")
    assert plays["shakespeare"] >= 8
    assert plays[None] == 0
    assert shares["shakespeare"] > max(0.003, 3 * shares[None])
