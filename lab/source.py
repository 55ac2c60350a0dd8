"""The source text of a function or class, read from its file, so that what the app shows cannot drift from what runs.

The file is parsed, not imported: showing the code of a module costs no import of torch.
"""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path

from lab.importing import importing

ROOT = Path(__file__).resolve().parents[1]


@cache
def source_of(module: str, name: str) -> str:
    """Return the source of ``name`` (``function``, ``Class`` or ``Class.method``) in a module of this project.

    Raises:
        LookupError: if there is no such module, or no such name in it.
    """
    try:
        text = (ROOT / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8")
    except OSError:
        raise LookupError(f"no module {module}") from None
    node: ast.AST = ast.parse(text)
    for part in name.split("."):
        found = [child for child in ast.iter_child_nodes(node) if getattr(child, "name", None) == part]
        if not found:
            raise LookupError(f"no {name} in {module}")
        node = found[0]
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    lines = text.split("\n")[first - 1 : node.end_lineno]
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] for line in lines) + "\n"


def source_of_processor(name: str) -> str:
    """Return the source of the ``__call__`` of one of transformers' logits processors, as installed.

    Raises:
        LookupError: if transformers has none of that name.
    """
    import textwrap

    with importing():
        from transformers.generation import logits_process

    processor = getattr(logits_process, name, None)
    if processor is None:
        raise LookupError(f"transformers has no {name}")
    return textwrap.dedent(inspect.getsource(processor.__call__))
