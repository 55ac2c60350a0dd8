"""How large models are: counted from their files' headers, or from their dimensions, without loading a weight."""

from __future__ import annotations

import importlib.util
import json
import math
import struct
from pathlib import Path

BUFFER = "position_ids"  # a model's count of its positions, which older files hold beside the weights


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return name and shape of each tensor of a safetensors file, from its header alone.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is none.
    """
    with path.open("rb") as file:
        try:
            (length,) = struct.unpack("<Q", file.read(8))
            text = file.read(min(length, 10_000_000))
            if len(text) < length:
                raise ValueError("cut off")
            header = json.loads(text)
        except (struct.error, ValueError) as error:
            raise ValueError(f"{path.name} is no safetensors file") from error
    return {name: tuple(about["shape"]) for name, about in header.items() if name != "__metadata__"}


def weights(folder: Path) -> tuple[int, int]:
    """Return number of parameters, buffers left out, and bytes of the safetensors files in a folder."""
    files = sorted(folder.glob("*.safetensors"))
    shapes = [tensor for file in files for tensor in tensor_shapes(file).items()]
    parameters = sum(math.prod(shape) for name, shape in shapes if name.rpartition(".")[2] != BUFFER)
    return parameters, sum(file.stat().st_size for file in files)


def gpt2_parameters(vocabulary: int, context: int, width: int, blocks: int) -> int:
    """Return the parameters of a GPT-2 with these dimensions, its output tied to its embeddings."""
    attention, mlp, norms = 4 * width * width + 4 * width, 8 * width * width + 5 * width, 4 * width
    return (vocabulary + context) * width + blocks * (attention + mlp + norms) + 2 * width


def package_weights(package: str) -> tuple[int, int] | None:
    """Return parameters and bytes of the model that an installed package carries; None without it."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return None
    parameters, size = weights(Path(found.origin).parent / "model")
    return (parameters, size) if parameters else None
