"""The text that the visitor builds token by token."""

from __future__ import annotations

from html import escape
from typing import Any

from lab.text.playing import CHOICES, Game
from tabs.rendering import counted, visible


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
        for candidate, label in list(zip(state.next.distribution.candidates, state.next.token_labels, strict=True))[
            :CHOICES
        ]
    )
    covered = sum(candidate.raw for candidate in state.next.distribution.candidates[:CHOICES])
    return (
        f'<p class="sd-text"><span class="sd-prompt">{escape(prompt)}</span>{words}'
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
        f"Your last pick had rank {last.rank} and {last.bits:.1f} bits of surprise. So far "
        f"{counted(count, 'token')}, mean rank {ranks:.1f}, {state.bits / count:.1f} bits per token."
    )


GAME_COLUMNS = ["#", "token", "rank", "bits"]


def game_table(state: Game) -> list[list[Any]]:
    """Return the picks as rows: number, token, rank, bits of surprise."""
    return [[n, visible(pick.piece), pick.rank, round(pick.bits, 2)] for n, pick in enumerate(state.picks, 1)]
