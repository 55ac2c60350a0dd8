"""What Score shows: the model's order beside the visitor's, and a text with the effect of its sentences."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from tabs.rendering import counted
from tabs.reward.render.rank import LETTERS, short
from tabs.reward.render.texts import score, signed

if TYPE_CHECKING:
    from lab.preferences.explain import Effect
    from lab.preferences.standing import Compared, Standing

ROW = 46  # height of a row of the picture, in its units
COMPARED_COLUMNS = ["text", "your place", "model's place", "reward", "beats by reward", "beats by the true rule"]
EFFECT_COLUMNS = ["sentence", "effect on the reward"]


def compared_html(found: Compared) -> str:
    """Return the two orders with lines between them, and the pairs about which they disagree."""
    wrong = found.disagreements
    agree = found.pairs - len(wrong)
    if not found.pairs:
        words = "You tied all of them, so there is nothing to disagree about."
    else:
        words = f"The model agrees with you on {agree} of {counted(found.pairs, 'pair')}."
    items = "".join(
        f"<li><b>{LETTERS[a]} over {LETTERS[b]}</b>, you said. The model gives {LETTERS[b]} "
        f"{found.standings[b].reward - found.standings[a].reward:.2f} more.</li>"
        for a, b in wrong
    )
    marked = {number for pair in wrong for number in pair}
    texts = "".join(
        f'<li class="sd-card{" sd-reward-off" if n in marked else ""}"><b>{LETTERS[n]}</b> '
        f"{escape(short(one.completion.text, 400))}</li>"
        for n, one in enumerate(found.standings)
    )
    return (
        f'<p class="sd-message">{words}</p><div class="sd-reward-beside">{slopes(found)}'
        f"<div>{f'<ul class=sd-reward-wrong>{items}</ul>' if items else ''}"
        f'<ul class="sd-reward-texts">{texts}</ul></div></div>'
    )


def slopes(found: Compared) -> str:
    """Return a picture: the visitor's order on the left, the model's on the right, lines from text to text."""
    mine = sorted(range(len(found.standings)), key=lambda n: (found.ranking.ranks[n], n))
    theirs = sorted(range(len(found.standings)), key=lambda n: (found.model_ranks[n], n))
    marked = {number for pair in found.disagreements for number in pair}
    height = ROW * len(mine) + 26
    parts = []
    for number in mine:
        left, right = (26 + ROW * (order.index(number) + 0.5) for order in (mine, theirs))
        kind = "sd-reward-off" if number in marked else "sd-reward-same"
        tie = "=" if list(found.ranking.ranks).count(found.ranking.ranks[number]) > 1 else ""
        parts.append(
            f'<g class="{kind}"><line x1="58" y1="{left:.0f}" x2="182" y2="{right:.0f}"/>'
            f'<text x="40" y="{left + 5:.0f}" text-anchor="middle">{tie}{LETTERS[number]}</text>'
            f'<text x="200" y="{right + 5:.0f}" text-anchor="middle">{LETTERS[number]}</text></g>'
        )
    orders = [", ".join(LETTERS[n] for n in order) for order in (mine, theirs)]
    return (
        f'<svg class="sd-reward-slopes" viewBox="0 0 240 {height}" width="240" height="{height}" role="img" '
        f'aria-label="Your order: {orders[0]}. The model’s order: {orders[1]}.">'
        '<text x="40" y="14" text-anchor="middle" class="sd-reward-axis">you</text>'
        '<text x="200" y="14" text-anchor="middle" class="sd-reward-axis">model</text>' + "".join(parts) + "</svg>"
    )


def compared_table(found: Compared) -> list[list[str]]:
    """Return a row for each text, the visitor's best first."""
    order = sorted(range(len(found.standings)), key=lambda n: (found.ranking.ranks[n], n))
    return [
        [
            LETTERS[n],
            str(found.ranking.ranks[n]),
            str(found.model_ranks[n]),
            signed(found.standings[n].reward),
            f"{found.standings[n].learned:.0f} %",
            f"{found.standings[n].true:.0f} %",
        ]
        for n in order
    ]


def standing_html(one: Standing, rule: str) -> str:
    """Return a text's reward and where it stands, as two bars."""
    return (
        '<div class="sd-reward-standing">'
        f"{bar('The reward model', f'reward {signed(one.reward)}', one.learned, 'sd-changed')}"
        f"{bar(f'The true rule: {rule}', f'score {score(one.true_score)}', one.true, 'sd-true')}</div>"
    )


def bar(name: str, value: str, share: float, kind: str) -> str:
    """Return a bar from 0 to 100 percent with its words."""
    return (
        f'<div class="sd-reward-meter {kind}"><p><b>{escape(name)}</b> <span>{escape(value)}, '
        f"beats {share:.0f} % of the shipped texts</span></p>"
        f'<div class="sd-reward-track"><i style="width:{share:.1f}%"></i></div></div>'
    )


def effects_html(effects: Sequence[Effect]) -> str:
    """Return a text whose sentences are shaded by their effect: what the reward loses without them."""
    strongest = max((abs(effect.effect) for effect in effects), default=0.0) or 1.0
    spans = "".join(
        f'<span class="{"sd-up" if effect.effect >= 0 else "sd-down"}" '
        f'style="--e:{min(abs(effect.effect) / strongest, 1):.2f}" title="{signed(effect.effect)}">'
        f"{escape(effect.text)}</span>"
        for effect in effects
    )
    return (
        f'<p class="sd-text sd-reward-effects">{spans}</p><p class="sd-legend"><span class="sd-up" style="--e:0.8">'
        'raises the reward</span><span class="sd-down" style="--e:0.8">lowers it</span> the stronger, the more</p>'
    )


def effect_table(effects: Sequence[Effect]) -> list[list[str]]:
    """Return a row for each sentence with its effect."""
    return [[short(effect.text, 200), signed(effect.effect)] for effect in effects if effect.text.strip()]
