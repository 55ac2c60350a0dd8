"""A step looked into: the tokens that an adapter raised and lowered most, as a plot and a table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lab.text.shifts import CONSIDERED, Shift, StepShifts
from tabs.rendering import calm, plain_label

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

RAISED, LOWERED = "#d8742a", "#6f8fb0"
EACH = 12  # tokens raised and lowered that are plotted
SHIFT_COLUMNS = ["token", "base %", "adapted %", "change (nats)", "times", ""]


def shift_summary(found: StepShifts, titles: Mapping[str, str]) -> str:
    """Return what an outfit does to a step, in words."""
    chosen = next(shift for shift in found.shifts if shift.id == found.chosen)
    label = found.outfit.label(titles)
    return (
        f"In this context {label} moves {found.moved:.0%} of the probability to other tokens. The token that came, "
        f"{chosen.label}, has {chosen.base:.2%} under the base and {chosen.adapted:.2%} under {label}. Shown: tokens "
        f"among the {CONSIDERED} most probable of either."
    )


def shift_table(found: StepShifts, each: int = 2 * EACH) -> list[list[Any]]:
    """Return the tokens most raised and most lowered as rows: token, base, adapted, change in nats, ratio."""
    return [
        [
            shift.label,
            round(100 * shift.base, 4),
            round(100 * shift.adapted, 4),
            round(shift.change, 2),
            f"{_ratio(shift)} {'×' if shift.change >= 0 else '÷'}",
            "came" if shift.id == found.chosen else "",
        ]
        for shift in _shown(found, each)
    ]


def _ratio(shift: Shift) -> str:
    return f"{math.exp(min(abs(shift.change), 50.0)):,.3g}"


def _shown(found: StepShifts, each: int) -> list[Shift]:
    """Return the extremes, and the token that came if it is not among them."""
    shown = list(found.extremes(each))
    if all(shift.id != found.chosen for shift in shown):
        shown += [shift for shift in found.shifts if shift.id == found.chosen]
    return sorted(shown, key=lambda shift: -shift.change)


def shift_plot(found: StepShifts) -> Figure:
    """Return the change of the log-probability of the tokens most raised and most lowered, as bars to either side."""
    import plotly.graph_objects as go

    shown = _shown(found, EACH)
    # Labels may repeat (two byte tokens can look alike), so bars stand at numbers.
    places = list(range(len(shown)))
    labels = [plain_label(shift.label) + (" ◂ came" if shift.id == found.chosen else "") for shift in shown]
    figure = go.Figure()
    figure.add_bar(
        x=[shift.change for shift in shown],
        y=places,
        orientation="h",
        marker_color=[RAISED if shift.change > 0 else LOWERED for shift in shown],
        customdata=[[label, shift.base, shift.adapted] for label, shift in zip(labels, shown, strict=True)],
        hovertemplate="%{customdata[0]}: %{customdata[1]:.3%} → %{customdata[2]:.3%}<br>%{x:+.2f} nats<extra></extra>",
        showlegend=False,
    )
    figure.update_yaxes(tickmode="array", tickvals=places, ticktext=labels, autorange="reversed")
    figure.update_xaxes(title="change of the log-probability, nats: lowered ◂ 0 ▸ raised", zeroline=True)
    calm(figure, height=120 + 19 * max(len(shown), 6))
    figure.update_layout(margin={"l": 130, "r": 20, "t": 10, "b": 50})
    return figure
