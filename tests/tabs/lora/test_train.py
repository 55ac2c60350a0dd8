"""Train your own and compare the ways, as Gradio calls them; the training process says what a test wants."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from lab.lora import CONFIG_FILE, WEIGHTS_FILE, Adapter, peft_files
from lab.text import live_training, training_worker
from lab.text.live_training import LiveSettings, Phase, Snapshot, the_line
from lab.text.live_ways import LEARNING_RATES, WAYS, WaysSettings, measured_rates
from lab.text.models import LanguageModel, Models
from lab.text.training_samples import Sample
from lab.text.tuning_settings import Method
from tabs.lora.render import ways as render_ways
from tabs.lora.render.train import duration, loss_plot, loss_table, ordinal, own_html, samples_html, state_of
from tabs.lora.stopping import Stop
from tabs.lora.train import NAMES, TrainPanel
from tabs.lora.ways import WaysPanel
from tabs.page import Services
from tabs.runs import Runs
from tests.tabs.pages import Page
from tests.tiny import SENTENCES

TEXT = "\n".join(SENTENCES * 6)
NUMBERS = [2, 4.0, "all", 6, 0.01]
ME, YOU = (SimpleNamespace(session_hash=name) for name in ("me", "you"))
Say = Callable[..., None]


@pytest.fixture(scope="module")
def models(tiny_folder: Path) -> Iterator[Models]:
    models = Models(str(tiny_folder))
    models.get(models.default)
    yield models
    models.close()


@pytest.fixture
def model(models: Models) -> LanguageModel:
    return models.get(models.default)


@pytest.fixture
def adapter(model: LanguageModel) -> Adapter:
    from tests.lab.text.test_adapters import random_adapter

    return random_adapter(model.engine.network, 2)


@pytest.fixture
def panel(models: Models) -> TrainPanel:
    with gr.Blocks(analytics_enabled=False):
        panel = TrainPanel(Services(models))
        panel.wire(SimpleNamespace(simple={"model": gr.Textbox("")}))
    return panel


@pytest.fixture
def ways(models: Models) -> WaysPanel:
    with gr.Blocks(analytics_enabled=False):
        panel = WaysPanel(Services(models))
        panel.wire(SimpleNamespace(simple={"model": gr.Textbox("")}))
    return panel


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Say:
    def write(*messages: dict[str, Any]) -> None:
        parts = []
        for message in messages:
            payload = message.pop("payload", b"")
            parts.append(json.dumps(message | {"bytes": len(payload)}).encode() + b"\n" + payload)
        (tmp_path / "script").write_bytes(b"".join(parts))

    monkeypatch.setenv("SCRIPTED_TRAINING", str(tmp_path / "script"))
    monkeypatch.setattr(training_worker, "PROGRAM", "tests.lab.text.scripted_training")
    monkeypatch.setattr(live_training, "POLL", 0.05)
    return write


def step(number: int, held_out: float | None = None, run: int = 0, adapter: Adapter | None = None) -> dict[str, Any]:
    found = {
        "kind": "step",
        "run": run,
        "step": number,
        "steps": 6,
        "training_loss": 5.0 if number else None,
        "held_out_loss": held_out,
        "seconds": 0.5 * number,
        "tokens": 9,
    }
    if adapter is not None:
        files = peft_files(adapter, "", half=False)
        found |= {"config": json.loads(files[CONFIG_FILE]), "payload": files[WEIGHTS_FILE]}
    return found


def start(panel: TrainPanel, request: Any, text: str = TEXT, title: str = "Mine", stop: Stop | None = None) -> Any:
    return panel.start(request, text, title, "Once upon", "", *NUMBERS, Runs(), stop or Stop())


DONE = {"kind": "done"}


def test_what_was_trained_is_the_visitors_own(
    panel: TrainPanel, say: Say, adapter: Adapter, model: LanguageModel
) -> None:
    say(step(0, 5.0), step(1, 4.5, adapter=adapter), step(6, 4.8), DONE)
    updates = list(start(panel, ME, title="  <b>Mine</b> "))
    last = updates[-1]
    assert "5.00 → 4.50 nats per token (−0.50)" in last[0] and "after step 1" in last[0]
    assert [row[0] for row in last[3]] == ["0", "1", "6"]
    ((name, title),) = last[5]
    assert title == "<b>Mine</b>" and "&lt;b&gt;Mine" in last[6] and model.engine.adapter(name) is not None

    file, words = panel._own._make(ME, name)
    assert "Saved as b-mine-b-lora.zip" in words
    packed = base64.b64decode(json.loads(file)["data"])
    assert set(zipfile.ZipFile(io.BytesIO(packed)).namelist()) == {"README.md", CONFIG_FILE, WEIGHTS_FILE}
    assert panel._own._make(YOU, name)[0] == ""  # not even with its name

    again = list(panel._own._read(ME, packed, ""))[-1]
    assert "is read: rank 3" in again[0] and len(again[1]) == 2
    assert [title for _, title in again[1]] == ["<b>Mine</b>", "<b>Mine</b>"]

    panel._own._leave(ME)
    assert "Saved as" in panel._own._make(ME, name)[1]  # a locked phone that is back
    panel._own._kept._grace = 0
    panel._own._leave(ME)
    assert model.engine.adapter(name) is None and not model.engine._adapters
    assert panel._own.shown("me")[0] == ()
    say(step(0, 5.0), step(1, 4.5, adapter=adapter), DONE)
    assert "connection was lost" in list(start(panel, ME))[-1][0]  # it came too late
    assert not model.engine._adapters and len(the_line()) == 0


@pytest.mark.parametrize(
    ("text", "words"), [("", "no text yet"), ("Short.", "at least 200 are needed"), ("é" * 600_000, "at most 1 MB")]
)
def test_bad_texts_are_told_and_nothing_else_changes(panel: TrainPanel, text: str, words: str) -> None:
    last = list(start(panel, ME, text))[-1]
    assert words in last[0] and 'role="alert"' in last[0]
    assert last[1:] == [gr.skip()] * (len(last) - 1)
    assert len(the_line()) == 0


def test_two_at_once_stand_in_line(panel: TrainPanel, say: Say) -> None:
    say(step(0, 5.0))
    mine, stop = start(panel, ME), Stop()
    while "Step 0 of 6" not in next(mine)[0]:
        pass
    yours = start(panel, YOU, stop=stop)
    while "You are 2nd in the line" not in (shown := next(yours)[0]):
        pass
    assert "1 before you" in shown
    mine.close()  # the page is closed
    while "Step 0 of 6" not in next(yours)[0]:
        pass
    stop.wish()
    assert "there is no adapter yet" in list(yours)[-1][0]
    assert len(the_line()) == 0


def test_a_newer_run_takes_the_place_of_the_older(panel: TrainPanel, say: Say) -> None:
    say(step(0, 5.0))
    runs = Runs()
    values = [TEXT, "Mine", "", "", *NUMBERS, runs]
    first = panel.start(ME, *values, Stop())
    while "Step 0 of 6" not in next(first)[0]:
        pass
    second = panel.start(ME, *values, Stop())
    runs._newest.over.set()  # it does not wait for what this thread has yet to do
    next(second)
    assert list(first) == [[gr.skip()] * 9]
    while "Step 0 of 6" not in next(second)[0]:
        pass
    second.close()
    assert len(the_line()) == 0


def test_strange_numbers_are_noted(panel: TrainPanel) -> None:
    (shown,) = next(panel.run("", 0, float("nan"), "everything", 10**9, "fast"))
    assert shown.count("<li>") == 5 and "400 steps" in shown
    assert panel.restore({}) == ([gr.skip()] * len(NAMES), [])
    query = panel._query("", 8, 16, "mlp", 30, 0.01)
    assert query.startswith("view=train&") and "rank=8" in query and "seed" not in query
    numbers, notes = panel.restore({"rank": "8", "targets": "mlp", "steps": "nan"})
    assert numbers == [8, 8.0, "mlp", 60, 0.003]
    assert len(notes) == 1 and notes[0].startswith("steps: nan is not possible")


@pytest.mark.parametrize(
    ("data", "words"), [(b"PKxxxx", "damaged"), (b"\x80\x04.", "no zip"), (bytes(25_000_000), "too large")]
)
def test_bad_uploads_are_told(panel: TrainPanel, data: bytes, words: str) -> None:
    last = list(panel._own._read(ME, data, ""))[-1]
    assert words in last[0] and last[1:] == [gr.skip()] * 4


def finished(run: int, forgetting: float) -> dict[str, Any]:
    return {
        "kind": "finished",
        "run": run,
        "parameters": 1000 * (run + 1),
        "seconds": 2.0,
        "best_step": 6,
        "held_out_before": 5.0,
        "held_out_loss": 4.0 + run,
        "forgetting": forgetting,
        "file_bytes": 2000,
    }


def test_ways_are_compared_through_the_same_line(ways: WaysPanel, say: Say) -> None:
    say(step(0, 5.0), step(6, 4.0), finished(0, 0.3), step(0, 5.0, 1), step(6, 4.5, 1), finished(1, 0.1), DONE)
    updates = list(ways.start(TEXT, "", ["lora-4", "prompt"], 6, Runs(), Stop()))
    last = updates[-1]
    assert "Done: 2 of 2 ways" in last[0]
    rows = next(update[2] for update in reversed(updates) if update[2] != gr.skip())["value"]
    assert rows[0][0] == "LoRA, r = 4" and rows[0][-2:] == ["5.000 → 4.000", "0.300"]
    assert "No way is chosen" in list(ways.start(TEXT, "", [], 6, Runs(), Stop()))[-1][0]
    assert len(the_line()) == 0


def test_every_way_can_be_trained(model: LanguageModel, tiny_folder: Path) -> None:
    """What the process says of each way, without the process."""
    from lab.text.live_training import prepare
    from lab.text.live_ways import settings_of
    from lab.text.training_process import work

    runs = [settings_of(way, 1, model).model_dump(mode="json") for way in WAYS.values()]
    tokens = array("i", prepare(model, TEXT).tokens).tobytes()
    sent: list[dict[str, Any]] = []
    job = {"folder": str(tiny_folder), "runs": runs, "threads": 1, "forgetting": True}
    work(job, tokens, lambda message, payload=b"": sent.append(message))
    ends = [message for message in sent if message["kind"] == "finished"]
    assert [end["run"] for end in ends] == list(range(len(WAYS)))
    numbers = dict(zip(WAYS, (end["parameters"] for end in ends), strict=True))
    assert numbers["full"] == model.parameters and numbers["lora-16"] == 16 * numbers["lora-1"]
    assert numbers["prompt"] == 16 * model.width
    assert all(end["file_bytes"] >= 2 * end["parameters"] for end in ends)
    assert ends[0]["forgetting"] != 0
    assert len({end["held_out_before"] for end in ends}) == 1  # of the base, also where vectors are put in front of it
    first = [message["held_out_loss"] for message in sent if message["kind"] == "step" and message["step"] == 0]
    assert {name for name, loss in zip(WAYS, first, strict=True) if loss != ends[0]["held_out_before"]} == {"prompt"}


def test_the_tables_and_plots_of_ways() -> None:
    runs = [
        {
            "method": method,
            "rank": rank,
            "learning_rate": 0.01,
            "trainable_parameters": 10 ** (n + 2),
            "share": 0.001,
            "processor_seconds": 9.6,
            "memory_bytes": 3e8,
            "file_bytes": 5000,
            "style_loss": 4.0,
            "prose_loss": 4.5,
        }
        for n, (method, rank) in enumerate([("prompt", None), ("lora", 1), ("lora", 8), ("full", None)])
    ]
    base = {"name": "tiny", "parameters": 10**6, "style_loss": 5.0, "prose_loss": 4.2}
    table = {"base": base, "runs": runs, "steps": 9, "batch_size": 4, "context": 240, "threads": 1}
    points = render_ways.measured_points(table)
    assert [(round(p.gain, 3), round(p.forgetting, 3)) for p in points] == [(1.0, 0.3)] * 4
    figure = render_ways.ways_plot(points)
    assert figure.layout.xaxis.type == "log"
    assert sorted(t for trace in figure.data if "text" in trace.mode for t in trace.text) == [
        "full",
        "prompt",
        "r=1",
        "r=8",
    ]
    rows = render_ways.ways_table(table)
    assert len(rows) == 5 and rows[2] == ["LoRA, r = 1", "1,000", "0.100%", "10", "300 MB", "5.0 kB", "4.000", "4.500"]
    assert "9 steps of 4 × 240" in render_ways.words_on(table)
    assert measured_rates("no such model") == LEARNING_RATES
    assert [way.name for way in WaysSettings(ways="prompt, full,nothing").chosen] == ["full", "prompt"]
    assert WaysSettings().chosen[0].method is Method.LAST_BLOCK


def test_what_a_training_shows() -> None:
    now = Snapshot(
        Phase.TRAINING,
        LiveSettings(steps=10),
        seconds_left=95.0,
        training_losses=((1, 5.0), (2, 4.0), (3, 6.0)),
        held_out_losses=((0, 5.0), (2, 4.5)),
        samples=(Sample(0, "<i>base"), Sample(2, " new")),
    )
    shown = Page(state_of(now))
    ((bar, _),), ((_, status),) = shown.find("progress"), shown.find("p", role="status")
    assert status == "Training … Step 3 of 10, about 2 minutes to go."
    ((_, changing),) = shown.find("span", **{"aria-hidden": "true"})
    assert status.removesuffix(changing) == "Training …"  # all that is read out with every step
    assert changing.strip() == bar["aria-valuetext"]  # for who asks
    assert loss_table(now) == [["0", "–", "5.000", "+0.000"], ["2", "4.500", "4.500", "−0.500"]]
    assert [len(trace.x) for trace in loss_plot(now).data] == [3, 2, 2]
    shown = samples_html(now, "<p>")
    assert "&lt;i&gt;base" in shown and "<p>" not in shown and shown.index("After step 2") < shown.index("Base")
    assert "None yet" in own_html(()) and "sd-empty" in samples_html(None, "")
    assert [ordinal(n) for n in (1, 2, 3, 4, 12, 21)] == ["1st", "2nd", "3rd", "4th", "12th", "21st"]
    assert [duration(s) for s in (3, 44, 55, 200)] == [
        "a few seconds",
        "about 40 seconds",
        "about 1 minute",
        "about 3 minutes",
    ]
