"""Rounds: the same for a whole class, as long as they may be, and free when nobody wants them any more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.errors import PromptError
from lab.preferences.rounds import PROMPTS, class_settings, write_round
from lab.preferences.settings import RewardSettings
from lab.text.models import LanguageModel
from tests.lab.text.conftest import tiny_gpt2
from tests.tiny import language_model_of, tiny_tokenizer

SETTINGS = RewardSettings(prompt="The old house", max_new_tokens=12, seed=3)


@pytest.fixture(scope="module")
def model() -> Iterator[LanguageModel]:
    tokenizer = tiny_tokenizer()
    made = language_model_of(tiny_gpt2(len(tokenizer)), tokenizer)
    yield made
    made.engine.close()


def test_completions_grow_and_end(model: LanguageModel) -> None:
    rounds = list(write_round(model, SETTINGS, interval=0.0))
    assert not rounds[0].done and rounds[-1].done
    assert all(item.completion == "" for item in rounds[0].items)
    assert [one.done for one in rounds[:-1]] == [False] * (len(rounds) - 1)
    last = rounds[-1]
    assert len({item.completion for item in last.items}) == len(last.items)
    assert {(item.model, item.adapter) for item in last.items} == {("tiny", "")}
    (again,) = write_round(model, SETTINGS)  # kept
    assert (again.items, again.key) == (last.items, last.key)
    *_, other = write_round(model, SETTINGS.model_copy(update={"seed": 4}))
    assert other.key != last.key


def test_a_class_gets_the_same_and_another_class_does_not() -> None:
    mine, again, next_one, theirs = (
        class_settings(code, number) for code, number in (("7b", 1), ("7b", 1), ("7b", 2), ("8a", 1))
    )
    assert mine == again
    assert mine.prompt in PROMPTS
    assert len({one.seed for one in (mine, next_one, theirs)}) == 3
    assert {class_settings("7b", number).prompt for number in range(1, len(PROMPTS) + 1)} == set(PROMPTS)


def test_what_comes_out_twice_is_left_out(model: LanguageModel) -> None:
    cold = SETTINGS.model_copy(update={"temperature": 0.1, "top_p": 0.05})  # the most probable token, always
    *_, found = write_round(model, cold, interval=0.0)
    assert len(found.items) == 1
    assert found.notes == ("3 came out empty or the same as another, and were left out.",)


def test_nothing_to_continue(model: LanguageModel) -> None:
    with pytest.raises(PromptError, match="empty"):
        list(write_round(model, SETTINGS.model_copy(update={"prompt": " \n"})))


def test_leaving_frees_the_rows(model: LanguageModel) -> None:
    running = write_round(model, SETTINGS.model_copy(update={"seed": 99, "max_new_tokens": 40}), interval=0.0)
    next(running)
    next(running)
    running.close()
    *_, found = write_round(model, SETTINGS.model_copy(update={"seed": 98}), interval=0.0)
    assert found.done
    assert model.engine.load[1] == 0


def test_texts_too_long_are_cut_with_a_note() -> None:
    settings, notes = RewardSettings.lenient({"prompt": "a" * 99_999 + "z", "text": "b" * 100_000, "completions": 1})
    assert settings.prompt.endswith("z") and len(settings.prompt) == 4000
    assert settings.text == "b" * 4000
    assert settings.completions == 4
    assert len(notes) == 3
    assert "100,000 characters" in notes[0]


@pytest.mark.parametrize("name", ["text", "attempt"])
def test_of_a_very_long_text_the_beginning_is_read_and_all_that_was_changed_is_told(name: str) -> None:
    written = "".join(f"{number:06d}" for number in range(5000))  # 30,000 characters, and it is told which
    settings, (note,) = RewardSettings.lenient({name: written})
    assert getattr(settings, name) == written[:4000]
    assert note == f"The {name} has 30,000 characters; its first 4,000 are read."
    settings, (note,) = RewardSettings.lenient({name: "\0" + written})
    assert getattr(settings, name) == written[:3999]
    assert "30,001 characters" in note and "were taken out" in note
    settings, (note,) = RewardSettings.lenient({"prompt": written + "\ud800"})
    assert settings.prompt == written[-3999:]
    assert "last 4,000" in note and "were taken out" in note
