"""LoRA taken apart: pictures of W and its change, their singular values, what layers cost, how equal two ways are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lab.lora_anatomy import Anatomy, Cost, PartCost, Sample, Spectrum, total
from tabs.rendering import INK, calm

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from lab.lora_checks import Equality, MergeCheck

FROZEN, CHANGED = "#5b8fc4", "#d8742a"
SPECTRUM_COLUMNS = ["number", "W", "W: energy so far", "ΔW", "ΔW: energy so far"]
COST_COLUMNS = ["layer", "size", "W", "r", "A and B", "saved"]
EQUALITY_COLUMNS = ["compared", "largest difference", "largest value"]


def anatomy_summary(found: Anatomy, title: str) -> str:
    """Return what a layer shows, in words."""
    share = found.change.norm / found.weight.norm if found.weight.norm else 0.0
    return (
        f"W of {found.layer} is {found.inputs:,} × {found.outputs:,} and has rank {found.weight.rank:,}. What {title} "
        f"adds to it, ΔW = s · A B, has rank {found.change.rank:,}, and {share:.1%} of its size (Frobenius norm). The "
        f"first {found.rank} singular values hold {found.change.energy(found.rank):.1%} of ΔW's energy, and "
        f"{found.weight.energy(found.rank):.1%} of W's."
    )


def weight_plot(found: Anatomy) -> Figure:
    """Return a picture of W."""
    return _matrix_plot("W, frozen", found.weight_sample, FROZEN)


def change_plot(found: Anatomy) -> Figure:
    """Return a picture of ΔW, with a scale of its own."""
    return _matrix_plot("ΔW, changed", found.change_sample, CHANGED)


def _matrix_plot(title: str, one: Sample, colour: str) -> Figure:
    import plotly.graph_objects as go

    limit = _limit(one)
    figure = go.Figure()
    figure.add_heatmap(
        z=one.values,
        x=[n * one.column_step for n in range(len(one.values[0]))],
        y=[n * one.row_step for n in range(len(one.values))],
        # See-through at zero, so that it fits a light and a dark page.
        colorscale=[[0, INK], [0.5, "rgba(127,135,146,0.0)"], [1, colour]],
        zmin=-limit,
        zmax=limit,
        hovertemplate="[%{y}, %{x}]: %{z:.4f}<extra>" + title + "</extra>",
        colorbar={"thickness": 8, "tickformat": ".2~g", "nticks": 5, "outlinewidth": 0},
    )
    calm(figure, height=340)
    figure.update_layout(
        title={"text": f"{title}{_steps(one)}", "x": 0.02, "font": {"size": 13}},
        margin={"l": 56, "r": 10, "t": 40, "b": 50},
    )
    figure.update_xaxes(title="output", showgrid=False)
    figure.update_yaxes(title="input", autorange="reversed", showgrid=False)
    return figure


def _steps(one: Sample) -> str:
    steps = [f"every {_nth(step)} {what}" for step, what in ((one.row_step, "row"), (one.column_step, "column"))]
    shown = [words for words, step in zip(steps, (one.row_step, one.column_step), strict=True) if step > 1]
    return f": {', '.join(shown)}" if shown else ""


def _nth(step: int) -> str:
    suffix = "th" if 10 <= step % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(step % 10, "th")
    return f"{step}{suffix}"


def _limit(one: Sample) -> float:
    """Return the size that 99 of 100 entries stay below: a few large ones would leave the rest without colour."""
    sizes = sorted(abs(value) for row in one.values for value in row)
    return sizes[int(0.99 * (len(sizes) - 1))] or 1e-9


def spectrum_plot(found: Anatomy) -> Figure:
    """Return the singular values of W and ΔW, each against its own largest one."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, one, colour in (("W, frozen", found.weight, FROZEN), ("ΔW, changed", found.change, CHANGED)):
        shares = _against_largest(one)
        figure.add_scatter(
            x=list(range(1, len(shares) + 1)),
            y=shares,
            name=f"{name}: rank {one.rank:,}",
            mode="lines+markers",
            marker={"size": 7 if one is found.change else 4, "color": colour},
            line={"color": colour},
            hovertemplate="number %{x}: %{y:.3g} of the largest<extra>" + name + "</extra>",
        )
    figure.add_vline(x=found.rank + 0.5, line={"color": CHANGED, "dash": "dot", "width": 1.5})
    figure.update_xaxes(title="singular value, the largest first", type="log", dtick="D2")
    figure.update_yaxes(title="size against the largest", rangemode="tozero")
    return _with_room_for_names(figure, 400)


def _against_largest(one: Spectrum) -> list[float]:
    largest = one.values[0] or 1.0
    return [value / largest for value in one.values]


