"""From what a voice wrote to the card that shows it: files that can be fetched, and facts in words."""

from __future__ import annotations

from lab.music.classifier import Kind, load_classifier
from lab.music.composing import Piece, bars_of
from lab.music.melody import Melody
from lab.music.performance import MAX_SECONDS, Manner, Performance, perform
from lab.music.plagiarism import closest
from lab.music.voices import VOICES, Voice
from tabs.melodies.files import served
from tabs.melodies.render.cards import Card, RollNote
from tabs.rendering import decimal


def piece_card(piece: Piece, manner: Manner, prefix: str) -> Card:
    """Return the card of a piece.

    Args:
        prefix: what the ids on this card begin with; cards on one page need different ones.
    """
    about = VOICES[piece.voice]
    key = f"{prefix}-{piece.voice}"
    turned = piece.voice is Voice.LORA and piece.strength != 1.0
    title = about.title + (f" × {piece.strength:g}" if turned else "")
    performance = perform(piece.melody, manner, title=title, prefix=key)
    return card(
        performance,
        key=key,
        title=title,
        role="frozen" if about.is_base else "changed",
        subtitle=f"Changed: {about.changed}" if about.changed else f"Frozen: {about.frozen}",
        facts=facts(piece),
        given=piece.given,
    )


def card(
    performance: Performance,
    *,
    key: str,
    title: str,
    role: str,
    subtitle: str,
    facts: list[tuple[str, str]],
    given: int = 0,
) -> Card:
    """Return the card of a performance; its files are put where the page can fetch them."""
    name = title.lower().replace(" ", "-")
    wav = served(performance.wav, f"{name}.wav")
    return Card(
        key=key,
        title=title,
        role=role,
        subtitle=subtitle,
        audio_url=wav,
        downloads={
            "WAV": wav,
            "MIDI": served(performance.midi, f"{name}.mid"),
            "MusicXML": served(performance.score.musicxml.encode(), f"{name}.musicxml"),
        },
        seconds=performance.seconds,
        notes=roll(performance, given),
        svg=performance.score.svg,
        facts=[*facts, *breaking_off(performance)],
    )


def breaking_off(performance: Performance) -> list[tuple[str, str]]:
    """Return what is said of a sound that ends before its melody does."""
    if not performance.breaks_off:
        return []
    whole = sum(performance.times[-1]) / 60
    return [("Sound", f"the first {MAX_SECONDS / 60:g} minutes of {whole:.1f}; the score and the MIDI file have all")]


def roll(performance: Performance, given: int) -> list[RollNote]:
    """Return the notes of a performance as the piano roll takes them; the first ``given`` are the opening."""
    parts = zip(performance.melody.notes, performance.times, performance.score.note_ids, strict=True)
    return [
        RollNote(start, duration, note.pitch, note.phrase_end, place < given, ids)
        for place, (note, (start, duration), ids) in enumerate(parts)
    ]


def facts(piece: Piece) -> list[tuple[str, str]]:
    """Return what is said of a piece: bars, the classifier's verdicts, the closest training tune."""
    good, all_ = bars_of(piece)
    found = [
        ("Complete bars", f"{good} of {all_}"),
        ("Sounds like Bach", verdict(piece.melody)),
        ("Closest training tune", copied(piece.melody, piece.given_pitches)),
        ("Mean log-probability", f"{decimal(piece.mean_log_probability)} nats per token"),
    ]
    return found


def verdict(melody: Melody) -> str:
    """Return the classifiers' probabilities of Bach, by all measures and by pitch alone."""
    everything, pitch = (load_classifier(kind).probability(melody) for kind in (Kind.ALL, Kind.PITCH))
    return f"{everything:.0%} by all measures, {pitch:.0%} by pitch alone"


def copied(melody: Melody, given: int) -> str:
    """Return the longest run of intervals shared with a training tune after so many sounding notes, and which it is."""
    found = closest(melody, skip=given)
    if not found.length:
        return "none"
    others = f" and {found.tunes - 1} more" if found.tunes > 1 else ""
    return f"{found.length} intervals in a row from “{found.tune.title}”{others}"
