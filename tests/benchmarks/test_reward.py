"""What is measured is what the page asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest

from benchmarks import reward
from lab.preferences.settings import RewardSettings


def test_the_four_completions_are_those_of_the_pages_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[RewardSettings, Sequence[str]]] = []

    def written(model: object, settings: RewardSettings, adapters: Sequence[str] = ()) -> Iterator[int]:
        asked.append((settings, adapters))
        yield from range(3)

    model = SimpleNamespace(adapters={"shakespeare": None, "jeeves": None})
    models = SimpleNamespace(get=lambda name: model, close=lambda: None)
    monkeypatch.setattr(reward, "Models", lambda: models)
    monkeypatch.setattr(reward, "write_round", written)
    assert [figure.name for figure in reward.waiting(2)] == ["first_words_s", "four_completions_s"]
    assert len({settings.seed for settings, _ in asked}) == 3  # none is answered from what was kept
    for settings, adapters in asked:
        assert settings == RewardSettings(seed=settings.seed)
        assert list(adapters) == ["shakespeare", "jeeves"]
