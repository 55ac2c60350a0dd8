"""A keyboard on the screen that writes into a text box, in the line of ABC notation that lab.music.opening reads.

    c2 d e/2 z3/2 | f4    each press adds a note or rest of the chosen length, a bar line, or a new line: a phrase ends

What to write is decided here; the page's script only says which button was pressed, and plays a soft tone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Any

import gradio as gr

from lab.music.opening import length, letter
from tabs.page import PRIVATE

LOWEST, HIGHEST = 55, 84  # MIDI numbers, G3 and C6
FIRST_SEEN = 60  # the key at the left edge where not all have room
NAMES = ("C", "C sharp", "D", "D sharp", "E", "F", "F sharp", "G", "G sharp", "A", "A sharp", "B")
BLACK = frozenset({1, 3, 6, 8, 10})
LETTERS = {72 + n: key for n, key in enumerate("awsedftgyhujk")}  # the middle row plays the white keys from C5 on
LENGTHS = {  # what it is called → ticks, of which a whole note has 32
    "1/16": 2,
    "1/8": 4,
    "1/8 dotted": 6,
    "1/4": 8,
    "1/4 dotted": 12,
    "1/2": 16,
    "1/2 dotted": 24,
    "1": 32,
}
DEFAULT_LENGTH = "1/4"
MAX_CHARACTERS = 2000
MAX_EDITS = 64  # in one message; the page waits for an answer before it sends the next

NOTE = re.compile(r"[_^=]?[A-Ga-g](,{1,3}|'{1,3})?([1-9]\d?)?(/[248]?)?")
REST = re.compile(r"z([1-9]\d?)?(/[248]?)?")
# The last thing in a text that a visitor may have written too: whatever belongs to its note goes with it.
LAST = re.compile(r"(?:[_^=]{0,2}[A-Ga-gz][,']*\d*(?:/\d*)*-?|.)\Z", re.DOTALL)


def apply_edit(text: str, action: str, addition: str = "") -> str:
    """Return a text after a press on the keyboard, at most 2,000 characters of it.

    Args:
        action: ``note``, ``rest``, ``bar``, ``phrase``, ``backspace`` (takes the last note or sign away) or ``clear``.
        addition: the note or rest in ABC notation; the other actions need none.

    Raises:
        ValueError: if there is no such action, or the addition is no note or rest.
    """
    text = text[:MAX_CHARACTERS]
    if action == "clear":
        return ""
    if action == "backspace":
        return LAST.sub("", text.rstrip(" "), count=1).rstrip(" ")
    if action in ("note", "rest"):
        if not (NOTE if action == "note" else REST).fullmatch(addition):
            raise ValueError(f"{addition[:20]!r} is no {action}")
        return _appended(text, addition)
    if addition not in ("", {"bar": "|", "phrase": "\n"}.get(action)):
        raise ValueError(f"{addition[:20]!r} is no part of a {action}")
    if action == "bar":
        return text if text.rstrip().endswith("|") else _appended(text, "|")
    if action == "phrase":
        return text if not text.strip() or text.endswith("\n") else _appended(text, "\n", space="")
    raise ValueError(f"there is no action {action[:20]!r}")


def _appended(text: str, addition: str, space: str = " ") -> str:
    """Return the text with an addition, or as it is if there is no room."""
    kept = text.rstrip(" ")
    longer = kept + (space if kept and not kept.endswith("\n") else "") + addition
    return longer if len(longer) <= MAX_CHARACTERS else text


def apply_edits(text: str, edits: Iterable[tuple[str, str]]) -> str:
    """Return a text after several presses; what is none is passed over."""
    for action, addition in edits:
        try:
            text = apply_edit(text, action, addition)
        except ValueError:  # not from our page
            continue
    return text


def add_keyboard(text: gr.Textbox, elem_id: str = "sd-keyboard") -> gr.HTML:
    """Add the keyboard, which writes into a text box above or below it."""
    component = gr.HTML(keyboard(), js_on_load=KEYBOARD_JS, answered=0, elem_id=elem_id)
    component.edit(_edit, text, [text, component], trigger_mode="multiple", queue=False, **PRIVATE)
    return component


def _edit(text: str | None, event: gr.EventData) -> list[Any]:
    """Return the text after the presses in the event, and tell the page that it has been answered."""
    try:
        edits = [(str(action), str(addition)) for action, addition in event.edits[:MAX_EDITS]]
        number = int(event.number)
    except (AttributeError, TypeError, ValueError, OverflowError):
        return [gr.skip(), gr.skip()]
    return [apply_edits(text or "", edits), gr.update(answered=number)]


def keyboard() -> str:
    """Return the keyboard."""
    return (
        '<div class="sd-keyboard" role="group" aria-label="Keyboard that writes the opening">'
        f'<div class="sd-keybar">{_lengths()}{_signs()}</div>'
        f'<div class="sd-keys"><div class="sd-keybed" role="group" aria-label="Piano keys">{_keys()}</div></div>'
        '<p class="sd-hint">With the focus on the keyboard, the computer’s keys play too: '
        f"<kbd>{' '.join('asdfghjk')}</kbd> are the white keys from C5, <kbd>{' '.join('wetyu')}</kbd> the black ones. "
        "Arrow keys go from key to key.</p></div>"
    )


def _lengths() -> str:
    choices = "".join(
        f'<label><input type="radio" name="sd-length" value="{length(ticks)}" aria-label="{name}"'
        f"{' checked' if name == DEFAULT_LENGTH else ''}/><span>{name.replace(' dotted', '.')}</span></label>"
        for name, ticks in LENGTHS.items()
    )
    return f'<fieldset class="sd-lengths"><legend>Length</legend>{choices}</fieldset>'


def _signs() -> str:
    signs = (
        ("rest", "Rest", "A rest of the chosen length"),
        ("bar", "Bar line", "The first one ends the pickup"),
        ("phrase", "Phrase end", "The song takes a breath here"),
        ("backspace", "Backspace", "Take the last note or sign away"),
        ("clear", "Clear", "Take everything away"),
    )
    buttons = "".join(
        f'<button type="button" data-action="{action}" title="{title}">{label}</button>'
        for action, label, title in signs
    )
    return f'<div class="sd-signs" role="group" aria-label="Signs">{buttons}</div>'


def _keys() -> str:
    """Return the keys from low to high; a black one lies over the border of the white keys beside it."""
    keys, whites = [], 0
    for pitch in range(LOWEST, HIGHEST + 1):
        octave, place = pitch // 12 - 1, pitch % 12
        black = place in BLACK
        first = ' tabindex="0"' if pitch == 72 else ' tabindex="-1"'  # one stop for Tab, arrow keys for the others
        play = f' data-key="{LETTERS[pitch]}"' if pitch in LETTERS else ""
        kind, abc = "black" if black else "white", escape(letter(pitch))
        keys.append(
            f'<button type="button" class="sd-{kind}" style="--at:{whites}" aria-label="{NAMES[place]} {octave}" '
            f'data-pitch="{pitch}" data-abc="{abc}"{play}{first}>'
            f"{f'<span>C{octave}</span>' if place == 0 else ''}</button>"
        )
        whites += not black
    return "".join(keys)


# One message at a time: the text box's content goes with it, and would be old while an answer is still under way.
# What is pressed in the meantime waits and goes with the next message, so however fast one plays, no note is lost.
# Every answer, however late, puts its own text into the box; what that text lacks is sent, or sent again.
KEYBOARD_JS = """
const LONGEST_WAIT = 3000;  // milliseconds; an answer that was lost must not silence the keyboard
const pressed = [], ends = [0];  // all presses; how many of them are in the text that answers each message
let sound = null, written = 0, busy = 0;  // of the presses, so many are in the text box

