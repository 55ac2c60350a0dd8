"""A tiny language model for all tests that need one. What is heavy is imported where it is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

    from lab.text.models import LanguageModel
    from lab.text.vocabulary import Vocabulary


@pytest.hookimpl(tryfirst=True)  # before what shares them out reads the mark
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what must stay in one process where tests run in several: all that shares an app or a browser, else a file.

    The longest go first, so that no process ends long after the others.
    """
    order = {"browser": 0, "server": 1}

    def group(item: pytest.Item) -> str:
        if "browser" in getattr(item, "fixturenames", ()) or "chromium" in getattr(item, "fixturenames", ()):
            return "browser"
        return "server" if "server" in getattr(item, "fixturenames", ()) else item.path.stem

    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=lambda item: order.get(group(item), 2))


@pytest.fixture(scope="session")
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    from tests.tiny import tiny_tokenizer

    return tiny_tokenizer()


@pytest.fixture(scope="session")
def vocabulary(tiny_tokenizer: PreTrainedTokenizerFast) -> Vocabulary:
    from lab.text.vocabulary import Vocabulary

    return Vocabulary(tiny_tokenizer)


@pytest.fixture(scope="session")
def network(tiny_tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    """The weights inside :func:`language_model`, for computing by another way what it says."""
    import torch

    from tests.lab.text.conftest import tiny_gpt2
    from tests.tiny import SPREAD

    torch.set_num_threads(1)
    return tiny_gpt2(len(tiny_tokenizer), spread=SPREAD)


@pytest.fixture(scope="session")
def language_model(network: GPT2LMHeadModel, tiny_tokenizer: PreTrainedTokenizerFast) -> Iterator[LanguageModel]:
    """A language model in double precision, so that "equal" does not hang on the last digit of a sum."""
    from tests.tiny import language_model_of

    model = language_model_of(network, tiny_tokenizer)
    yield model
    model.engine.close()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny GPT-2 and its tokenizer. Tests that change it copy it first."""
    import torch

    from tests.tiny import save_tiny

    torch.set_num_threads(1)
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny-gpt2")
