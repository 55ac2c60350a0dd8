"""A visitor's adapter as a file: a zip as PEFT reads it once it is unpacked, with a card; and back, if it is sound.

What comes back may have been made by anybody. Nothing of it is written to disk, nothing is unpacked that was not asked
for, and weights are read from safetensors only, which hold numbers and no code.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import UploadError

if TYPE_CHECKING:
    import torch

    from lab.lora import Adapter
    from lab.text.models import LanguageModel

MAX_BYTES, MAX_UNPACKED = 24_000_000, 64_000_000
MAX_ENTRIES, MAX_CONFIG = 30, 100_000
ENTRY, MAX_LISTED = b"PK\x01\x02", 300  # with which a zip lists each entry, folders and a system's own files as well
MAX_RANK, MAX_ALPHA = 4096, 1e6
# Beside BadZipFile and zlib.error, which is no kind of any other: what a damaged zip makes zipfile stumble over.
WHAT_ZIPS_RAISE = (EOFError, NotImplementedError, OSError, ValueError, RuntimeError, IndexError, OverflowError)
CARD = "README.md"
HASH_KEY, TITLE_KEY = "base_sha256", "title"
LONGEST_TITLE = 60
IGNORED = ("__MACOSX/", ".DS_Store")
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".npy", ".npz", ".joblib")

NO_ZIP = "This is no zip. Please upload a zip with adapter_config.json and adapter_model.safetensors in it."
TOO_LARGE = "The file is too large: at most 24 MB packed and 64 MB unpacked."
BOMB = "This zip unpacks to much more than an adapter holds, so it is not read."
TOO_MANY = f"There are more than {MAX_ENTRIES} files in this zip; an adapter has two, and a card."
UNSAFE = "A path in this zip leads out of it ({name}), so nothing of it is read."
LINKED = "There is a link in this zip ({name}) where a file should be, so nothing of it is read."
ENCRYPTED = "This zip has a password. Please pack it without one."
PICKLED = "There is a pickle in this zip ({name}), which can hold code; adapters are read from safetensors only."
MISSING = "{name} is missing in this zip. An adapter as PEFT saves it has adapter_config.json and {weights}."
BROKEN = "The file is damaged, or not what its name says. Please save the adapter once more and try again."
OTHER_BASE = "This adapter is for {theirs}; the model here is {ours}. Choose its own model first, then upload it again."
OTHER_WEIGHTS = "This adapter was trained beside another version of {ours}: the base's weights are not the same."
NOT_PLAIN = "Only plain LoRA can be worn here, and this adapter is something else ({why})."
NOT_FINITE = "There are numbers in this adapter that are not finite (in {name}): its training has gone wrong."


@dataclass(frozen=True)
class Uploaded:
    """An adapter that was read, with the title that its card gives it."""

    adapter: Adapter
    title: str


def file_name(title: str) -> str:
    """Return what a download is called."""
    return (re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-").lower()[:LONGEST_TITLE] or "adapter") + "-lora.zip"


@lru_cache(maxsize=8)
def base_hash(folder: Path) -> str:
    """Return the SHA-256 of a base's weights: of its safetensors files, one after the other in the order of names.

    Raises OSError if they cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def pack(adapter: Adapter, model: LanguageModel, title: str, card: str) -> bytes:
    """Return the zip of an adapter, half precision."""
    from lab.lora import peft_files

    title, card = (text.encode("utf-8", "replace").decode() for text in (title, card))  # there may be half characters
    metadata = {"format": "pt", TITLE_KEY: title[:LONGEST_TITLE]}
    if model.folder is not None:
        metadata[HASH_KEY] = base_hash(model.folder)
    files = {CARD: card.encode()} | peft_files(adapter, model.name, metadata=metadata)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def unpack(data: bytes, model: LanguageModel) -> Uploaded:
    """Return the adapter in a zip, which must be plain LoRA for this model.

    Raises:
        UploadError: if it is anything else; the message says what.
    """
    from lab.lora import CONFIG_FILE, WEIGHTS_FILE

    files = _files(data, (CONFIG_FILE, WEIGHTS_FILE))
    config, weights = _config(files[CONFIG_FILE]), files[WEIGHTS_FILE]
    metadata = _metadata(weights)
    _check_base(config, metadata, model)
    adapter = _adapter(config, _tensors(weights))
    _check_fit(adapter, model)
    title = metadata.get(TITLE_KEY, "")
    return Uploaded(adapter, (title if isinstance(title, str) else "").strip()[:LONGEST_TITLE] or "Uploaded")


