"""What the Decoding tab shows: text of people and models is text and nothing else, and the figures are the result's."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from lab.text.decoding import Column, Comparison, DecodingSettings, Inspection
from lab.text.measures import measure
from lab.text.models import LanguageModel
from lab.text.playing import Game, Pick
from lab.text.rows import Candidate, Distribution, Reason, Token
from lab.text.strategies import Kind, Strategy
from lab.text.sweep import Point, Sweep
from lab.text.tree import Node, Tree
from tabs.asking import model_facts
from tabs.decoding import render
from tabs.decoding.render.board import MEASURES
from tests.tabs.pages import PAYLOADS, Page, read


def token(identity: int = 5, log_p: float = -1.0, rank: int = 1) -> Token:
    return Token(identity, log_p, 0.4, rank, 2.0)


def column_of(pieces: list[str], ranks: list[int] | None = None, strategy: Strategy | None = None) -> Column:
    tokens = tuple(token(n, -0.5 - n, rank) for n, rank in enumerate(ranks or [1] * len(pieces)))
    return Column(
        strategy or Strategy(kind=Kind.TOP_P),
        tokens,
        tuple(pieces),
        Reason.LENGTH,
        measure(tokens, 0.5) if tokens else None,
    )


def comparison_of(*columns: Column, prompt: str = "Once", notes: tuple[str, ...] = (), done: bool = True) -> Comparison:
    return Comparison(DecodingSettings(prompt=prompt), (1, 2), columns, notes, done)


def inspection_of(
    labels: list[str], strategy: Strategy | None = None, chosen: int | None = None, kept: int = 3
) -> Inspection:
    """Return an inspection with falling probabilities, of which the strategy keeps the first few."""
    weights = [0.5**n for n in range(1, len(labels) + 1)]
    candidates = tuple(
        Candidate(100 + n, weight * 0.9, weight, weight / sum(weights[:kept]) if n < kept else 0.0)
        for n, weight in enumerate(weights)
    )
    cumulative = ((1, 0.5), (2, 0.75), (330, 1.0))
    table = Distribution(candidates, kept, sum(weights[:kept]), 330, cumulative)
    return Inspection(strategy or Strategy(kind=Kind.TOP_K, top_k=kept), chosen, table, 1.5, tuple(labels))


# Escaping


@pytest.mark.parametrize("payload", PAYLOADS)
def test_board_escapes(payload: str) -> None:
    page = read(render.board(comparison_of(column_of([payload, "b"]), prompt=payload, notes=(payload,))))
    ((_, prompt),) = page.find("span", **{"class": "sd-prompt"})
    assert prompt == payload.strip()
    (first, second) = (
        text for attrs, text in zip([a for _, a in page.tags], page.of_tag, strict=True) if "data-n" in attrs
    )
    assert (first, second) == (payload, "b")
    ((_, note),) = page.find("li")
    assert note == payload


@pytest.mark.parametrize("payload", PAYLOADS)
def test_messages_escape(payload: str) -> None:
    assert read(render.message(payload)).text == payload
    assert read(render.message(payload, alert=True)).tags == [("p", {"class": "sd-message sd-alert", "role": "alert"})]
    assert read(render.notes_html([payload, "b"])).text == payload + "b"
    assert read(render.empty_board(payload)).text == payload
    assert read(render.progress(0.5, [payload])).text == "Writing … 50%" + payload
    assert payload in read(render.run_status(comparison_of(column_of(["a"]), done=False), [payload])).text


@pytest.mark.parametrize("payload", PAYLOADS)
def test_game_escapes(payload: str) -> None:
    state = Game((1,), payload, (Pick(4, payload, 2, 3.5),), inspection_of([payload, "b"]))
    page = read(render.game(state))
    ((_, prompt),) = page.find("span", **{"class": "sd-prompt"})
    assert prompt == payload
    assert next(text.removesuffix("45.0%") for _, text in page.find("button")) == payload
    (text, *_) = (text for _, text in page.find("p", **{"class": "sd-text"}))
    assert text == payload * 2


@pytest.mark.parametrize("payload", PAYLOADS)
def test_model_facts_are_escaped_where_they_are_shown(payload: str, language_model: LanguageModel) -> None:
    from dataclasses import replace

    model = replace(language_model, title=payload)
    assert read(render.message(model_facts(model))).text.startswith(payload + ": 0.0 million parameters, 2 layers")


def tree_of(payload: str) -> Tree:
    nodes = (
        Node(0, None, None, "prompt", 1.0, 0.0, True, True),
        Node(1, 0, 4, payload, 0.5, -0.7, True, True),
        Node(1, 0, 5, "b", 0.25, -1.4, False),
        Node(2, 1, 6, payload, 0.5, -1.4, True, True),
    )
    return Tree(nodes, payload, -1.4, payload + "!", -2.0)


def sweep_of(*texts: str) -> Sweep:
    strategy = Strategy(kind=Kind.TEMPERATURE, temperature=0.3)
    points = tuple(
        Point(strategy, value, texts, tuple(-1.0 for _ in texts), -1.0 - value, 0.5, 0.25) for value in (0.3, 0.9, 1.5)
    )
    return Sweep(points, 1.0)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_sentences_about_a_tree_escape(payload: str) -> None:
    text = read(render.message(render.tree_summary(tree_of(payload)))).text
    assert f"Found: “{payload.strip()}”" in text
    assert f"Greedy would write “{payload}!”" in text


def strings_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings_of(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from strings_of(part)


def figures(payload: str) -> list[Any]:
    return [
        render.step_plot(inspection_of([payload, "b", "c", "d"], chosen=101)),
        render.step_plot(inspection_of([payload, "b"], Strategy(kind=Kind.GREEDY))),
        render.step_plot(inspection_of([payload, "b"], Strategy(kind=Kind.TOP_P, top_p=0.8))),
        render.tree_plot(tree_of(payload)),
        render.sweep_plot(sweep_of(payload, "b")),
    ]


@pytest.mark.parametrize("payload", [p for p in PAYLOADS if "<" in p or "&" in p])
def test_labels_of_plots_escape(payload: str) -> None:
    """Plotly reads a few tags and entities in labels, so there must be none but those of the hover templates."""
    shown = 0
    for figure in figures(payload):
        for part in strings_of(json.loads(figure.to_json())):
            if part in {trace.hovertemplate for trace in figure.data}:
                assert payload not in part
                continue
            assert "<" not in part
            assert payload not in part
            shown += part == payload.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert shown >= 5  # it is there, as text


@pytest.mark.parametrize("payload", PAYLOADS)
def test_tables_hold_the_text_itself(payload: str) -> None:
    """Their cells are of the type that shows text, see test_launch: escaping here would show twice."""
    label = payload.replace(" ", "␣")
    assert render.step_table(inspection_of([label, "b"]))[0][1] == label
    assert render.sweep_samples(sweep_of(payload, "b"))[0][3] == payload.strip()
    assert render.game_table(Game((1,), "", (Pick(4, payload, 2, 3.5),), inspection_of(["b"])))[0][1] == label
    assert render.tree_table(tree_of(label))[0][1:3] == [label, label]


def test_markdown_shows_text_as_it_is() -> None:
    import string

    markdown_it = pytest.importorskip("markdown_it")
    for payload in [*PAYLOADS, string.punctuation, "1. a", "# a", "- a", "www.example.org", "&copy;"]:
        tokens = markdown_it.MarkdownIt("js-default", {"html": True, "linkify": False}).parse(
            render.plain_markdown(payload)
        )
        assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
        assert {child.type for child in tokens[1].children} <= {"text", "text_special"}
        assert "".join(child.content for child in tokens[1].children) == payload.strip()


# The board


def test_leaves_greedy_is_marked_at_its_token() -> None:
    columns = [
        column_of(list("abc"), [1, 1, 1]),
        column_of(list("abc"), [1, 3, 2]),
        column_of(list("abc"), [4, 1, 1]),
        column_of(list("abc"), [1, 1, 1], Strategy(kind=Kind.GREEDY)),
        column_of(list("abc"), [1, 1, 2], Strategy(kind=Kind.GREEDY, repetition_penalty=2)),
    ]
    cards = read(render.board(comparison_of(*columns))).find("section")
    html = render.board(comparison_of(*columns)).split("<section")[1:]
    marked = [
        [attrs["data-n"] for attrs, _ in Page("<section" + card).find("span", **{"class": "lv"})] for card in html[:-1]
    ]
    assert marked == [[], ["1"], ["0"], []]
    paths = [text for _, text in read(render.board(comparison_of(*columns))).find("p", **{"class": "sd-path"})]
    assert paths == [
        "same as greedy to the end",
        "leaves greedy at token 2",
        "leaves greedy at token 1",
        "this is the greedy path",
        "leaves greedy at token 3",
    ]
    assert len(cards) == 5


def test_a_running_board_has_carets_and_no_measures() -> None:
    half = Column(Strategy(kind=Kind.GREEDY), (token(),), ("a",))
    ended = Column(Strategy(kind=Kind.GREEDY), (token(),), ("a",), Reason.END_OF_TEXT, measure([token()], 1.0))
    page = read(render.board(comparison_of(half, ended, done=False)))
    assert page.find("div", **{"class": "sd-board"})[0][0]["data-state"] == "running"
    assert len(page.find("span", **{"class": "sd-caret"})) == 1
    assert len(page.find("span", **{"class": "sd-end"})) == 1
    assert len(page.find("dt")) == len(MEASURES)
    assert all("title" not in attrs for attrs, _ in page.find("span") if "data-n" in attrs)
    done = read(render.board(comparison_of(ended)))
    assert done.find("div", **{"class": "sd-board"})[0][0]["data-state"] == "done"
    assert any(attrs.get("title") == "36.8%, rank 1" for attrs, _ in done.find("span"))


def test_tokens_carry_how_surprising_they_are() -> None:
    tokens = (token(log_p=0.0), token(log_p=-math.log(1000) / 2), token(log_p=-500.0))
    column = Column(Strategy(kind=Kind.GREEDY), tokens, ("a", "b", "c"), Reason.LENGTH, measure(tokens, 1.0))
    spans = [attrs for attrs, _ in read(render.board(comparison_of(column))).find("span") if "data-n" in attrs]
    assert [float(attrs["style"].removeprefix("--s:")) for attrs in spans] == [0.0, 0.5, 1.0]


def test_a_prompt_is_shown_as_the_model_reads_it() -> None:
    page = read(render.board(comparison_of(column_of(["a"]), prompt="\n  A line,\nthe next:\n\n \t")))
    ((_, prompt),) = page.find("span", **{"class": "sd-prompt"})
    assert prompt == "\n  A line,\nthe next:\n\n"


def test_a_long_prompt_shows_its_end() -> None:
    page = read(render.board(comparison_of(column_of(["a"]), prompt="x" * 500 + " the end")))
    ((_, prompt),) = page.find("span", **{"class": "sd-prompt"})
    assert prompt.startswith("… x")
    assert prompt.endswith(" the end")
    assert len(prompt) <= 90


def spoken(page: Any) -> str:
    """Return what a screen reader says of a status when it changes."""
    ((_, status),) = page.find("p", role="status")
    hidden = "".join(text for _, text in page.find("span", **{"aria-hidden": "true"}))
    return status.removesuffix(hidden)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Composing … (3 s)", "Composing … "),
        ("Composing … (120 s)", "Composing … "),
        ("Composing …", "Composing …"),
        ("It took 3 s (3 s) in all", "It took 3 s (3 s) in all"),
    ],
)
def test_the_seconds_of_a_wait_are_seen_and_not_read_out(words: str, expected: str) -> None:
    page = read(render.message(words))
    assert (page.text, spoken(page)) == (words, expected)


@pytest.mark.parametrize("share", [0.0, 0.004, 0.5, 0.999, 1.0])
def test_progress(share: float) -> None:
    page = read(render.progress(share))
    bars = page.find("progress")
    assert len(bars) == (share < 1)
    assert page.text == ("Done." if share == 1 else f"Writing … {share:.0%}")
    assert spoken(page) == ("Done." if share == 1 else "Writing … ")


# Steps


def bars_of(figure: Any) -> list[Any]:
    return [trace for trace in figure.data if trace.type == "bar"]


@pytest.mark.parametrize("count", [1, 5, 25, 26, 50])
def test_a_step_has_a_bar_for_each_token_and_stage(count: int) -> None:
    labels = [f"t{n}" for n in range(count)]
    sampling = render.step_plot(inspection_of(labels))
    assert [trace.name for trace in bars_of(sampling)] == ["raw model", "after temperature", "after truncation"]
    assert all(len(trace.x) == len(trace.y) == min(count, 25) for trace in bars_of(sampling))
    assert list(sampling.layout.xaxis.ticktext) == labels[:25]
    assert [bars.y[0] for bars in bars_of(sampling)][:2] == [0.45, 0.5]
    greedy = render.step_plot(inspection_of(labels, Strategy(kind=Kind.GREEDY)))
    assert [trace.name for trace in bars_of(greedy)] == ["raw model"]


PENALISED = {"repetition_penalty": 1.3}


@pytest.mark.parametrize(
    ("strategy", "stages", "said"),
    [
        (Strategy(kind=Kind.GREEDY), ["raw model"], "this is the model's own distribution."),
        (
            Strategy(kind=Kind.GREEDY, **PENALISED),
            ["raw model", "after penalty"],
            "the most probable token after the repetition penalty is taken.",
        ),
        (Strategy(kind=Kind.BEAM), ["raw model"], "this is the model's own distribution."),
        (
            Strategy(kind=Kind.BEAM, **PENALISED),
            ["raw model"],
            "this is the model's own distribution, before the repetition penalty.",
        ),
        (
            Strategy(kind=Kind.TOP_K, top_k=3, **PENALISED),
            ["raw model", "after penalty and temperature", "after truncation"],
            "3 of 330 tokens stay",
        ),
    ],
    ids=lambda value: value.label if isinstance(value, Strategy) else "",
)
def test_a_penalty_is_a_stage_of_its_own(strategy: Strategy, stages: list[str], said: str) -> None:
    inspection = inspection_of(list("abcd"), strategy)
    assert [trace.name for trace in bars_of(render.step_plot(inspection))] == stages
    assert said in render.step_summary(inspection)


def test_a_step_has_the_cumulative_curve() -> None:
    (curve,) = (trace for trace in render.step_plot(inspection_of(list("abc"))).data if trace.type == "scatter")
    assert (list(curve.x), list(curve.y)) == ([1, 2, 330], [0.5, 0.75, 1.0])


@pytest.mark.parametrize(("chosen", "place"), [(100, 0), (124, 24), (125, 24), (149, 24)])
def test_the_chosen_token_is_always_among_the_bars(chosen: int, place: int) -> None:
    labels = [f"t{n}" for n in range(50)]
    figure = render.step_plot(inspection_of(labels, chosen=chosen))
    (note,) = (note for note in figure.layout.annotations if "chosen" in note.text)
    assert note.x == place
    assert figure.layout.xaxis.ticktext[place] == f"t{chosen - 100}"
    assert len(bars_of(figure)[0].x) == 25


def lines_of(figure: Any) -> list[tuple[str, float]]:
    """Return the lines across the curve: at which count of tokens, or at which mass."""
    return [("count", s.x0) if s.x0 == s.x1 else ("mass", s.y0) for s in figure.layout.shapes]


def test_the_cut_is_drawn_where_it_is() -> None:
    assert lines_of(render.step_plot(inspection_of(list("abcdef"), kept=4))) == [("count", 4)]
    top_p = render.step_plot(inspection_of(list("abcdef"), Strategy(kind=Kind.TOP_P, top_p=0.8)))
    assert sorted(lines_of(top_p)) == [("count", 3), ("mass", 0.8)]
    assert "p = 0.8" in [note.text for note in top_p.layout.annotations]
    # What typical sampling keeps does not begin with the most probable token.
    assert lines_of(render.step_plot(inspection_of(list("abc"), Strategy(kind=Kind.TYPICAL)))) == []
    assert lines_of(render.step_plot(inspection_of(list("abc"), Strategy(kind=Kind.GREEDY)))) == []
    assert lines_of(render.step_plot(inspection_of(list("abc"), kept=330))) == []  # nothing is cut


def test_a_step_as_a_table() -> None:
    rows = render.step_table(inspection_of(list("abcd"), chosen=101, kept=2))
    assert [row[:2] for row in rows] == [[1, "a"], [2, "b"], [3, "c"], [4, "d"]]
    assert [row[-1] for row in rows] == ["", "chosen", "cut", "cut"]
    assert [row[4] for row in rows] == [50.0, 75.0, 87.5, 93.75]  # cumulative
    assert all(len(row) == len(render.STEP_COLUMNS) for row in rows)
    greedy = render.step_table(inspection_of(list("ab"), Strategy(kind=Kind.GREEDY), chosen=100))
    assert [row[-1] for row in greedy] == ["chosen", ""]


def test_a_chosen_token_beyond_the_top_has_no_cumulative_figure() -> None:
    *_, before, last = render.step_table(inspection_of([f"t{n}" for n in range(51)], chosen=150))
    assert before[0] == 50
    assert last[:2] == ["…", "t50"]
    assert last[4] == ""
    assert last[-1] == "chosen"


def test_a_step_in_words() -> None:
    cut = render.step_summary(inspection_of(list("abcd"), kept=2))
    assert "2 of 330 tokens stay, holding 75.0%" in cut
    assert "328 are cut" in cut
    nothing = inspection_of(list("abcd"), kept=330)
    assert "Nothing is cut: all 330 tokens can be drawn." in render.step_summary(nothing)
    assert "Nothing is drawn here" in render.step_summary(inspection_of(["a"], Strategy(kind=Kind.GREEDY)))


# The other tools


def test_a_game() -> None:
    labels = [f"t{n}" for n in range(50)]
    start = read(render.game(Game((1,), "Once", (), inspection_of(labels))))
    assert len(start.find("button")) == 20
    assert [attrs["data-token"] for attrs, _ in start.find("button")] == [str(100 + n) for n in range(20)]
    assert "Pick the next token" in start.text
    picks = (Pick(4, " a", 1, 1.0), Pick(5, "\n", 3, 4.0))
    under_way = read(render.game(Game((1,), "Once", picks, inspection_of(labels))))
    assert "had rank 3 and 4.0 bits of surprise. So far 2 tokens, mean rank 2.0, 2.5 bits per token." in under_way.text
    assert render.game_table(Game((1,), "Once", picks, inspection_of(labels))) == [[1, "␣a", 1, 1.0], [2, "⏎", 3, 4.0]]


def test_a_sweep() -> None:
    result = sweep_of("one\ntwo", "three")
    figure = render.sweep_plot(result)
    assert [trace.name for trace in figure.data] == ["distinct-2", "1 − self-BLEU"]
    assert all(len(trace.x) == len(trace.y) == 3 for trace in figure.data)
    assert list(figure.data[1].x) == [0.75] * 3
    assert render.sweep_table(result)[0] == ["Temperature 0.3", -1.3, 0.5, 0.25]
    assert [row[1:] for row in render.sweep_samples(result)[:2]] == [[1, -1.0, "one ⏎ two"], [2, -1.0, "three"]]
    assert len(render.sweep_samples(result)) == 6
    assert all(len(row) == len(render.SAMPLE_COLUMNS) for row in render.sweep_samples(result))


def test_a_tree() -> None:
    tree = tree_of("a")
    figure = render.tree_plot(tree)
    marked = {trace.name: list(trace.text) for trace in figure.data if trace.mode == "markers+text"}
    assert marked == {"dropped": ["b"], "kept": [], "winner": ["prompt", "a", "a"]}
    rows = render.tree_table(tree)
    assert [row[-1] for row in rows] == ["winner", "dropped", "winner"]
    assert [row[1] for row in rows] == ["a", "b", "aa"]
    assert all(len(row) == len(render.TREE_COLUMNS) for row in rows)
    assert "1.8 times more probable" in render.tree_summary(tree)
    same = Tree(tree.nodes, "a", -1.4, "a", -1.4)
    assert render.tree_summary(same).endswith("Greedy finds the same text.")
    longer = replace(tree, length=3, greedy_length=6)
    assert "times" not in render.tree_summary(longer) and "different lengths" in render.tree_summary(longer)


def numbers_of(value: Any) -> Iterator[float]:
    if isinstance(value, float | int):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from numbers_of(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from numbers_of(part)


def test_no_figure_holds_what_is_no_number() -> None:
    for figure in figures("a"):
        assert all(map(math.isfinite, numbers_of(figure.to_plotly_json())))
    candidates = (Candidate(1, 0.0, 0.0, 0.0), Candidate(2, 1.0, 1.0, 1.0))
    certain = Distribution(candidates, 1, 1.0, 330, ((1, 1.0), (330, 1.0)))
    figure = render.step_plot(Inspection(Strategy(kind=Kind.TOP_P), 1, certain, 0.0, ("a", "b")))
    assert all(map(math.isfinite, numbers_of(figure.to_plotly_json())))


def test_results_of_a_model_are_shown(language_model: LanguageModel) -> None:
    """From the model to the page: bytes that are no text, characters across tokens, everything that chance writes."""
    from lab.text.decoding import compare, inspect
    from lab.text.playing import play
    from lab.text.sweep import sweep
    from lab.text.tree import grow

    settings = DecodingSettings(
        prompt="The old house",
        max_new_tokens=20,
        samples=2,
        vary_points=2,
        columns="greedy;temperature(temperature=3);beam;typical",
    )
    for result in compare(language_model, settings):
        read(render.board(result))
        read(render.run_status(result, []))
    for column in result.columns:
        found = inspect(language_model, result.prompt_ids, column.strategy, column.tokens[0].id)
        assert len(render.step_table(found)) == len(found.distribution.candidates)
        figure = render.step_plot(found)
        assert len(bars_of(figure)[0].x) == 25
        assert all(map(math.isfinite, numbers_of(figure.to_plotly_json())))
        assert any(row[-1] == "chosen" for row in render.step_table(found))
    assert len(read(render.game(play(language_model, result.prompt_ids, (5, 6)))).find("button")) == 20
    for swept in sweep(language_model, settings):
        assert all(map(math.isfinite, numbers_of(render.sweep_plot(swept).to_plotly_json())))
    tree = grow(language_model, settings)
    assert all(map(math.isfinite, numbers_of(render.tree_plot(tree).to_plotly_json())))
    assert len(render.tree_table(tree)) == len(tree.nodes) - 1