def spectrum_table(found: Anatomy) -> list[list[str]]:
    """Return singular values as rows, all up to beyond the rank, then ever fewer: number, W, its energy, ΔW, its."""
    count = len(found.weight.values)
    numbers = list(range(1, min(found.rank + 2, count) + 1))
    while numbers[-1] < count:
        numbers.append(min(2 * numbers[-1], count))
    return [
        [
            f"{n:,}",
            f"{found.weight.values[n - 1]:.4g}",
            f"{found.weight.energy(n):.2%}",
            f"{found.change.values[n - 1]:.3g}",
            f"{found.change.energy(n):.2%}",
        ]
        for n in numbers
    ]


def cost_words(one: Cost) -> str:
    """Return what A and B cost beside a full matrix, in Markdown."""
    a, b = one.inputs * one.rank, one.rank * one.outputs
    words = (
        f"A full change of a layer of {one.inputs:,} × {one.outputs:,} has **{one.full:,}** numbers. A "
        f"({one.inputs:,} × {one.rank:,}) and B ({one.rank:,} × {one.outputs:,}) have {a:,} + {b:,} = "
        f"**{one.low_rank:,}**: "
    )
    if one.saved > 0:
        return words + f"**{one.saved:.0%} fewer**. They are fewer up to a rank of {one.break_even:,}."
    if one.saved == 0:
        return words + "**just as many**."
    return words + f"**{-one.saved:.0%} more**. They are fewer up to a rank of {one.break_even:,} only."


def cost_table(costs: Sequence[PartCost]) -> list[list[str]]:
    """Return the parts of a model as rows, and last all of them together."""
    rows = [
        [
            f"{one.part} × {one.count}",
            f"{one.cost.inputs:,} × {one.cost.outputs:,}",
            f"{one.count * one.cost.full:,}",
            f"{one.cost.rank:,}",
            f"{one.count * one.cost.low_rank:,}",
            f"{one.cost.saved:.1%}",
        ]
        for one in costs
    ]
    full, low_rank = total(costs)
    return [*rows, ["all", "", f"{full:,}", "", f"{low_rank:,}", f"{1 - low_rank / full:.1%}"]]


def cost_plot(one: Cost) -> Figure:
    """Return the numbers in A and B over the rank, beside those of the full matrix, with the chosen rank marked."""
    import plotly.graph_objects as go

    most = min(one.inputs, one.outputs)
    ranks = sorted({1, one.rank, most, *(round(most ** (n / 24)) for n in range(25))})
    figure = go.Figure()
    figure.add_scatter(
        x=ranks,
        y=[rank * (one.inputs + one.outputs) for rank in ranks],
        name="A and B",
        mode="lines",
        line={"color": CHANGED},
        hovertemplate="rank %{x:,}: %{y:,} numbers<extra></extra>",
    )
    figure.add_scatter(
        x=[ranks[0], ranks[-1]],
        y=[one.full, one.full],
        name="a full matrix",
        mode="lines",
        line={"color": FROZEN},
        hovertemplate="%{y:,} numbers<extra></extra>",
    )
    figure.add_scatter(
        x=[one.rank],
        y=[one.low_rank],
        mode="markers",
        marker={"color": CHANGED, "size": 12},
        name=f"rank {one.rank:,}",
        hovertemplate="rank %{x:,}: %{y:,} numbers<extra></extra>",
    )
    figure.update_xaxes(title="rank", type="log", dtick="D2")
    figure.update_yaxes(title="numbers", type="log", dtick=1)
    return _with_room_for_names(figure, 340)


def _with_room_for_names(figure: Figure, height: int) -> Figure:
    """Give a figure the look of the app, with room above for a legend that a phone breaks into lines."""
    calm(figure, height)
    figure.update_layout(margin={"t": 80}, legend={"y": 1.02, "yanchor": "bottom"})
    return figure


def merge_words(found: MergeCheck) -> str:
    """Return what merging changed, in words."""
    same = found.apart == found.merged
    count = len(found.apart)
    first = next((n for n, pair in enumerate(zip(found.apart, found.merged, strict=False), 1) if pair[0] != pair[1]), 0)
    tokens = f"the same {count} tokens" if same else f"other tokens from number {first} on, where two were as good"
    return (
        f"Apart and merged write {tokens}. The largest difference between two logits is {found.difference:.1e}; the "
        f"largest logit is {found.largest:.1f}. Taking the change out again brings the weights back to within "
        f"{found.restored:.0e}."
    )


def equality_words(found: Sequence[Equality]) -> str:
    """Return how far the layers are apart from PEFT's at most, in words."""
    largest = max(found, key=lambda one: one.difference)
    return (
        f"Max difference {largest.difference:.0e} ({largest.what}, where the largest value is {largest.largest:.2g})."
    )


def equality_table(found: Sequence[Equality]) -> list[list[Any]]:
    """Return what was compared as rows."""
    return [
        [one.what, f"{one.difference:.1e}" if one.difference else "0", f"{one.largest:.2g}"]
        for one in found
        if math.isfinite(one.difference)
    ]
