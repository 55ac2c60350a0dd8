"""What is shown of best of n: the choice to read, reward and true score over n as a plot and a table, in words."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from lab.preferences.best_of_n import kl_of_best_of_n
from lab.preferences.choosing import Choice
from tabs.rendering import INK, calm
from tabs.reward.render.texts import completion_html, reading_table, score, signed

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TRUE_COLOUR, LEARNED_COLOUR = "#5b8fc4", "#d07a2d"  # the rule stays what it is, the reward was learned
CURVE_COLUMNS = ["n", "KL", "reward", "true", "reward here", "true here"]
DRAWN_COLUMNS = ["#", "reward", "true score", "text"]
HEIGHT = 360


def choice_status(found: Choice) -> str:
    """Return in a line what was chosen."""
    return (
        f"Best of {found.n}: reward {signed(found.chosen.reward)}, true score {score(found.chosen.true_score)}, "
        f"KL {found.kl:.2f} nats."
    )


def choice_board(found: Choice) -> str:
    """Return the chosen text, and what the same draw gives for other n."""
    title = "The only one drawn" if found.n == 1 else f"Chosen of {found.n}"
    facts = [
        ("learned reward", signed(found.chosen.reward)),
        ("true score", score(found.chosen.true_score)),
        ("its place by the true rule", place_by_rule(found)),
        ("KL, from all being as likely", f"{found.kl:.2f} nats"),
        ("of texts written anew, log n − (n − 1) / n", f"{kl_of_best_of_n(found.n):.2f} nats"),
    ]
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    read = [((str(size), signed(one.reward), score(one.true_score)), one.completion) for size, one in found.read]
    return (
        f'<section class="sd-card sd-reward-best-chosen"><h3>{title}</h3>'
        f'<p class="sd-text">{completion_html(found.chosen.completion)}</p>'
        f'<dl class="sd-reward-best-facts">{rows}</dl></section>'
        + reading_table("The same draw, for other n", ("n", "reward", "true score"), read)
    )


def place_by_rule(found: Choice) -> str:
    """Return the place of the chosen text among those drawn, had the true rule chosen."""
    better = sum(one.true_score > found.chosen.true_score for one in found.drawn)
    same = sum(one.true_score == found.chosen.true_score for one in found.drawn)
    tied = f", with {same - 1} others" if same > 2 else ", with 1 other" if same == 2 else ""
    return f"{better + 1} of {found.n}{tied}"


def choice_words(found: Choice) -> str:
    """Return what the curves say."""
    most, peak, end = found.mean[-1].n, found.peak, found.mean[-1]
    rise = found.scale.reward(end.reward) - found.scale.reward(found.mean[0].reward)
    if found.overdone:
        return (
            f"Averaged over {found.prompts} prompts the learned reward rises up to n = {most}, but the true score is "
            f"highest at n = {peak.n} ({score(peak.true_score)}) and comes down to {score(end.true_score)}: from "
            "there on, what is chosen is what the reward model errs about. This is over-optimisation. The fall is "
            f"{found.fall:.2f} ± {found.fall_error:.2f} standard deviations (standard error over the prompts)."
        )
    gain = found.scale.true_score(end.true_score) - found.scale.true_score(found.mean[0].true_score)
    if gain < rise / 4:
        return (
            f"Averaged over {found.prompts} prompts the learned reward rises by {rise:.1f} standard deviations, the "
            f"true score by only {gain:.1f}: the reward model has learned little of the rule."
        )
    return (
        f"Averaged over {found.prompts} prompts both rise up to n = {most}: the learned reward by {rise:.1f} standard "
        f"deviations, the true score by {gain:.1f}. What lies between them is what the reward model got wrong."
    )


def choice_plot(found: Choice) -> Figure:
    """Return both scores over n in standard deviations: over all prompts, and thinner for the one that is shown."""
    from plotly.graph_objects import Figure, Scatter

    figure, scale = Figure(), found.scale
    for curve, width, dash, where in (
        (found.mean, 3, "solid", f"mean of {found.prompts} prompts"),
        (found.own, 1.5, "dot", "this prompt"),
    ):
        for name, colour, symbol, values in (
            ("learned reward", LEARNED_COLOUR, "circle", [scale.reward(point.reward) for point in curve]),
            ("true score", TRUE_COLOUR, "diamond", [scale.true_score(point.true_score) for point in curve]),
        ):
            figure.add_trace(
                Scatter(
                    x=[point.n for point in curve],
                    y=values,
                    mode="lines+markers",
                    name=f"{name}, {where}",
                    line={"color": colour, "width": width, "dash": dash},
                    marker={"symbol": symbol, "size": 7 if width > 2 else 5},
                    customdata=[point.kl for point in curve],
                    hovertemplate="n = %{x}, KL %{customdata:.2f}: %{y:.2f}<extra>%{fullData.name}</extra>",
                )
            )
    calm(figure, HEIGHT)
    figure.add_vline(x=found.n, line={"color": INK, "dash": "dash", "width": 1.5})
    ticks = [1, 2, 4, 8, 16, 32, 64]
    figure.update_layout(
        margin={"l": 55, "r": 12, "t": 10, "b": 110}, legend={"y": -0.24, "yanchor": "top", "font": {"size": 11}}
    )
    figure.update_xaxes(
        title="n, completions to choose from", type="log", tickvals=ticks, ticktext=list(map(str, ticks))
    )
    figure.update_yaxes(title="standard deviations")
    return figure


def choice_table(found: Choice) -> list[list[str]]:
    """Return the curves as rows, in the scores' own units."""
    own = {point.n: point for point in found.own}
    return [
        [
            str(point.n),
            f"{point.kl:.2f}",
            signed(point.reward),
            score(point.true_score),
            signed(own[point.n].reward) if point.n in own else "",
            score(own[point.n].true_score) if point.n in own else "",
        ]
        for point in found.mean
    ]


def drawn_table(found: Choice) -> list[list[str]]:
    """Return what was drawn as rows, in the order of the draw; the chosen one is marked."""
    return [
        [
            f"{place} ✓" if one is found.chosen or one == found.chosen else str(place),
            signed(one.reward),
            score(one.true_score),
            " ".join(one.completion.text.split()),
        ]
        for place, one in enumerate(found.drawn, 1)
    ]
