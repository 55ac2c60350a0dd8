"""From results of the Decoding tab to what its components show. Pure functions; all text is escaped here."""

from __future__ import annotations

import math
import string
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from lab.text.decoding import Column, Comparison, Inspection
from lab.text.playing import CHOICES, Game
from lab.text.strategies import EXPLANATIONS, Kind
from lab.text.sweep import Sweep
from lab.text.tree import Tree

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from lab.text.models import LanguageModel

INK = "#7f8792"  # readable on both a light and a dark page
RAW, TEMPERED, FINAL = "#6f8fb0", "#b7a15c", "#d8742a"

MEASURES = (
    ("mean log-probability", "mean_log_probability", "{:.2f}", "nats per token under the raw model; 0 would be certainty"),
    ("perplexity", "perplexity", "{:.1f}", "exp of the mean surprise under the raw model"),
    ("distinct-1", "distinct_1", "{:.2f}", "share of distinct tokens"),
    ("distinct-2", "distinct_2", "{:.2f}", "share of distinct pairs of tokens"),
    ("repeated 3-grams", "repeated_3", "{:.0%}", "share of runs of three tokens that occurred before"),
    ("tokens per second", "tokens_per_second", "{:.0f}", "as served, all columns advancing together"),
)


LEGEND = (
    '<p class="sd-legend"><span style="--s:0">expected</span><span style="--s:.35">less so</span>'
    '<span style="--s:.7">surprising</span><span style="--s:1">1 in 1,000 or rarer</span>'
    '<span class="lv">leaves greedy here</span> Hover a token for its probability and rank; click it to look inside.</p>'
)


def notes_html(notes: Sequence[str]) -> str:
    """Return notes to the visitor as a list, or nothing."""
    if not notes:
        return ""
    return '<ul class="sd-notes" role="status">' + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"


def message(text: str, alert: bool = False) -> str:
    """Return a line for the status field; an alert is what went wrong."""
    role, extra = ("alert", " sd-alert") if alert else ("status", "")
    return f'<p class="sd-message{extra}" role="{role}">{escape(text)}</p>'


def progress(share: float, notes: Sequence[str] = ()) -> str:
    """Return a progress bar, share from 0 to 1, with notes beside it."""
    bar = f'<progress max="1" value="{share:.3f}" aria-label="progress"></progress>' if share < 1 else ""
    return bar + message("Done." if share >= 1 else f"{share:.0%}") + notes_html(notes)


def run_status(comparison: Comparison, notes: Sequence[str]) -> str:
    """Return how far a run has come."""
    if comparison.done:
        return notes_html(notes)
    written = sum(len(column.tokens) for column in comparison.columns)
    total = comparison.settings.max_new_tokens * len(comparison.columns)
    return progress(min(written / total, 0.99), notes)


def model_facts(model: LanguageModel) -> str:
    """Return what a model is, in a line."""
    return (
        f"{model.title}: {model.parameters / 1e6:,.1f} million parameters, {model.layers} layers of width {model.width}, "
        f"{len(model.vocabulary):,} tokens, context {model.context}. All of them frozen."
    )


