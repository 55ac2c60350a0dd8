"""What is shown of a reward model that has learned: measures, what is frozen, its taste."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from lab.preferences.bradley_terry import Features
from lab.preferences.heads import HeadKind
from lab.preferences.pairs import Completion
from lab.preferences.report import CHANCE, Judged, Report
from tabs.rendering import counted
from tabs.reward.render.texts import reading_table, score, signed

if TYPE_CHECKING:
    from lab.preferences.judging import Accuracy

GUESS = math.log(2)  # loss of a coin, nats per pair
FEW_PROMPTS = 10
SEEN = {
    Features.COMPLETION: "the embedding",
    Features.WITH_PROMPT: "the embedding, and of its product with the prompt's",
    Features.WORDS: "the average of the encoder's word vectors",
    Features.BOTH: "the embedding, and of the average of the encoder's word vectors",
}


def percent(share: float | None) -> str:
    """Return a share as a percentage with one decimal, a dash for none."""
    return "–" if share is None or math.isnan(share) else f"{share:.1%}"


def interval(found: Accuracy) -> str:
    """Return the bounds of an accuracy's 95 % interval."""
    return f"{found.low:.1%} to {found.high:.1%}"


def train_status(report: Report) -> str:
    """Return in a few words what was learned from, and how long it took."""
    learnt, fit = report.learnt, report.learnt.fit
    sources = [f"{counted(learnt.people, 'ranking')} of people"] if learnt.people else []
    sources += [f"{learnt.simulated:,} of “{learnt.annotator.title}”"] if learnt.simulated else []
    sources += [f"{learnt.added:,} pairs added by hand"] if learnt.added else []
    pairs, prompts = counted(len(learnt.pairs), "pair"), counted(learnt.pairs.prompts, "prompt")
    words = f"From {', '.join(sources)}: {pairs} of {prompts}."
    return (
        words + f" Learned in {fit.solver_seconds * 1000:,.0f} ms, with cross-validation {fit.seconds * 1000:,.0f} ms."
    )


def train_notes(report: Report) -> list[str]:
    """Return what a visitor should know before believing the figures."""
    pairs, notes = report.learnt.pairs, list(report.learnt.notes)
    if pairs.tied:
        notes.append(f"Ties give no pair: {pairs.tied:,} of them.")
    if pairs.repeated:
        notes.append(f"The same ranking given twice by the same annotator counts once: {pairs.repeated:,} passed over.")
    if report.contradicting:
        notes.append(
            f"{report.contradicting:,} pairs stand in circles (A over B, B over C, C over A). No rewards agree with "
            "all of them; the model settles between them."
        )
    if report.learnt.fit.held_out is None:
        notes.append(
            "All pairs are of one prompt, so none can be held out: how good this model is on another prompt is not "
            "known, and the strength of the regularisation is a guess. Rank completions of a second prompt."
        )
    elif pairs.prompts < FEW_PROMPTS:
        notes.append(f"Only {pairs.prompts} prompts: the interval is wide, and one ranking more may change everything.")
    return notes


def measures(report: Report) -> str:
    """Return the cards: what is frozen and what was trained, how well the model does, what could be reached."""
    cards = (_parameters(report), _accuracy(report), _limits(report))
    return f'<div class="sd-board sd-reward-train-board">{"".join(cards)}</div>'


def _card(title: str, body: str) -> str:
    return f'<section class="sd-card"><h3>{escape(title)}</h3>{body}</section>'


def _table(rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> str:
    """Return a table whose cells are HTML already; the first one of each row names it."""
    head = "".join(f"<th scope='col'>{cell}</th>" for cell in header)
    body = "".join(
        f"<tr><th scope='row'>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>" for row in rows
    )
    return f'<table class="sd-reward-train-table">{f"<thead><tr>{head}</tr></thead>" if head else ""}{body}</table>'


def _parameters(report: Report) -> str:
    trained = report.learnt.fit.parameters
    linear = report.learnt.settings.head is HeadKind.LINEAR
    seen = SEEN[report.learnt.model.features]
    kind = f"linear head: one weight for each number of {seen}" if linear else f"small MLP on {seen}"
    rows = [
        ['<b class="sd-frozen">frozen</b> encoder all-MiniLM-L6-v2', f"{report.frozen:,}"],
        [f'<b class="sd-changed">trained</b> {kind}', f"{trained:,}"],
    ]
    share = trained / (trained + report.frozen)
    words = (
        f'<p class="sd-hint">{share:.4%} of the reward model is trained. The language model that writes is not touched.'
        " Whether so little suffices depends on whether what the head sees holds what the opinions are about.</p>"
    )
    return _card("What is frozen, what is trained", _table(rows) + words)


def _accuracy(report: Report) -> str:
    fit = report.learnt.fit
    held = fit.held_out
    rows = [
        ["right", percent(fit.accuracy), percent(held.accuracy.share) if held else "–", f"{CHANCE:.0%}"],
        ["95 % interval", "", interval(held.accuracy) if held else "–", ""],
        ["loss, nats", f"{fit.losses[-1]:.3f}", f"{held.loss:.3f}" if held else "–", f"{GUESS:.3f}"],
        ["pairs", f"{len(report.learnt.pairs):,}", f"{held.accuracy.pairs:,}" if held else "0", ""],
    ]
    table = _table(rows, ["", "training", "held out", "a coin"])
    words = (
        '<p class="sd-hint">A pair is right if the chosen text has the higher reward. Held out: each pair is judged by '
        "a model that has seen nothing of its prompt. The interval allows for pairs of one prompt being alike.</p>"
    )
    return _card("How well it does", table + words)


def _limits(report: Report) -> str:
    found, learnt = report.consistency, report.learnt
    again = percent(found.again) if found.again is not None else "nobody was asked twice"
    rows = [["the same answer when asked again", again]]
    if found.rule is not None:
        rows.append(["its answers that follow its rule", percent(found.rule)])
    if report.by_rule is not None:
        rows.append(["reward model and rule agree", f"{percent(report.by_rule.share)} ({interval(report.by_rule)})"])
    who = f"“{escape(learnt.annotator.title)}”"
    if found.rule is not None:
        words = (
            f"How far {who} can be foretold: a model that knows the rule exactly would be right as often as the "
            "annotator follows it, and none can be right more often than that on average."
        )
    elif found.again is not None:
        words = (
            f"Two answers about the same two texts were compared {found.asked:,} times, whoever gave them. Both may "
            "have wavered: of a steady taste, a model can be right more often than that."
        )
    else:
        words = "Until the same two texts are ranked twice, nobody knows how far these opinions can be foretold."
    words += f" The rule is that of {who}, without noise, on prompts that nothing was learned from."
    return _card("What could be reached", _table(rows) + f'<p class="sd-hint">{words}</p>')


def taste(report: Report) -> str:
    """Return the completions that score highest and lowest, to be read."""
    tables = (
        reading_table(title, ("reward", "true score"), [_reading(one) for one in texts])
        for title, texts in (("Highest rewards", report.highest), ("Lowest rewards", report.lowest))
    )
    return f'<div class="sd-reward-train-two">{"".join(tables)}</div>'


def _reading(one: Judged) -> tuple[tuple[str, str], Completion]:
    return (signed(one.reward), score(one.true_score)), one.completion
