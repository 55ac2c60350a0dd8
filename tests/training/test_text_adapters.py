"""Training the text adapters: the same code path for any base, what it writes, and what the app reads of it."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import pytest
import torch

from lab.lora import Adapter, load_peft, save_peft
from lab.text.adapters import folder_of, shipped_adapters
from lab.text.models import load_folder
from lab.text.rows import Row
from lab.text.tuning_settings import Method, Targets, TuningSettings
from tests.lab.text.conftest import run_alone
from tests.tiny import SENTENCES
from training import adaptation_methods, text_adapters, text_cards, text_styles
from training.corpus import END_OF_TEXT
from training.style_words import own_words, share
from training.text_adapters import Base, parse_arguments, read_figures, run, run_grid
from training.text_styles import STYLES, Style, Texts


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A prose corpus of six books, one style that is read from it, and the options that name them."""
    books = [" ".join(SENTENCES[number % 4 :] * 30) for number in range(6)]
    (tmp_path / "prose.txt").write_text(f"\n{END_OF_TEXT}\n".join(books), encoding="utf-8")
    (tmp_path / "plays.txt").write_text("THE MOON:\nTis night.\n\n" * 200, encoding="utf-8")

    def read(books: list[str], file: Path) -> Texts:
        text = file.read_text(encoding="utf-8")
        return Texts(text, text[:1500], text[:1500])

    style = Style("shakespeare", "Shakespeare", ("plays", "a play", "another"), 8, read)
    monkeypatch.setitem(STYLES, "shakespeare", style)
    monkeypatch.setattr(text_adapters, "TEST_WINDOWS", 4)
    monkeypatch.setattr("training.samples.NEW_TOKENS", 8)  # of 64 that the tiny model can read
    return ["--prose", str(tmp_path / "prose.txt"), "--shakespeare", str(tmp_path / "plays.txt")]


def options(corpora: list[str], folder: Path, out: Path, *more: str) -> list[str]:
    return [*corpora, "--base", str(folder), "--out", str(out), "--runs", str(out / "runs"), *more]


