"""Ranking: kept once, taken back, asked about when nothing was moved, private unless it is for the class."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr
import pytest
from gradio.context import Context

from lab.preferences import Item
from lab.preferences.rounds import Round
from lab.preferences.settings import Source, View
from tabs.reward.mine import read_lines
from tabs.reward.ordering import listing
from tabs.reward.page import _RewardPage
from tabs.reward.rank import FOR_CLASS, FOR_ME
from tabs.runs import Runs
from tests.tabs.pages import PAYLOADS, Page
from tests.tabs.reward.conftest import store_of, values_of

SKIP = gr.skip()


def moved(found: Round, groups: list[list[int]]) -> str:
    return json.dumps({"key": found.key, "groups": groups, "moved": True})


def add(page: _RewardPage, found: Any, value: str, session: str = "", code: str = "", **more: Any) -> list[Any]:
    panel = page._panels[View.RANK]
    return panel.add(
        value, found, more.get("asked", False), more.get("audience", FOR_CLASS), session, code, "annotator"
    )


def test_a_ranking_is_kept_and_its_authors_told(page: _RewardPage, found: Round) -> None:
    said, board, _, button, next_one, session, source = add(page, found, moved(found, [[2], [0, 1]]))
    assert "Kept: C &gt; A = B." in said
    read = json.loads(board)
    assert (read["state"], read["groups"]) == ("kept", [[2], [0, 1]])
    assert [item["who"] for item in read["items"]] == [
        "written by the model itself",
        "written with the adapter bard",
        "written by the model itself",
    ]
    assert (button["interactive"], next_one["value"], source) == (False, "Next", Source.OWN)
    (kept,) = store_of(page).rankings()
    assert (kept.ranks, kept.session, kept.class_code) == ((2, 2, 1), session, "")
    assert len(session) == 32


def test_the_same_ranking_twice_is_kept_once(page: _RewardPage, found: Round) -> None:
    session = add(page, found, moved(found, [[0], [1], [2]]))[5]
    said, *_ = add(page, found, moved(found, [[0], [1], [2]]), session)
    assert "kept once" in said
    assert len(store_of(page).rankings()) == 1


def test_an_order_that_was_not_touched_is_asked_about(page: _RewardPage, found: Round) -> None:
    untouched = listing(found.key, [], "ready", [[0], [1], [2]])
    said, board, asked, *_ = add(page, found, untouched)
    assert "not moved anything" in said
    assert (board, asked) == (SKIP, True)
    assert store_of(page).rankings() == []
    assert "Kept" in add(page, found, untouched, asked=True)[0]


def test_all_tied_is_kept_but_says_what_it_is_worth(page: _RewardPage, found: Round) -> None:
    assert "no pair" in add(page, found, moved(found, [[0, 1, 2]]))[0]


def test_what_cannot_be_ranked(page: _RewardPage, found: Round) -> None:
    one = replace(found, items=found.items[:1])
    for nothing in (None, one, replace(found, done=False)):
        said, *rest = add(page, nothing, moved(found, [[0], [1], [2]]))
        assert 'role="alert"' in said and rest == [SKIP] * 6
    said, *rest = add(page, found, "{}")
    assert "once more" in said and rest == [SKIP] * 6
    shown = page._panels[View.RANK]._shown(one, 0, [])
    assert "cannot be ranked" in shown[0] and shown[4]["interactive"] is False


def test_for_the_class_or_for_oneself(page: _RewardPage, found: Round) -> None:
    assert add(page, found, moved(found, [[0], [1], [2]]), "me", "7b")[6] == Source.CLASS
    add(page, found, moved(found, [[0], [1], [2]]), "me", "7b", audience=FOR_ME)
    assert [one.class_code for one in store_of(page).rankings()] == ["7b", ""]
    said, *_ = add(page, found, moved(found, [[0], [1], [2]]), "me", "<script>")
    assert "class code" in said and 'role="alert"' in said


def test_undo_takes_back_one_s_own_last_one(page: _RewardPage, found: Round) -> None:
    panel = page._panels[View.RANK]
    assert "no ranking of yours" in panel.undo(found, "")[0]
    other = replace(found, prompt="Another")
    add(page, found, moved(found, [[2], [0], [1]]), "me")
    add(page, other, moved(other, [[0], [1], [2]]), "me")
    add(page, found, moved(found, [[0], [1], [2]]), "you")
    said, *rest = panel.undo(found, "me")
    assert "“Another”" in said and rest == [SKIP] * 3
    said, board, button, _ = panel.undo(found, "me")
    assert json.loads(board)["groups"] == [[2], [0], [1]] and json.loads(board)["state"] == "ready"
    assert button["interactive"]
    assert [one.session for one in store_of(page).rankings()] == ["you"]


def test_a_store_that_fails_is_told_and_the_order_stays(page: _RewardPage, found: Round) -> None:
    store_of(page).close()
    said, *rest = add(page, found, moved(found, [[0], [1], [2]]), "me")
    assert "is closed" in said and rest == [SKIP] * 6
    assert "is closed" in page._panels[View.RANK].undo(found, "me")[0]
    assert "is closed" in page._mine.show("me", "7b")[0]
    assert "is closed" in page._mine.download("me", "", "mine", True)[0]


def test_pairs_follow_the_order(page: _RewardPage, found: Round) -> None:
    panel = page._panels[View.RANK]
    rows = panel.show_pairs(moved(found, [[2], [0, 1]]), found)
    assert rows == [["C > A", "dead grief", "happy joy smile"], ["C > B", "dead grief", "road stone"]]
    assert panel.show_pairs("nonsense", found) == SKIP
    assert panel.show_pairs("", None) == []


def test_a_session_of_before_is_taken_up(page: _RewardPage) -> None:
    panel = page._panels[View.RANK]
    for given, query, session, visible in (
        ("abc", {"class": "7b"}, "abc", True),
        ("<script>", {"class": "<img>"}, "", False),
        ("", {}, "", False),
    ):
        shown = panel.resume(given, SimpleNamespace(query_params=query))
        assert (shown[0], shown[1]["visible"]) == (session, visible)


def test_only_the_class_s_rounds_are_counted(page: _RewardPage, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = page._panels[View.RANK]
    asked: list[tuple[str, int]] = []

    def start(_: Any, notes: list[str], number: int, audience: str, code: str) -> Iterator[list[Any]]:
        asked.append((code, number))
        yield []

    monkeypatch.setattr(panel, "_start", start)
    for audience, code in ((FOR_ME, "7b"), (FOR_CLASS, ""), (FOR_CLASS, "7b")):
        list(panel.go_on(*values_of(page), Runs(), 4, audience, code))
    assert asked == [("7b", 4), ("", 4), ("7b", 5)]


@pytest.mark.parametrize(("whole", "words"), [(0, "cannot be ranked"), (1, "cannot be ranked"), (2, "can be ranked")])
def test_what_stop_leaves_can_be_ranked_or_not(page: _RewardPage, found: Round, whole: int, words: str) -> None:
    panel = page._panels[View.RANK]
    items = (*found.items[:whole], *(Item("") for _ in found.items[whole:]))
    update = panel._shown(replace(found, items=items, done=False), 0, [])
    told, _, left, *_ = panel._stopped(update)
    assert words in told and len(left.items) == whole
    assert panel._stopped(update)[4]["interactive"] is (whole > 1)


def test_who_joins_a_class_later_may_still_rank_for_themselves(page: _RewardPage) -> None:
    panel, code = page._panels[View.RANK], page._mine._shared.class_code
    (joined,) = (fn for fn in Context.root_block.fns.values() if (code._id, "change") in fn.targets)
    assert joined.outputs == [panel.audience]
    assert [joined.fn(given)["visible"] for given in ("oak-7", "")] == [True, False]


# My rankings


def test_download_and_upload_are_the_way_there_and_back(
    page: _RewardPage, found: Round, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[Path] = []
    monkeypatch.setattr("tabs.reward.mine.forget_soon", forgotten.append)
    add(page, found, moved(found, [[2], [0, 1]]), "me")
    add(page, found, moved(found, [[0], [1], [2]]), "somebody")
    for full, count in ((False, 2), (True, 1)):
        said, text, name = page._mine.download("me", "", "mine", full)
        assert len(text.splitlines()) == count
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        said, session, _ = page._mine.upload(str(file), "me2" if full else "me3")
        assert f"{count} ranking" in said and len(store_of(page).rankings(session=session)) == count
        assert forgotten.pop() == file  # nothing of it stays on the server
    assert page._mine.download("", "", "mine", True)[1:] == ["", ""]
    assert "nothing to download" in page._mine.download("nobody", "", "mine", True)[0]


def test_what_the_page_has_saved_does_not_stay_in_its_box(page: _RewardPage, found: Round) -> None:
    add(page, found, moved(found, [[2], [0, 1]]), "me")
    fns = [fn.fn for fn in Context.root_block.fns.values() if page._mine._file in fn.outputs]
    pairs, emptied, rankings, emptied_too = fns
    for made, lines in ((pairs, 2), (rankings, 1)):
        _, file = made("me", "", "mine")
        saved = json.loads(file)
        assert len(saved["text"].splitlines()) == lines and saved["type"].startswith("application/jsonl")
        assert made("nobody", "", "mine")[1] == ""
    assert emptied() == emptied_too() == ""


def test_a_class_s_rankings_are_downloaded_without_anybody_s_own(page: _RewardPage, found: Round) -> None:
    order = moved(found, [[2], [0], [1]])
    add(page, found, order, "me", code="7b")
    add(page, found, order, "other", code="7b")
    add(page, found, moved(found, [[1], [0], [2]]), "other", code="8a")
    add(page, found, moved(found, [[0, 1], [2]]), "other")
    said, text, name = page._mine.download("me", "7b", "class", True)
    assert ("2 rankings" in said, len(text.splitlines()), name) == (True, 2, "class-7b-rankings.jsonl")
    assert "other" not in text and '"me"' not in text
    assert len(page._mine.download("", "7b", "class", False)[1].splitlines()) == 6
    assert "no ranking of your class" in page._mine.download("me", "9c", "class", True)[0]
    # Without a class the choice means nothing: it must not open everybody's.
    assert len(page._mine.download("other", "", "class", True)[1].splitlines()) == 3  # all of their own
    assert page._mine.download("", "", "class", True)[1:] == ["", ""]
    assert page._mine.show("me", "7b")[2]["visible"] and not page._mine.show("me", "")[2]["visible"]


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "is empty"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"x" * 2_000_001, "larger than 2 MB"),
        (b"{\n[1]\n", "Line 1: "),
        (b'{"prompt": "p", "chosen": "<img src=x onerror=alert(1)>", "rejected": ["x"]}', "must be text"),
    ],
)
def test_a_broken_upload_says_what_is_wrong(page: _RewardPage, tmp_path: Path, data: bytes, words: str) -> None:
    file = tmp_path / "file.jsonl"
    file.write_bytes(data)
    said, *_ = page._mine.upload(str(file), "me")
    assert words in Page(said).text and 'role="alert"' in said and "<img" not in said
    assert store_of(page).rankings() == []


def test_of_a_hostile_upload_the_good_lines_are_kept_as_text(page: _RewardPage, tmp_path: Path) -> None:
    lines = [json.dumps({"prompt": text, "chosen": text, "rejected": "b"}) for text in PAYLOADS]
    file = tmp_path / "file.jsonl"
    file.write_text("\n".join([*lines, lines[0], *["nonsense"] * 9]), encoding="utf-8")
    said, *_ = page._mine.upload(str(file), "me")
    assert f"{len(PAYLOADS)} rankings added. 1 were there already" in said
    assert "and 4 more lines" in said
    assert [one.prompt for one in store_of(page).rankings()] == PAYLOADS
    summary, table, _ = page._mine.show("me", "")
    assert {tag for tag, _ in Page(summary).tags} == {"dl", "div", "dt", "dd"}
    assert table[0][1] == " ".join(PAYLOADS[-1].split())
    with pytest.raises(RuntimeError, match="No file"):
        read_lines(None)


def test_agreement_of_a_class(page: _RewardPage, found: Round) -> None:
    assert "once two visitors" in self_told(page, found, [("a", [[0], [1], [2]])])
    told = self_told(page, found, [("a", [[0], [1], [2]]), ("b", [[0], [1], [2]]), ("c", [[2], [1], [0]])])
    assert "3 rankings by 3 visitors" in told
    assert "−0.33" in told  # the mean of 1, -1 and -1


def self_told(page: _RewardPage, found: Round, given: list[tuple[str, list[list[int]]]]) -> str:
    for session, groups in given:
        add(page, found, moved(found, groups), session, "7b")
    return Page(page._mine.show("nobody", "7b")[0]).text


# Score and Break it


def last(updates: Any) -> list[Any]:
    *_, update = updates
    return update


def number(text: str) -> float:
    """Return the value of a number as it is shown."""
    return float(text.replace("−", "-"))


def test_a_text_is_scored_sentence_by_sentence(page: _RewardPage) -> None:
    panel, shared = page._panels[View.SCORE], ["", "", (), Runs()]
    text = "happy joy smile. dead grief pale."
    said, standing, effects, table = last(panel.run(*values_of(page, text=text), *shared))
    assert "Scored." in said
    assert "Likes cheerful words" in standing
    assert Page(effects).text.startswith(text)
    assert [number(row[1]) > 0 for row in table["value"]] == [True, False]
    for payload in PAYLOADS:
        _, _, effects, _ = last(panel.run(*values_of(page, text=payload), *shared))
        assert {tag for tag, _ in Page(effects).tags} <= {"p", "span"}
    for nothing in ("", " \n "):
        said, *rest = last(panel.run(*values_of(page, text=nothing), *shared))
        assert "no text to score" in said and rest == [SKIP] * 3


def test_an_order_is_compared_with_the_model_s(page: _RewardPage, found: Round) -> None:
    panel = page._panels[View.SCORE]
    said, *_ = last(panel.compare(*values_of(page), "me", "", (), 0, Runs()))
    assert "not ranked anything" in said
    hostile = replace(found, items=(*found.items[:2], Item(" dead grief <img src=x onerror=alert(1)>")))
    add(page, hostile, moved(hostile, [[2], [1], [0]]), "me")
    _, shown, table = last(panel.compare(*values_of(page), "me", "", (), 0, Runs()))
    assert "agrees with you on 0 of 3 pairs" in shown
    assert "<img" not in shown
    assert [row[0] for row in table["value"]] == ["C", "B", "A"]
    assert [row[2] for row in table["value"]] == ["3", "2", "1"]
    choices = panel.offer("me")["choices"]
    assert len(choices) == 2 and "C > B > A" in choices[1][0]
    assert len(panel.offer("you")["choices"]) == 1  # nobody else's


def test_a_link_is_the_whole_state(page: _RewardPage) -> None:
    values = values_of(page, view="break", prompt="<b>", attempt="x y", annotator="dialogue", mixed=False, seed=9)
    query = page._query(*values)
    restored = page._restore(dict(parse_qsl(query)) | {"tab": "reward"})
    named = dict(zip(page._controls.components, restored, strict=False))
    assert (named["prompt"], named["attempt"], named["annotator"]) == ("<b>", "x y", "dialogue")
    assert (named["mixed"], named["seed"]) == (False, 9)
    assert len(restored) == len(page.page.outputs)
    assert page._restore({"__theme": "dark"}) == [SKIP] * len(page.page.outputs)


@pytest.mark.parametrize(
    ("query", "runs"),
    [
        ("view=break", ""),
        ("view=break&attempt=joy", "break"),
        ("view=score&text=+", ""),
        ("view=score&text=joy", "score"),
        ("view=score&rankings=many", "score"),  # there is something to tell
        ("view=train", "train"),
    ],
)
def test_a_tool_opened_without_its_text_does_not_complain(page: _RewardPage, query: str, runs: str) -> None:
    assert page._restore(dict(parse_qsl(query, keep_blank_values=True)) | {"tab": "reward"})[-2] == runs
