"""A tab that is used before its model is ready waits with something to see, and then works."""

from __future__ import annotations

import threading

import pytest

from lab.errors import ModelUnavailable
from lab.text.models import LanguageModel, Models
from tabs.loading import wait_for_model


class SlowModels(Models):
    """Models whose load waits until it is let go, and then gives a model or fails."""

    def __init__(self, outcome: LanguageModel | Exception) -> None:
        super().__init__()
        self.go = threading.Event()
        self.loads = 0
        self._outcome = outcome

    def _load(self, name: str, progress) -> LanguageModel:
        self.loads += 1
        progress("Loading the weights …")
        assert self.go.wait(30)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


@pytest.fixture
def model() -> LanguageModel:
    return LanguageModel("prose-gpt2", "A model", None, None, 1, 8, 1, 1)  # type: ignore[arg-type]


def test_progress_comes_before_the_model(model: LanguageModel) -> None:
    models = SlowModels(model)
    news = wait_for_model(models, "")
    heard = [next(news), next(news)]
    assert all(isinstance(message, str) for message in heard)
    assert any("Loading the weights" in message for message in heard)
    models.go.set()
    *_, last = news
    assert last is model


def test_two_visitors_wait_for_one_load(model: LanguageModel) -> None:
    models = SlowModels(model)
    first, second = wait_for_model(models, ""), wait_for_model(models, "")
    next(first), next(second)
    models.go.set()
    assert [*first][-1] is model
    assert [*second][-1] is model
    assert models.loads == 1


def test_a_loaded_model_is_there_at_once(model: LanguageModel) -> None:
    models = SlowModels(model)
    models.go.set()
    assert [*wait_for_model(models, "")][-1] is model
    assert [*wait_for_model(models, "")] == [model]


@pytest.mark.parametrize(
    ("outcome", "message"), [(ModelUnavailable("No Hub."), "No Hub."), (MemoryError(), "could not be loaded")]
)
def test_a_failure_is_told_in_plain_words(outcome: Exception, message: str) -> None:
    models = SlowModels(outcome)
    models.go.set()
    with pytest.raises(ModelUnavailable, match=message):
        list(wait_for_model(models, ""))
