"""The model card of a tiny model, and its samples."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from transformers import AutoTokenizer, GPT2LMHeadModel

from training import samples
from training.language_model import PRESETS, build_model, parse_arguments, train
from training.model_card import count_parameters, duration, loss_table, main, preset_option, training_commands
from training.samples import OPENINGS, continuation, escape_markdown, quote


@pytest.fixture
def finished(corpus: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of a finished run whose model is in ``out``; samples are short, for so is the model's context."""
    monkeypatch.setattr(samples, "NEW_TOKENS", 6)
    monkeypatch.setattr(samples, "OPENINGS", ("The fox", "“She didn’t\nsee."))
    line = f"--corpus {corpus} --out {out} --run {tmp_path / 'run'} --preset tiny --threads 1 --device cpu"
    line += " --decay-books all --stable-tokens 512 --decay-tokens 512 --log-every 1 --evaluate-every 2"
    train(parse_arguments(line.split()))
    return tmp_path / "run" / "log.jsonl"


def test_the_card_says_what_the_run_did(finished: Path, corpus: Path, out: Path, tmp_path: Path):
    line = f"--model {out} --log {finished} --corpus {corpus} --samples 3 --hardware abacus --decay-books all"
    main([*line.split(), "--stable-tokens", "512", "--decay-tokens", "512", "--runs", str(tmp_path / "kept")])
    text = (out / "README.md").read_text(encoding="utf-8")
    data = ModelCard(text).data
    assert (data.license, data.language, data.library_name) == ("cc0-1.0", "en", "transformers")
    assert data.pipeline_tag == "text-generation"
    last = json.loads(finished.read_text().splitlines()[-1])
    model = GPT2LMHeadModel.from_pretrained(out)
    assert f"{sum(p.numel() for p in model.parameters()):,} parameters" in text
    assert f"{last['held_out_nats_per_token']:.3f} nats per token" in text
    assert f"{last['held_out_bits_per_byte']:.3f} bits per byte" in text
    assert f"all {last['held_out_tokens']:,} held-out tokens" in text
    assert "1,024 tokens in 8 steps" in text
    assert "on abacus" in text
    assert "8 English prose works" in text
    assert "--preset tiny" in text
    assert "--stable-tokens 512 --decay-tokens 512" in text
    assert hashlib.sha256(corpus.read_bytes()).hexdigest() in text
    assert text.count("Seed ") == 3
    assert "$" not in text.replace("\\$", "")
    kept = [json.loads(line) for line in (tmp_path / "kept" / "made-gpt2.jsonl").read_text().splitlines()]
    assert [line["step"] for line in kept] == list(range(1, 9))
    assert kept[-1]["held_out_tokens"] == last["held_out_tokens"]


def test_an_unfinished_run_has_no_card(finished: Path, corpus: Path, out: Path, tmp_path: Path):
    finished.write_text("\n".join(finished.read_text().splitlines()[:3]))
    line = f"--model {out} --log {finished} --corpus {corpus} --samples 0 --runs {tmp_path / 'kept'}"
    (out / "README.md").write_text("as before")
    with pytest.raises(ValueError, match="has not finished"):
        main(line.split())
    assert (out / "README.md").read_text() == "as before"


def test_samples_only_prints_and_writes_nothing(finished: Path, out: Path, capsys: pytest.CaptureFixture[str]):
    before = sorted(out.iterdir())
    capsys.readouterr()
    main(["--model", str(out), "--samples-only", "--samples", "2"])
    assert capsys.readouterr().out.count("<b>") == 3  # one for each line of the openings
    assert sorted(out.iterdir()) == before
    with pytest.raises(SystemExit):
        main(["--model", str(out)])


def test_a_sample_depends_on_its_seed_alone(finished: Path, out: Path):
    tokenizer = AutoTokenizer.from_pretrained(out)
    model = GPT2LMHeadModel.from_pretrained(out, dtype="float32")
    written = [continuation(model, tokenizer, "The fox", seed) for seed in (0, 1, 0)]
    assert written[0] == written[2] != written[1]
    assert all(tokenizer(text).input_ids for text in written)


