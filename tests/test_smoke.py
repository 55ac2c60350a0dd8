"""What ships works: the model in assets/, the examples of the page, and nothing in the repository that must not be."""

from __future__ import annotations

import json
import pickletools
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from lab.source import ROOT
from lab.text.decoding import DecodingSettings
from lab.text.models import ASSETS, BUILT_IN, LanguageModel, load_folder
from tabs.decoding.examples import EXAMPLES

pytestmark = pytest.mark.smoke

SHIPPED = ASSETS / BUILT_IN
SHARD_LIMIT = 9_000_000  # a Space takes no larger file without LFS
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy")
# Written for this test, so that no book the model was trained on holds it.
PARAGRAPH = (
    "The morning was cold, and there was nobody in the street. He walked slowly along the river with his hands in his "
    "pockets, and thought about the letter which had come the day before. It was not a long letter, but he had read "
    "it so many times that he knew every word of it. When he came to the bridge he stopped, looked down into the dark "
    "water, and asked himself what he was going to say to her."
)


@pytest.fixture(scope="module")
def shipped() -> Iterator[LanguageModel]:
    import torch

    torch.set_num_threads(1)
    model = load_folder(SHIPPED, BUILT_IN, "The one that ships")
    yield model
    model.engine.close()


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    if listed.returncode:
        pytest.skip("this is no git repository")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_the_shipped_model_writes_what_generate_writes(shipped: LanguageModel) -> None:
    import torch
    from transformers import GPT2LMHeadModel

    from lab.text.rows import Finished, Row

    network = GPT2LMHeadModel.from_pretrained(SHIPPED, dtype=torch.float32)
    prompt = shipped.vocabulary.encode("It was a dark night, and the")
    (finished,) = (e for e in shipped.engine.submit([Row(prompt, max_new_tokens=20)]) if isinstance(e, Finished))
    written = [token.id for token in finished.tokens]
    expected = network.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt)),
        max_new_tokens=20,
        do_sample=False,
        pad_token_id=shipped.vocabulary.end_of_text,
    )[0, len(prompt) :].tolist()
    assert written == expected
    assert len(written) == 20
    assert "�" not in shipped.vocabulary.text(written)


def perplexity(model: LanguageModel, text: str) -> float:
    from lab.text.measures import measure
    from lab.text.playing import score

    start, *rest = model.vocabulary.encode(text)
    return measure(score(model, [start], rest), seconds=1.0).perplexity


def test_the_shipped_model_knows_english(shipped: LanguageModel) -> None:
    words = PARAGRAPH.split()
    random.Random(0).shuffle(words)
    plain, shuffled = perplexity(shipped, PARAGRAPH), perplexity(shipped, " ".join(words))
    assert plain < shuffled / 3
    assert plain < len(shipped.vocabulary) / 20


def test_the_shipped_tokenizer_and_model_fit(shipped: LanguageModel) -> None:
    assert len(shipped.vocabulary) == shipped.engine.vocabulary_size
    for text in (PARAGRAPH, "Ärger, “naïve” — 😀 שלום"):
        assert shipped.vocabulary.text(shipped.vocabulary.encode(text)) == text
    assert len(shipped.vocabulary.encode(PARAGRAPH)) < 1.5 * len(PARAGRAPH.split())


def test_the_shards_are_small_and_complete() -> None:
    index = json.loads((SHIPPED / "model.safetensors.index.json").read_text(encoding="utf-8"))
    shards = {path.name for path in SHIPPED.glob("*.safetensors")}
    assert shards == set(index["weight_map"].values())
    for shard in shards:
        assert (SHIPPED / shard).stat().st_size < SHARD_LIMIT


def test_no_file_of_the_repository_is_too_large_for_a_space() -> None:
    for path in tracked_files():
        assert path.stat().st_size < SHARD_LIMIT, path


def is_pickle(path: Path) -> bool:
    """Return whether a file is a pickle (or an archive of torch, which holds one), whatever it is called."""
    with path.open("rb") as file:
        start = file.read(2)
        if start[:1] != b"\x80":
            return start == b"PK" and path.suffix not in (".zip", ".mxl", ".whl")
        file.seek(0)
        try:
            list(pickletools.genops(file))
        except ValueError:
            return False
    return True


def test_no_pickle_is_in_the_repository() -> None:
    """Unpickling runs code: a checkpoint in this form is a programme that nobody has read."""
    for path in tracked_files():
        assert path.suffix not in PICKLES, path
        assert not is_pickle(path), path


def test_is_pickle(tmp_path: Path) -> None:
    import pickle

    import torch

    made = tmp_path / "made.safetensors"
    for content, expected in (
        (pickle.dumps({"a": 1}), True),
        (b"\x80\x04 no pickle", False),
        (b"{}", False),
        (b"", False),
    ):
        made.write_bytes(content)
        assert is_pickle(made) is expected
    torch.save({"a": torch.zeros(1)}, made)
    assert is_pickle(made)


@pytest.mark.parametrize(("title", "settings"), EXAMPLES, ids=lambda part: part if isinstance(part, str) else "")
def test_examples_are_links_that_read_back_without_a_note(title: str, settings: DecodingSettings) -> None:
    again, notes = DecodingSettings.lenient(dict(parse_qsl(settings.to_query(), keep_blank_values=True)))
    assert notes == []
    assert again == settings
    assert title


def test_examples_fit_into_the_shipped_model(shipped: LanguageModel) -> None:
    for _, settings in (("what the page opens with", DecodingSettings()), *EXAMPLES):
        _, notes = shipped.vocabulary.encode_prompt(settings.prompt, shipped.context - settings.max_new_tokens)
        assert notes == []
