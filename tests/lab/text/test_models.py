"""Loading models: only GPT-2s from safetensors come in, and whatever goes wrong is told in words fit for visitors."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2LMHeadModel

from lab.errors import ModelUnavailable
from lab.text import models
from lab.text.models import BUILT_IN, GPT2, LanguageModel, Models, load_folder
from lab.text.rows import Finished, Row
from tests.lab.text.conftest import CONTEXT, PATIENCE, reference
from tests.tiny import rewrite_json, save_tiny


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks the Hub; those about it put an answer in place of this one."""

    def unexpected(**arguments: object) -> str:
        raise AssertionError(f"the Hub was asked for {arguments}")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unexpected)


def test_a_folder_is_loaded_and_writes_what_generate_writes(tiny_folder: Path) -> None:
    loaded = load_folder(tiny_folder, "tiny", "A tiny one")
    try:
        network = GPT2LMHeadModel.from_pretrained(tiny_folder)
        assert (loaded.name, loaded.title) == ("tiny", "A tiny one")
        assert (loaded.context, loaded.layers, loaded.width) == (CONTEXT, 2, 32)
        assert loaded.parameters == network.num_parameters()  # a tied one counted once
        prompt = loaded.vocabulary.encode("The old house")
        row = Row(prompt, max_new_tokens=8)
        (finished,) = (event for event in loaded.engine.submit([row]) if isinstance(event, Finished))
        assert [token.id for token in finished.tokens] == reference(network, row)
    finally:
        loaded.engine.close()


def refusal(folder: Path) -> str:
    """Return the words in which a folder is refused; they must name no place of the machine."""
    with pytest.raises(ModelUnavailable) as error:
        load_folder(folder, "mine", "My model")
    message = str(error.value)
    assert str(folder.parent) not in message
    return message


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "pickled", safetensors=False)
    assert (folder / "pytorch_model.bin").exists()
    assert "could not be loaded" in refusal(folder)


