"""Train: what a visitor is told of a reward model, where nothing can be learned, and that texts stay texts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from lab.preferences import Item
from lab.preferences.fitting import fit
from lab.preferences.heads import HeadKind
from lab.preferences.learning import Learner
from lab.preferences.pairs import Completion, Ranked, pairs_of
from lab.preferences.report import Report, consistency_of_people, encoder_parameters, in_circles, report
from lab.preferences.settings import RewardSettings, Source, View
from tabs import waiting
from tabs.reward.page import _RewardPage
from tabs.reward.render.texts import reading_table, score, signed
from tabs.reward.render.train import interval, measures, percent, taste, train_notes
from tabs.reward.render.train_plots import (
    CALIBRATION_COLUMNS,
    CURVE_COLUMNS,
    TRIAL_COLUMNS,
    calibration_plot,
    calibration_table,
    curve_plot,
    curve_table,
    limit_lines,
    trial_plot,
    trial_table,
)
from tabs.reward.train import STORIES, TrainPanel
from tabs.runs import Runs
from tests.tabs.pages import PAYLOADS, Page
from tests.tabs.reward.conftest import store_of, values_of
from tests.tabs.reward.made_pool import embed

SESSION = "visitor"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, nobody says that it takes a while."""
    monkeypatch.setattr(waiting, "QUIET", 600)


def panel_of(page: _RewardPage) -> TrainPanel:
    """Return the tool."""
    return page._panels[View.TRAIN]


def train(page: _RewardPage, **settings: Any) -> list[list[Any]]:
    """Return all that a run sends to the page."""
    panel = panel_of(page)
    values = values_of(page, **{"view": "train"} | settings)
    updates = list(panel.run(*values, SESSION, "", (), Runs()))
    assert all(len(update) == len(panel.outputs) for update in updates)
    return updates


def reports(page: _RewardPage, **settings: Any) -> list[Report]:
    """Return the reports on a model."""
    shared = panel_of(page)._shared
    return list(report(shared.learner.learn(RewardSettings(**settings), SESSION)))


def rank(page: _RewardPage, *rankings: tuple[str, tuple[int, ...]]) -> None:
    """Let the visitor rank three completions of each of these prompts."""
    for prompt, ranks in rankings:
        items = [Item(f" {word} road", "m") for word in ("happy", "table", "dead")]
        store_of(page).add_ranking(SESSION, prompt, items, ranks)


def shown(update: Any) -> Any:
    """Return the value of an update."""
    return update["value"] if isinstance(update, dict) and "value" in update else update


def test_a_run_shows_measures_first_and_then_a_growing_curve(page: _RewardPage) -> None:
    updates = train(page, annotator="cheerful", rankings=60)
    first = updates[0]
    assert "60 of “Likes cheerful words”" in first[0] and 'role="alert"' not in first[0]
    assert first[2]["visible"] is True
    assert "22,713,216" in first[1] and ">768<" in first[1]
    assert "def cheerful" in first[-1]
    curves = [update[4] for update in updates if isinstance(update[4], list) and update[4]]
    assert [len(curve) for curve in curves] == list(range(1, len(curves) + 1)) and len(curves) > 3
    assert updates[-1][0] == first[0]  # whatever was said while it was drawn


def test_figures_are_those_of_the_fit(page: _RewardPage) -> None:
    found = reports(page, annotator="cheerful", rankings=60)[-1]
    learnt, held = found.learnt, found.learnt.fit.held_out
    assert held is not None
    cells = [text for _, text in Page(measures(found)).find("td")]
    for wanted in (percent(learnt.fit.accuracy), percent(held.accuracy.share), interval(held.accuracy), "0.693", "50%"):
        assert wanted in cells
    rows = curve_table(found)
    assert {len(row) for row in rows} == {len(CURVE_COLUMNS)}
    assert rows[-1][0] == f"{len(learnt.pairs):,}"
    figure = curve_plot(found)
    assert [f"{y:.1%}" for y in figure.data[1].y] == [row[3] for row in rows]
    assert [shape.y0 for shape in figure.layout.shapes] == [share for share, _ in limit_lines(found)]
    bins = calibration_table(found)
    assert {len(row) for row in bins} == {len(CALIBRATION_COLUMNS)}
    assert sum(int(row[1].replace(",", "")) for row in bins[:-1]) == held.accuracy.pairs
    calibrated = calibration_plot(found)
    assert calibrated is not None and len(calibrated.data[1].x) == sum(row[1] != "0" for row in bins[:-1])
    trials = trial_table(found)
    assert {len(row) for row in trials} == {len(TRIAL_COLUMNS)}
    assert [row[3] for row in trials].count("chosen") == 1
    regularised = trial_plot(found)
    assert regularised is not None and len(regularised.data[0].x) == len(trials)


