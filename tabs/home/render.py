"""What the first screen shows. Pure functions; all text here is the app's own, and escaped all the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from lab.arc import Row
from tabs.experiments import Experiment
from tabs.rendering import counted


@dataclass(frozen=True)
class Card:
    """A tab on the first screen: what it shows, the one thing to press, and how much of the model is changed there.

    Attributes:
        row: begin of the name of the row of the arc that says how much; empty for none.
        frozen: whether the model of that row is only used there.
    """

    title: str
    words: str
    press: str
    link: str
    row: str = ""
    frozen: bool = False


HERO = """
<section class="sd-home-hero" aria-labelledby="sd-home-question">
<h2 id="sd-home-question">A model already knows a lot.<br>How do you make it do something <em>slightly
different</em>?</h2>
<p>%s, one question. In each you take a model that works, keep almost all of it <b class="sd-frozen">frozen</b>,
<b class="sd-changed">change</b> a little, and hear, read or measure what that does. Everything runs on this machine,
and every state is a link that you can send.</p>
</section>
"""


def hero(tabs: int) -> str:
    """Return the question, with how many tabs speak to it."""
    return HERO % counted(tabs, "tab", in_words=True).capitalize()


def strip(share: float, words: str) -> str:
    """Return a bar that is as orange as the share of changed weights, drawn to scale, with the share in words."""
    return (
        f'<span class="sd-home-strip" style="--changed:{share:.6f}" aria-hidden="true"></span>'
        f'<span class="sd-home-share">{escape(words)}</span>'
    )


def share_words(row: Row, frozen: bool) -> str:
    """Return how many weights are changed of the model in a row of the arc, in words."""
    if frozen or not row.trainable:
        return f"0 of {row.total:,} weights changed"
    return f"{row.trainable:,} of {row.total:,} weights changed ({100 * row.share:.2g} %)"


def cards(shown: Sequence[Card], arc: Sequence[Row]) -> str:
    """Return the cards of the tabs."""
    made = []
    for card in shown:
        row = next((row for row in arc if card.row and row.name.startswith(card.row)), None)
        bar = strip(0 if card.frozen else row.share, share_words(row, card.frozen)) if row else ""
        made.append(
            f'<li class="sd-home-card"><h3>{escape(card.title)}</h3><p>{escape(card.words)}</p>{bar}'
            f'<a class="sd-home-press" href="{escape(card.link)}">{escape(card.press)}</a></li>'
        )
    return f'<ul class="sd-home-cards" aria-label="The tabs">{"".join(made)}</ul>'


def tour(experiments: Sequence[Experiment]) -> str:
    """Return the guided tour as a numbered list of links."""
    steps = "".join(
        f'<li><a href="{escape(one.link)}">{escape(one.title)}</a><span>{escape(one.words)}</span></li>'
        for one in experiments
    )
    return (
        '<section class="sd-home-tour" aria-labelledby="sd-home-tour"><h2 id="sd-home-tour">A tour in '
        f"{counted(len(experiments), 'experiment', in_words=True)}</h2><ol>{steps}</ol></section>"
    )


TEACHING = """
<section class="sd-home-teaching"><h2>Thirty people at once?</h2><p>Open the class page for a link that puts everyone
into the same class: blind-test votes and rankings are pooled, and you see them live. No accounts, no names.</p>
<p><a href="?tab=class">Start a class</a></p></section>
"""
