"""Melodies as cards: sound, piano roll, score, facts, downloads; and the script that makes them move with the sound."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

WIDTH, HEIGHT = 1000, 110  # of a roll's viewBox; it is stretched to the card's width, its height stays
PADDING = 2  # semitones above the highest and below the lowest note
FEWEST_ROWS = 14  # semitones; else the notes of a narrow melody would be as thick as planks, and no C in sight
NARROWEST = 1.5  # of a note, in units of the viewBox
GAP = 1.0  # between notes
ROLES = ("frozen", "changed", "real")


@dataclass(frozen=True)
class RollNote:
    """A note or rest of a melody as it is played.

    Attributes:
        start: in seconds.
        duration: in seconds.
        pitch: MIDI number, None for a rest.
        phrase_end: whether a phrase ends with it.
        opening: whether it was given, not written by the model.
        svg_ids: ids of its elements in the score.
    """

    start: float
    duration: float
    pitch: int | None
    phrase_end: bool = False
    opening: bool = False
    svg_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """What is shown of a melody.

    Attributes:
        key: unique on the page, ``[a-z0-9-]+``.
        role: whose melody it is: ``frozen`` or ``changed`` for models, ``real`` for a song or chorale.
        audio_url: of a file on this site.
        downloads: from label to URL.
        seconds: length of the sound.
        svg: the score as lab.music.score draws it, trusted; may be empty.
        facts: short labels with their values.
    """

    key: str
    title: str
    role: str
    subtitle: str
    audio_url: str
    downloads: Mapping[str, str]
    seconds: float
    notes: Sequence[RollNote]
    svg: str
    facts: Sequence[tuple[str, str]]


def cards(cards: Sequence[Card]) -> str:
    """Return melodies side by side."""
    return f'<div class="sd-tunes">{"".join(map(_card, cards))}</div>'


def empty_cards(text: str) -> str:
    """Return what stands where cards will be."""
    return f'<p class="sd-empty">{escape(text)}</p>'


def _card(card: Card) -> str:
    if card.role not in ROLES:
        raise ValueError(f"{card.role!r} is no role of a melody")
    name, length = escape(card.title), _length(card)
    # Milliseconds do: a frame takes sixteen.
    timing = json.dumps([(round(n.start, 3), round(n.duration, 3), n.svg_ids) for n in card.notes])
    return (
        f'<article class="sd-card sd-tune sd-{card.role}" aria-label="{name}" data-key="{escape(card.key)}" '
        f'data-seconds="{length:.3f}" data-notes="{escape(timing)}">'
        f'<h3>{name}</h3><p class="sd-hint">{escape(card.subtitle)}</p>'
        f'<audio controls preload="none" src="{_url(card.audio_url)}" aria-label="{name}"></audio>'
        '<p class="sd-gone" role="alert" hidden>This sound is no longer kept here. Run it again to hear it.</p>'
        f"{roll(card) if card.notes else ''}{_score(card)}{_facts(card)}{_downloads(card)}</article>"
    )


def roll(card: Card) -> str:
    """Return a melody as a piano roll: time from left to right, pitch upwards, and a line that follows the sound."""
    low, high = _range(card.notes)
    row, length = HEIGHT / (high - low + 1), _length(card)
    shapes, names = [], []
    for pitch in range(low, high + 1):
        if pitch % 12 == 0:  # the line is in the middle of the row, where the note would be
            y = (high - pitch + 0.5) * row
            shapes.append(f'<line class="sd-c" x1="0" x2="{WIDTH}" y1="{y:.2f}" y2="{y:.2f}"/>')
            names.append(f'<span style="top:{100 * y / HEIGHT:.1f}%">C{pitch // 12 - 1}</span>')
    for note in card.notes:
        if note.phrase_end:
            x = WIDTH * (note.start + note.duration) / length
            shapes.append(f'<line class="sd-phrase" x1="{x:.2f}" x2="{x:.2f}" y1="0" y2="{HEIGHT}"/>')
    for n, note in enumerate(card.notes):
        if note.pitch is None:
            continue
        width = max(WIDTH * note.duration / length - GAP, NARROWEST)
        x, y = min(WIDTH * note.start / length, WIDTH - width), (high - note.pitch) * row
        given = ' class="sd-given"' if note.opening else ""
        shapes.append(f'<rect data-n="{n}"{given} x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{row:.2f}"/>')
    return (
        f'<div class="sd-roll" role="button" tabindex="0" aria-label="Play or pause {escape(card.title)}" '
        'title="Click where you want to listen from">'
        f'<div class="sd-rows" aria-hidden="true">{"".join(names)}</div>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">{"".join(shapes)}'
        f'<line class="sd-head" x1="0" x2="0" y1="0" y2="{HEIGHT}"/></svg></div>'
    )


def _length(card: Card) -> float:
    """Return the seconds that the roll is wide: the sound may break off before the last rest, or ring on after it."""
    return max(card.seconds, *(note.start + note.duration for note in card.notes), 0.001)


def _range(notes: Sequence[RollNote]) -> tuple[int, int]:
    """Return the lowest and highest pitch that have a row."""
    pitches = [note.pitch for note in notes if note.pitch is not None] or [60, 72]
    low, high = min(pitches) - PADDING, max(pitches) + PADDING
    missing = max(0, FEWEST_ROWS - (high - low + 1))
    return low - missing // 2, high + (missing + 1) // 2


def _score(card: Card) -> str:
    if not card.svg:
        return ""
    label = f"Score of {escape(card.title)}"
    return f'<div class="sd-score" tabindex="0" role="group" aria-label="{label}">{card.svg}</div>'


def _facts(card: Card) -> str:
    rows = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>" for label, value in card.facts)
    return f'<dl class="sd-facts">{rows}</dl>' if rows else ""


def _downloads(card: Card) -> str:
    links = "".join(
        f'<a href="{_url(url)}" download aria-label="{escape(f"Download {label} of {card.title}")}">{escape(label)}</a>'
        for label, url in card.downloads.items()
    )
    return f'<p class="sd-downloads"><span>Download</span>{links}</p>' if links else ""


def _url(url: str) -> str:
    """Return a URL of this site, escaped. Raises ValueError if it leads elsewhere or is a script."""
    parts = urlsplit(url)
    if parts.scheme or parts.netloc:
        raise ValueError(f"{url[:40]!r} is no address within this site")
    return escape(url)


# Gradio turns the elements of an old value into those of the new one, one by one, and takes away every attribute that
# the new one lacks. So what is drawn here is drawn anew in each frame, and notes are read again when they have changed.
PLAYER_JS = """
if (!window.sdOneSound) {  // once, however many players are on the page
    window.sdOneSound = true;
    const hush = ({target}) => {  // a sound whose controls are gone could not be stopped by hand
        if (!target.isConnected || !target.getClientRects().length) target.pause();
    };
    document.addEventListener('play', ({target}) => {
        document.querySelectorAll('audio, video').forEach(other => { if (other !== target) other.pause(); });
        if (target.closest('.sd-tune')) target.addEventListener('timeupdate', hush);
    }, true);
}
const lit = element.getElementsByClassName('sd-now');
const calm = window.matchMedia('(prefers-reduced-motion: reduce)');
let playing = null, frame = 0;

