"""What is shown of the leash: reward, true score and KL over beta as a plot and a table, and what moved, to be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.preferences.choosing import Held, Moved
from tabs.rendering import INK, calm
from tabs.reward.render.best_of_n import LEARNED_COLOUR, TRUE_COLOUR
from tabs.reward.render.texts import Row, reading_table, score, signed

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LEASH_COLUMNS = ["β", "reward", "true score", "KL, nats"]
HEIGHT = 360
NEARLY_NOTHING = 0.1  # nats, below which the policy is as good as the reference
NEARLY_ALL = 0.8  # of the largest KL that is possible, from which on little is left of the reference


def probability(value: float) -> str:
    """Return a probability in percent, small ones too."""
    return f"{value:.1%}" if value >= 0.0005 else "≈ 0"


def leash_status(found: Held) -> str:
    """Return in a line what the policy comes to."""
    now = found.now
    return (
        f"β = {now.beta:.3g}: expected reward {signed(now.reward)}, true score {score(now.true_score)}, "
        f"KL {now.kl:.2f} nats."
    )


def leash_words(found: Held) -> str:
    """Return what this β means, and what letting go would cost or gain."""
    now, loosest, tightest = found.now, found.curve[0], found.curve[-1]
    if now.kl < NEARLY_NOTHING:
        words = "A short leash: the policy is nearly the reference, and the reward model has hardly a say."
    elif now.kl > NEARLY_ALL * loosest.kl:
        words = (
            "The leash is off: nearly all probability lies on the few texts that the reward model likes best, its "
            "errors included."
        )
    else:
        words = "The leash holds: good texts become likelier, and what the model wrote before is still to be expected."
    ends = f"With β near 0 the true score is {score(loosest.true_score)}, with a large β {score(tightest.true_score)}"
    if not found.overdone:
        return f"{words} {ends}: here the learned reward is right often enough that letting go does no harm on average."
    best = f"it is highest at β = {found.peak.beta:.2g} ({score(found.peak.true_score)})"
    return f"{words} {ends}; {best}. With a smaller β, more reward is bought with what nobody wanted: reward hacking."


def leash_plot(found: Held) -> Figure:
    """Return both scores in standard deviations, and the KL in nats at the other side, over β."""
    from plotly.graph_objects import Figure, Scatter

    figure, scale, curve = Figure(), found.scale, found.curve
    betas = [point.beta for point in curve]
    for name, colour, dash, values, axis in (
        ("learned reward", LEARNED_COLOUR, "solid", [scale.reward(point.reward) for point in curve], "y"),
        ("true score", TRUE_COLOUR, "solid", [scale.true_score(point.true_score) for point in curve], "y"),
        ("KL, at the right", INK, "dot", [point.kl for point in curve], "y2"),
    ):
        figure.add_trace(
            Scatter(
                x=betas,
                y=values,
                mode="lines",
                name=name,
                yaxis=axis,
                line={"color": colour, "width": 2 if axis == "y2" else 3, "dash": dash},
                hovertemplate="β = %{x:.2g}: %{y:.2f}<extra>%{fullData.name}</extra>",
            )
        )
    calm(figure, HEIGHT)
    figure.update_layout(yaxis2={"showgrid": False, "zeroline": False})
    figure.add_vline(x=found.now.beta, line={"color": INK, "dash": "dash", "width": 1.5})
    ticks = [0.01, 0.1, 1, 10, 100]
    figure.update_layout(
        margin={"l": 55, "r": 50, "t": 12, "b": 95},
        legend={"y": -0.24, "yanchor": "top", "font": {"size": 11}},
        yaxis={"title": "standard deviations"},
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "title": "KL, nats",
            "showgrid": False,
            "zeroline": False,
            "rangemode": "tozero",
        },
    )
    figure.update_xaxes(
        title="β: no leash ← → short leash", type="log", tickvals=ticks, ticktext=[f"{t:g}" for t in ticks]
    )
    figure.update_yaxes(title="standard deviations", selector={"side": None})
    return figure


def leash_table(found: Held) -> list[list[str]]:
    """Return every fourth point of the curve as a row, in the scores' own units, and the chosen β in its place."""
    points = sorted([*found.curve[::4], found.now], key=lambda point: point.beta)
    unique = {f"{point.beta:.3g}": point for point in points} | {f"{found.now.beta:.3g}": found.now}
    return [
        [
            f"{beta} ←" if point is found.now else beta,
            signed(point.reward),
            score(point.true_score),
            f"{point.kl:.2f}",
        ]
        for beta, point in sorted(unique.items(), key=lambda item: item[1].beta)
    ]


def moved_html(found: Held) -> str:
    """Return the completions whose probability rose most and fell most, to be read."""
    columns = ("π*", "π_ref", "reward", "true score")
    return (
        '<div class="sd-reward-train-two">'
        + reading_table("Rose most", columns, _rows(found.rose), "No completion became likelier.")
        + reading_table("Fell most", columns, _rows(found.fell), "No completion became less likely.")
        + "</div>"
    )


def _rows(moved: Sequence[Moved]) -> list[Row]:
    return [
        (
            (probability(one.after), probability(one.before), signed(one.judged.reward), score(one.judged.true_score)),
            one.judged.completion,
        )
        for one in moved
    ]
