"""What a training shows: where it stands, losses as plot and table, samples, and the adapters that came of it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from lab.text.live_training import Phase, Snapshot
from lab.text.own_adapters import Own
from tabs.rendering import INK, calm, counted, decimal, message, notes_html

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FROZEN, CHANGED = "#5b8fc4", "#d07a2d"
LOSS_COLUMNS = ["after step", "training loss", "held-out loss", "against the base"]
NO_SAMPLES = "While it trains, the adapter writes here what it would say by then."
NO_OWN = "None yet. What you train or upload here is listed while this page is open and connected."


def duration(seconds: float) -> str:
    """Return a length of time in words, rounded as an estimate should be."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 50:
        return f"about {round(seconds, -1):.0f} seconds"
    return f"about {counted(max(1, round(seconds / 60)), 'minute')}"


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd and so on."""
    ending = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def state_of(now: Snapshot) -> str:
    """Return where a training stands, as a line with a bar. What changes with every step is not read out."""
    match now.phase:
        case Phase.WAITING:
            ahead = now.standing.ahead
            if not ahead:
                return message("It is your turn now …")
            times = (
                f", {duration(now.standing.seconds)} until it is your turn, then "
                f"{duration((now.seconds_left or 0) - now.standing.seconds)}."
            )
            return message(f"You are {ordinal(ahead + 1)} in the line: {ahead} before you", changing=times)
        case Phase.STARTING:
            return _bar(0) + message(
                "Starting a process of its own …", changing=f" {duration(now.seconds_left or 0)} to go."
            )
        case Phase.TRAINING:
            left = f", {duration(now.seconds_left)} to go" if now.seconds_left else ""
            words = f"Step {now.step} of {now.settings.steps}{left}."
            if now.step == now.settings.steps:
                return _bar(1) + message("All steps are done. The last sample is being written …")
            return _bar(now.step / now.settings.steps, words) + message("Training …", changing=f" {words}")
    return message(outcome(now)) + notes_html(now.notes)


def outcome(now: Snapshot) -> str:
    """Return what a training gave, in a sentence."""
    losses = dict(now.held_out_losses)
    before, after = losses[0], losses[now.best_step]
    early = f" The weights are those after step {now.best_step}." if now.best_step < now.settings.steps else ""
    return (
        f"Done: on the held-out part {before:.2f} → {after:.2f} nats per token ({decimal(after - before, '+.2f')}), "
        f"{now.step} steps in {now.seconds:.0f} s.{early} It is among the switches under Toggle now."
    )


def _bar(share: float, words: str = "") -> str:
    """Return a bar; the words are for who asks it how far it is."""
    text = f' aria-valuetext="{words}"' if words else ""
    return f'<progress max="1" value="{share:.3f}" aria-label="training"{text}></progress>'


def loss_plot(now: Snapshot) -> Figure:
    """Return the losses by step: training, held-out, and the base's on the held-out part."""
    from plotly.graph_objects import Figure, Scatter

    figure = Figure()
    steps, losses = zip(*now.training_losses, strict=True) if now.training_losses else ((), ())
    hover = "step %{x}: %{y:.3f}<extra>%{fullData.name}</extra>"
    line = {"color": INK, "width": 1}
    figure.add_trace(Scatter(x=steps, y=losses, mode="lines", name="training", line=line, hovertemplate=hover))
    steps, losses = zip(*now.held_out_losses, strict=True) if now.held_out_losses else ((), ())
    figure.add_trace(
        Scatter(
            x=steps,
            y=losses,
            mode="lines+markers",
            name="held out",
            line={"color": CHANGED, "width": 3},
            marker={"size": 8},
            hovertemplate=hover,
        )
    )
    if losses:
        figure.add_trace(
            Scatter(
                x=[0, now.settings.steps],
                y=[losses[0]] * 2,
                mode="lines",
                name="held out, base (frozen)",
                line={"color": FROZEN, "width": 2, "dash": "dash"},
                hovertemplate="%{y:.3f}<extra>%{fullData.name}</extra>",
            )
        )
    calm(figure, 330)
    figure.update_layout(margin={"t": 76}, legend={"y": 1.02, "yanchor": "bottom"})
    figure.update_xaxes(title="step", range=[0, now.settings.steps])
    figure.update_yaxes(title="nats per token")
    return figure


def loss_table(now: Snapshot) -> list[list[str]]:
    """Return the same as rows, one for each measurement: the training loss is the mean since the one before."""
    rows, last = [], 0
    for step, loss in now.held_out_losses:
        since = [value for place, value in now.training_losses if last < place <= step]
        mean = f"{sum(since) / len(since):.3f}" if since else "–"
        rows.append([str(step), mean, f"{loss:.3f}", decimal(loss - now.held_out_losses[0][1], "+.3f")])
        last = step
    return rows


def samples_html(now: Snapshot | None, prompt: str) -> str:
    """Return what adapter and base wrote, the newest at the top."""
    if now is None or not now.samples:
        return f'<div class="sd-empty">{NO_SAMPLES}</div>'
    items = []
    for sample in reversed(now.samples):
        kind, title = ("frozen", "Base") if sample.step == 0 else ("changed", f"After step {sample.step}")
        items.append(
            f'<li><b class="sd-{kind}">{title}</b><span><i>{escape(prompt)}</i>{escape(sample.text)}</span></li>'
        )
    return f'<ol class="sd-lora-samples">{"".join(items)}</ol>'


def own_html(adapters: Sequence[Own]) -> str:
    """Return the visitor's adapters as a list."""
    if not adapters:
        return f'<p class="sd-hint">{NO_OWN}</p>'
    items = "".join(
        f"<li><b>{escape(own.title)}</b> <span>rank {own.adapter.rank}, {own.adapter.parameters:,} numbers "
        f"({own.adapter.parameters / own.model.parameters:.2%} of {escape(own.model.name)}), "
        f"{len(own.packed) / 1e6:.2f} MB packed</span></li>"
        for own in adapters
    )
    return f'<ul class="sd-lora-own">{items}</ul>'