def test_parameters_are_counted_once():
    model = build_model(PRESETS["tiny"], 300)
    width, blocks = 32, 2
    block = 12 * width**2 + 13 * width
    assert count_parameters(model.config) == ((300 + 32) * width + blocks * block + 2 * width, blocks * block)


def test_the_preset_is_named_in_the_command_to_rebuild():
    assert preset_option(build_model(PRESETS["tiny"], 300).config, 4) == " --preset tiny"
    assert preset_option(build_model(PRESETS["cpu"], 300).config, 16) == ""
    with pytest.raises(ValueError, match="no preset"):
        preset_option(build_model(PRESETS["cpu"], 300).config, 8)


def test_the_table_has_the_last_line_and_at_most_twelve():
    lines = [
        {"tokens": 1000 * n, "seconds": 60.0 * n, "training_nats_per_token": 3.0, "learning_rate_factor": 1.0}
        | ({"held_out_nats_per_token": 4.5, "held_out_bits_per_byte": 1.25} if n % 2 == 0 else {})
        for n in range(1, 100)
    ]
    rows = loss_table(lines).splitlines()
    assert len(rows) == 12
    assert rows[0] == "| 2,000 | 2 | 3.000 | 4.500 | 1.250 | 1.00 |"
    assert rows[-1] == "| 99,000 | 99 | 3.000 |  |  | 1.00 |"


def test_a_run_whose_batches_grew_is_rebuilt_by_two_commands():
    assert training_commands("--run r", [], "--stable-tokens 9") == (
        "python -m training.language_model --corpus prose.txt.xz --run r \\\n    --stable-tokens 9"
    )
    first, second = training_commands("--run r", [(512, 8)], "--stable-tokens 512").split("\npython")
    assert first.endswith(" --run r \\\n    --stable-tokens 512 --decay-tokens 0")
    assert second.endswith(" --run r \\\n    --stable-tokens 512 --batch 8")


def test_the_card_tells_of_larger_batches(corpus: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(samples, "NEW_TOKENS", 6)
    run, runs = tmp_path / "run", tmp_path / "kept"
    line = f"--corpus {corpus} --out {out} --run {run} --preset tiny --threads 1 --device cpu --decay-books all"
    train(parse_arguments([*line.split(), "--stable-tokens", "256", "--decay-tokens", "0", "--log-every", "1"]))
    train(parse_arguments([*line.split(), "--stable-tokens", "256", "--decay-tokens", "512", "--batch", "8"]))
    line = f"--model {out} --log {run / 'log.jsonl'} --corpus {corpus} --samples 0 --decay-books all --runs {runs}"
    main([*line.split(), "--stable-tokens", "256", "--decay-tokens", "512", "--then", "# and then\npython -m more"])
    text = (out / "README.md").read_text(encoding="utf-8")
    assert "4 windows a step (128 tokens; from 256 tokens on 8 (256))" in text
    assert "768 tokens in 4 steps" in text
    assert "--stable-tokens 256 --decay-tokens 0\n" in text
    last = "--stable-tokens 256 --decay-tokens 512 --decay-books all --batch 8\n"
    assert last + "# and then\npython -m more\npython -m training.model_card " in text


def test_durations():
    assert [duration(s) for s in (100, 3600, 6450)] == ["2 min", "1 h 0 min", "1 h 48 min"]


def test_samples_are_quoted_as_they_are():
    assert quote("“Go", "<b>*now*</b>\n# Yes\n\n1. no") == (
        "> <b>“Go</b>\\<b\\>\\*now\\*\\</b\\>\n>\n> \\# Yes\n>\n> 1\\. no"
    )
    assert escape_markdown("- a-b 3.5 it’s.") == "\\- a-b 3.5 it’s."


def test_there_are_twenty_openings_in_the_corpus_typography():
    assert len(set(OPENINGS)) == 20
    assert not any(mark in opening for opening in OPENINGS for mark in ("'", '"', "--", "..."))
    assert all(opening == opening.strip() for opening in OPENINGS)
