"""The leash: what it says is the optimum for its beta, both ends are what they must be, and hacking is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np
import pytest

from lab.preferences.choosing import BETAS, Held, candidates, hold
from lab.preferences.learning import Learnt
from lab.preferences.pairs import Completion
from lab.preferences.settings import RewardSettings, View
from tabs import waiting
from tabs.reward.leash import STORIES, LeashPanel
from tabs.reward.page import _RewardPage
from tabs.reward.render.leash import LEASH_COLUMNS, leash_plot, leash_table, leash_words, moved_html, probability
from tabs.runs import Runs
from tests.tabs.pages import PAYLOADS, Page
from tests.tabs.reward.conftest import values_of
from tests.tabs.reward.made_pool import HELD_OUT, MANY


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, nobody says that it takes a while."""
    monkeypatch.setattr(waiting, "QUIET", 600)


def panel_of(page: _RewardPage) -> LeashPanel:
    """Return the tool."""
    return page._panels[View.LEASH]


def learnt_of(page: _RewardPage, **settings: Any) -> Learnt:
    """Return a reward model."""
    return panel_of(page)._shared.learner.learn(RewardSettings(**{"rankings": 60} | settings))


def run(page: _RewardPage, **settings: Any) -> list[Any]:
    """Return what a run sends to the page."""
    panel = panel_of(page)
    (update,) = panel.run(*values_of(page, **{"view": "leash", "rankings": 60} | settings), "", "", (), Runs())
    assert len(update) == len(panel.outputs)
    return update


def test_one_prompt_is_what_the_formula_says(page: _RewardPage) -> None:
    found = hold(learnt_of(page), RewardSettings(leash_among=2, log_beta=0.0))
    group = candidates(found.learnt)[1]
    weights = np.exp(group.rewards)
    share = weights / weights.sum()
    assert found.now.beta == 1 and found.prompts == 1 and found.completions == MANY
    assert found.now.reward == pytest.approx(float(share @ group.rewards))
    assert found.now.true_score == pytest.approx(float(share @ group.true_scores))
    assert found.now.kl == pytest.approx(float(share @ np.log(share * MANY)))
    top = found.rose[0]
    assert (top.before, top.after) == (pytest.approx(1 / MANY), pytest.approx(float(share.max())))
    assert top.judged.reward == group.rewards.max()
    changes = [one.after - one.before for one in found.rose]
    assert changes == sorted(changes, reverse=True) and min(changes) > 0
    assert all(one.after < one.before for one in found.fell)


def test_all_prompts_are_averaged(page: _RewardPage) -> None:
    learnt = learnt_of(page)
    each = [hold(learnt, RewardSettings(leash_among=number)).now for number in range(1, HELD_OUT + 1)]
    mean = hold(learnt, RewardSettings(leash_among=0)).now
    for name in ("reward", "true_score", "kl"):
        assert getattr(mean, name) == pytest.approx(np.mean([getattr(one, name) for one in each]))


def test_both_ends(page: _RewardPage) -> None:
    learnt = learnt_of(page, rankings=300)
    loose, tight = (hold(learnt, RewardSettings(log_beta=log_beta)) for log_beta in (-2.0, 2.0))
    best = np.mean([group.rewards.max() for group in candidates(learnt)])
    assert loose.now.reward == pytest.approx(best, abs=0.02)
    assert "The leash is off" in leash_words(loose)
    assert tight.now.kl < 0.1 and "A short leash" in leash_words(tight)
    between = hold(learnt, RewardSettings(log_beta=1.0))
    assert 0.1 < between.now.kl < 3 and "The leash holds" in leash_words(between)
    rewards = [point.reward for point in loose.curve]
    assert rewards == sorted(rewards, reverse=True) and [point.beta for point in loose.curve] == list(BETAS)


def test_hacking_is_named_where_it_is_and_only_there(page: _RewardPage, monkeypatch: pytest.MonkeyPatch) -> None:
    learnt = learnt_of(page, rankings=300)
    assert "does no harm" in leash_words(hold(learnt, RewardSettings()))
    rewards, _ = learnt.shipped
    true_scores = np.where(rewards > np.quantile(rewards, 0.9), -5.0, rewards)
    monkeypatch.setitem(learnt.__dict__, "shipped", (rewards, true_scores))
    found = hold(learnt, RewardSettings(log_beta=-2.0))
    assert found.overdone and BETAS[0] < found.peak.beta
    assert "reward hacking" in leash_words(found)


