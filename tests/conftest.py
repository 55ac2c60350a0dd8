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


# Files that take longest, the longest first. Each process has an app and a browser of its own for those in tests/e2e.
LONGEST = [f"tests/e2e/test_{name}.py" for name in ("injection", "decoding", "embeddings", "shell", "leaving")]


def share_of(nodeid: str) -> str:
    """Return what must stay in one process where tests run in several: what shares an app, else a file."""
    return "tests/tabs" if nodeid.startswith("tests/tabs/") else nodeid.partition("::")[0]


def place_of(share: str) -> int:
    """Return when a share's turn is: lower is earlier."""
    if share in LONGEST:
        return LONGEST.index(share)
    return len(LONGEST) + (0 if share.startswith("tests/e2e/") else 1 if share == "tests/tabs" else 2)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Let the processes take whole shares of the tests."""
    from xdist.scheduler import LoadScopeScheduling

    class Shares(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return share_of(nodeid)

    return Shares(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest shares go first, so that no process ends long after the others."""
    items.sort(key=lambda item: place_of(share_of(item.nodeid)))


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
