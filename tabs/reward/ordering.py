"""A list of texts that is put in order by dragging, by buttons and by keyboard, ties possible.

The component's value is JSON that Python writes and the page draws: texts go into the page as text, so nothing in them
can be markup. Once the visitor moves something, the page writes the order into the value, and from there it comes with
every event. Of what comes back only the order is read; the texts stay on the server.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from lab.errors import VisitorError

LETTERS = "ABCDEFGHIJKL"
HINT = (
    "Best at the top. Drag a text by its bar, onto another one for a tie; or use the buttons; or, with the focus on a "
    "button of a text, press ↑ ↓ Home End to move it and = to tie it with the one above."
)
EMPTY = "Press Write: the model continues the prompt several times, and you say which continuation is best."
UNREADABLE = "The order did not arrive in one piece. Please move a text once more."


@dataclass(frozen=True)
class Entry:
    """A text to be put in its place; ``who`` wrote it is shown when there is something in it."""

    text: str
    who: str = ""


@dataclass(frozen=True)
class Order:
    """What came back: for each text its rank from 1, the best; and whether the visitor has moved anything."""

    ranks: tuple[int, ...]
    moved: bool


def listing(
    key: str,
    entries: Sequence[Entry] = (),
    state: str = "empty",
    order: Sequence[Sequence[int]] | None = None,
    prompt: str = "",
) -> str:
    """Return the component's value.

    Args:
        key: names these texts; with another key the list begins anew.
        state: ``empty``, ``writing``, ``ready`` to be put in order, or ``kept``.
        order: groups of numbers of entries, best first; each by itself, as they come, if None.
        prompt: what all of them continue.
    """
    groups = [[number] for number in range(len(entries))] if order is None else [list(group) for group in order]
    value = {
        "key": key,
        "state": state,
        "prompt": prompt,
        "items": [{"text": entry.text, "who": entry.who} for entry in entries],
        "groups": groups,
        "moved": False,
    }
    return json.dumps(value).replace("<", "\\u003c")


def groups_of(ranks: Sequence[int]) -> list[list[int]]:
    """Return numbers of entries in groups of equal rank, best first."""
    return [[number for number, rank in enumerate(ranks) if rank == wanted] for wanted in sorted(set(ranks))]


def read_order(value: Any, key: str, count: int) -> Order:
    """Return the order in a value that came from a page.

    Args:
        key: of the texts that are to be in order.
        count: how many there are.

    Raises:
        VisitorError: if the value is no order of just these texts.
    """
    try:
        read = json.loads(value)
        groups, moved = read["groups"], read["moved"]
        flat = [number for group in groups for number in group]
        whole = all(type(number) is int for number in flat) and all(isinstance(group, list) for group in groups)
        if read["key"] != key or not whole or sorted(flat) != list(range(count)):
            raise VisitorError(UNREADABLE)
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise VisitorError(UNREADABLE) from error
    place = {number: rank for rank, group in enumerate(filter(None, groups), 1) for number in group}
    return Order(tuple(place[number] for number in range(count)), moved is True)


def add_ordering(elem_id: str) -> gr.HTML:
    """Add the list. It triggers ``order`` when the visitor has moved something."""
    return gr.HTML(listing(""), html_template=TEMPLATE, js_on_load=ORDER_JS, elem_id=elem_id)


TEMPLATE = f"""
<div class="sd-reward-order" data-state="empty">
<p class="sd-hint sd-reward-how" hidden>{HINT}</p>
<p class="sd-empty">{EMPTY}</p>
<p class="sd-prompt sd-reward-lead" hidden></p>
<ol class="sd-reward-list" aria-label="Completions, best first"></ol>
<p class="sd-live" aria-live="polite"></p>
</div>
"""

ORDER_JS = r"""
const root = element.querySelector('.sd-reward-order'), list = element.querySelector('ol');
const how = element.querySelector('.sd-reward-how'), empty = element.querySelector('.sd-empty');
const live = element.querySelector('.sd-live'), lead = element.querySelector('.sd-reward-lead');
const calm = matchMedia('(prefers-reduced-motion: reduce)');
let state = null, shown = null, drag = null;

const read = () => {
    try { state = JSON.parse(props.value); } catch (error) { state = null; }
    state ??= {key: '', state: 'empty', items: [], groups: []};
};
const letter = n => 'ABCDEFGHIJKL'[n];
const at = n => state.groups.findIndex(group => group.includes(n));
const make = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text) made.textContent = text;
    return made;
};
const button = (action, sign, words) => {
    const made = make('button', 'sd-reward-' + action, sign);
    made.type = 'button';
    made.dataset.action = action;
    made.title = words;
    return made;
};

