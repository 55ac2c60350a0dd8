"""GPT-2 from the Hub: out of the cache if it is whole there, else downloaded, and clear words if neither can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

from lab.errors import ModelUnavailable
from lab.text.models import BUILT_IN, GPT2, Models
from tests.lab.text.conftest import CONTEXT


class Hub:
    """Stands in for ``snapshot_download``: a cache that may hold a folder, and a Hub that answers or fails."""

    def __init__(self, cached: Path | None = None, answer: Path | Exception | None = None) -> None:
        self.cached, self.answer = cached, answer
        self.asked: list[bool] = []  # whether the cache alone was asked

    def __call__(
        self, repo_id: str, *, local_files_only: bool = False, tqdm_class: type | None = None, **rest: object
    ) -> str:
        self.asked.append(local_files_only)
        assert repo_id == GPT2
        assert "*.safetensors" in rest["allow_patterns"]
        assert not any(pattern.endswith((".bin", ".pt", ".py", "*")) for pattern in rest["allow_patterns"])
        if local_files_only:
            if self.cached is None:
                raise LocalEntryNotFoundError("not in the cache")
            return str(self.cached)
        if isinstance(self.answer, Exception):
            raise self.answer
        bar = tqdm_class(total=0, initial=0, unit="B", unit_scale=True, desc="Downloading bytes", mininterval=0)
        bar.total = 548_000_000
        for _ in range(4):
            bar.update(137_000_000)
        bar.close()
        tqdm_class(range(3), total=3, desc="Fetching 3 files").close()
        return str(self.answer)


def response_error(kind: type[Exception]) -> Exception:
    """Return an error of the Hub's client without the response that its constructor wants."""
    error = kind.__new__(kind)
    error.args = ("an answer of the Hub",)
    return error


class TransportError(Exception):
    """Stands for the errors of the HTTP library, which is the client's own business and has changed before."""


@pytest.mark.parametrize(
    "failure",
    [
        LocalEntryNotFoundError("offline"),
        ConnectionError("no route"),
        TimeoutError(),
        OSError("disk full"),
        ValueError(),
        TransportError("proxy"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_without_cache_and_hub_there_is_a_message_and_the_built_in_model_goes_on(
    make_models: Callable[..., Models], monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    hub = Hub(answer=failure)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    made = make_models()
    messages: list[str] = []
    with pytest.raises(ModelUnavailable) as error:
        made.get(GPT2, messages.append)
    assert str(error.value) == (
        "openai-community/gpt2 is not on this machine, and the Hub cannot be reached from here. "
        "The built-in model goes on working."
    )
    assert hub.asked == [True, False]
    assert messages == ["Waiting for the model …", "Asking the Hub for openai-community/gpt2 …"]
    assert made.get(BUILT_IN).context == CONTEXT
    with pytest.raises(ModelUnavailable):
        made.get(GPT2)
    assert hub.asked == [True, False] * 2  # a later choice asks again


def test_a_name_that_the_hub_does_not_know(make_models: Callable[..., Models], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", Hub(answer=response_error(RepositoryNotFoundError)))
    with pytest.raises(ModelUnavailable, match="The Hub has no model named openai-community/gpt2"):
        make_models().get(GPT2)


def test_a_cached_model_is_loaded_without_asking_the_hub(
    make_models: Callable[..., Models], monkeypatch: pytest.MonkeyPatch, tiny_folder: Path
) -> None:
    hub = Hub(cached=tiny_folder)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    messages: list[str] = []
    loaded = make_models().get(GPT2, messages.append)
    assert hub.asked == [True]
    assert (loaded.name, loaded.title, loaded.context) == (GPT2, "GPT-2 124M, from the Hub", CONTEXT)
    assert messages == ["Waiting for the model …", "Loading GPT-2 124M, from the Hub …"]


@pytest.mark.parametrize("missing", ["tokenizer.json", "model.safetensors"])
def test_a_cache_that_is_not_complete_is_filled_up(
    make_models: Callable[..., Models], monkeypatch: pytest.MonkeyPatch, tiny_folder: Path, folder: Path, missing: str
) -> None:
    (folder / missing).unlink()
    hub = Hub(cached=folder, answer=tiny_folder)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    assert make_models().get(GPT2).context == CONTEXT
    assert hub.asked == [True, False]


def test_a_download_reports_what_has_come(
    make_models: Callable[..., Models],
    monkeypatch: pytest.MonkeyPatch,
    tiny_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", Hub(answer=tiny_folder))
    messages: list[str] = []
    loaded = make_models().get(GPT2, messages.append)
    assert loaded.name == GPT2
    assert messages[:2] == ["Waiting for the model …", "Asking the Hub for openai-community/gpt2 …"]
    assert messages[-1] == "Loading GPT-2 124M, from the Hub …"
    downloading = messages[2:-1]
    assert all(message.startswith("Downloading: ") for message in downloading)
    assert "Downloading: 548 of 548 MB …" in downloading
    assert "Fetching" not in capsys.readouterr().err  # the terminal belongs to whoever runs the app
