"""The documents say what was measured, and name what is there."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from lab.embeddings.model import TITLES
from lab.sizes import weights

ROOT = Path(__file__).parents[1]
specification = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
tables = importlib.util.module_from_spec(specification)
specification.loader.exec_module(tables)

LINK = re.compile(r"\]\((?!https?:|#|\?)([^)#\s]+)")


def test_a_table_is_made_from_what_was_saved(tmp_path: Path) -> None:
    figure = {"name": "ratio", "meaning": "one against two", "value": 1.23456, "unit": "x", "aim": "<= 2"}
    other = figure | {"name": "other", "aim": "", "unit": ""}
    saved = {"facts": {"cores": "2"}, "figures": [figure, other]}
    (tmp_path / "some.json").write_text(json.dumps(saved))
    text = "before\n<!-- figures: some ratio -->\nold\n<!-- end of figures -->\nafter\n"
    once = tables.rendered(text, tmp_path)
    assert "| one against two | 1.23 x | &lt;= 2 |\n\nMeasured by `benchmarks/some.py` (cores 2).\n<!-- end" in once
    assert "old" not in once and once.startswith("before\n") and once.endswith("after\n")
    assert tables.rendered(once, tmp_path) == once
    assert tables.rendered(text.replace(" ratio", ""), tmp_path).count("| one against two |") == 2


def test_a_grid_is_made_from_what_was_saved(tmp_path: Path) -> None:
    figures = [{"name": name, "value": n / 8} for n, name in enumerate(("a_10", "a_low", "a_high", "b_10", "b_low"))]
    figures.append({"name": "b_high", "value": 1})
    (tmp_path / "some.json").write_text(json.dumps({"facts": {}, "figures": figures}))
    spec = "<!-- grid: some\nrule\n= b: the second\n= a: the first\n| *_10: ten\n| *_low to *_high: range\n-->\n"
    once = tables.rendered(spec + "old\n<!-- end of figures -->", tmp_path)
    rows = "| rule | ten | range |\n| --- | ---: | ---: |\n| the second | 0.375 | 0.500 to 1.000 |\n"
    rows += "| the first | 0.000 | 0.125 to 0.250 |\n"
    assert once == f"{spec}{rows}\nMeasured by `benchmarks/some.py`.\n<!-- end of figures -->"
    assert tables.rendered(once, tmp_path) == once
    with pytest.raises(KeyError):
        tables.rendered(spec.replace("= b", "= c") + "<!-- end of figures -->", tmp_path)


def test_a_figure_that_was_not_measured_is_refused(tmp_path: Path) -> None:
    (tmp_path / "some.json").write_text(json.dumps({"facts": {}, "figures": []}))
    with pytest.raises(KeyError):
        tables.rendered("<!-- figures: some ratio -->\n<!-- end of figures -->", tmp_path)


@pytest.mark.parametrize("path", tables.documents(), ids=lambda path: path.name)
def test_the_tables_are_those_that_were_measured(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert tables.rendered(text) == text, "run python docs/tables.py"


@pytest.mark.parametrize("path", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/*/README.md")], ids=str)
def test_what_a_document_links_to_is_there(path: Path) -> None:
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_what_the_readme_says_of_the_adapter_stands_in_its_figures() -> None:
    one = json.loads((ROOT / "adapters" / "text.json").read_text(encoding="utf-8"))["prose-gpt2"]["adapters"]
    figures, text = one["shakespeare"], (ROOT / "README.md").read_text(encoding="utf-8")
    less = figures["own_base"] - figures["own_adapter"]
    assert f"| {less:.3f} nats per token less than the base, at {figures['share']:.2%} ".replace("%", " %") in text
    assert f"| {figures['prose_base']:.3f} → {figures['prose_adapter']:.3f} nats per token |" in text


def test_the_size_of_the_folk_model_is_what_the_documents_say() -> None:
    parameters, _ = weights(ROOT / "assets" / "folk-gpt2")
    text = (ROOT / "docs" / "melodies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"of ([\w.,]+) million parameters", text)) == {f"{parameters / 1e6:.2f}"}


def test_every_model_of_the_hub_that_can_be_chosen_has_its_terms_told() -> None:
    text = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    for name in TITLES:
        assert name.rpartition("/")[2] in text, name
