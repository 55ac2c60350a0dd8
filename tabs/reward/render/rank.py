"""What is shown of rankings: order in words, pairs as a table, who wrote what."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from lab.preferences import Item, Ranking
from lab.preferences.rounds import Round
from tabs.rendering import counted, decimal

if TYPE_CHECKING:
    from lab.preferences.agreement import Agreement

LETTERS = "ABCDEFGHIJKL"
PAIR_COLUMNS = ["pair", "chosen", "rejected"]
SHORT = 160  # characters of a text in a table
SHOWN_RANKINGS = 200


def order_in_words(ranks: Sequence[int]) -> str:
    """Return ranks such as (2, 1, 2) as ``B > A = C``."""
    groups = [[LETTERS[n] for n, rank in enumerate(ranks) if rank == wanted] for wanted in sorted(set(ranks))]
    return " > ".join(" = ".join(group) for group in groups)


def author(item: Item) -> str:
    """Return who wrote a completion, in words."""
    return f"written with the adapter {item.adapter}" if item.adapter else "written by the model itself"


def pair_table(found: Round, ranks: Sequence[int]) -> list[list[str]]:
    """Return a row for each two completions that are not tied: letters, chosen and rejected text."""
    places = sorted(range(len(ranks)), key=lambda n: (ranks[n], n))
    return [
        [f"{LETTERS[a]} > {LETTERS[b]}", short(found.items[a].completion), short(found.items[b].completion)]
        for place, a in enumerate(places)
        for b in places[place + 1 :]
        if ranks[a] < ranks[b]
    ]


def lead(found: Round, length: int = 300) -> str:
    """Return the end of a round's prompt."""
    prompt = found.prompt.strip()
    return prompt if len(prompt) <= length else "… " + prompt[-length:]


def short(text: str, length: int = SHORT) -> str:
    """Return a text on one line, cut if it is long."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 2] + " …"


RANKING_COLUMNS = ["#", "prompt", "order", "best", "for"]


def ranking_table(rankings: Sequence[Ranking]) -> list[list[str]]:
    """Return the newest rankings as rows, the last one first."""
    numbered = list(enumerate(rankings, 1))[::-1][:SHOWN_RANKINGS]
    return [
        [
            str(number),
            short(ranking.prompt, 70),
            order_in_words(ranking.ranks),
            short(ranking.items[ranking.ranks.index(min(ranking.ranks))].completion, 90),
            f"class {ranking.class_code}" if ranking.class_code else "me",
        ]
        for number, ranking in numbered
    ]


def agreement_html(mine: int, class_code: str, of_class: Sequence[Ranking], found: Agreement | None) -> str:
    """Return how many rankings there are, and how far a class agrees."""
    facts = [("Your rankings", f"{mine:,}")]
    if class_code:
        people = len({ranking.session for ranking in of_class})
        facts.append((f"Class {class_code}", f"{counted(len(of_class), 'ranking')} by {counted(people, 'visitor')}"))
    if found is not None:
        facts += agreement_facts(found)
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return f'<dl class="sd-reward-facts">{rows}</dl>'


def agreement_facts(found: Agreement) -> list[tuple[str, str]]:
    """Return the measures of agreement, or what is missing for them."""
    if not found.comparisons:
        return [("Agreement", "to be seen once two visitors have ranked the same round")]
    alpha = "open" if found.alpha != found.alpha else decimal(found.alpha)
    return [
        ("Kendall’s tau, mean of two visitors (1: same order)", decimal(found.tau, "+.2f")),
        ("Krippendorff’s alpha (1: agreement, 0: chance)", alpha),
        ("Behind it", f"{counted(found.annotators, 'visitor')}, {counted(found.sets, 'shared round')}"),
    ]
