"""Best of n: the choice is the highest reward of the draw, the curves are its expectation, and over-doing is named."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np
import pytest

from lab.preferences import PreferenceError
from lab.preferences.best_of_n import best_of_n, best_of_n_curve
from lab.preferences.choosing import SIZES, Candidates, Choice, candidates, choose, held_out_prompts, numbered, scale_of
from lab.preferences.learning import Learnt
from lab.preferences.pairs import Completion
from lab.preferences.settings import RewardSettings, View
from tabs import runs as runs_module
from tabs import waiting
from tabs.reward.best_of_n import STORIES, BestOfNPanel
from tabs.reward.page import _RewardPage
from tabs.reward.render.best_of_n import (
    CURVE_COLUMNS,
    DRAWN_COLUMNS,
    choice_board,
    choice_plot,
    choice_table,
    choice_words,
    drawn_table,
    place_by_rule,
)
from tabs.runs import Runs
from tests.tabs.pages import PAYLOADS, Page
from tests.tabs.reward.conftest import values_of
from tests.tabs.reward.made_pool import HELD_OUT, MANY


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, nobody says that it takes a while."""
    monkeypatch.setattr(waiting, "QUIET", 600)


def panel_of(page: _RewardPage) -> BestOfNPanel:
    """Return the tool."""
    return page._panels[View.BEST_OF_N]


def learnt_of(page: _RewardPage, **settings: Any) -> Learnt:
    """Return a reward model."""
    return panel_of(page)._shared.learner.learn(RewardSettings(**{"rankings": 60} | settings))


def run(page: _RewardPage, **settings: Any) -> list[Any]:
    """Return what a run sends to the page."""
    panel = panel_of(page)
    (update,) = panel.run(*values_of(page, **{"view": "best-of-n", "rankings": 60} | settings), "", "", (), Runs())
    assert len(update) == len(panel.outputs)
    return update