def _files(data: bytes, wanted: tuple[str, ...]) -> dict[str, bytes]:
    """Return the wanted entries of a zip, at its top or in its one folder, after a look at all of them."""
    if len(data) > MAX_BYTES:
        raise UploadError(TOO_LARGE)
    if data.count(ENTRY) > MAX_LISTED:  # before Python makes an object of each
        raise UploadError(TOO_MANY)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir() and not any(i in e.filename for i in IGNORED)]
            _check_entries(entries)
            found = {}
            for name in wanted:
                matching = [e for e in entries if e.filename == name or e.filename.endswith("/" + name)]
                if len(matching) != 1 or matching[0].filename.count("/") > 1:
                    raise UploadError(MISSING.format(name=name, weights=wanted[-1]))
                found[name] = _read(archive, matching[0])
            return found
    except (zipfile.BadZipFile, zlib.error, *WHAT_ZIPS_RAISE) as error:
        if isinstance(error, UploadError):
            raise
        raise UploadError(BROKEN if data.startswith(b"PK") else NO_ZIP) from error


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_ENTRIES:
        raise UploadError(TOO_MANY)
    for entry in entries:
        name, shown = entry.filename.replace("\\", "/"), entry.filename[:60]
        if name.startswith("/") or ":" in name or ".." in name.split("/"):
            raise UploadError(UNSAFE.format(name=shown))
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise UploadError(LINKED.format(name=shown))
        if entry.flag_bits & 0x1:
            raise UploadError(ENCRYPTED)
        if name.lower().endswith(PICKLES):
            raise UploadError(PICKLED.format(name=shown))
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        raise UploadError(BOMB)


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Return an entry. Its declared size may lie, so no more is unpacked than that."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UploadError(BROKEN)  # zipfile unpacks bzip2 and LZMA without a bound
    with archive.open(entry) as packed:
        content = packed.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise UploadError(BOMB)
    return content


def _config(content: bytes) -> dict[str, Any]:
    """Return PEFT's configuration with the entries that matter checked."""
    try:
        config = json.loads(content) if len(content) <= MAX_CONFIG else None
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise UploadError(BROKEN)
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if type(rank) is not int or not 1 <= rank <= MAX_RANK:
        raise UploadError(
            f"The adapter's configuration gives {str(rank)[:20]} as its rank; it must be 1 to {MAX_RANK:,}."
        )
    if type(alpha) not in (int, float) or not abs(alpha) <= MAX_ALPHA:  # NaN is not less than anything
        raise UploadError(f"The adapter's configuration gives {str(alpha)[:20]} as alpha, which is no usable number.")
    return config


def _metadata(weights: bytes) -> dict[str, Any]:
    """Return what stands in the header of safetensors beside the tensors."""
    try:
        length = int.from_bytes(weights[:8], "little")
        metadata = json.loads(weights[8 : 8 + length]).get("__metadata__") or {} if length <= MAX_CONFIG * 10 else {}
    except (ValueError, AttributeError, RecursionError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def _tensors(weights: bytes) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(weights)
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise UploadError(BROKEN) from error


def _check_base(config: dict[str, Any], metadata: dict[str, Any], model: LanguageModel) -> None:
    """Compare names without the account before them, and the weights' hash where the adapter has one."""
    theirs = str(config.get("base_model_name_or_path") or "")
    if theirs and theirs.rstrip("/").rpartition("/")[2] != model.name.rpartition("/")[2]:
        raise UploadError(OTHER_BASE.format(theirs=theirs[:60], ours=model.name))
    theirs = metadata.get(HASH_KEY)
    if theirs and model.folder is not None and theirs != base_hash(model.folder):
        raise UploadError(OTHER_WEIGHTS.format(ours=model.name))


def _adapter(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Adapter:
    import torch

    from lab.lora import from_peft

    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.ndim != 2:
            raise UploadError(NOT_PLAIN.format(why=f"{name[:60]} is no matrix of real numbers"))
        if not torch.isfinite(tensor.float()).all():  # in the precision that it is used in
            raise UploadError(NOT_FINITE.format(name=name[:60]))
    try:
        adapter = from_peft(config, tensors, "this adapter")
    except KeyError as error:
        raise UploadError(f"A matrix is missing in this adapter: {str(error.args[0])[:80]}.") from error
    except (ValueError, TypeError) as error:
        raise UploadError(NOT_PLAIN.format(why=str(error)[:120])) from error
    if not adapter.matrices:
        raise UploadError("There are no matrices in this adapter.")
    return adapter


def _check_fit(adapter: Adapter, model: LanguageModel) -> None:
    """Compare every pair of matrices with the layer beside which it is to stand."""
    layers = model.engine.adaptable()
    for name, (a, b) in adapter.matrices.items():
        if name not in layers:
            raise UploadError(f"This adapter changes {name[:60]}, which {model.name} lets no adapter change.")
        inputs, outputs = layers[name]
        if (a.size(0), b.size(1)) != (inputs, outputs):
            raise UploadError(
                f"This adapter does not fit {model.name}: at {name} it goes from {a.size(0)} to {b.size(1)}, the layer "
                f"from {inputs} to {outputs}."
            )
        if a.size(1) != b.size(0) or a.size(1) != adapter.rank:
            raise UploadError(
                f"The matrices at {name} have ranks {a.size(1)} and {b.size(0)}, the configuration says {adapter.rank}."
            )
        if adapter.rank > min(inputs, outputs):
            raise UploadError(f"A rank of {adapter.rank} is more than {name} of {inputs} × {outputs} has.")
