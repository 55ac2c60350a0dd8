"""What Break it shows: an attempt, the attack's steps, the leaderboard, and the hole before and after."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from html import escape
from typing import TYPE_CHECKING

from lab.preferences import Attempt
from tabs.rendering import INK, calm
from tabs.reward.render.rank import short
from tabs.reward.render.texts import signed

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from lab.preferences.attack import AttackStep
    from lab.preferences.breaking import Closed
    from lab.preferences.judging import Accuracy

BOARD_COLUMNS = ["place", "who", "fooled by", "beats by reward", "beats by the true rule", "text"]
STEP_COLUMNS = ["word", "inserted", "reward", "beats by reward", "beats by the true rule"]
CLOSED_COLUMNS = ["text", "reward before", "after", "beats before", "after", "beats by the true rule"]
LEARNED, TRUE = "#d07a2d", "#5b8fc4"
FOOLED = 15  # percentage points between learned and true standing from which on a model counts as fooled


def leaderboard(attempts: Sequence[Attempt], session: str) -> list[list[str]]:
    """Return the best attempt of each visitor; who is not you has a number."""
    rows, others = [], 0
    for place, one in enumerate(attempts, 1):
        others += one.session != session
        who = "you" if one.session == session else f"visitor {others}"
        rows.append(
            [str(place), who, f"{one.gap:+.0f}", f"{one.learned:.0f} %", f"{one.true:.0f} %", short(one.text, 200)]
        )
    return rows or [["", "nobody has tried yet", "", "", "", ""]]


def verdict(gap: float) -> str:
    """Return what a gap between learned and true standing means."""
    if gap >= 50:
        return f"Fooled by {gap:.0f} points: the model is sure of a text that the rule does not want."
    if gap >= FOOLED:
        return f"Fooled by {gap:.0f} points. There is more to be had."
    if gap > -FOOLED:
        return "Not fooled: the model thinks about as well of it as the rule does."
    return f"The other way round: the rule likes it {-gap:.0f} points more than the model does."


def attacked_html(first: str, step: AttackStep) -> str:
    """Return the text so far, the inserted words marked."""
    old, new = first.split(" "), step.text.split(" ")
    parts = []
    for kind, _, _, begin, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if begin == end:
            continue
        words = escape(" ".join(new[begin:end]))
        parts.append(words if kind == "equal" else f"<mark>{words}</mark>")
    return f'<p class="sd-text sd-reward-attacked">{" ".join(parts)}</p>'


def step_rows(steps: Sequence[AttackStep], learned: Sequence[float], true: Sequence[float]) -> list[list[str]]:
    """Return a row for each step with the shares of shipped texts that it beats, in percent."""
    return [
        [step.word or "–", str(step.number), signed(step.reward), f"{a:.0f} %", f"{b:.0f} %"]
        for step, a, b in zip(steps, learned, true, strict=True)
    ]


def attack_plot(steps: Sequence[AttackStep], learned: Sequence[float], true: Sequence[float]) -> Figure:
    """Return how learned and true standing part, word after word."""
    from plotly.graph_objects import Figure, Scatter

    figure = Figure()
    numbers = [step.number for step in steps]
    for name, values, colour, symbol in (
        ("by the learned reward", learned, LEARNED, "circle"),
        ("by the true rule", true, TRUE, "diamond"),
    ):
        figure.add_trace(
            Scatter(
                x=numbers,
                y=list(values),
                name=name,
                mode="lines+markers",
                line={"color": colour},
                marker={"symbol": symbol, "size": 8},
                hovertemplate="%{x} words: beats %{y:.0f} %<extra>" + name + "</extra>",
            )
        )
    calm(figure, 300)
    figure.update_xaxes(title="words inserted", dtick=1 if len(numbers) < 14 else None)
    figure.update_yaxes(title="beats … % of shipped texts", range=[-3, 103])
    return figure


def closed_plot(found: Closed) -> Figure:
    """Return each rejected text's standing before and after, and where the true rule puts it."""
    from plotly.graph_objects import Figure, Scatter

    labels = [f"text {number}" for number in range(1, len(found.before) + 1)]
    figure = Figure()
    for label, one, other in zip(labels, found.before, found.after, strict=True):
        figure.add_trace(
            Scatter(
                x=[one.learned, other.learned],
                y=[label, label],
                mode="lines",
                line={"color": LEARNED, "width": 2},
                showlegend=False,
                hoverinfo="skip",
            )
        )
    for name, values, colour, symbol in (
        ("reward before", [one.learned for one in found.before], LEARNED, "circle-open"),
        ("reward after", [one.learned for one in found.after], LEARNED, "circle"),
        ("true rule", [one.true for one in found.before], TRUE, "diamond"),
    ):
        figure.add_trace(
            Scatter(
                x=values,
                y=labels,
                name=name,
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 12, "line": {"width": 2, "color": colour}},
                hovertemplate="%{x:.0f} %<extra>" + name + "</extra>",
            )
        )
    calm(figure, 150 + 40 * len(labels))
    figure.update_layout(margin={"l": 10, "r": 20, "t": 50, "b": 50}, legend={"y": 1.0, "yanchor": "bottom"})
    figure.update_xaxes(title="beats … % of shipped texts", range=[-3, 103])
    figure.update_yaxes(autorange="reversed", automargin=True, tickfont={"color": INK})
    return figure


def closed_table(found: Closed) -> list[list[str]]:
    """Return the same as rows."""
    return [
        [
            f"{number}. {short(one.completion.text, 120)}",
            signed(one.reward),
            signed(other.reward),
            f"{one.learned:.0f} %",
            f"{other.learned:.0f} %",
            f"{one.true:.0f} %",
        ]
        for number, (one, other) in enumerate(zip(found.before, found.after, strict=True), 1)
    ]


def closed_words(found: Closed) -> str:
    """Return by how much the hole has closed, and what that cost elsewhere, as Markdown."""
    closed = found.share_closed
    if closed is None:
        words = "These texts did not fool the model, so there was no hole to close. "
    elif closed >= 0:
        words = f"**{closed:.0%} of the hole closed** with {len(found.added):,} pairs added so far. "
    else:
        words = f"**The hole grew by {-closed:.0%}**, although {len(found.added):,} pairs say otherwise. "
    under = -min(one.gap for one in found.after)
    if under >= FOOLED:
        words += f"It went too far: one of the texts the model now rates {under:.0f} points below the rule. "
    before, after = share(found.accuracy_before), share(found.accuracy_after)
    return words + (
        f"Agreement with the true rule elsewhere: {before} before, {after} after. "
        "Attack again to see whether another hole is open."
    )


def share(accuracy: Accuracy | None) -> str:
    """Return an accuracy with its interval."""
    return f"{accuracy.share:.1%} ({accuracy.low:.0%} to {accuracy.high:.0%})" if accuracy is not None else "unknown"
