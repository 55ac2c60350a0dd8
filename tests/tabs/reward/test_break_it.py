"""Break it: attempts, the attack and what it leaves when it is stopped, and pairs that stay with their annotator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from lab.preferences.settings import View
from tabs import waiting
from tabs.reward import attack as attack_module
from tabs.reward.break_it import BreakPanel
from tabs.reward.fooled import KEPT_TEXTS, of_annotator, remembered, with_annotator
from tabs.reward.page import _RewardPage
from tabs.runs import Runs
from tests.tabs.reward.conftest import values_of

SKIP = gr.skip()
TEXT = " table road house"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, nobody says that it takes a while."""
    monkeypatch.setattr(waiting, "QUIET", 600)


@pytest.fixture
def panel(page: _RewardPage) -> BreakPanel:
    """The tool."""
    return page._panels[View.BREAK]


def given(page: _RewardPage, fooling: Any = (), added: Any = (), **changes: Any) -> list[Any]:
    """Return the values of the tool's inputs."""
    return [*values_of(page, **{"attempt": TEXT, "budget": 3, "rankings": 60} | changes), "", "", added, fooling]


def number(text: str) -> float:
    """Return the value of a number as it is shown."""
    return float(text.replace("−", "-"))


def test_an_attempt_stands_on_the_leaderboard(page: _RewardPage, panel: BreakPanel) -> None:
    (update,) = panel.run(*values_of(page, attempt=" table road"), "", "7b", (), (), Runs())
    _, _, board, _, session = update
    assert board[0][:2] == ["1", "you"]
    assert panel.board("cheerful", "somebody", "7b")[0][1] == "visitor 1"
    assert panel.board("cheerful", "somebody", "")[0][1] == "nobody has tried yet"
    ((said, *rest),) = panel.run(*values_of(page, attempt=""), session, "", (), (), Runs())
    assert "no text yet" in said and rest == [SKIP] * 4


def test_who_may_read_an_attempt_is_said_before_it_is_made(panel: BreakPanel) -> None:
    assert "kept without a name" in panel.controls["attempt"].info
    assert "In a class its members can read it" in panel.controls["attempt"].info


def steps_of(updates: Iterator[list[Any]]) -> list[list[Any]]:
    """Return those updates of an attack that show a step."""
    return [update for update in updates if isinstance(update[3], dict) and update[3].get("value")]


def test_the_attack_goes_up_and_the_hole_is_closed(page: _RewardPage, panel: BreakPanel) -> None:
    updates = list(panel._attack.run(*given(page), Runs()))
    rows = steps_of(updates)[-1][3]["value"]
    rewards = [number(row[2]) for row in rows]
    assert rewards == sorted(rewards) and len(rewards) == 4
    assert "Done: 3 words" in updates[-1][0]
    ((said, *rest),) = panel.close(*given(page), (), Runs())
    assert "has fooled" in said and rest == [SKIP] * 4
    ((said, words, plot, table, added),) = panel.close(*given(page), [("cheerful", TEXT)], Runs())
    assert f"{len(added)} pairs added" in said and "so there was no hole" in words
    row = table["value"][0]
    assert number(row[2]) < number(row[1])
    assert plot["visible"]
    assert panel.forget()[-2:] == [(), ()]


def test_what_is_forgotten_does_not_come_back_from_what_is_under_way(page: _RewardPage, panel: BreakPanel) -> None:
    closing, attacking = Runs(), Runs()
    close = panel.close(*given(page), [("cheerful", TEXT)], closing)
    attack = panel._attack.run(*given(page), attacking)
    next(update for update in attack if update[1] != SKIP)
    panel.forget(closing, attacking)
    assert list(attack) == [[SKIP] * 5]
    closing.drop()  # it is begun by the first of its updates
    assert all(update[-1] != SKIP for update in close)  # forgotten before it began: it was asked for after that


@pytest.mark.parametrize("stopped", [False, True], ids=["to the end", "stopped"])
def test_what_fools_on_the_way_is_remembered(
    page: _RewardPage, panel: BreakPanel, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    standings = iter([0, 90, 95, 20, 20, 20, 20, 20])  # by reward and by the rule, by turns: the first word fools
    monkeypatch.setattr(attack_module, "share_beaten", lambda *_: next(standings))
    known: Any = (("cheerful", "an older one"),)
    runs, shown = Runs(), 0
    for update in panel._attack.run(*given(page, known), runs):
        known = known if update[4] == SKIP else update[4]
        shown += update[1] != SKIP
        if stopped and shown == 2:
            runs.stop()
    assert shown == (3 if stopped else 4)
    assert of_annotator(known, "cheerful")[0] == "an older one"
    (found,) = of_annotator(known, "cheerful")[1:]
    assert len(found.split()) == len(TEXT.split()) + 1


def test_pairs_are_learnt_with_their_annotator_alone(page: _RewardPage, panel: BreakPanel) -> None:
    fooling = (("cheerful", TEXT),)
    ((said, *_, added),) = panel.close(*given(page, fooling), (), Runs())
    assert "while this annotator is chosen" in said and {name for name, _ in added} == {"cheerful"}

    def learnt(annotator: str) -> int:
        settings, _ = page._controls.settings(*values_of(page, annotator=annotator, rankings=60))
        return panel._shared.learn(settings, "", "", added).added

    assert (learnt("cheerful"), learnt("dialogue")) == (len(added), 0)
    # What fooled the one is nothing that the other could reject; what it rejects itself comes beside.
    ((said, *rest),) = panel.close(*given(page, fooling, added, annotator="dialogue"), (), Runs())
    assert "No text has fooled this annotator’s model yet" in said and rest == [SKIP] * 4
    both = remembered(fooling, "dialogue", " road")
    ((_, *_, more),) = panel.close(*given(page, both, added, annotator="dialogue"), [("dialogue", " road")], Runs())
    assert of_annotator(more, "cheerful") == of_annotator(added, "cheerful")
    assert {rejected for _, _, rejected in of_annotator(more, "dialogue")} == {" road"}


def test_the_newest_texts_of_each_annotator_stay() -> None:
    kept: Any = (("other", "theirs"),)
    for text in [*map(str, range(KEPT_TEXTS + 2)), "5"]:
        kept = remembered(kept, "mine", text)
    assert of_annotator(kept, "other") == ("theirs",)
    assert of_annotator(kept, "mine") == tuple(map(str, range(2, KEPT_TEXTS + 2)))
    assert with_annotator(kept, "mine", ()) == (("other", "theirs"),)
