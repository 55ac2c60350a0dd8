"""A visitor's adapter is what PEFT reads, and comes back as it went; what others make of a zip is turned down."""

from __future__ import annotations

import io
import json
import random
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import save
from transformers import GPT2LMHeadModel

from lab.errors import UploadError, VisitorError
from lab.lora import CONFIG_FILE, WEIGHTS_FILE, Adapter, peft_files
from lab.text import adapter_files, own_adapters
from lab.text.adapter_card import card
from lab.text.adapter_files import MAX_LISTED, base_hash, file_name, pack, unpack
from lab.text.live_training import LiveSettings, Phase, Snapshot
from lab.text.models import LanguageModel, load_folder
from lab.text.own_adapters import MOST, OwnAdapters
from tests.lab.text.test_adapters import random_adapter

RANK = 3
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # transformers to itself
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Iterator[LanguageModel]:
    model = load_folder(tiny_folder, "tiny-gpt2", "Tiny")
    yield model
    model.engine.close()


@pytest.fixture(scope="module")
def adapter(model: LanguageModel) -> Adapter:
    return random_adapter(model.engine.network, 5, rank=RANK)


@pytest.fixture
def files(adapter: Adapter) -> Files:
    return peft_files(adapter, "tiny-gpt2")


def zipped(files: Files, **more: Any) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content, **more)
    return packed.getvalue()


def changed(files: Files, **entries: Any) -> Files:
    """Return the files with entries of the configuration changed."""
    return files | {CONFIG_FILE: json.dumps(json.loads(files[CONFIG_FILE]) | entries).encode()}


def of(adapter: Adapter, **entries: Any) -> Files:
    return changed(peft_files(adapter, "tiny-gpt2"), **entries)


def test_what_is_saved_is_read_by_peft_and_comes_back(
    model: LanguageModel, adapter: Adapter, tiny_folder: Path, tmp_path: Path
) -> None:
    data = pack(adapter, model, "My “Alice”", "# A card")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(tmp_path)
    assert (tmp_path / "README.md").read_text() == "# A card"

    ids = torch.arange(1, 13)[None]
    base = GPT2LMHeadModel.from_pretrained(tiny_folder, dtype=torch.float32)
    with torch.no_grad():
        plain = base(ids).logits
        theirs = PeftModel.from_pretrained(base, tmp_path)(ids).logits
    back = unpack(data, model)
    network = GPT2LMHeadModel.from_pretrained(tiny_folder, dtype=torch.float32)
    with torch.no_grad():
        for name, (a, b) in back.adapter.matrices.items():
            network.get_submodule(name).weight += a @ b * back.adapter.scale
        ours = network(ids).logits
    assert torch.allclose(ours, theirs, atol=1e-4) and not torch.allclose(plain, theirs, atol=1e-2)
    assert (back.title, back.adapter.rank, back.adapter.alpha) == ("My “Alice”", RANK, adapter.alpha)
    for name, (a, _) in adapter.matrices.items():
        assert torch.equal(back.adapter.matrices[name][0], a.half().float())


def test_a_folder_in_the_zip_is_no_harm(model: LanguageModel, files: Files) -> None:
    inside = {f"mine/{name}": content for name, content in files.items()} | {
        "__MACOSX/._x.bin": b"",
        "mine/.DS_Store": b"",
    }
    assert unpack(zipped(inside), model).adapter.rank == RANK


def test_the_card_says_what_it_was_made_with(model: LanguageModel, adapter: Adapter, tiny_folder: Path) -> None:
    now = Snapshot(
        Phase.DONE,
        LiveSettings(steps=9, rank=RANK),
        tokens=1234,
        training_losses=((9, 4.0),),
        held_out_losses=((0, 5.0), (6, 4.25), (9, 4.5)),
        best_step=6,
        adapter=adapter,
    )
    text = card(now, model, "My\nadapter")
    for part in (
        "# My adapter\n",
        base_hash(tiny_folder),
        "5.000 → 4.250",
        "1,234 tokens",
        "after step 6",
        "| 9 | 4.5000 |",
    ):
        assert part in text


def many(files: Files) -> Files:
    return files | {f"{n}.txt": b"" for n in range(adapter_files.MAX_ENTRIES)}


def with_value(files: Files, value: float) -> Files:
    from safetensors.torch import load

    tensors = load(files[WEIGHTS_FILE])
    next(iter(tensors.values()))[0, 0] = value
    return files | {WEIGHTS_FILE: save(tensors)}


def with_double(files: Files, value: float) -> Files:
    from safetensors.torch import load

    tensors = {name: tensor.double() for name, tensor in load(files[WEIGHTS_FILE]).items()}
    next(iter(tensors.values()))[0, 0] = value
    return files | {WEIGHTS_FILE: save(tensors)}