def test_a_rule_in_the_embedding_is_learned_and_its_words_stand_out(page: _RewardPage) -> None:
    found = reports(page, annotator="cheerful", rankings=300)[-1]
    assert found.by_rule is not None and found.by_rule.share > 0.9
    assert found.curve[-1].held_out.share > found.curve[0].held_out.share
    assert min(one.true_score for one in found.highest) > max(one.true_score for one in found.lowest)
    tables = Page(taste(found)).find("tbody")
    assert all(one.completion.text in tables[0][1] for one in found.highest)
    assert all(one.completion.text in tables[1][1] for one in found.lowest)


def test_a_noisy_annotator_has_a_ceiling_and_a_sure_one_has_none(page: _RewardPage) -> None:
    noisy = reports(page, annotator="noisy", rankings=60)[0]
    sure = reports(page, annotator="cheerful", rankings=60)[0]
    assert sure.consistency.again == sure.consistency.rule == 1
    assert noisy.consistency.again is not None and noisy.consistency.rule is not None
    # Who errs with probability e follows the rule in 1 - e, and gives the same answer twice in (1 - e)² + e².
    assert 0.5 < noisy.consistency.again < noisy.consistency.rule < 1
    assert [words for _, words in limit_lines(noisy)] == [
        "a coin",
        "the same answer when asked again",
        "the rule itself",
    ]
    assert [words for _, words in limit_lines(sure)] == ["a coin", "the rule itself"]


def test_an_mlp_says_how_many_weights_it_has(page: _RewardPage) -> None:
    found = reports(page, annotator="cheerful", rankings=10, head=HeadKind.MLP)[0]
    assert f"{found.learnt.fit.parameters:,}" in measures(found)
    assert found.learnt.fit.parameters > 384 and "small MLP" in measures(found)


@pytest.mark.parametrize(
    ("source", "words"), [(Source.OWN, "not ranked anything"), (Source.CLASS, "in no class")], ids=["own", "class"]
)
def test_with_nothing_to_learn_from_the_visitor_is_told_what_to_do(page: _RewardPage, source: str, words: str) -> None:
    updates = train(page, source=str(source))
    assert 'role="alert"' in updates[-1][0] and words in updates[-1][0]
    assert all(update == gr.skip() for update in updates[-1][1:])


def test_only_ties_teach_nothing(page: _RewardPage) -> None:
    rank(page, ("a", (1, 1, 1)), ("b", (2, 2, 2)))
    update = train(page, source="own")[-1]
    assert 'role="alert"' in update[0] and "tied" in update[0]


def test_one_prompt_leaves_none_to_be_held_out(page: _RewardPage) -> None:
    rank(page, ("a", (1, 2, 3)))
    updates = train(page, source="own")
    first = updates[0]
    assert "Rank completions of a second prompt" in first[0] and 'role="alert"' not in first[0]
    assert shown(first[5]) is None and first[6] == [] and shown(first[7]) is None and first[8] == []


def test_fewer_prompts_than_folds_are_enough(page: _RewardPage) -> None:
    rank(page, ("a", (1, 2, 3)), ("b", (1, 2, 3)))
    update = train(page, source="own")[0]
    assert "Only 2 prompts" in update[0]
    assert shown(update[5]) is not None


def test_contradictory_circles_are_counted_and_survived() -> None:
    texts = (" happy road", " table road", " dead road")
    circle = [((0, 1), (1, 2)), ((1, 2), (1, 2)), ((2, 0), (1, 2))]
    rankings = [Ranked("a", (texts[x], texts[y]), ranks, f"v{x}") for (x, y), ranks in circle]
    pairs = pairs_of([*rankings, Ranked("b", texts[:2], (1, 2), "v")])
    assert in_circles(pairs) == 3
    assert in_circles(pairs_of([Ranked("a", texts, (1, 2, 3)), Ranked("a", texts, (1, 2, 3), "other")])) == 0
    fitted = fit(pairs, embed)
    rewards = fitted.model.score([Completion("a", text) for text in texts])
    assert max(rewards) - min(rewards) < 0.5  # nobody is far above the others


