"""The log of a run: written, cleaned, thinned."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from training.run_log import RunLog, batch_sizes, estimate_schedule, evenly, read_log, thin, write_lines


def test_a_line_holds_the_mean_since_the_line_before(tmp_path: Path):
    progress = {"step": 0, "tokens": 0, "seconds": 100.0}
    log = RunLog(tmp_path / "log.jsonl", progress)
    for losses in ([4.0, 2.0], [1.0]):
        for loss in losses:
            progress |= {"step": progress["step"] + 1, "tokens": progress["tokens"] + 50}
            log.add(loss)
        log.write(learning_rate_factor=0.123456)
    log.write()  # nothing happened since
    log.write(held_out_tokens=7)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line.get("training_nats_per_token") for line in lines] == [3.0, 1.0, None]
    assert [line["tokens"] for line in lines] == [100, 150, 150]
    assert lines[0]["learning_rate_factor"] == 0.1235
    assert lines[0]["tokens_per_second"] > 0
    assert lines[2].keys() == {"step", "tokens", "seconds", "held_out_tokens"}
    assert 100 < progress["seconds"] < 160


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path, loss: float):
    with pytest.raises(FloatingPointError, match="step 3"):
        RunLog(tmp_path / "log.jsonl", {"step": 3, "tokens": 0, "seconds": 0.0}).add(loss)


def test_reading_leaves_out_what_a_killed_run_repeated(tmp_path: Path):
    steps = [(20, "a"), (40, "a"), (60, "a"), (40, "b"), (60, "b"), (80, "b"), (80, "c"), (50, "d"), (70, "d")]
    write_lines([{"step": step, "by": by} for step, by in steps], tmp_path / "log.jsonl")
    assert [(line["step"], line["by"]) for line in read_log(tmp_path / "log.jsonl")] == [
        (20, "a"),
        (40, "b"),
        (50, "d"),
        (70, "d"),
    ]


def test_figures_of_one_step_are_one_line_without_empty_means(tmp_path: Path):
    first = {"step": 5, "seconds": 1.0, "training_nats_per_token": 3.0, "tokens_per_second": 9}
    second = {"step": 5, "seconds": 2.0, "training_nats_per_token": 0.0, "tokens_per_second": 0, "held_out_tokens": 4}
    write_lines([first, second], tmp_path / "log.jsonl")
    assert read_log(tmp_path / "log.jsonl") == [{**first, "seconds": 2.0, "held_out_tokens": 4}]


def test_an_empty_log_is_an_error(tmp_path: Path):
    (tmp_path / "log.jsonl").touch()
    with pytest.raises(ValueError, match="no lines"):
        read_log(tmp_path / "log.jsonl")


def made_lines(count: int, stable: int, decay: int, per_step: int = 4096) -> list[dict]:
    """Return the lines of a run that logs every 20 steps and evaluates every 200."""
    lines = []
    for step in range(20, count + 1, 20):
        before = (step - 1) * per_step
        factor = round(min(step / 50, 1, 1 - (before - stable) / decay), 4)
        line = {"step": step, "tokens": step * per_step, "learning_rate_factor": factor}
        lines.append(line | ({"held_out_nats_per_token": 3.0} if step % 200 == 0 else {}))
    return lines


def test_thinning_keeps_the_ends_and_the_evaluations_and_is_even():
    lines = made_lines(8000, stable=20_000_000, decay=20_000_000)
    thinned = thin(lines, 100)
    steps = [line["step"] for line in thinned]
    assert len(thinned) == 100
    assert steps == sorted(steps)
    assert steps[0] == 20
    assert steps[-1] == 8000
    assert set(range(200, 8001, 200)) <= set(steps)
    assert max(b - a for a, b in itertools.pairwise(steps)) <= 200
    assert thin(lines[:30], 100) == lines[:30]
    assert len(thin([{**line, "held_out_nats_per_token": 1.0} for line in lines], 100)) == 100


def test_evenly_spread_from_first_to_last():
    assert evenly(list(range(11)), 3) == [0, 5, 10]
    assert evenly([1, 2], 3) == [1, 2]


@pytest.mark.parametrize(("stable", "decay"), [(12_000_000, 6_000_000), (2_500_000, 1_500_000)])
def test_the_schedule_is_read_from_the_log(stable: int, decay: int):
    steps = -(-(stable + decay) // 4096)
    lines = [*made_lines(steps, stable, decay), {"step": steps, "tokens": steps * 4096}]
    assert estimate_schedule(lines) == (stable, decay)
    with pytest.raises(ValueError, match="no line in the decay"):
        estimate_schedule(lines[:20])


def test_batches_may_grow():
    lines = [{"step": step, "tokens": tokens} for step, tokens in ((2, 8), (4, 16), (4, 16), (5, 24), (7, 40))]
    assert batch_sizes(lines) == [(0, 4), (16, 8)]
    assert batch_sizes(lines[:2]) == [(0, 4)]
    assert batch_sizes([{"step": 3, "tokens": 16}, {"step": 4, "tokens": 24}]) == [(16, 8)]  # 16 in 3 steps: of both