def without_one(files: Files) -> Files:
    from safetensors.torch import load

    tensors = load(files[WEIGHTS_FILE])
    del tensors[sorted(tensors)[0]]
    return files | {WEIGHTS_FILE: save(tensors)}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda f: f | {"../evil.txt": b""}, "leads out of it", id="dots"),
        pytest.param(lambda f: f | {"a/../../evil": b""}, "leads out of it", id="dots inside"),
        pytest.param(lambda f: f | {"/etc/passwd": b""}, "leads out of it", id="absolute"),
        pytest.param(lambda f: f | {"C:\\x": b""}, "leads out of it", id="drive"),
        pytest.param(lambda f: f | {"adapter_model.bin": b"\x80"}, "a pickle", id="pickle"),
        pytest.param(lambda f: f | {"optimizer.PT": b"\x80"}, "a pickle", id="pickle in capitals"),
        pytest.param(lambda f: {CONFIG_FILE: f[CONFIG_FILE]}, "adapter_model.safetensors is missing", id="no weights"),
        pytest.param(lambda f: {WEIGHTS_FILE: f[WEIGHTS_FILE]}, "adapter_config.json is missing", id="no config"),
        pytest.param(lambda f: {f"a/b/{n}": c for n, c in f.items()}, "is missing", id="too deep"),
        pytest.param(many, "more than 30 files", id="too many"),
        pytest.param(lambda f: f | {"zeros": bytes(65_000_000)}, "unpacks to much more", id="bomb"),
        pytest.param(lambda f: f | {CONFIG_FILE: b"{" * 5000}, "damaged", id="no json"),
        pytest.param(lambda f: f | {CONFIG_FILE: b"[]"}, "damaged", id="a list"),
        pytest.param(lambda f: f | {CONFIG_FILE: b" " * 200_000}, "damaged", id="long config"),
        pytest.param(lambda f: f | {WEIGHTS_FILE: b"\x80\x04pickle"}, "damaged", id="pickle by another name"),
        pytest.param(lambda f: f | {WEIGHTS_FILE: f[WEIGHTS_FILE][:-9]}, "damaged", id="cut off"),
        pytest.param(lambda f: f | {WEIGHTS_FILE: b"\xff" * 40}, "damaged", id="endless header"),
        pytest.param(lambda f: f | {WEIGHTS_FILE: save({})}, "no matrices", id="empty"),
        pytest.param(lambda f: changed(f, r=0), "0 as its rank", id="rank 0"),
        pytest.param(lambda f: changed(f, r="3"), "3 as its rank", id="rank of letters"),
        pytest.param(lambda f: changed(f, r=10**400), "0000 as its rank", id="endless rank"),
        pytest.param(lambda f: changed(f, lora_alpha=10**400), "0000 as alpha", id="endless alpha"),
        pytest.param(lambda f: changed(f, init_lora_weights="pissa_niter_4"), "Only plain LoRA", id="pissa"),
        pytest.param(lambda f: changed(f, alora_invocation_tokens=[5]), "Only plain LoRA", id="activated"),
        pytest.param(lambda f: with_double(f, 1e300), "not finite", id="infinite in single precision"),
        pytest.param(lambda f: changed(f, r=2), "the configuration says 2", id="another rank"),
        pytest.param(lambda f: changed(f, lora_alpha=float("nan")), "nan as alpha", id="alpha"),
        pytest.param(lambda f: changed(f, peft_type="IA3"), "Only plain LoRA", id="no lora"),
        pytest.param(lambda f: changed(f, use_dora=True), "Only plain LoRA", id="dora"),
        pytest.param(lambda f: changed(f, base_model_name_or_path="gpt2-xl"), "is for gpt2-xl", id="another base"),
        pytest.param(lambda f: with_value(f, float("nan")), "not finite", id="nan"),
        pytest.param(lambda f: with_value(f, float("inf")), "not finite", id="infinite"),
        pytest.param(without_one, "matrix is missing", id="half a pair"),
        pytest.param(lambda f: f | {WEIGHTS_FILE: save({"x": torch.ones(3)})}, "no matrix", id="vector"),
        pytest.param(
            lambda f: f | {WEIGHTS_FILE: save({"x.lora_A.weight": torch.ones(3, 3, dtype=torch.int32)})},
            "no matrix of real numbers",
            id="integers",
        ),
        pytest.param(lambda f: f | {WEIGHTS_FILE: save({"x": torch.ones(3, 3)})}, "Only plain LoRA", id="not lora"),
    ],
)
def test_what_is_turned_down(
    model: LanguageModel, files: Files, make: Callable[[Files], Files], words: str, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path))
        with pytest.raises(UploadError, match=words):
            unpack(zipped(make(files)), model)
    assert not list(tmp_path.iterdir())


