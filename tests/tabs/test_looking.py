"""Looking into tokens: whoever cannot see the mark is told where an arrow key has come to."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tabs.looking import Looking
from tabs.theme import style

# As much of a page as the board's scripts touch: two tokens, the second of white space, the first with a title.
PAGE_JS = """
const tokens = [{textContent: ' sea', title: '12.3%%, rank 1'}, {textContent: '\\n', title: ''}];
const text = {dataset: {column: '0'}, querySelectorAll: () => tokens, closest: () => text};
const made = [], listeners = {};
global.MutationObserver = class { observe() {} };
global.document = {
    body: {dataset: {}},
    createElement: tag => ({tag, attributes: {}, setAttribute(name, value) { this.attributes[name] = value; }}),
};
const element = {
    after: one => made.push(one),
    addEventListener: (kind, listener) => { listeners[kind] = listener; },
    querySelectorAll: () => [],
};
const trigger = () => {};
const heard = [];
%s
for (const key of ['ArrowRight', 'ArrowRight', 'ArrowRight', 'ArrowLeft']) {
    listeners.keydown({key, target: text, preventDefault() {}});
    heard.push(made[0].textContent);
}
console.log(JSON.stringify([made, heard]));
"""


def test_where_an_arrow_key_has_come_to_is_told() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run the page's script")
    script = PAGE_JS % Looking("looked").board_js
    told = subprocess.run([node, "-e", script], capture_output=True, text=True, timeout=60, check=True)
    (live,), heard = json.loads(told.stdout)
    assert (live["className"], live["attributes"]) == ("sd-live", {"aria-live": "polite"})
    first, second = "Token 1: sea, 12.3%, rank 1", "Token 2: white space"
    assert heard == [first, second, second, first]


def test_what_is_only_heard_is_not_seen() -> None:
    rule = style().partition(".sd-live {")[2].partition("}")[0]
    assert "clip-path" in rule and "position: absolute" in rule