def plain_markdown(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return "".join("\\" + c if c in string.punctuation else c for c in text)


def board(comparison: Comparison, selected: tuple[int, int] | None = None) -> str:
    """Return the columns side by side.

    Args:
        selected: column and step of the token that is looked into, both from 0.
    """
    cards = "".join(
        _card(place, column, comparison, selected[1] if selected and selected[0] == place else None)
        for place, column in enumerate(comparison.columns)
    )
    state = "done" if comparison.done else "running"
    return f'{notes_html(comparison.notes)}<div class="sd-board" data-state="{state}">{cards}</div>'


def empty_board(message: str = "Press Generate: each strategy writes its own column, all at the same time.") -> str:
    """Return what stands where the columns will be."""
    return f'<div class="sd-empty">{escape(message)}</div>'


def _card(place: int, column: Column, comparison: Comparison, selected: int | None) -> str:
    leaves = column.leaves_greedy
    tokens = "".join(_token(column, n, n == leaves, n == selected, comparison.done) for n in range(len(column.tokens)))
    caret = "" if column.reason else '<span class="sd-caret" aria-hidden="true"></span>'
    end = '<span class="sd-end" title="the model ended the text">∎</span>' if column.reason == "end of text" else ""
    if leaves is not None:
        path = f"leaves greedy at token {leaves + 1}"
    elif column.strategy.kind is Kind.GREEDY and column.strategy.repetition_penalty == 1:
        path = "this is the greedy path"
    else:
        path = "follows greedy so far" if not column.reason else "same as greedy to the end"
    prompt = comparison.settings.prompt.strip()
    tail = prompt if len(prompt) <= 90 else "… " + prompt[-88:]
    return (
        f'<section class="sd-card" aria-label="{escape(column.strategy.label)}">'
        f"<h3>{escape(column.strategy.label)}</h3>"
        f'<p class="sd-hint">{escape(EXPLANATIONS[column.strategy.kind])}</p>'
        f'<p class="sd-text" tabindex="0" role="group" data-column="{place}" '
        f'aria-label="Text of {escape(column.strategy.label)}; arrow keys choose a token"'
        f'><span class="sd-prompt">{escape(tail)}</span>{tokens}{end}{caret}</p>'
        f'<p class="sd-path">{escape(path)}</p>{_measures(column)}</section>'
    )


def _token(column: Column, n: int, leaves: bool, selected: bool, done: bool) -> str:
    token = column.tokens[n]
    probability = math.exp(token.log_probability)
    # 0 for certain tokens, 1 for those of one in a thousand or less.
    surprise = min(-token.log_probability / math.log(1000), 1.0)
    classes = " ".join(name for name, on in (("lv", leaves), ("on", selected)) if on)
    title = f' title="{token_summary(column, n)}"' if done else ""
    return (
        f'<span data-n="{n}" style="--s:{surprise:.2f}"{f""" class="{classes}" """ if classes else ""}{title}'
        f' data-p="{probability:.3f}">{escape(column.pieces[n])}</span>'
    )


def token_summary(column: Column, n: int) -> str:
    """Return probability and rank of a token in a line."""
    token = column.tokens[n]
    text = f"{math.exp(token.log_probability):.1%}, rank {token.rank}"
    if column.strategy.samples:
        text += f", {token.strategy_probability:.1%} after {column.strategy.label}"
    return escape(text)


def _measures(column: Column) -> str:
    if column.measures is None:
        return '<dl class="sd-measures"></dl>'
    rows = "".join(
        f'<div title="{escape(meaning)}"><dt>{name}</dt><dd>{form.format(getattr(column.measures, field))}</dd></div>'
        for name, field, form, meaning in MEASURES
    )
    return f'<dl class="sd-measures">{rows}</dl>'


def step_label(column: Column, step: int, labels: Sequence[str]) -> str:
    """Return the title of a step."""
    return f"Token {step + 1} of {column.strategy.label}: {labels[step]}"


def step_table(inspection: Inspection) -> list[list[Any]]:
    """Return the candidates of a step as rows: rank, token, raw, tempered, cumulative, final, what became of it."""
    rows, cumulative = [], 0.0
    order = sorted(
        zip(inspection.distribution.candidates, inspection.token_labels, strict=True), key=lambda pair: -pair[0].tempered
    )
    for rank, (candidate, label) in enumerate(order, 1):
        cumulative += candidate.tempered
        if candidate.id == inspection.chosen:
            fate = "chosen"
        elif inspection.strategy.samples and candidate.final == 0:
            fate = "cut"
        else:
            fate = ""
        shown = (candidate.raw, candidate.tempered, cumulative, candidate.final)
        rows.append([rank, label, *(round(100 * value, 3) for value in shown), fate])
    return rows


STEP_COLUMNS = ["#", "token", "raw %", "tempered %", "cumulative %", "final %", ""]


def step_summary(inspection: Inspection) -> str:
    """Return what a step shows, in words."""
    table = inspection.distribution
    sentences = [
        f"Entropy {inspection.entropy:.2f} nats: as undecided as between {math.exp(inspection.entropy):,.0f} equal tokens."
    ]
    if inspection.strategy.samples:
        cut = table.vocabulary_size - table.kept_tokens
        if cut:
            sentences.append(
                f"{table.kept_tokens:,} of {table.vocabulary_size:,} tokens stay, holding {table.kept_mass:.1%} of the "
                f"probability after temperature; {cut:,} are cut."
            )
        else:
            sentences.append(f"Nothing is cut: all {table.vocabulary_size:,} tokens can be drawn.")
    else:
        sentences.append("Nothing is drawn here: this is the model's own distribution.")
    return " ".join(sentences)


def step_plot(inspection: Inspection, shown: int = 25) -> Figure:
    """Return the top of the distribution at each stage as bars, and the cumulative curve with the cut."""
    import plotly.graph_objects as go

    pairs = sorted(
        zip(inspection.distribution.candidates, inspection.token_labels, strict=True), key=lambda pair: -pair[0].tempered
    )
    chosen = next((n for n, (candidate, _) in enumerate(pairs) if candidate.id == inspection.chosen), None)
    if chosen is not None and chosen >= shown:
        pairs = [*pairs[: shown - 1], pairs[chosen]]
        chosen = shown - 1
    pairs = pairs[:shown]
    # Labels may repeat (two byte tokens can look alike), so bars stand at numbers.
    places = list(range(len(pairs)))
    labels = [_plain(label) for _, label in pairs]
    stages = [("raw", RAW), ("tempered", TEMPERED), ("final", FINAL)] if inspection.strategy.samples else [("raw", RAW)]
    titles = {"raw": "raw model", "tempered": "after temperature", "final": "after truncation"}
    figure = go.Figure()
    for field, colour in stages:
        values = [getattr(candidate, field) for candidate, _ in pairs]
        figure.add_bar(x=places, y=values, name=titles[field], marker_color=colour, customdata=labels,
                       hovertemplate="%{customdata}: %{y:.2%}<extra>" + titles[field] + "</extra>")  # fmt: skip
    if inspection.strategy.samples:
        total, curve = 0.0, []
        for candidate, _ in pairs:
            total += candidate.tempered
            curve.append(total)
        figure.add_scatter(x=places, y=curve, name="cumulative", mode="lines+markers", yaxis="y2",
                           line={"color": INK, "width": 1.5, "dash": "dot"}, marker={"size": 4})  # fmt: skip
        if inspection.strategy.kind is Kind.TOP_P:
            figure.add_shape(type="line", x0=-0.5, x1=len(pairs) - 0.5, y0=inspection.strategy.top_p,
                             y1=inspection.strategy.top_p, yref="y2", line={"color": FINAL, "width": 1, "dash": "dash"})  # fmt: skip
            figure.add_annotation(x=len(pairs) - 1, y=inspection.strategy.top_p, yref="y2", showarrow=False, yshift=9,
                                  text=f"p = {inspection.strategy.top_p:g}", font={"color": FINAL})  # fmt: skip
        kept = [n for n, (candidate, _) in enumerate(pairs) if candidate.final > 0]
        if kept and len(kept) < len(pairs) and kept == list(range(len(kept))):
            figure.add_vline(x=len(kept) - 0.5, line={"color": FINAL, "width": 1, "dash": "dash"})
    if chosen is not None:
        figure.add_annotation(x=chosen, y=max(getattr(pairs[chosen][0], field) for field, _ in stages), text="chosen ▾",
                              showarrow=False, yshift=12, font={"color": INK})  # fmt: skip
    figure.update_layout(
        barmode="group",
        xaxis={"tickmode": "array", "tickvals": places, "ticktext": labels, "tickangle": -50},
        yaxis={"title": "probability", "tickformat": ".0%"},
        yaxis2={"overlaying": "y", "side": "right", "range": [0, 1.05], "tickformat": ".0%", "showgrid": False},
    )
    return _calm(figure, height=380)


def _plain(label: str) -> str:
    """Return text that plotly shows as it is: it reads a few tags and entities in labels."""
    return escape(label, quote=False)


def _calm(figure: Figure, height: int) -> Figure:
    """Give a figure the look of the app: see-through, so that it fits a light and a dark page, and quiet."""
    grid = "rgba(127,135,146,0.22)"
    figure.update_layout(
        height=height,
        margin={"l": 50, "r": 40, "t": 24, "b": 60},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 12},
        legend={"orientation": "h", "y": 1.12, "x": 0},
        hoverlabel={"font": {"size": 13}},
        dragmode=False,
    )
    figure.update_xaxes(gridcolor=grid, zeroline=False)
    figure.update_yaxes(gridcolor=grid, zeroline=False)
    return figure


