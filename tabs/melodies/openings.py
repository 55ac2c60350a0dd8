"""Where an opening comes from: typed, played on the keyboard, taken from a real tune or from a visitor's file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.music.composing import METERS, MelodySettings
from lab.music.corpus import Collection, Split, Tune, load_split
from lab.music.melody import Melody
from lab.music.opening import MAX_NOTES, write_opening
from lab.music.upload import read_upload
from tabs.melodies.keyboard import add_keyboard
from tabs.page import PRIVATE
from tabs.rendering import message, notes_html
from tabs.uploads import forget_upload

INCIPIT_BARS = 2
FILE_TYPES = [".mid", ".midi", ".musicxml", ".xml", ".mxl"]
HELP = (
    "Letters are notes, numbers their length in eighths: `A2 B c/2`. Small letters are an octave higher, `^` is a "
    "sharp, `z` a rest, a bar line ends the pickup, a new line ends a phrase. Everything stands in C major or A minor."
)


@cache
def incipits() -> dict[str, Tune]:
    """Return tunes whose openings can be taken, by what the list calls them; none of the models has heard them."""
    found: dict[str, Tune] = {}
    for collection in (Collection.FOLK, Collection.BACH):
        for tune in sorted(load_split(collection, Split.TEST), key=lambda tune: tune.title):
            if tune.tokens[1] in METERS:
                found.setdefault(f"{tune.title} ({'chorale' if collection is Collection.BACH else 'folk song'})", tune)
    return found


class Openings:
    """The controls for the opening; ``text`` is the setting itself, the others fill it in."""

    def __init__(self) -> None:
        with gr.Row(elem_classes="sd-openings"):
            self.incipit = gr.Dropdown(
                list(incipits()), value=None, label="Take the opening of a real tune", filterable=True, min_width=260
            )
            self.upload = gr.UploadButton(
                "… or of your own file (MIDI, MusicXML)", file_types=FILE_TYPES, type="binary", min_width=200, scale=0
            )
        self.text = gr.Textbox(
            MelodySettings.default("opening"),
            label="Opening",
            info="From which every voice goes on. Leave it empty to let them begin by themselves.",
            lines=2,
            max_lines=6,
            elem_id="sd-opening",
        )
        self.status = gr.HTML("", visible=False)
        with gr.Accordion("Play it on a keyboard", open=False):
            gr.Markdown(HELP)
            add_keyboard(self.text)

    def wire(self, meter: Any, mode: Any) -> None:
        """Connect them; a tune or a file sets meter and mode as well."""
        outputs = [self.text, meter, mode, self.status]
        self.incipit.input(self._take, self.incipit, outputs, trigger_mode="always_last", queue=False, **PRIVATE)
        self.upload.upload(self._read, self.upload, outputs, **PRIVATE)

    @staticmethod
    def _take(name: str) -> list[Any]:
        tune = incipits().get(name)
        if tune is None:
            return [gr.skip()] * 4
        return filled(tune.melody, write_opening(tune.melody, INCIPIT_BARS), f"The opening of {tune.title}.")

    @staticmethod
    def _read(data: bytes | None) -> list[Any]:
        if data is None:
            return [gr.skip()] * 4
        forget_upload(data)
        try:
            upload = read_upload(data, "file")
        except VisitorError as error:
            return [gr.skip(), gr.skip(), gr.skip(), told(str(error), alert=True)]
        melody, notes = upload.melody, list(upload.notes)
        if str(melody.meter) not in METERS:
            words = f"The models do not know the meter {melody.meter}; they know {', '.join(METERS)}."
            return [gr.skip(), gr.skip(), gr.skip(), told(words, alert=True)]
        bars = next((n for n in (4, 3, 2, 1) if notes_in(melody, n) <= MAX_NOTES), None)
        if bars is None:
            words = f"The first bar alone has more than {MAX_NOTES} notes: too many for an opening."
            return [gr.skip(), gr.skip(), gr.skip(), told(words, alert=True)]
        first = f"first {bars} bars" if bars > 1 else "first bar"
        words = f"The {first} of your file, brought to {'C major' if melody.mode == 'major' else 'A minor'}."
        return filled(melody, write_opening(melody, bars), words, notes)


def notes_in(melody: Melody, bars: int) -> int:
    """Return how many notes and rests begin in the first bars of a melody, the pickup included."""
    end = melody.pickup + bars * melody.meter.bar
    return sum(tick < end for tick, _ in melody.onsets())


def filled(melody: Melody, text: str, words: str, notes: Sequence[str] = ()) -> list[Any]:
    """Return the values that show an opening taken from a melody."""
    return [text, str(melody.meter), str(melody.mode), told(words, notes)]


def told(words: str, notes: Sequence[str] = (), alert: bool = False) -> Any:
    """Return the update that shows a message, which takes no room before there is one."""
    return gr.update(value=message(words, alert) + notes_html(notes), visible=True)
