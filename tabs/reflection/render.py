"""The table of all ways, and a plot of it drawn as SVG: sharp on any screen, and there at once. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from lab.arc import Row
from lab.reflection import Across, Measure, Question, ReflectionSettings, plotted
from tabs.experiments import Experiment

COLUMNS = {
    "model or adapter": "str",
    "stage": "str",
    "weights trained, thousands": "number",
    "share, %": "number",
    "training, minutes": "number",
    "size, MB": "number",
    "gain on the new, %": "number",
    "forgetting of the old, %": "number",
    "frozen": "str",
    "changed": "str",
    "training data": "str",
    "losses": "str",
}
Box = tuple[float, float, float, float]  # left, top, right, bottom
WIDTHS = [200, 110, 110, 85, 95, 85, 95, 110, 220, 200, 200, 260]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM, RADIUS = 860, 400, 64, 130, 24, 56, 9
TITLES = {
    Measure.GAIN: "gain: loss on the new style lower by, %",
    Measure.FORGETTING: "forgetting: loss on the old style higher by, %",
    Across.TRAINABLE: "weights trained (logarithmic)",
    Across.SHARE: "share of the weights that was trained, % (logarithmic)",
}
NOTHING = "Nothing to plot: of these models none was adapted to a new style."


def table(rows: Sequence[Row]) -> list[list[str | float | None]]:
    """Return a row of the table for each model; None where there is no figure."""
    return [
        [
            row.name,
            row.stage,
            round(row.trainable / 1000, 1),
            round(100 * row.share, 4),
            None if row.seconds is None else round(row.seconds / 60, 1),
            None if row.size is None else round(row.size / 1e6, 2),
            None if row.gain is None else round(100 * row.gain, 1),
            None if row.forgetting is None else round(100 * row.forgetting, 1),
            row.frozen,
            row.changed,
            row.data,
            row.losses,
        ]
        for row in rows
    ]


def plot(rows: Sequence[Row], settings: ReflectionSettings) -> str:
    """Return the plot: a point for each adapted model, its orange sector the share of the weights that was trained."""
    points = plotted(rows, settings)
    if not points:
        return f'<div class="sd-empty">{NOTHING}</div>'
    factor = 100.0 if settings.across is Across.SHARE else 1.0
    low = math.floor(math.log10(min(factor * across for _, across, _ in points)))
    high = max(math.ceil(math.log10(max(factor * across for _, across, _ in points))), low + 1)
    ticks = _ticks([100 * up for _, _, up in points])

    def x(across: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(factor * across) - low) / (high - low)

    def y(percent: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (ticks[-1] - percent) / (ticks[-1] - ticks[0])

    parts = [_axes(low, high, ticks, x, y, factor, settings)]
    # No label covers a point, and none another label as far as there is room.
    taken = [_box_of_point(x(across), y(100 * up)) for _, across, up in points]
    for row, across, up in sorted(points, key=lambda point: (point[1], -point[2])):
        left, top, label = x(across), y(100 * up), row.name.partition(", ")[2] or row.name
        said = f"{row.name}: {100 * up:.1f} %, {row.trainable:,} weights trained ({100 * row.share:.2g} %)"
        at = _place(left, top, len(label), taken)
        parts.append(
            f"<g><title>{escape(said)}</title>{_pie(left, top, row.share)}"
            f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" class="sd-reflection-label">{escape(label)}</text></g>'
        )
    said = f"{TITLES[settings.measure]}, against {TITLES[settings.across]}. The same figures are in the table below."
    return (
        f'<div class="sd-reflection-plot" tabindex="0" role="group" aria-label="Plot, may be scrolled">'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}">{"".join(parts)}</svg></div>'
    )


def _ticks(values: Sequence[float]) -> list[float]:
    """Return round numbers that span the values and zero."""
    low, high = min(0.0, *values), max(0.0, *values)
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-9) / 3))
    step = next(step * times for times in (1, 2, 5, 10) if (high - low) / (step * times) <= 6)
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return [step * n for n in range(first, last + 1)]


def _axes(low: int, high: int, ticks: Sequence[float], x, y, factor: float, settings: ReflectionSettings) -> str:
    lines = []
    for tick in ticks:
        kind = "sd-reflection-zero" if tick == 0 else "sd-reflection-grid"
        lines.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        lines.append(f'<text x="{LEFT - 10}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for power in range(low, high + 1):
        at = x(10.0**power / factor)
        lines.append(
            f'<line class="sd-reflection-grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        )
        lines.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{_short(10.0**power)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    across = f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">{TITLES[settings.across]}</text>'
    return "".join(lines) + across + f'<text x="{LEFT}" y="{TOP - 10}">{TITLES[settings.measure]}</text>'


def _short(number: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g} {letter}"
    return f"{number:g}"


def _pie(x: float, y: float, share: float) -> str:
    circle = f'<circle class="sd-reflection-frozen" cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}"/>'
    if share >= 1:
        return circle.replace("frozen", "changed")
    angle = 2 * math.pi * max(share, 0.02)  # thinner could not be seen
    end = f"{x + RADIUS * math.sin(angle):.2f} {y - RADIUS * math.cos(angle):.2f}"
    path = f"M{x:.1f} {y:.1f}V{y - RADIUS:.1f}A{RADIUS} {RADIUS} 0 {int(share > 0.5)} 1 {end}Z"
    return f'{circle}<path class="sd-reflection-changed" d="{path}"/>'


def _place(x: float, y: float, letters: int, taken: list[Box]) -> tuple[float, float]:
    """Return where a label goes: as near to its point as nothing else stands, else where least does."""
    width = 7.8 * letters
    right, left, middle = RADIUS + 6, -RADIUS - 6 - width, -width / 2
    places = [(right, 5), (left, 5), (middle, -14), (middle, 24), (right, -12), (right, 22), (left, -12), (left, 22)]
    places += [(middle, -30), (middle, 40), (right, -28), (right, 38), (left, -28), (left, 38), (middle, -46)]
    boxes = [(x + dx, y + dy - 12, x + dx + width, y + dy + 3) for dx, dy in places]
    inside = [box for box in boxes if box[0] > LEFT and box[1] > TOP and box[3] < HEIGHT - BOTTOM + 8] or boxes
    box = min(inside, key=lambda box: sum(_overlap(box, other) for other in taken))
    taken.append(box)
    return box[0], box[3] - 3


def _box_of_point(x: float, y: float) -> Box:
    return x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def experiment(question: Question) -> Experiment:
    """Return the experiment that speaks to a question."""
    return Experiment(question.experiment, question.tab, question.query, "")


def question_html(question: Question, number: int) -> str:
    """Return a question with the link to its experiment."""
    return (
        f'<div class="sd-reflection-question"><p><b>{number}</b> {escape(question.text)}</p>'
        f'<p><a href="{escape(experiment(question).link)}">{escape(question.experiment)}</a></p></div>'
    )


LEGEND = (
    '<p class="sd-hint">Each point is a model: <b class="sd-frozen">blue</b> is the share of it that stayed frozen, '
    '<b class="sd-changed">orange</b> the share that was trained.</p>'
)