def game(state: Game) -> str:
    """Return the text built by hand and the buttons for the next token."""
    prompt = state.prompt if len(state.prompt) <= 400 else "… " + state.prompt[-398:]
    words = "".join(
        f'<span style="--s:{min(pick.bits / 10, 1):.2f}" title="rank {pick.rank}, {pick.bits:.1f} bits">'
        f"{escape(pick.piece)}</span>"
        for pick in state.picks
    )
    strongest = max((candidate.raw for candidate in state.next.distribution.candidates), default=1.0)
    buttons = "".join(
        f'<button type="button" data-token="{candidate.id}" style="--w:{candidate.raw / strongest:.3f}">'
        f"<b>{escape(label)}</b><i>{candidate.raw:.1%}</i></button>"
        for candidate, label in list(
            zip(state.next.distribution.candidates, state.next.token_labels, strict=True)
        )[:CHOICES]
    )
    covered = sum(candidate.raw for candidate in state.next.distribution.candidates[:CHOICES])
    return (
        f'<p class="sd-text sd-game"><span class="sd-prompt">{escape(prompt)}</span>{words}'
        f'<span class="sd-caret" aria-hidden="true"></span></p>'
        f'<p class="sd-hint">{escape(_game_summary(state))}</p>'
        f'<div class="sd-choices" role="group" aria-label="The {CHOICES} most probable next tokens">{buttons}</div>'
        f'<p class="sd-hint">These {CHOICES} hold {covered:.0%} of the probability; '
        f"entropy {state.next.entropy:.2f} nats.</p>"
    )


