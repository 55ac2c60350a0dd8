"""The keyboard writes what lab.music.opening reads, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import gradio as gr
import pytest

from lab.music.melody import Meter, Mode
from lab.music.opening import read_opening
from tabs.melodies.keyboard import (
    HIGHEST,
    KEYBOARD_JS,
    LENGTHS,
    LOWEST,
    MAX_CHARACTERS,
    MAX_EDITS,
    _edit,
    apply_edit,
    apply_edits,
    keyboard,
)
from tests.tabs.pages import Page

# As much of a page as the script touches. Timers ring when the test says so; `answer` does what the server would.
PAGE_JS = """
let text = '', watcher = null, timer = 0;
const messages = [], props = {answered: 0}, listeners = {}, timers = new Map();
global.setTimeout = (ring, wait = 0) => { timers.set(++timer, {ring, wait}); return timer; };
global.clearTimeout = timer => timers.delete(timer);
global.ResizeObserver = class { observe() {} };
const element = {
    querySelectorAll: () => [],
    querySelector: () => null,
    addEventListener: (kind, listener) => { listeners[kind] = listener; },
};
const trigger = (_, {edits, number}) => messages.push({number, answer: text + edits.map(edit => edit[0]).join('')});
const watch = (_, changed) => { watcher = changed; };
new Function('element', 'trigger', 'watch', 'props', %s)(element, trigger, watch, props);

const due = wait => [...timers].filter(([_, one]) => one.wait === wait).forEach(([timer, one]) => {
    timers.delete(timer);
    one.ring();
});
const late = () => due(3000);
const press = action => listeners.click({target: {closest: () => ({dataset: {action}})}});
const answer = number => {
    text = messages.find(message => message.number === number).answer;
    props.answered = number;
    watcher();
    due(0);
};
%s
console.log(JSON.stringify([text, messages.length]));
"""


def typed(steps: str) -> tuple[str, int]:
    """Return the text after steps on a page, letters for presses, and the number of messages it took."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run the page's script")
    script = PAGE_JS % (json.dumps(KEYBOARD_JS), steps)
    text, messages = json.loads(
        subprocess.run([node, "-e", script], capture_output=True, timeout=60, check=True).stdout
    )
    return text, messages


def test_presses_become_a_line_of_abc() -> None:
    presses = [("note", "E2"), ("bar", ""), ("note", "^f3/2"), ("rest", "z/2"), ("note", "c'"), ("phrase", "")]
    assert apply_edits("", [*presses, ("note", "G,8"), ("bar", "|"), ("bar", "|")]) == "E2 | ^f3/2 z/2 c'\nG,8 |"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("c2 ^f3/2", "c2"),
        ("c2 d", "c2"),
        ("c2d,,/2", "c2"),
        ("c2 _e'4-", "c2"),
        ("c2 |", "c2"),
        ("c2 z4  ", "c2"),
        ("c2\n", "c2"),
        ("c2\nd", "c2\n"),
        ("c2 hm?", "c2 hm"),
        ("^^c", ""),
        ("c", ""),
        ("", ""),
        ("   ", ""),
    ],
)
def test_backspace_takes_the_last_sign_whole(text: str, left: str) -> None:
    assert apply_edit(text, "backspace") == left


def test_clear_takes_all() -> None:
    assert apply_edit("c2 d\n", "clear") == ""


def test_signs_are_not_doubled() -> None:
    assert apply_edit("c2 |", "bar") == "c2 |"
    assert apply_edit("c2\n", "phrase") == "c2\n"
    assert apply_edit("", "phrase") == ""
    assert apply_edit("c2  ", "note", "d") == "c2 d"


@pytest.mark.parametrize(
    ("action", "addition"),
    [
        ("note", "h2"),
        ("note", "c2 d2"),
        ("note", "c2\n"),
        ("note", "<b>"),
        ("note", ""),
        ("note", "z"),
        ("note", "c'''''"),
        ("note", "c0"),
        ("note", "c999"),
        ("note", "c²"),
        ("note", "[ceg]"),
        ("rest", "c"),
        ("rest", "z\n"),
        ("bar", "||"),
        ("phrase", "c"),
        ("format", ""),
        ("", "c"),
    ],
)
def test_all_else_is_refused(action: str, addition: str) -> None:
    with pytest.raises(ValueError, match=r"is no|there is no"):
        apply_edit("c2", action, addition)
    assert apply_edits("c2", [(action, addition), ("note", "d")]) == "c2 d"