def test_a_style_is_trained_on_any_base_and_the_app_finds_it(
    corpora: list[str], tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "adapters"
    words = options(corpora, tiny_folder, out, "--styles", "shakespeare", "--evaluate-every", "4")
    run(parse_arguments([*words, "--rank", "2", "--targets", "mlp", "--learning-rate", "0.01"]))
    folder = out / "shakespeare-tiny-gpt2"
    assert folder_of("shakespeare", "tiny-gpt2", out) == folder
    entry = read_figures(out / "text.json")["tiny-gpt2"]["adapters"]["shakespeare"]
    adapter = load_peft(folder)
    assert (adapter.rank, adapter.alpha) == (entry["rank"], entry["alpha"]) == (2, 4)
    assert adapter.parameters == entry["trainable_parameters"]
    assert {name.rpartition(".h.")[2][2:] for name in adapter.matrices} == set(Targets.MLP.modules)
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny-gpt2"
    assert entry["own_adapter"] < entry["own_base"]
    printed = float(re.search(r"shakespeare: ([\d.]+) nats per token less", capsys.readouterr().out)[1])
    assert printed == pytest.approx(entry["own_base"] - entry["own_adapter"], abs=1e-3)
    lines = [json.loads(line) for line in (out / "runs" / f"{folder.name}-lora.jsonl").read_text().splitlines()]
    assert lines[0]["held_out_nats_per_token"] > lines[-1]["held_out_nats_per_token"]
    assert lines[-1]["step"] == entry["steps"] == 8

    assert list(shipped_adapters("tiny-gpt2", out)) == ["shakespeare"]
    assert shipped_adapters("another", out) == {}
    text_cards.main(["--base", str(tiny_folder), "--adapters", str(out), "--samples", "1"])
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"{entry['own_adapter']:.3f}" in card
    assert "tiny-gpt2" in card
    assert "$" not in card


def test_the_grid_keeps_what_is_best_below_the_share(corpora: list[str], tiny_folder: Path) -> None:
    base = Base(str(tiny_folder))
    texts = text_styles.read_style(STYLES["shakespeare"], Path(corpora[1]), Path(corpora[3]))
    corpus = text_adapters.Corpus(base.encode(texts.training), base.encode(texts.validation))
    choices = [
        {"targets": Targets.QUERY_KEY_VALUE, "rank": 1, "learning_rate": 1e-5},
        {"targets": Targets.QUERY_KEY_VALUE, "rank": 1, "learning_rate": 1e-2},
        {"targets": Targets.ALL, "rank": 8, "learning_rate": 2e-2},
    ]
    table = run_grid(base, corpus, 3, choices)
    assert [run["rank"] for run in table["runs"]] == [1, 1, 8]
    assert table["runs"][1]["validation_loss"] < table["runs"][0]["validation_loss"]
    assert table["runs"][1]["trainable_parameters"] < 0.01 * base.parameters < table["runs"][2]["trainable_parameters"]
    assert table["chosen"] == choices[1]


def test_figures_of_other_styles_and_bases_are_kept(tiny_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "text.json"
    file.write_text(json.dumps({"other": {"adapters": {"x": 1}}}))
    base = Base(str(tiny_folder))
    text_adapters.write_figures(file, base, grid={"chosen": {}})
    text_adapters.write_figures(file, base, adapters={"jeeves": {"a": 1}})
    text_adapters.write_figures(file, base, adapters={"shakespeare": {"b": 2}})
    figures = read_figures(file)
    assert figures["other"] == {"adapters": {"x": 1}}
    assert figures["tiny-gpt2"]["grid"] == {"chosen": {}}
    assert list(figures["tiny-gpt2"]["adapters"].items()) == [("shakespeare", {"b": 2}), ("jeeves", {"a": 1})]


def test_a_model_wears_what_was_trained_for_it(
    corpora: list[str], tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "adapters"
    words = options(corpora, tiny_folder, out, "--styles", "shakespeare", "--steps", "4", "--rank", "1")
    run(parse_arguments([*words, "--targets", "all", "--learning-rate", "0.05"]))
    monkeypatch.setattr("lab.text.adapters.add_shipped.__defaults__", (out,))
    model = load_folder(tiny_folder, "tiny-gpt2", "Tiny")
    try:
        assert model.adapters["shakespeare"].figures["rank"] == 1
        row = Row(model.vocabulary.encode("The old house"), max_new_tokens=20)
        worn = Row(row.prompt, max_new_tokens=20, adapter="shakespeare", strength=3.0)
        assert run_alone(model.engine, row) != run_alone(model.engine, worn)
    finally:
        model.engine.close()
    # The same name, another size: it starts without adapters.
    wider = json.loads((out / "text.json").read_text())
    (out / "text.json").write_text(json.dumps({"other": wider["tiny-gpt2"]}))
    (out / "shakespeare-tiny-gpt2").rename(out / "shakespeare-other")
    matrices = {name: (a[:-1], b) for name, (a, b) in load_peft(out / "shakespeare-other").matrices.items()}
    save_peft(Adapter(matrices, 1.0, 1, 1.0), out / "shakespeare-other", "other")
    model = load_folder(tiny_folder, "other", "Other")
    model.engine.close()
    assert model.adapters == {}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured by Linux")
@pytest.mark.parametrize("method", list(Method))
def test_a_way_to_adapt_is_measured(
    method: Method, corpora: list[str], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adaptation_methods, "VIRTUAL_TOKENS", 4)
    base = Base(str(tiny_folder))
    ids = base.encode(" ".join(SENTENCES * 20))
    texts = dict.fromkeys(("training", "validation", "test", "prose"), ids)
    settings = adaptation_methods.settings_of(method, 2, 0.02, 6, base)
    result = adaptation_methods.measure(base, texts, settings)
    assert result["style_loss"] == result["prose_loss"] == pytest.approx(result["validation_loss"], abs=0.05)
    assert result["share"] == pytest.approx(
        result["trainable_parameters"] / Base(str(tiny_folder)).parameters, abs=1e-6
    )
    assert result["memory_bytes"] <= result["process_peak_bytes"]
    assert result["seconds"] > 0
    assert result["file_bytes"] > 2 * result["trainable_parameters"]


# --- the styles' texts ----------------------------------------------------------------------------------------------


def test_plays_are_cut_where_a_speech_begins(tmp_path: Path) -> None:
    first, second = text_styles.TITUS, text_styles.TROILUS
    text = f"A:\nOne.\n\nSATURNINUS:\n{first}, hear.\n\nB:\nTwo.\n\nPrologue:\n{second}.\n\nC:\nThree.\n"
    (tmp_path / "plays.txt").write_text(text, encoding="utf-8")
    texts = text_styles.read_style(STYLES["shakespeare"], tmp_path, tmp_path / "plays.txt")
    assert texts.training == "A:\nOne.\n\n"
    assert texts.validation == f"SATURNINUS:\n{first}, hear.\n\nB:\nTwo.\n\n"
    assert texts.training + texts.validation + texts.test == text
    (tmp_path / "plays.txt").write_text("Something else.", encoding="utf-8")
    with pytest.raises(ValueError, match="not the Shakespeare corpus"):
        text_styles.read_style(STYLES["shakespeare"], tmp_path, tmp_path / "plays.txt")


@pytest.mark.parametrize("name", ["fairy-tales", "science-fiction", "jeeves"])
def test_no_page_is_both_learnt_and_measured_by(name: str) -> None:
    books = ["\n\n".join(f"book {number} tale {tale}" for tale in range(40)) for number in range(1, 191)]
    texts = STYLES[name].read(books, Path())
    parts = [set(part.split("\n\n")) for part in (texts.training, texts.validation, texts.test)]
    assert all(parts)
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    held_out = {f"book {number} " for number in range(187, 191)}
    assert not any(line.startswith(tuple(held_out)) for part in parts for line in part)


# --- style words ----------------------------------------------------------------------------------------------------


def test_words_are_a_styles_if_it_spreads_them_and_prose_lacks_them() -> None:
    scene = "Thou seest the moon, thou lovest Rosencrantz. " + "and the house is old " * 5
    plays = (scene + "once a bodkin ") + scene * 19
    prose = "the moon is in the house and the garden is old " * 300 + "thou "
    words = [word for word, _ in own_words(plays, prose, min_parts=5, parts=10)]
    assert "thou" in words
    assert "lovest" in words
    assert "rosencrantz" not in words  # a name
    assert "bodkin" not in words  # of one scene alone
    assert "moon" not in words
    assert share(words, "Thou hast the moon") == 0.25


def test_the_list_ends_where_prose_would_score() -> None:
    plays = "anon prithee verily the moon " * 50
    prose = "the moon shines here now " * 1000 + "verily " * 100 + "anon "
    words = [word for word, _ in own_words(plays, prose, min_parts=5, parts=10)]
    assert words == ["prithee", "anon"]


def test_results_of_another_base_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(arguments, tokens, settings, what):
        asked.append(arguments.base)
        return {"style_loss": float(len(asked))}

    monkeypatch.setattr(adaptation_methods, "in_a_process", run)
    settings = TuningSettings(method=Method.LORA, rank=2)
    found = []
    for base in ("one", "one", "other"):
        arguments = argparse.Namespace(base=base, results=tmp_path / "results.jsonl")
        found.append(adaptation_methods.result_of(arguments, tmp_path, settings, "measure"))
    assert asked == ["one", "other"]
    assert [one["style_loss"] for one in found] == [1.0, 1.0, 2.0] and "base" not in found[0]