def _game_summary(state: Game) -> str:
    if not state.picks:
        return "Pick the next token. Nothing but your choice changes: the model stays as it is."
    last, count = state.picks[-1], len(state.picks)
    ranks = sum(pick.rank for pick in state.picks) / count
    return (
        f"Your last pick had rank {last.rank} and {last.bits:.1f} bits of surprise. So far {count} "
        f"token{'s' if count > 1 else ''}, mean rank {ranks:.1f}, {state.bits / count:.1f} bits per token."
    )


GAME_COLUMNS = ["#", "token", "rank", "bits"]


def game_table(state: Game) -> list[list[Any]]:
    """Return the picks as rows: number, token, rank, bits of surprise."""
    return [[n, _visible(pick.piece), pick.rank, round(pick.bits, 2)] for n, pick in enumerate(state.picks, 1)]


def _visible(text: str) -> str:
    return text.replace(" ", "␣").replace("\n", "⏎")


POINT_COLUMNS = ["setting", "mean log-probability", "distinct-2", "self-BLEU"]
SAMPLE_COLUMNS = ["setting", "#", "mean log-probability", "text"]


def sweep_table(result: Sweep) -> list[list[Any]]:
    """Return one row per setting."""
    return [
        [p.strategy.label, round(p.mean_log_probability, 3), round(p.distinct_2, 3), round(p.self_bleu, 3)]
        for p in result.points
    ]


def sweep_samples(result: Sweep) -> list[list[Any]]:
    """Return one row per sample."""
    return [
        [point.strategy.label, n, round(mean, 2), text.strip().replace("\n", " ⏎ ")]
        for point in result.points
        for n, (text, mean) in enumerate(zip(point.texts, point.log_probabilities, strict=True), 1)
    ]


def sweep_plot(result: Sweep) -> Figure:
    """Return quality against diversity: one curve for distinct-2, one for 1 - self-BLEU."""
    import plotly.graph_objects as go

    quality = [point.mean_log_probability for point in result.points]
    labels = [f"{point.value:g}" for point in result.points]
    names = [point.strategy.label for point in result.points]
    curves = (
        ("distinct-2", [point.distinct_2 for point in result.points], RAW),
        ("1 − self-BLEU", [1 - point.self_bleu for point in result.points], FINAL),
    )
    figure = go.Figure()
    for name, values, colour in curves:
        figure.add_scatter(x=values, y=quality, text=labels, customdata=names, name=name, mode="lines+markers+text",
                           textposition="top center", line={"color": colour}, marker={"size": 9},
                           hovertemplate="%{customdata}<br>diversity %{x:.2f}<br>quality %{y:.2f}<extra></extra>")  # fmt: skip
    figure.update_layout(
        xaxis={"title": "diversity →", "range": [-0.04, 1.06]},
        yaxis={"title": "quality: mean log-probability →"},
    )
    return _calm(figure, height=420)