const tone = pitch => {
    try {
        sound ??= new AudioContext();
        if (sound.state === 'suspended') sound.resume();
        const now = sound.currentTime, voice = sound.createOscillator(), volume = sound.createGain();
        voice.type = 'triangle';
        voice.frequency.value = 440 * 2 ** ((pitch - 69) / 12);
        volume.gain.setValueAtTime(0, now);
        volume.gain.linearRampToValueAtTime(0.14, now + 0.01);
        volume.gain.exponentialRampToValueAtTime(0.0005, now + 0.5);
        voice.connect(volume).connect(sound.destination);
        voice.start(now);
        voice.stop(now + 0.55);
    } catch (error) {}  // no sound here: the keyboard writes all the same
};
const send = () => {
    busy = 0;
    const edits = pressed.slice(written, written + MAX_EDITS);
    if (!edits.length) return;
    ends.push(written + edits.length);
    busy = setTimeout(send, LONGEST_WAIT);
    trigger('edit', {edits, number: ends.length - 1});
};
watch(Object.keys({answered: 0}), () => {  // in quotes, gradio would take it for an event's name
    written = ends[props.answered] ?? written;
    if (busy && props.answered !== ends.length - 1) return;  // the last message's answer is still to come
    clearTimeout(busy);
    busy = setTimeout(send);
});
const edit = (action, text) => {
    pressed.push([action, text]);
    if (!busy) send();
};
const chosen = () => element.querySelector('input[type=radio]:checked').value;
const press = key => {
    tone(Number(key.dataset.pitch));
    key.classList.add('sd-down');
    setTimeout(() => key.classList.remove('sd-down'), 160);
    edit('note', key.dataset.abc + chosen());
};
const keys = [...element.querySelectorAll('[data-pitch]')];

element.addEventListener('click', event => {
    const button = event.target.closest('button');
    if (!button) return;
    if (button.dataset.pitch) {
        rove(button);
        press(button);
    } else if (button.dataset.action === 'rest') edit('rest', 'z' + chosen());
    else edit(button.dataset.action, '');
});
const rove = key => {
    keys.forEach(other => { other.tabIndex = other === key ? 0 : -1; });
    key.focus();
};
element.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && event.key.length === 1) return;
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key], at = keys.indexOf(event.target);
    const played = element.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
    if (step && at >= 0) rove(keys[Math.max(0, Math.min(keys.length - 1, at + step))]);
    else if (played) press(played);
    else if (event.key === 'Backspace') edit('backspace', '');
    else return;
    event.preventDefault();
});
const bed = element.querySelector('.sd-keys');
new ResizeObserver((_, observer) => {  // it has no width, and cannot be scrolled, until it is first seen
    if (!bed.clientWidth) return;
    bed.scrollLeft = element.querySelector('[data-pitch="FIRST_SEEN"]').offsetLeft;
    observer.disconnect();
}).observe(bed);
""".replace("MAX_EDITS", str(MAX_EDITS)).replace("FIRST_SEEN", str(FIRST_SEEN))
