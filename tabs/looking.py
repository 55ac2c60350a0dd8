"""Looking into tokens of texts side by side: a click or an arrow key chooses one, and the board marks it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BOARD_JS = """
const looked = () => (document.body.dataset.KEY ?? '1.0').split('.').map(Number);
const mark = () => {
    const [column, step] = looked();
    const tokens = element.querySelectorAll(`[data-column='${column - 1}'] [data-n]`);
    // Of a text that has ended the last token is looked into where one is asked for beyond it.
    const done = element.querySelector('.sd-board')?.dataset.state === 'done';
    const token = step ? tokens[done ? Math.min(step, tokens.length) - 1 : step - 1] : undefined;
    element.querySelectorAll('.on').forEach(other => other !== token && other.classList.remove('on'));
    if (token && !token.classList.contains('on')) token.classList.add('on');
};
// Drawing again changes old elements into new ones, and takes away what was added to them.
new MutationObserver(mark).observe(element, {childList: true, subtree: true, attributeFilter: ['class', 'data-state']});
new MutationObserver(mark).observe(document.body, {attributeFilter: ['data-ATTRIBUTE']});
const choose = (text, n) => {
    const tokens = text.querySelectorAll('[data-n]');
    if (!tokens.length) return;
    n = Math.max(0, Math.min(tokens.length - 1, n));
    document.body.dataset.KEY = `${Number(text.dataset.column) + 1}.${n + 1}`;
    trigger('pick');
};
element.addEventListener('click', event => {
    const token = event.target.closest('[data-n]');
    if (token) choose(token.closest('.sd-text'), Number(token.dataset.n));
});
element.addEventListener('keydown', event => {
    const text = event.target.closest('.sd-text');
    const move = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (!text || !move) return;
    event.preventDefault();
    const [column, step] = looked();
    choose(text, (column === Number(text.dataset.column) + 1 ? step - 1 : -1) + move);
});
"""


@dataclass(frozen=True)
class Looking:
    """The scripts of one board and its two controls.

    The token that is looked into is kept as "column.step" in the page's body, both from 1: a click, an arrow key and
    the two controls write it there, and the board marks it, whenever it is drawn again too.

    Attributes:
        key: in the body's dataset, the board's own.
    """

    key: str

    @property
    def board_js(self) -> str:
        """For ``js_on_load`` of the board, which then fires ``pick``."""
        attribute = re.sub("[A-Z]", lambda letter: "-" + letter[0].lower(), self.key)
        return _BOARD_JS.replace("KEY", self.key).replace("ATTRIBUTE", attribute)

    @property
    def mark_js(self) -> str:
        """From the values of the two controls to the mark."""
        return f"(column, step) => {{ document.body.dataset.{self.key} = `${{column}}.${{step}}`; return []; }}"

    @property
    def marked_js(self) -> str:
        """From the mark to the values of the two controls."""
        return f"() => document.body.dataset.{self.key}.split('.').map(Number)"