TREE_COLUMNS = ["step", "text so far", "token", "probability %", "score", "kept"]


def tree_table(tree: Tree) -> list[list[Any]]:
    """Return every continuation that was weighed, step by step, best first."""
    return [
        [
            node.step,
            _visible(_path(tree, place)),
            node.label,
            round(100 * node.probability, 2),
            round(node.score, 3),
            "winner" if node.best else "yes" if node.kept else "dropped",
        ]
        for place, node in enumerate(tree.nodes)
        if node.parent is not None
    ]


def _path(tree: Tree, place: int) -> str:
    labels = []
    node = tree.nodes[place]
    while node.parent is not None:
        labels.append(node.label)
        node = tree.nodes[node.parent]
    return "".join(reversed(labels)).replace("␣", " ")


def tree_plot(tree: Tree) -> Figure:
    """Return the tree: steps from left to right, within a step the better scores above; dropped ones are faint."""
    import plotly.graph_objects as go

    steps = max(node.step for node in tree.nodes)
    position: dict[int, tuple[float, float]] = {}
    for step in range(steps + 1):
        places = [n for n, node in enumerate(tree.nodes) if node.step == step]
        places.sort(key=lambda n: -tree.nodes[n].score)
        for order, place in enumerate(places):
            position[place] = (step, (len(places) - 1) / 2 - order)
    figure = go.Figure()
    kinds = (
        ("dropped", "rgba(127,135,146,0.35)", 1, lambda node: not node.kept),
        ("kept", RAW, 1.5, lambda node: node.kept and not node.best),
        ("winner", FINAL, 3, lambda node: node.best),
    )
    for name, colour, width, belongs in kinds:
        places = [n for n, node in enumerate(tree.nodes) if belongs(node)]
        xs, ys = zip(*_edges(tree, position, places), strict=True) if any(tree.nodes[n].parent is not None for n in places) else ((), ())  # fmt: skip
        figure.add_scatter(x=xs, y=ys, mode="lines", line={"color": colour, "width": width}, hoverinfo="skip",
                           showlegend=False)  # fmt: skip
        figure.add_scatter(
            x=[position[n][0] for n in places],
            y=[position[n][1] for n in places],
            text=[_plain(tree.nodes[n].label) for n in places],
            customdata=[[tree.nodes[n].score, tree.nodes[n].probability] for n in places],
            name=name,
            mode="markers+text",
            textposition="top center",
            textfont={"color": colour if name != "dropped" else INK},
            marker={"color": colour, "size": 9 if name != "dropped" else 6},
            hovertemplate="%{text}<br>score %{customdata[0]:.2f}<br>probability %{customdata[1]:.1%}<extra></extra>",
        )
    height = max(sum(node.step == step for node in tree.nodes) for step in range(steps + 1))
    figure.update_layout(
        xaxis={"title": "step", "dtick": 1, "range": [-0.5, steps + 0.6]},
        yaxis={"visible": False, "range": [-height / 2 - 0.2, height / 2 + 0.6]},
    )
    return _calm(figure, height=180 + 38 * height)


def _edges(
    tree: Tree, position: dict[int, tuple[float, float]], places: Sequence[int]
) -> Iterator[tuple[float | None, float | None]]:
    for place in places:
        parent = tree.nodes[place].parent
        if parent is not None:
            yield position[parent]
            yield position[place]
            yield (None, None)


def tree_summary(tree: Tree) -> str:
    """Return what the search found against greedy, in words."""
    gain = tree.log_probability - tree.greedy_log_probability
    if tree.text == tree.greedy_text:
        comparison = "Greedy finds the same text."
    else:
        more = "more" if gain > 0 else "less"
        comparison = (
            f"Greedy would write “{tree.greedy_text.strip()}” with log-probability {tree.greedy_log_probability:.2f}: "
            f"the text found by beam search is {math.exp(min(abs(gain), 50)):,.1f} times {more} probable."
        )
    return f"Found: “{tree.text.strip()}”, log-probability {tree.log_probability:.2f}. {comparison}"