def test_a_zip_with_more_entries_than_can_be_meant_is_not_even_listed(
    model: LanguageModel, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = zipped(files | {f"{n}": b"" for n in range(MAX_LISTED)})
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(UploadError, match="more than 30 files"):
        unpack(data, model)


def test_half_a_character_costs_nobody_an_adapter(model: LanguageModel, adapter: Adapter) -> None:
    assert unpack(pack(adapter, model, "half \ud83d", "of \ud83d"), model).title == "half ?"


def resized(adapter: Adapter, inputs: int) -> Adapter:
    """Return an adapter whose matrices begin at another width."""
    matrices = {n: (torch.ones(inputs, a.size(1)), b) for n, (a, b) in adapter.matrices.items()}
    return replace(adapter, matrices=matrices)


def test_an_adapter_for_another_model_is_turned_down(model: LanguageModel, adapter: Adapter) -> None:
    with pytest.raises(UploadError, match=r"goes from 7 to \d+, the layer from"):
        unpack(zipped(of(resized(adapter, 7))), model)
    strange = replace(adapter, matrices={"transformer.wte": next(iter(adapter.matrices.values()))})
    with pytest.raises(UploadError, match=r"transformer\.wte, which"):
        unpack(zipped(of(strange)), model)
    large = random_adapter(model.engine.network, 1, rank=40)
    with pytest.raises(UploadError, match="rank of 40 is more than"):
        unpack(zipped(of(large)), model)


def test_another_version_of_the_base_is_told_apart(model: LanguageModel, adapter: Adapter) -> None:
    files = peft_files(adapter, "tiny-gpt2", metadata={adapter_files.HASH_KEY: "0" * 64})
    with pytest.raises(UploadError, match="another version"):
        unpack(zipped(files), model)
    assert unpack(zipped(peft_files(adapter, "someone/tiny-gpt2")), model).title == "Uploaded"


def test_links_passwords_and_lies_are_turned_down(model: LanguageModel, files: Files) -> None:
    link = zipfile.ZipInfo("adapter_link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    packed = io.BytesIO(zipped(files))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UploadError, match="a link"):
        unpack(packed.getvalue(), model)

    locked = bytearray(zipped(files))
    place = locked.find(b"PK\x01\x02")
    locked[place + 8] |= 1
    with pytest.raises(UploadError, match="password"):
        unpack(bytes(locked), model)

    lying = bytearray(zipped(files))
    place = lying.find(b"PK\x01\x02")
    lying[place + 24 : place + 28] = (7).to_bytes(4, "little")  # size of what is packed
    with pytest.raises(UploadError):
        unpack(bytes(lying), model)


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04 damaged", b"\x80\x04."])
def test_what_is_no_zip_is_told_so(model: LanguageModel, data: bytes) -> None:
    with pytest.raises(UploadError, match=r"no zip|damaged"):
        unpack(data, model)
    with pytest.raises(UploadError, match="too large"):
        unpack(bytes(adapter_files.MAX_BYTES + 1), model)


def test_a_damaged_zip_is_told_so_whatever_byte_it_is(model: LanguageModel, files: Files) -> None:
    small = zipped({CONFIG_FILE: files[CONFIG_FILE], WEIGHTS_FILE: files[WEIGHTS_FILE][:2000]})
    dice = random.Random(0)
    for _ in range(400):
        damaged = bytearray(small)
        for _ in range(dice.randint(1, 5)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        with pytest.raises(UploadError):  # the weights are cut off, so even without damage
            unpack(bytes(damaged), model)


def test_an_entry_without_a_name_is_told(model: LanguageModel, files: Files) -> None:
    with_one = bytearray(zipped(files | {"x": b""}))
    for signature, at in ((b"PK\x03\x04", 26), (b"PK\x01\x02", 28)):  # where the length of a name stands
        place = with_one.rindex(signature)
        assert with_one[place + at] == 1
        with_one[place + at] = 0
    with pytest.raises(UploadError, match="damaged"):
        unpack(bytes(with_one), model)


def test_file_names_are_safe() -> None:
    assert file_name("../Im Märchen: <b>") == "im-m-rchen-b-lora.zip"
    assert file_name("—") == "adapter-lora.zip"


class TestOwnAdapters:
    def test_names_cannot_be_guessed_and_go_with_their_visitor(self, model: LanguageModel, adapter: Adapter) -> None:
        own = OwnAdapters()
        mine = own.add("me", model, adapter, "Mine", b"zip", "mine.zip")
        yours = own.add("you", model, adapter, "Yours", b"zip", "yours.zip")
        assert own.of("me") == (mine,) and own.of("nobody") == ()
        assert len(mine.name) > 20 and mine.name != yours.name
        assert {mine.name, yours.name} <= model.engine._adapters.keys()
        own.leave("me")
        assert mine.name not in model.engine._adapters and yours.name in model.engine._adapters
        with pytest.raises(VisitorError, match="connection was lost"):
            own.add("me", model, adapter, "Late", b"", "late.zip")
        own.leave("you")
        assert not model.engine._adapters

    def test_who_is_away_for_a_while_finds_them_again(self, model: LanguageModel, adapter: Adapter) -> None:
        now = [0.0]
        own = OwnAdapters(60, lambda: now[0])
        mine = own.add("me", model, adapter, "Mine", b"", "x")
        own.leave("me")
        now[0] = 59
        assert own.of("me") == (mine,)  # back: the time of grace begins anew
        now[0] = 118
        again = own.add("me", model, adapter, "Again", b"", "x")
        now[0] = 177
        own._time_is_over()  # what the timer does
        assert own.of("me") == (mine, again) and own._timer is not None
        own._timer.cancel()
        now[0] = 237
        own._time_is_over()
        assert own.of("me") == () and own._timer is None and not model.engine._adapters
        with pytest.raises(VisitorError, match="connection was lost"):
            own.add("me", model, adapter, "Late", b"", "x")

    def test_a_timer_takes_what_nobody_comes_back_for(self, model: LanguageModel, adapter: Adapter) -> None:
        own = OwnAdapters(0.05)
        own.leave("had nothing")
        assert own._timer is None
        own.add("me", model, adapter, "Mine", b"", "x")
        own.leave("me")
        assert own._timer is not None
        own._timer.join()
        assert not model.engine._adapters

    def test_what_is_added_after_a_lost_connection_goes_too(self, model: LanguageModel, adapter: Adapter) -> None:
        own = OwnAdapters(0.5)
        own.leave("me")
        own.add("me", model, adapter, "Mine", b"", "x")
        assert own._timer is not None
        own._timer.join()
        assert not model.engine._adapters

    def test_who_is_away_makes_room(
        self, model: LanguageModel, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(own_adapters, "MAX_NUMBERS", adapter.parameters * 2)
        own = OwnAdapters(60)
        for session in ("first", "second"):
            own.add(session, model, adapter, session, b"", "x")
        own.leave("second")
        kept = own.add("third", model, adapter, "third", b"", "x")
        assert own.of("second") == () and own.of("third") == (kept,) and own.of("first")
        own.leave("third")
        with pytest.raises(VisitorError, match="Too many people"):
            for _ in range(2):  # one's own do not make room
                own.add("third", model, adapter, "more", b"", "x")
        own.leave("first")
        for session in ("first", "third"):
            own._grace = 0
            own.leave(session)

    def test_nobody_is_forgotten_in_vain(
        self, model: LanguageModel, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(own_adapters, "MAX_NUMBERS", adapter.parameters * 4)
        own = OwnAdapters(60)
        for session, number in (("here", 3), ("phone", 1)):
            for n in range(number):
                own.add(session, model, adapter, str(n), b"", "x")
        own.leave("empty")  # who keeps nothing frees nothing, and may come back
        own.add("here", model, adapter, "the oldest of three gives way to it", b"", "x")
        own.leave("phone")
        monkeypatch.setattr(own_adapters, "MAX_NUMBERS", adapter.parameters * 3)
        with pytest.raises(VisitorError, match="Too many people"):
            own.add("big", model, adapter, "no room, even without the phone's", b"", "x")
        assert len(own.of("phone")) == 1
        monkeypatch.setattr(own_adapters, "MAX_NUMBERS", adapter.parameters * 4)
        own.add("empty", model, adapter, "back", b"", "x")
        assert own.of("phone") == () and len(own.of("here")) == 3
        own._grace = 0
        for session in ("here", "empty"):
            own.leave(session)
        assert not model.engine._adapters

    def test_there_is_room_for_a_few_each_and_so_many_in_all(
        self, model: LanguageModel, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = OwnAdapters()
        kept = [own.add("me", model, adapter, str(n), b"", "x") for n in range(MOST + 1)]
        assert own.of("me") == tuple(kept[1:]) and kept[0].name not in model.engine._adapters
        monkeypatch.setattr(own_adapters, "MAX_NUMBERS", adapter.parameters * MOST)
        with pytest.raises(VisitorError, match="Too many people"):
            own.add("you", model, adapter, "Yours", b"", "x")
        with pytest.raises(VisitorError, match="connection"):
            own.add("", model, adapter, "Nobody's", b"", "x")
        own.leave("me")
        assert not model.engine._adapters