const card = n => {
    const item = make('li', 'sd-card');
    item.dataset.n = n;
    const bar = make('div', 'sd-reward-bar'), text = make('p', 'sd-text');
    const name = make('b', '', letter(n));
    bar.append(make('span', 'sd-reward-rank'), name, make('span', 'sd-reward-who'), make('span', 'sd-reward-grip', '⠿'),
        button('tie', '=', 'Tie with the one above; once more to part them'),
        button('up', '↑', 'One place up'), button('down', '↓', 'One place down'));
    bar.querySelector('.sd-reward-grip').setAttribute('aria-hidden', 'true');
    text.append(make('span', 'sd-reward-words'));
    item.append(bar, text);
    return item;
};

// The cards stay the same elements as long as the texts do, so that the focus, a selection and the animation do too.
const draw = () => {
    const cards = new Map([...list.children].map(item => [Number(item.dataset.n), item]));
    if (shown !== state.key || cards.size !== state.items.length) {
        list.replaceChildren();
        cards.clear();
        state.items.forEach((_, n) => cards.set(n, card(n)));
        shown = state.key;
        live.textContent = '';
    }
    const top = item => item.isConnected ? item.getBoundingClientRect().top : null;
    const before = new Map([...cards].map(([n, item]) => [n, top(item)]));
    const focused = document.activeElement;
    const wanted = state.groups.flat().map(n => cards.get(n));
    if (wanted.some((item, place) => list.children[place] !== item)) {
        list.append(...wanted);
        if (list.contains(focused)) focused.focus({preventScroll: true});  // an element that is moved loses it
    }
    root.dataset.state = state.state;
    empty.hidden = state.items.length > 0;
    lead.hidden = !state.items.length;
    lead.textContent = state.prompt ? state.prompt + ' …' : '';
    how.hidden = state.state !== 'ready';
    state.groups.forEach((group, place) => group.forEach((n, nth) => {
        const item = cards.get(n), tied = group.length > 1;
        const where = `place ${place + 1} of ${state.groups.length}` + (tied ? ', tied' : '');
        item.classList.toggle('sd-reward-tied', nth > 0);
        item.querySelector('.sd-reward-rank').textContent = place + 1;
        item.querySelector('.sd-reward-who').textContent = state.items[n].who;
        const words = item.querySelector('.sd-reward-words');
        const written = state.items[n].text.replace(/^ /, '');  // after the prompt's last word
        if (words.textContent !== written) words.textContent = written;
        item.querySelector('.sd-text').classList.toggle('sd-reward-growing', state.state === 'writing');
        item.setAttribute('aria-label', `Completion ${letter(n)}, ${where}`);
        const first = place === 0 && !tied, last = place === state.groups.length - 1 && !tied;
        const off = {up: first, down: last, tie: first};
        item.querySelectorAll('button').forEach(one => {
            const action = one.dataset.action;
            one.hidden = state.state !== 'ready';
            one.setAttribute('aria-disabled', String(off[action]));
            if (action === 'tie') one.setAttribute('aria-pressed', String(tied));
            const does = {up: 'one place up', down: 'one place down', tie: 'tie with the one above'}[action];
            one.setAttribute('aria-label', `${letter(n)}: ${does}`);
        });
    }));
    if (calm.matches || state.state !== 'ready') return;
    cards.forEach((item, n) => {
        const way = before.get(n) === null ? 0 : before.get(n) - top(item), from = {transform: `translateY(${way}px)`};
        if (way) item.animate([from, {transform: 'none'}], {duration: 160, easing: 'ease-out'});
    });
};

const commit = n => {
    state.groups = state.groups.filter(group => group.length);
    state.moved = true;
    props.value = JSON.stringify(state);
    draw();
    const place = at(n), others = state.groups[place].filter(other => other !== n).map(letter);
    live.textContent = `Completion ${letter(n)}: place ${place + 1} of ${state.groups.length}` +
        (others.length ? `, tied with ${others.join(' and ')}.` : '.');
    trigger('order');
};
const take = n => {
    const place = at(n);
    state.groups[place] = state.groups[place].filter(other => other !== n);
    return place;
};
const move = (n, action) => {
    const place = at(n), tied = state.groups[place].length > 1, last = state.groups.length - 1;
    if (action === 'tie' && !tied) {
        if (!place) return say('There is nothing above to tie it with.');
        take(n);
        state.groups[place - 1].push(n);
    } else if (action === 'tie') {
        take(n);
        state.groups.splice(place + 1, 0, [n]);
    } else if (action === 'up' || action === 'first') {
        if (!place && !tied) return say('It is the best already.');
        take(n);
        state.groups.splice(action === 'first' ? 0 : tied ? place : place - 1, 0, [n]);
    } else {
        if (place === last && !tied) return say('It is the last already.');
        take(n);
        const to = action === 'last' ? state.groups.length : tied ? place + 1 : place + 2;
        state.groups.splice(to, 0, [n]);
    }
    commit(n);
};
const say = words => { live.textContent = words; };