def fooled(learnt: Learnt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the true score follow the reward except for the highest rewards, which are the worst there is."""
    rewards, _ = learnt.shipped
    true_scores = np.where(rewards > np.quantile(rewards, 0.9), -5.0, rewards)
    monkeypatch.setitem(learnt.__dict__, "shipped", (rewards, true_scores))


def test_the_choice_is_the_highest_reward_of_a_draw_that_grows(page: _RewardPage) -> None:
    learnt = learnt_of(page)
    few, many = (choose(learnt, RewardSettings(n=n, among=2, draw=5)) for n in (4, 20))
    assert len(few.drawn) == 4 and many.drawn[:4] == few.drawn
    assert many.chosen.reward == max(one.reward for one in many.drawn) >= few.chosen.reward
    assert len({one.completion for one in many.drawn}) == 20
    assert many.kl == best_of_n(*candidates(learnt)[1].scores, 20).kl > math.log(20) - 19 / 20  # which are put back
    board = Page(choice_board(many)).text
    assert f"{many.kl:.2f} nats" in board and f"{math.log(20) - 19 / 20:.2f} nats" in board
    assert [size for size, _ in many.read] == [1, 4, 16, 64]
    assert many.read[1][1] == few.chosen
    other = choose(learnt, RewardSettings(n=4, among=2, draw=6))
    assert other.drawn != few.drawn


def test_curves_are_what_draws_come_to_on_average(page: _RewardPage) -> None:
    found = choose(learnt_of(page), RewardSettings(among=1))
    group = candidates(found.learnt)[0]
    dice = np.random.default_rng(0)
    tries = [dice.permutation(MANY)[:8] for _ in range(4000)]
    best = [rows[np.argmax(group.rewards[rows])] for rows in tries]
    point = found.own[SIZES.index(8)]
    assert point.reward == pytest.approx(group.rewards[best].mean(), abs=0.06)
    assert point.true_score == pytest.approx(group.true_scores[best].mean(), abs=0.12)
    assert [one.n for one in found.mean] == list(SIZES) and found.prompts == HELD_OUT
    rewards = [one.reward for one in found.mean]
    assert rewards == sorted(rewards)


def test_plot_and_table_agree(page: _RewardPage) -> None:
    found = choose(learnt_of(page), RewardSettings(n=16))
    rows = choice_table(found)
    assert {len(row) for row in rows} == {len(CURVE_COLUMNS)} and [row[0] for row in rows] == [f"{n}" for n in SIZES]
    figure = choice_plot(found)
    assert [trace.name.split(",")[0] for trace in figure.data] == ["learned reward", "true score"] * 2
    assert figure.data[0].y[0] == pytest.approx(found.scale.reward(found.mean[0].reward))
    assert figure.data[3].y[-1] == pytest.approx(found.scale.true_score(found.own[-1].true_score))
    assert figure.layout.shapes[0].x0 == 16
    drawn = drawn_table(found)
    assert {len(row) for row in drawn} == {len(DRAWN_COLUMNS)} and len(drawn) == 16
    marked = [row for row in drawn if "✓" in row[0]]
    assert len(marked) == 1 and found.chosen.completion.text.strip() == marked[0][3]


def test_over_optimisation_is_named_where_it_is_and_only_there(
    page: _RewardPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt = learnt_of(page, rankings=300)
    honest = choose(learnt, RewardSettings())
    assert not honest.overdone and "both rise" in choice_words(honest)
    fooled(learnt, monkeypatch)
    found = choose(learnt, RewardSettings())
    assert found.overdone and 1 < found.peak.n < 64
    falls = []
    for group in candidates(learnt):
        best, last = best_of_n_curve([group.scores], [found.peak.n, 64])
        falls.append((best.true_score - last.true_score) / found.scale.true_deviation)
    assert found.fall == pytest.approx(np.mean(falls))
    assert found.fall_error == pytest.approx(np.std(falls, ddof=1) / HELD_OUT**0.5)
    assert f"{found.fall:.2f} ± {found.fall_error:.2f}" in choice_words(found)
    assert f"highest at n = {found.peak.n}" in choice_words(found) and "over-optimisation" in choice_words(found)


def test_a_model_that_learned_nothing_is_called_so(page: _RewardPage, monkeypatch: pytest.MonkeyPatch) -> None:
    learnt = learnt_of(page)
    rewards, _ = learnt.shipped
    monkeypatch.setitem(learnt.__dict__, "shipped", (rewards, np.zeros(len(rewards))))
    found = choose(learnt, RewardSettings())
    assert "learned little of the rule" in choice_words(found)
    assert all(np.isfinite(trace.y).all() for trace in choice_plot(found).data)  # though all true scores are the same


def test_the_place_by_the_rule_counts_ties(page: _RewardPage) -> None:
    found = choose(learnt_of(page), RewardSettings(n=1))
    assert place_by_rule(found) == "1 of 1"
    one = found.chosen
    better, same = replace(one, true_score=one.true_score + 1), replace(one, reward=one.reward - 1)
    assert place_by_rule(replace(found, n=2, drawn=(one, same))) == "1 of 2, with 1 other"
    assert place_by_rule(replace(found, n=4, drawn=(better, one, same, same))) == "2 of 4, with 2 others"


def test_a_run_shows_choice_plot_table_and_draw(page: _RewardPage) -> None:
    status, board, details, plot, table, words, drawn = run(page, annotator="cheerful", n=16)
    assert "Best of 16" in status and 'role="alert"' not in status
    assert Page(board).find("h3")[0][1] == "Chosen of 16"
    assert details["visible"] and len(plot.data) == 4 and len(table) == len(SIZES) and len(drawn) == 16
    assert "Averaged over" in words


def test_other_settings_run_only_where_the_tool_is_open(page: _RewardPage) -> None:
    panel = panel_of(page)
    again = next(
        event.fn
        for event in gr.context.Context.root_block.fns.values()
        if event.targets == [(panel.controls["n"]._id, "input")]
    )
    here = list(again(*values_of(page, view="best-of-n", rankings=60), "", "", (), Runs()))
    assert len(here) == 1 and "Best of" in here[0][0]
    elsewhere = again(*values_of(page, view="train", rankings=60), "", "", (), Runs())
    assert list(elsewhere) == [[gr.skip()] * len(panel.outputs)]


@pytest.mark.parametrize("view", [View.BEST_OF_N, View.LEASH])
def test_a_newer_run_silences_the_one_before(page: _RewardPage, monkeypatch: pytest.MonkeyPatch, view: View) -> None:
    monkeypatch.setattr(waiting, "QUIET", 0.01)
    monkeypatch.setattr(runs_module, "PATIENCE", 0.05)
    panel, runs, held = page._panels[view], Runs(), threading.Event()
    values = [*values_of(page, view=str(view), rankings=60), "", "", (), runs]
    find = panel.find
    monkeypatch.setattr(panel, "find", lambda *asked: held.wait(60) and find(*asked))
    old = panel.run(*values)
    assert "Learning from the rankings" in next(old)[0]
    monkeypatch.setattr(panel, "find", find)
    *_, newer = panel.run(*values)
    assert "sd-message" in newer[0] and newer[2]["visible"]
    held.set()
    assert list(old) == [[gr.skip()] * len(panel.outputs)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"n": "nan"}, "n: nan is not possible"), ({"n": 10**9}, "is outside 1 to 64"), ({"draw": -3}, "is outside 0")],
    ids=["nan", "huge", "negative"],
)
def test_numbers_out_of_bounds_are_clamped_and_told(page: _RewardPage, changes: dict[str, Any], words: str) -> None:
    update = run(page, **changes)
    assert words in update[0] and 'role="alert"' not in update[0]


def test_a_prompt_that_is_not_there_is_refused_in_words(page: _RewardPage) -> None:
    update = run(page, among=HELD_OUT + 1)
    assert 'role="alert"' in update[0] and f"prompts 1 to {HELD_OUT}" in update[0]
    assert update[1:] == [gr.skip()] * (len(update) - 1)
    with pytest.raises(PreferenceError):
        numbered(candidates(learnt_of(page)), 0)


def test_fewer_completions_than_n_are_told(page: _RewardPage, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [
        Candidates(one.prompt, one.texts[:5], one.rewards[:5], one.true_scores[:5])
        for one in candidates(learnt_of(page))
    ]
    monkeypatch.setattr("lab.preferences.choosing.candidates", lambda learnt: groups)
    update = run(page, n=64)
    assert "has 5 completions, so n is 5" in update[0] and "Best of 5" in update[0]
    assert [row[0] for row in update[4]] == ["1", "2", "3", "4"]
    assert scale_of(groups).reward(groups[0].rewards[0]) is not None


def test_texts_stay_texts(page: _RewardPage) -> None:
    found: Choice = choose(learnt_of(page), RewardSettings(n=2))
    for payload in PAYLOADS:
        hostile = replace(found.chosen, completion=Completion(payload, payload))
        read = Page(choice_board(replace(found, chosen=hostile, read=((1, hostile),))))
        assert read.text.count(payload + payload) == 2
        assert {"script", "img", "b"}.isdisjoint(tag for tag, _ in read.tags)


def test_stories_set_something_and_all_of_it_is_possible(page: _RewardPage) -> None:
    annotators = [choice for _, choice in page._controls.components["annotator"].choices]
    for _, changes in STORIES:
        settings, notes = RewardSettings.lenient(changes)
        assert not notes and settings != RewardSettings() and settings.annotator in annotators


def test_prompts_are_read_without_the_pool(tmp_path: Any) -> None:
    path = tmp_path / "pool.jsonl"
    assert held_out_prompts(path) == ()
    held_out_prompts.cache_clear()
    path.write_text('{"prompt": "a", "held_out": true}\n{"prompt": "b", "held_out": false}\n', encoding="utf-8")
    assert held_out_prompts(path) == ("a",)