def test_the_text_stays_within_bounds() -> None:
    text = apply_edits("", [("note", "^c'3/2")] * 1000)
    assert MAX_CHARACTERS - 10 < len(text) <= MAX_CHARACTERS
    assert set(text.split()) == {"^c'3/2"}  # none is cut
    assert len(apply_edit("c" * 9999, "note", "d")) == MAX_CHARACTERS
    assert len(apply_edit("c" * 9999, "backspace")) == MAX_CHARACTERS - 1


def test_events_are_answered_and_nonsense_is_not() -> None:
    def event(**data: object) -> gr.EventData:
        return gr.EventData(None, data)

    text, told = _edit("c2", event(edits=[["note", "d"], ["bar", ""], ["evil", "x"]], number=7))
    assert (text, told["answered"]) == ("c2 d |", 7)
    assert len(_edit(None, event(edits=[["note", "d"]] * 500, number=1))[0].split()) == MAX_EDITS
    for nonsense in ({}, {"edits": 3, "number": 1}, {"edits": [["note"]], "number": 1}, {"edits": [], "number": "x"}):
        assert _edit("c2", event(**nonsense)) == [gr.skip(), gr.skip()]


def test_every_key_writes_its_pitch() -> None:
    page = Page(keyboard())
    keys = [attributes for attributes, _ in page.find("button") if "data-pitch" in attributes]
    assert [int(key["data-pitch"] or 0) for key in keys] == list(range(LOWEST, HIGHEST + 1))
    for key in keys:
        melody = read_opening(apply_edit("", "note", f"{key['data-abc']}2"), Meter(4, 4), Mode.MAJOR)
        assert melody is not None
        assert melody.pitches == [int(key["data-pitch"] or 0)]
        assert melody.duration == 8
    by_name = {key["aria-label"]: key["data-abc"] for key in keys}
    assert (by_name["C 4"], by_name["F sharp 5"], by_name["G 3"], by_name["C 6"]) == ("C", "^f", "G,", "c'")
    assert len({key["aria-label"] for key in keys}) == len(keys)
    assert [key["aria-label"] for key in keys if key.get("tabindex") == "0"] == ["C 5"]
    assert "".join(key["data-key"] or "" for key in keys if "data-key" in key) == "awsedftgyhujk"


def test_every_length_is_written_in_eighths() -> None:
    radios = [attributes for attributes, _ in Page(keyboard()).find("input", type="radio")]
    assert [radio["value"] for radio in radios] == ["/2", "", "3/2", "2", "3", "4", "6", "8"]
    assert [radio["aria-label"] for radio in radios if "checked" in radio] == ["1/4"]
    for radio, ticks in zip(radios, LENGTHS.values(), strict=True):
        for note, action in (("c", "note"), ("z", "rest")):
            text = apply_edits("", [(action, f"{note}{radio['value']}"), ("note", "c")])
            melody = read_opening(text, Meter(4, 4), Mode.MAJOR)
            assert melody is not None
            assert melody.duration == ticks + 4


def test_the_actions_of_the_buttons_are_known() -> None:
    actions = [attrs["data-action"] or "" for attrs, _ in Page(keyboard()).find("button") if "data-action" in attrs]
    assert set(re.findall(r"edit\('(\w+)'", KEYBOARD_JS)) - {"note"} <= set(actions)
    for action in set(actions) - {"rest"}:
        apply_edit("c2", action)


@pytest.mark.parametrize(
    ("steps", "text", "messages"),
    [
        ("press('a'); answer(1); press('b'); answer(2);", "ab", 2),
        ("press('a'); press('b'); press('c'); answer(1); answer(2);", "abc", 2),
        ("press('a'); press('b'); late(); answer(1); answer(2);", "ab", 2),  # late
        ("press('a'); press('b'); late(); answer(2);", "ab", 2),  # lost
        ("press('a'); press('b'); late(); answer(2); answer(1); answer(3);", "ab", 3),  # overtaken
        ("press('a'); press('b'); late(); answer(1); late(); answer(3);", "ab", 3),  # late, and the next one lost
        ("press('a'); press('b'); late(); answer(2); press('c'); answer(1); answer(3);", "abc", 3),
        ("'ab'.repeat(50).split('').forEach(press); late(); answer(1); answer(2); answer(3);", "ab" * 50, 3),
    ],
)
def test_no_press_is_lost_or_doubled_whenever_answers_come(steps: str, text: str, messages: int) -> None:
    assert typed(steps) == (text, messages)