element.addEventListener('click', event => {
    const pressed = event.target.closest('[data-action]');
    if (pressed && state.state === 'ready') move(Number(pressed.closest('li').dataset.n), pressed.dataset.action);
});
const KEYS = {ArrowUp: 'up', ArrowDown: 'down', Home: 'first', End: 'last', '=': 'tie'};
element.addEventListener('keydown', event => {
    const item = event.target.closest('li'), action = KEYS[event.key];
    if (!item || !action || state.state !== 'ready' || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(Number(item.dataset.n), action);
    event.target.scrollIntoView({block: 'nearest'});
});

// Dragging: a text follows the pointer, be it a mouse, a pen or a finger. The middle of another one means a tie.
const aim = y => {
    const others = [...list.children].filter(item => item !== drag.item);
    for (const item of others) {
        const box = item.getBoundingClientRect(), depth = (y - box.top) / box.height;
        if (depth < 0.3) return {item, side: 'before'};
        if (depth < 0.7) return {item, side: 'onto'};
    }
    return {item: others.at(-1), side: 'after'};
};
const mark = target => {
    for (const item of list.children) item.removeAttribute('data-drop');
    if (target?.item) target.item.dataset.drop = target.side;
};
const follow = () => {
    if (!drag?.begun) return;
    const edge = 70, down = drag.y > innerHeight - edge, up = drag.y < edge;
    if (down || up) scrollBy(0, down ? 9 : -9);
    drag.item.style.transform = `translateY(${drag.y + scrollY - drag.from}px)`;
    drag.target = aim(drag.y);
    mark(drag.target);
    drag.frame = requestAnimationFrame(follow);
};
const escape = event => { if (event.key === 'Escape') drop(false); };
const drop = done => {
    const {item, target, begun, frame} = drag, n = Number(item.dataset.n);
    drag = null;
    document.removeEventListener('keydown', escape);
    cancelAnimationFrame(frame);
    mark(null);
    item.style.transform = '';
    item.classList.remove('sd-reward-dragged');
    if (!done || !begun || !target?.item || state.state !== 'ready') return;
    const other = Number(target.item.dataset.n), flat = state.groups.flat().filter(one => one !== n);
    const old = JSON.stringify(state.groups);
    take(n);
    const before = flat[flat.indexOf(other) - 1], place = at(other), group = state.groups[place];
    if (target.side === 'onto' || target.side === 'before' && group.includes(before)) group.push(n);
    else state.groups.splice(target.side === 'before' ? place : place + 1, 0, [n]);
    state.groups = state.groups.filter(one => one.length);
    if (JSON.stringify(state.groups) !== old) commit(n);
};
element.addEventListener('pointerdown', event => {
    const bar = event.target.closest('.sd-reward-bar');
    if (!bar || event.button || state.state !== 'ready' || event.target.closest('button') || drag) return;
    event.preventDefault();
    bar.setPointerCapture(event.pointerId);
    const y = event.clientY;
    drag = {item: bar.closest('li'), id: event.pointerId, y, from: y + scrollY, begun: false};
    document.addEventListener('keydown', escape);  // the focus is not in the list, as a bar takes none
});
element.addEventListener('pointermove', event => {
    if (drag?.id !== event.pointerId) return;
    drag.y = event.clientY;
    if (!drag.begun && Math.abs(drag.y + scrollY - drag.from) > 4) {
        drag.begun = true;
        drag.item.classList.add('sd-reward-dragged');
        follow();
    }
});
element.addEventListener('pointerup', event => {
    if (drag?.id !== event.pointerId) return;
    if (drag.begun) drag.target = aim(event.clientY);  // the last frame may be of a place before
    drop(true);
});
element.addEventListener('pointercancel', event => { if (drag?.id === event.pointerId) drop(false); });

const update = () => {
    if (drag) drop(false);
    read();
    draw();
};
watch('value', update);
update();
"""