def test_plot_and_table_agree(page: _RewardPage) -> None:
    found = hold(learnt_of(page), RewardSettings(log_beta=0.3))
    figure = leash_plot(found)
    assert [trace.name for trace in figure.data] == ["learned reward", "true score", "KL, at the right"]
    assert figure.data[2].y == tuple(point.kl for point in found.curve) and figure.data[2].yaxis == "y2"
    assert figure.data[1].y[3] == pytest.approx(found.scale.true_score(found.curve[3].true_score))
    assert figure.layout.shapes[0].x0 == pytest.approx(10**0.3)
    rows = leash_table(found)
    assert {len(row) for row in rows} == {len(LEASH_COLUMNS)}
    marked = [row for row in rows if "←" in row[0]]
    assert len(marked) == 1 and marked[0][3] == f"{found.now.kl:.2f}"
    betas = [float(row[0].rstrip(" ←")) for row in rows]
    assert betas == sorted(betas) and len(set(betas)) == len(betas)


def test_a_beta_of_the_grid_is_in_the_table_once(page: _RewardPage) -> None:
    rows = leash_table(hold(learnt_of(page), RewardSettings(log_beta=0.0)))
    assert [row[0] for row in rows].count("1 ←") == 1 and "1" not in [row[0] for row in rows]


def test_a_run_shows_words_plot_table_and_texts(page: _RewardPage) -> None:
    status, words, details, plot, table, moved = run(page, annotator="cheerful", log_beta=1.0)
    assert "β = 10:" in status and 'role="alert"' not in status
    assert "With β near 0" in words and details["visible"] and len(plot.data) == 3 and table
    assert [text for _, text in Page(moved).find("h3")] == ["Rose most", "Fell most"]
    assert len(Page(moved).find("tr")) == 2 * 7


def test_rewards_that_are_all_the_same_move_nothing(page: _RewardPage, monkeypatch: pytest.MonkeyPatch) -> None:
    learnt = learnt_of(page)
    count = len(learnt.shipped[0])
    monkeypatch.setitem(learnt.__dict__, "shipped", (np.zeros(count), np.zeros(count)))
    found = hold(learnt, RewardSettings(log_beta=-2.0))
    assert found.rose == found.fell == () and found.now.kl == pytest.approx(0)
    assert "No completion became likelier." in moved_html(found)
    assert all(np.isfinite(trace.y).all() for trace in leash_plot(found).data)


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"log_beta": "nan"}, "log_beta: nan is not possible"), ({"log_beta": -99}, "is outside -2 to 2")],
    ids=["nan", "far"],
)
def test_numbers_out_of_bounds_are_clamped_and_told(page: _RewardPage, changes: dict[str, Any], words: str) -> None:
    update = run(page, **changes)
    assert words in update[0] and 'role="alert"' not in update[0]


def test_with_nothing_to_learn_from_all_stays(page: _RewardPage) -> None:
    for changes, words in (({"source": "own"}, "not ranked anything"), ({"leash_among": 50}, "There is no prompt 50")):
        update = run(page, **changes)
        assert 'role="alert"' in update[0] and words in update[0]
        assert update[1:] == [gr.skip()] * (len(update) - 1)


def test_texts_stay_texts(page: _RewardPage) -> None:
    found: Held = hold(learnt_of(page), RewardSettings())
    for payload in PAYLOADS:
        hostile = replace(found.rose[0], judged=replace(found.rose[0].judged, completion=Completion(payload, payload)))
        read = Page(moved_html(replace(found, rose=(hostile,), fell=())))
        assert payload + payload in read.text
        assert {"script", "img", "b"}.isdisjoint(tag for tag, _ in read.tags)


def test_stories_set_something_and_all_of_it_is_possible(page: _RewardPage) -> None:
    for _, changes in STORIES:
        settings, notes = RewardSettings.lenient(changes)
        assert not notes and settings != RewardSettings()


@pytest.mark.parametrize(("value", "text"), [(0.5, "50.0%"), (0.0156, "1.6%"), (0.0001, "≈ 0"), (0.0, "≈ 0")])
def test_probabilities_are_written_short(value: float, text: str) -> None:
    assert probability(value) == text