const notesOf = card => {
    if (card.sdSource !== card.dataset.notes) {
        card.sdSource = card.dataset.notes;
        card.sdNotes = JSON.parse(card.sdSource);
    }
    return card.sdNotes;
};
const follow = note => {
    const box = note.closest('.sd-score');
    if (!box) return;
    const [inner, outer] = [note.getBoundingClientRect(), box.getBoundingClientRect()];
    if (inner.top > outer.top && inner.bottom < outer.bottom) return;
    const top = box.scrollTop + inner.top - outer.top - box.clientHeight / 3;
    box.scrollTo({top, behavior: calm.matches ? 'auto' : 'smooth'});
};
const draw = audio => {
    const card = audio.closest('.sd-tune');
    if (!card) return;
    const time = audio.currentTime, notes = notesOf(card);
    const x = WIDTH * Math.min(time / Number(card.dataset.seconds), 1);
    card.querySelector('.sd-head')?.setAttribute('transform', `translate(${x.toFixed(2)} 0)`);
    const n = audio.paused ? -1 : notes.findIndex(([start, length]) => start <= time && time < start + length);
    const ids = n < 0 ? [] : notes[n][2];
    const sounding = ids.map(id => card.querySelector('#' + CSS.escape(id)));
    sounding.push(card.querySelector(`rect[data-n="${n}"]`));
    [...lit].forEach(old => { if (card.contains(old) && !sounding.includes(old)) old.classList.remove('sd-now'); });
    sounding.forEach(note => note?.classList.add('sd-now'));
    if (n !== card.sdNote && sounding[0]) follow(sounding[0]);
    card.sdNote = n;
};
const step = () => {
    frame = 0;
    if (!playing) return;
    draw(playing);
    if (playing.paused || !playing.isConnected) playing = null;
    else frame = requestAnimationFrame(step);
};
const start = (audio, time) => {
    if (audio.error) audio.load();  // it has failed for good otherwise, though the file may be back
    if (time !== undefined) audio.currentTime = time;
    audio.play().catch(() => {});  // refused, or stopped by another: nothing to be done
};

element.addEventListener('play', ({target}) => {
    playing = target;
    frame ||= requestAnimationFrame(step);
}, true);
['pause', 'seeked', 'ended', 'emptied', 'timeupdate'].forEach(name => {
    element.addEventListener(name, ({target}) => draw(target), true);
});
['error', 'loadedmetadata'].forEach(name => element.addEventListener(name, ({target}) => {
    const gone = target.closest('.sd-tune')?.querySelector('.sd-gone');
    if (gone && target.matches('audio')) gone.hidden = name !== 'error';
}, true));
watch('value', () => element.querySelectorAll('.sd-tune audio').forEach(draw));

element.addEventListener('click', event => {
    const roll = event.target.closest('.sd-roll');
    if (!roll) return;
    const card = roll.closest('.sd-tune'), audio = card.querySelector('audio');
    if (event.detail) {  // else it comes from a screen reader, which clicks nowhere in particular
        const plot = roll.querySelector('svg').getBoundingClientRect();
        const share = Math.max(0, Math.min(1, (event.clientX - plot.left) / plot.width));
        start(audio, share * Number(card.dataset.seconds));
    } else if (audio.paused) start(audio);
    else audio.pause();
});
element.addEventListener('keydown', event => {
    if (!event.target.matches('.sd-roll') || ![' ', 'Enter'].includes(event.key) || event.repeat) return;
    event.preventDefault();
    const audio = event.target.closest('.sd-tune').querySelector('audio');
    if (audio.paused) start(audio);
    else audio.pause();
});
""".replace("WIDTH", str(WIDTH))