def test_circles_are_told_to_the_visitor(page: _RewardPage) -> None:
    rank(page, ("a", (1, 2, 3)), ("a", (3, 2, 1)), ("b", (1, 2, 3)))
    assert "6 pairs stand in circles" in train(page, source="own")[0][0]


def test_people_are_consistent_as_far_as_they_answered_twice() -> None:
    texts = (" happy road", " table road")
    asked = pairs_of(
        [Ranked("a", texts, (1, 2), "v"), Ranked("a", texts, (1, 2), "w"), Ranked("a", texts, (2, 1), "x")]
    )
    found = consistency_of_people(asked)
    assert (found.again, found.asked, found.rule) == (pytest.approx(1 / 3), 3, None)
    once = consistency_of_people(pairs_of([Ranked("a", texts, (1, 2))]))
    assert once.again is None and once.asked == 0


def test_a_broken_link_is_clamped_and_told(page: _RewardPage) -> None:
    updates = train(page, annotator="cheerful", rankings="nan", head="giant")
    assert "rankings: nan is not possible here" in updates[0][0] and "giant" in updates[0][0]
    assert "22,713,216" in updates[0][1]


def test_an_unknown_annotator_is_refused_in_words(page: _RewardPage) -> None:
    update = train(page, annotator="<img src=x onerror=alert(1)>")[-1]
    assert 'role="alert"' in update[0] and "<img" not in update[0]


def test_stop_keeps_what_was_drawn(page: _RewardPage) -> None:
    panel, runs = panel_of(page), Runs()
    updates = panel.run(*values_of(page, view="train", rankings=60), SESSION, "", (), runs)
    assert "sd-board" in next(updates)[1]
    runs.stop()
    rest = list(updates)
    assert len(rest) == 1 and "Stopped" in rest[0][0]


def test_stories_set_something_and_all_of_it_is_possible(page: _RewardPage) -> None:
    annotators = [choice for _, choice in page._controls.components["annotator"].choices]
    for _, changes in STORIES:
        settings, notes = RewardSettings.lenient(changes)
        assert not notes and settings != RewardSettings()
        assert settings.annotator in annotators


def test_texts_stay_texts(page: _RewardPage) -> None:
    found = reports(page, annotator="cheerful", rankings=10)[0]
    tags = {"div", "section", "h3", "table", "thead", "tbody", "tr", "th", "td", "span", "p"}
    for payload in PAYLOADS:
        hostile = replace(found.highest[0], completion=Completion(payload, payload))
        read = Page(taste(replace(found, highest=(hostile,), lowest=())))
        assert {tag for tag, _ in read.tags} <= tags
        assert payload + payload in read.text
        annotator = replace(found.learnt.annotator, title=payload)
        odd = replace(found, learnt=replace(found.learnt, notes=(payload,), annotator=annotator))
        assert payload in Page(measures(odd)).text
        assert payload in train_notes(odd)


def test_the_encoder_is_counted_from_its_file() -> None:
    assert encoder_parameters() == 22_713_216


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (2.0, "2"), (-1.5, "−1.5"), (0.333333, "0.33"), (-0.001, "0"), (10.0, "10")]
)
def test_scores_are_written_short(value: float, text: str) -> None:
    assert score(value) == text


def test_rewards_have_a_sign() -> None:
    assert [signed(value) for value in (1.234, -0.5, 0.0)] == ["+1.23", "−0.50", "+0.00"]


def test_a_table_without_rows_says_why() -> None:
    html = reading_table("Rose", ("a",), (), "Nothing <rose>.")
    assert "Nothing &lt;rose&gt;." in html and "<table" not in html


def test_the_same_settings_give_the_same_report(page: _RewardPage) -> None:
    learners = [Learner(store_of(page), panel_of(page)._shared.services.embedder) for _ in range(2)]
    first, second = (list(report(one.learn(RewardSettings(annotator="noisy", rankings=40))))[-1] for one in learners)
    assert first.learnt is not second.learnt
    assert (first.consistency, first.curve, first.highest) == (second.consistency, second.curve, second.highest)
