"""Large libraries are imported by one thread at a time."""

from __future__ import annotations

import ast
import threading
from pathlib import Path

import pytest

from lab.importing import importing
from lab.source import ROOT

CIRCULAR = ("sentence_transformers", "peft")  # who imports these walks into transformers from another side


def test_one_thread_at_a_time() -> None:
    inside = threading.Event()
    let_go = threading.Event()
    done: list[str] = []

    @importing()
    def first() -> None:
        inside.set()
        let_go.wait(10)
        done.append("first")

    def second() -> None:
        with importing(), importing():  # what is imported may import more
            done.append("second")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    assert threads[1].is_alive() and not done
    let_go.set()
    for thread in threads:
        thread.join(10)
    assert done == ["first", "second"]


def test_a_failure_lets_others_in() -> None:
    with pytest.raises(ImportError), importing():
        raise ImportError
    entered = threading.Event()

    def other() -> None:
        with importing():
            entered.set()

    threading.Thread(target=other).start()
    assert entered.wait(10)


def unguarded(path: Path) -> list[str]:
    """Return the imports of such libraries in a file that stand under no guard; those for type checkers are none."""
    found = []

    def look(node: ast.AST, safe: bool) -> None:
        if isinstance(node, ast.With):
            safe = safe or any("importing()" in ast.unparse(item) for item in node.items)
        if isinstance(node, ast.FunctionDef):
            safe = safe or any("importing()" in ast.unparse(one) for one in node.decorator_list)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found.extend(f"{path}: {name}" for name in names if not safe and name.partition(".")[0] in CIRCULAR)
        for child in ast.iter_child_nodes(node):
            look(child, safe)

    look(ast.parse(path.read_text(encoding="utf-8")), safe=False)
    return found


def test_no_import_goes_around_the_guard() -> None:
    paths = [path for folder in ("lab", "tabs") for path in (ROOT / folder).rglob("*.py")]
    assert len(paths) > 100
    # PEFT is imported by the check itself before these two use it.
    known = {"lab/lora_checks.py: peft"}
    found = {one.replace(f"{ROOT}/", "") for path in paths for one in unguarded(path)}
    assert found <= known, found - known