class Bomb:
    """Leaves a trace if it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def test_a_pickle_with_code_in_it_does_not_run(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "pickled", safetensors=False)
    torch.save({"transformer.wte.weight": Bomb(tmp_path / "trace")}, folder / "pytorch_model.bin")
    refusal(folder)
    assert not (tmp_path / "trace").exists()


def test_another_architecture_is_refused(folder: Path) -> None:
    rewrite_json(folder / "config.json", model_type="llama", architectures=["LlamaForCausalLM"])
    assert refusal(folder) == "mine is a llama model; this app runs models built like GPT-2."


def test_code_that_a_folder_brings_along_does_not_run(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    (folder / "evil.py").write_text(f"import pathlib\npathlib.Path({str(trace)!r}).touch()\n", encoding="utf-8")
    rewrite_json(folder / "config.json", model_type="evil", auto_map={"AutoConfig": "evil.Config"})
    assert "could not be loaded" in refusal(folder)
    assert not trace.exists()


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\0", b'{"model_type": "gpt2"', b"null"])
def test_spoilt_files_are_refused(folder: Path, file: str, content: bytes) -> None:
    (folder / file).write_bytes(content)
    assert refusal(folder) == "My model could not be loaded: its files are missing or not those of a GPT-2."


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_missing_files_are_refused(folder: Path, file: str) -> None:
    (folder / file).unlink()
    assert "could not be loaded" in refusal(folder)


def test_a_missing_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    assert "could not be loaded" in refusal(tmp_path / "nowhere")
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    assert "could not be loaded" in refusal(tmp_path / "file")


def test_weights_cut_short_are_refused(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    assert "could not be loaded" in refusal(folder)


def test_weights_that_are_not_all_there_are_refused(folder: Path) -> None:
    """transformers fills them with chance and only warns."""
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert "could not be loaded" in refusal(folder)


def test_weights_of_another_size_are_refused(folder: Path) -> None:
    rewrite_json(folder / "config.json", n_embd=64)
    assert "could not be loaded" in refusal(folder)


@pytest.mark.parametrize("change", [{"add_cross_attention": True}, {"scale_attn_by_inverse_layer_idx": True}])
def test_options_that_the_engine_does_not_know_are_refused(folder: Path, change: dict[str, object]) -> None:
    rewrite_json(folder / "config.json", **change)
    assert "could not be loaded" in refusal(folder)


def test_a_tokenizer_bigger_than_the_model_is_refused(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    from tests.lab.text.conftest import tiny_gpt2

    tiny_gpt2(300, dtype=torch.float32).save_pretrained(folder)
    assert "could not be loaded" in refusal(folder)
    assert "the tokenizer has 330 tokens, the model 300" in caplog.text  # the log tells whoever runs it why


def test_a_model_bigger_than_its_tokenizer_is_fine(folder: Path) -> None:
    from tests.lab.text.conftest import tiny_gpt2

    tiny_gpt2(384, dtype=torch.float32).save_pretrained(folder)
    loaded = load_folder(folder, "padded", "Padded")
    try:
        assert loaded.engine.vocabulary_size == 384
        assert len(loaded.vocabulary) == 330
    finally:
        loaded.engine.close()


def test_choices_and_default(make_models: Callable[..., Models]) -> None:
    standard = make_models()
    assert list(standard.choices) == [BUILT_IN, GPT2]
    assert standard.default == BUILT_IN
    standard.choices.clear()
    assert list(standard.choices) == [BUILT_IN, GPT2]  # what was handed out is a copy
    assert make_models(GPT2).default == GPT2
    assert list(make_models(GPT2).choices) == [BUILT_IN, GPT2]
    distil = make_models("distilbert/distilgpt2")
    assert distil.default == "distilbert/distilgpt2"
    assert list(distil.choices) == [BUILT_IN, GPT2, "distilbert/distilgpt2"]


def test_a_folder_from_the_command_line_shows_its_name_only(
    make_models: Callable[..., Models], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for extra in (str(folder), f"{folder}/"):
        made = make_models(extra)
        assert made.default == "copied-gpt2"
        assert str(folder.parent) not in str(made.choices)
        messages: list[str] = []
        loaded = made.get("copied-gpt2", messages.append)
        assert str(folder.parent) not in f"{loaded.name} {loaded.title} {messages}"
        with pytest.raises(ModelUnavailable):
            made.get(str(folder))  # nobody can name a folder from outside
    monkeypatch.chdir(folder)
    assert make_models(".").default == "copied-gpt2"


def test_a_folder_with_the_name_of_the_built_in_model_is_the_one_that_is_loaded(
    make_models: Callable[..., Models], assets: Path, folder: Path
) -> None:
    mine = folder.rename(folder.parent / BUILT_IN)
    made = make_models(str(mine))
    shutil.rmtree(assets / BUILT_IN)
    assert made.default == BUILT_IN
    assert made.choices[BUILT_IN] == "prose-gpt2, from the command line"
    assert made.get(BUILT_IN).context == CONTEXT


@pytest.mark.parametrize("extra", ["", "/nowhere/at/all", "../nowhere", "a/b/c", "a b", "c:\\models\\mine", "~/mine"])
def test_what_is_neither_a_folder_nor_a_name_on_the_hub_is_refused_at_the_start(extra: str) -> None:
    with pytest.raises(ValueError, match="neither a folder nor the name of a model on the Hub"):
        Models(extra)


@pytest.mark.parametrize("name", ["", "gpt3", "../../etc", "PROSE-GPT2", "x" * 10_000, "<img src=x>", "\0", "\ud800"])
def test_unknown_names_are_refused_with_the_known_ones(make_models: Callable[..., Models], name: str) -> None:
    with pytest.raises(
        ModelUnavailable, match=r"There is no model named .* Choose one of: prose-gpt2, openai"
    ) as error:
        make_models().get(name)
    assert len(str(error.value)) < 400
    str(error.value).encode()


def test_a_model_is_loaded_once_and_kept(make_models: Callable[..., Models]) -> None:
    made = make_models()
    assert not made.is_loaded(BUILT_IN)
    messages: list[str] = []
    first = made.get(BUILT_IN, messages.append)
    assert made.is_loaded(BUILT_IN)
    assert messages == ["Waiting for the model …", "Loading Built-in: small GPT-2, English prose …"]
    assert made.get(BUILT_IN, messages.append) is first
    assert len(messages) == 2  # the second time there was nothing to wait for
    made.close()
    assert not made.is_loaded(BUILT_IN)


def in_threads(work: Callable[[], object], count: int) -> list[object]:
    """Return what each of many threads got, or the error it met."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(work())
        except ModelUnavailable as error:
            results.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(results) == count
    return results


@pytest.fixture
def all_waiting(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Callable[[str], None]]:
    """A load that starts only when eight callers wait for it; the names loaded, and what callers report to."""
    loads: list[str] = []
    waiting = threading.Semaphore(0)
    load = models.load_folder

    def slow(folder: Path, name: str, *rest: object) -> LanguageModel:
        loads.append(name)
        for _ in range(8):
            assert waiting.acquire(timeout=PATIENCE)
        return load(folder, name, *rest)

    monkeypatch.setattr(models, "load_folder", slow)
    return loads, lambda message: waiting.release() if message.startswith("Waiting") else None


def test_many_threads_load_once(
    make_models: Callable[..., Models], all_waiting: tuple[list[str], Callable[[str], None]]
) -> None:
    made = make_models()
    loads, progress = all_waiting
    results = in_threads(lambda: made.get(BUILT_IN, progress), 8)
    assert loads == [BUILT_IN]
    assert len(set(map(id, results))) == 1
    assert isinstance(results[0], LanguageModel)


def test_those_who_waited_for_a_load_that_failed_do_not_try_in_turn(
    make_models: Callable[..., Models], assets: Path, all_waiting: tuple[list[str], Callable[[str], None]]
) -> None:
    made = make_models()
    loads, progress = all_waiting
    hidden = (assets / BUILT_IN).rename(assets / "hidden")
    results = in_threads(lambda: made.get(BUILT_IN, progress), 8)
    assert loads == [BUILT_IN]
    assert all(isinstance(result, ModelUnavailable) for result in results)
    hidden.rename(assets / BUILT_IN)
    for _ in range(7):
        progress("Waiting as seven others would")
    assert isinstance(made.get(BUILT_IN, progress), LanguageModel)  # who comes later tries anew
    assert loads == [BUILT_IN] * 2
