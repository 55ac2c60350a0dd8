"""What a platform reads before it starts the app: front matter, pins, system packages, the container file."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.source import ROOT
from tabs.launch import arguments

COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
TITLES = 60  # characters that a Space shows of its short description
KEYS = {
    "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "suggested_hardware",
    "fullWidth", "license", "models", "tags", "short_description", "pinned",
}  # fmt: skip


def lines(name: str) -> list[str]:
    """Return the lines of a file that say something."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def pins(name: str) -> dict[str, str]:
    return dict(line.split("==") for line in lines(name) if "==" in line)


@pytest.fixture(scope="module")
def front() -> dict[str, Any]:
    """The front matter of the README."""
    start, matter, _ = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert start == ""
    return yaml.safe_load(matter)


def test_the_front_matter_is_complete(front: dict[str, Any]) -> None:
    assert front.keys() == KEYS
    assert front["sdk"] == "gradio"
    assert {front["colorFrom"], front["colorTo"]} <= COLOURS
    assert 0 < len(front["short_description"]) <= TITLES
    assert front["title"] == "Slightly Different"
    assert len(front["emoji"]) <= 2 and not front["emoji"].isascii()
    assert front["suggested_hardware"] == "cpu-basic"
    assert front["license"] == "mit" and (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert all(re.fullmatch(r"[a-z0-9-]+", tag) for tag in front["tags"])


def test_it_says_what_the_repository_says(front: dict[str, Any]) -> None:
    assert front["sdk_version"] == pins("requirements.txt")["gradio"]
    assert isinstance(front["python_version"], str)  # without quotes YAML would make 3.10 a 3.1
    assert f"Python {front['python_version']}" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"python:{front['python_version']}-slim" in (ROOT / "Dockerfile").read_text()
    target = re.search(r'target-version = "py(\d)(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert f"{target[1]}.{target[2]}" == front["python_version"]
    assert "serve()" in (ROOT / front["app_file"]).read_text()


def test_the_models_are_those_that_the_app_can_name(front: dict[str, Any]) -> None:
    from lab.embeddings.model import BUILT_IN, TITLES
    from lab.text.models import GPT2

    named = {GPT2, f"sentence-transformers/{BUILT_IN}", *(name for name in TITLES if "/" in name)}
    assert set(front["models"]) == named


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-mcp.txt"])
def test_direct_dependencies_are_pinned_exactly(name: str) -> None:
    for line in lines(name):
        assert re.fullmatch(r"-r requirements\.txt|[A-Za-z0-9_.-]+(\[[a-z]+\])?==[0-9][\w.]*", line), line


def test_everything_imported_is_pinned() -> None:
    """An import that only a dependency of a dependency brings would go with it."""
    named = {name.partition("[")[0].lower().replace("-", "_") for name in pins("requirements.txt")}
    # Parts of what is pinned, which cannot do without them.
    own = {"lab", "tabs", "training", "benchmarks", "deploy", "docs", "tests"}
    brought = {"spaces": "ZeroGPU", "annotated_types": "pydantic", "tqdm": "huggingface_hub"}
    brought |= {"threadpoolctl": "scikit-learn", "starlette": "gradio", "fastapi": "gradio"}
    renamed = {"sklearn": "scikit_learn"}
    for path in [ROOT / "app.py", *(ROOT / "lab").rglob("*.py"), *(ROOT / "tabs").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in {name.partition(".")[0] for name in names} - own - set(sys.stdlib_module_names) - set(brought):
                assert renamed.get(name, name).lower() in named, f"{path.relative_to(ROOT)} imports {name}"


# The container file. Docker itself is not asked: that a container can be built and runs is not shown here.


def instructions() -> list[tuple[str, str]]:
    """Return the container file's instructions with their arguments, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    found = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, " ".join(rest.split())) for name, rest in found]


def all_of(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def ignored(path: str) -> bool:
    """Return whether .dockerignore leaves a top-level path out."""
    return any(Path(path).match(line) for line in lines(".dockerignore"))


def test_what_is_copied_is_there_and_comes_along() -> None:
    for rest in all_of("COPY"):
        *sources, _ = [part for part in shlex.split(rest) if not part.startswith("--")]
        for source in sources:
            assert (ROOT / source).exists() and not ignored(source), source
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    for needed in ("app.py", "lab", "tabs", "assets", "adapters", "training"):
        assert not ignored(needed)
        assert not listed or any(name.startswith(needed) for name in listed)


def test_system_packages_are_those_of_a_space() -> None:
    install = next(rest for rest in all_of("RUN") if "apt-get install" in rest)
    for package in lines("packages.txt"):
        assert package in install.split()


def test_it_runs_as_somebody_who_may_write_where_the_store_is() -> None:
    user = all_of("USER")[-1]
    assert user not in ("root", "0")
    settings = dict(part.split("=", 1) for rest in all_of("ENV") for part in shlex.split(rest))
    store = Path(settings["SLIGHTLY_DIFFERENT_STORE"])
    assert any(rest == f"install -d -o {user} {store.parent}" for rest in all_of("RUN"))
    assert all_of("VOLUME") == [str(store.parent)]
    order = [name for name, rest in instructions() if rest.startswith(f"install -d -o {user}") or name == "VOLUME"]
    assert order == ["RUN", "VOLUME"]  # what is changed after the volume is declared gets lost
    assert f"--chown={user} . ." in all_of("COPY")


def test_it_serves_where_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = dict(part.split("=", 1) for rest in all_of("ENV") for part in shlex.split(rest))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    command = json.loads(all_of("CMD")[-1])
    options = arguments(command[2:])
    assert command[:2] == ["python", "app.py"]
    assert options.host == "0.0.0.0"  # else nobody outside the container reaches it
    assert all_of("EXPOSE") == [str(options.port)]
    assert options.store == settings["SLIGHTLY_DIFFERENT_STORE"]
    (check,) = all_of("HEALTHCHECK")
    assert f"http://127.0.0.1:{options.port}" in check
    code = re.search(r'python -c "(.+)"', check)[1]
    compile(code, "HEALTHCHECK", "exec")
