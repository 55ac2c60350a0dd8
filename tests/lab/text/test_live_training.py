"""A training runs in a process of its own, gives what the same training gives here, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2LMHeadModel

from lab.errors import TuningError
from lab.lora import CONFIG_FILE, WEIGHTS_FILE, peft_files
from lab.text import live_training, training_worker
from lab.text.line import Line
from lab.text.live_training import LiveSettings, Phase, check_rank, estimate, prepare, train
from lab.text.models import LanguageModel, load_folder
from lab.text.training_pace import MEASURED_WINDOWS
from lab.text.training_process import work
from lab.text.training_worker import Worker
from lab.text.tuning import split_tokens, tune
from lab.text.tuning_settings import Targets
from tests.lab.text.conftest import wait_until
from tests.lab.text.test_adapters import random_adapter
from tests.tiny import SENTENCES

TEXT = "\n".join(SENTENCES * 6)
SETTINGS = LiveSettings(steps=6, rank=2, batch_size=2, context=16, learning_rate=0.01)
Script = Callable[..., None]


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Iterator[LanguageModel]:
    model = load_folder(tiny_folder, "tiny", "Tiny")
    yield model
    model.engine.close()


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[Worker]:
    """The processes that are started in a test, none of which may outlive it."""
    found: list[Worker] = []
    init = Worker.__init__

    def noted(self: Worker, *arguments: Any, **more: Any) -> None:
        init(self, *arguments, **more)
        found.append(self)

    monkeypatch.setattr(Worker, "__init__", noted)
    return found


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Script:
    """Let a process that needs no libraries say what a test wants instead of training."""

    def write(*messages: tuple[dict[str, Any], bytes]) -> None:
        parts = [json.dumps(m | {"bytes": len(payload)}).encode() + b"\n" + payload for m, payload in messages]
        (tmp_path / "script").write_bytes(b"".join(parts))

    monkeypatch.setenv("SCRIPTED_TRAINING", str(tmp_path / "script"))
    monkeypatch.setattr(training_worker, "PROGRAM", "tests.lab.text.scripted_training")
    monkeypatch.setattr(live_training, "POLL", 0.05)
    return write


def step(number: int, held_out: float | None = None, adapter: Any = None) -> tuple[dict[str, Any], bytes]:
    """Return a message as a training process sends it."""
    message = {
        "kind": "step",
        "run": 0,
        "step": number,
        "steps": SETTINGS.steps,
        "training_loss": 5.0 - number / 10 if number else None,
        "held_out_loss": held_out,
        "seconds": float(number),
        "tokens": 32 * number,
    }
    if adapter is None:
        return message, b""
    files = peft_files(adapter, "", half=False)
    return message | {"config": json.loads(files[CONFIG_FILE])}, files[WEIGHTS_FILE]


def alive(worker: Worker) -> bool:
    return worker._process.poll() is None


def adapter_for(model: LanguageModel) -> Any:
    return random_adapter(model.engine.network, 2)


def test_gives_what_the_same_training_gives_here(
    model: LanguageModel, tiny_folder: Path, workers: list[Worker]
) -> None:
    line, stop = Line(), threading.Event()
    seen = list(train(model, TEXT, SETTINGS, stop, prompt="Once upon", line=line))
    last = seen[-1]
    settings = last.settings
    network = GPT2LMHeadModel.from_pretrained(tiny_folder, dtype=torch.float32)
    corpus = split_tokens(prepare(model, TEXT).tokens)
    here = list(tune(network, corpus, settings, held_out_windows=MEASURED_WINDOWS))

    assert [phase for phase in Phase if any(now.phase is phase for now in seen)] == list(Phase)[1:]
    assert last.training_losses == tuple((one.step, one.training_loss) for one in here if one.step)
    assert last.held_out_losses == tuple((one.step, one.held_out_loss) for one in here if one.held_out_loss)
    assert last.best_step == here[-1].best.step > 0
    for name, matrices in here[-1].best.adapter.matrices.items():
        for there, mine in zip(last.adapter.matrices[name], matrices, strict=True):
            assert torch.equal(there, mine)
    assert last.samples[0].step == 0 and len(last.samples) > 1
    assert not alive(workers[0]) and len(line) == 0
    assert not model.engine._adapters  # what samples were written with is gone


def test_a_diverging_training_says_so(model: LanguageModel, tiny_folder: Path) -> None:
    tokens = torch.tensor(prepare(model, TEXT).tokens, dtype=torch.int32).numpy().tobytes()
    runs = [SETTINGS.model_dump(mode="json")]
    job = {"folder": str(tiny_folder), "runs": runs, "threads": 1, "forgetting": False}
    sent: list[dict[str, Any]] = []
    original = torch.optim.AdamW.step

    def blow_up(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.fill_(float("inf"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", blow_up)
        with pytest.raises(TuningError, match="smaller learning rate"):
            work(job, tokens, lambda message, payload=b"": sent.append(message))
    assert [message["step"] for message in sent] == [0, 1]


def test_what_was_best_is_kept_when_the_process_is_killed(
    model: LanguageModel, workers: list[Worker], script: Script
) -> None:
    adapter = adapter_for(model)
    script(step(0, 5.0), step(1, 4.5, adapter), step(2, 4.7))
    line = Line()
    with closing(train(model, TEXT, SETTINGS, threading.Event(), line=line)) as training:
        for now in training:
            if now.step == 2 and alive(workers[0]):
                os.kill(workers[0].pid, signal.SIGKILL)
    assert now.phase is Phase.DONE and now.best_step == 1 and now.notes == (live_training.LOST,)
    for name, (a, _) in adapter.matrices.items():
        assert torch.equal(now.adapter.matrices[name][0], a)
    assert len(line) == 0


def test_a_process_that_dies_at_once_is_told_in_words(model: LanguageModel, script: Script) -> None:
    (Path(os.environ["SCRIPTED_TRAINING"])).write_bytes(b"this is no JSON\n")
    with pytest.raises(TuningError, match="ended from outside"):
        list(train(model, TEXT, SETTINGS, threading.Event(), line=Line()))


def test_a_failure_before_anything_was_gained_is_told(model: LanguageModel, script: Script) -> None:
    script(step(0, 5.0), ({"kind": "failed", "message": "The loss is no longer a number."}, b""))
    with pytest.raises(TuningError, match="no longer a number"):
        list(train(model, TEXT, SETTINGS, threading.Event(), line=Line()))
    script(step(0, 5.0), step(1, 5.5), ({"kind": "done"}, b""))
    with pytest.raises(TuningError, match="never fell"):
        list(train(model, TEXT, SETTINGS, threading.Event(), line=Line()))


def test_stopping_keeps_the_best(model: LanguageModel, workers: list[Worker], script: Script) -> None:
    script(step(0, 5.0), step(1, 4.5, adapter_for(model)))
    stop = threading.Event()
    for now in train(model, TEXT, SETTINGS, stop, line=Line()):
        if now.step == 1:
            stop.set()
    assert now.phase is Phase.DONE and now.best_step == 1 and not now.notes and not alive(workers[0])


def test_a_silent_process_is_ended_and_what_it_gained_stays(
    model: LanguageModel, workers: list[Worker], script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(step(0, 5.0), step(1, 4.5, adapter_for(model)))
    line = Line()
    for now in train(model, TEXT, SETTINGS, threading.Event(), line=line):
        if now.step == 1:
            monkeypatch.setattr(live_training, "SILENCE", 0.0)  # from now on the first pause is too long
    assert now.phase is Phase.DONE and now.best_step == 1 and now.notes == (live_training.STUCK,)
    assert not alive(workers[0]) and len(line) == 0


def test_nobody_trains_for_ever(
    model: LanguageModel, workers: list[Worker], script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_training, "MAX_SECONDS", 0.0)
    script(step(0, 5.0), step(1, 4.5, adapter_for(model)), step(2, 4.0, adapter_for(model)))
    with pytest.raises(TuningError, match="so that others get their turn"):
        list(train(model, TEXT, SETTINGS, threading.Event(), line=Line()))
    assert not alive(workers[0])


def test_leaving_frees_the_place_and_ends_the_process(
    model: LanguageModel, workers: list[Worker], script: Script
) -> None:
    script(step(0, 5.0))
    line = Line()
    first = train(model, TEXT, SETTINGS, threading.Event(), line=line)
    while next(first).phase is not Phase.TRAINING:
        pass
    second = train(model, TEXT, SETTINGS, threading.Event(), line=line)
    waiting = next(second)
    assert (waiting.phase, waiting.standing.ahead) == (Phase.WAITING, 1)
    assert waiting.seconds_left > waiting.standing.seconds > 0
    assert len(workers) == 1 and alive(workers[0])  # one at a time
    first.close()
    assert not alive(workers[0])
    while next(second).phase is not Phase.TRAINING:
        pass
    assert len(workers) == 2
    second.close()
    assert not alive(workers[1]) and len(line) == 0


def test_who_does_not_want_to_wait_any_more_leaves_the_line(model: LanguageModel, script: Script) -> None:
    script()
    line, stop = Line(), threading.Event()
    with line.enter(60):
        training = train(model, TEXT, SETTINGS, stop, line=line)
        next(training)
        stop.set()
        with pytest.raises(TuningError, match="before it was your turn"):
            list(training)
        assert len(line) == 1


def test_the_process_ends_when_the_app_is_dead(tiny_folder: Path) -> None:
    with Worker(tiny_folder, [1] * 400, [SETTINGS.model_dump(mode="json")], threads=1) as worker:
        wait_until(lambda: not any(t.name.startswith("feed") and t.is_alive() for t in threading.enumerate()))
        worker._process.stdin.close()  # as the system does when the app dies
        wait_until(lambda: not alive(worker))
        assert worker._process.returncode == 0


@pytest.mark.parametrize(
    ("text", "words"), [("", "no text yet"), ("Too short.", "at least 200"), ("a" * 1_000_001, "1 MB")]
)
def test_a_text_that_does_not_do_starts_nothing(
    model: LanguageModel, workers: list[Worker], text: str, words: str
) -> None:
    with pytest.raises(TuningError, match=words):
        next(train(model, text, SETTINGS, threading.Event(), line=Line()))
    assert not workers


def test_a_rank_beyond_the_layer_starts_nothing(model: LanguageModel) -> None:
    check_rank(model, LiveSettings(rank=32))
    with pytest.raises(TuningError, match="at most 32"):
        check_rank(model, LiveSettings(rank=33, targets=Targets.ATTENTION))


def test_bad_numbers_become_good_ones_with_a_note() -> None:
    settings, notes = LiveSettings.lenient({"rank": 0, "learning_rate": "nan", "steps": 10**9, "alpha": float("inf")})
    assert (settings.rank, settings.steps) == (1, live_training.MAX_STEPS)
    assert settings.learning_rate == LiveSettings.default("learning_rate") and len(notes) == 4


def test_the_estimate_grows_with_the_work(model: LanguageModel) -> None:
    times = [estimate(model, LiveSettings(steps=steps), 20_000) for steps in (10, 100, 400)]
    assert times == sorted(times) and times[0] < times[2]
