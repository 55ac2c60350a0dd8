"""Composing: the settings of the melodies tab, and melodies written by several voices from the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_validator

from lab.errors import VisitorError
from lab.music.melody import Melody, Meter, Mode
from lab.music.midi import INSTRUMENTS
from lab.music.opening import OpeningError, check_range, read_opening
from lab.music.plagiarism import EVERY_TUNE, load_index
from lab.music.tokens import MAX_PHRASES, Written, phrases_token, read, whole_bars, write_notes
from lab.music.voices import LORA_NAME, VOICES, Voice, Voices
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.text.rows import Row, Rules

METERS = ("4/4", "2/4", "3/4", "6/8", "3/8", "4/2", "6/4", "3/2", "2/2", "4/1", "3/1", "6/2")
BACH_METER, BACH_PHRASES = "4/4", 6  # what most chorales have
DEFAULT_OPENING = "G2 | c4"
DEFAULT_VOICES = "folk,lora,full"
MAX_STRENGTH = 2.0


class View(StrEnum):
    """The tools of the tab."""

    COMPARE = "compare"
    MORPH = "morph"
    BLIND = "blind"
    INSIDE = "inside"


class MelodySettings(Settings):
    """All that a visitor of the melodies tab can set."""

    view: View = View.COMPARE
    opening: str = Field(DEFAULT_OPENING, max_length=2000)
    meter: str = Field("4/4", max_length=5)
    mode: Mode = Mode.MAJOR
    phrases: int = Field(4, ge=1, le=MAX_PHRASES)
    temperature: float = Field(1.0, ge=0.05, le=2.0)
    top_p: float = Field(0.95, ge=0.01, le=1.0)
    seed: int = Field(24, ge=0, le=2**31 - 1)
    mask: int = Field(1, ge=0, le=1)
    cadence: int = Field(1, ge=0, le=1)
    originality: int = Field(1, ge=0, le=1)
    voices: str = Field(DEFAULT_VOICES, max_length=200)
    strength: float = Field(1.0, ge=0.0, le=MAX_STRENGTH)
    instrument: str = Field(next(iter(INSTRUMENTS)), max_length=40)
    tempo: int = Field(96, ge=40, le=200)
    transpose: int = Field(0, ge=-12, le=12)
    synthesizer: str = Field("symusic", max_length=20)
    method: Voice = Voice.LORA  # of adaptation, of which there is a picture

    @field_validator("meter")
    @classmethod
    def _known_meter(cls, meter: str) -> str:
        if meter not in METERS:
            raise ValueError("the models do not know this meter")
        return meter

    @field_validator("instrument")
    @classmethod
    def _known_instrument(cls, instrument: str) -> str:
        if instrument not in INSTRUMENTS:
            raise ValueError("no such instrument")
        return instrument

    @field_validator("method")
    @classmethod
    def _has_a_picture(cls, method: Voice) -> Voice:
        if not VOICES[method].explanation:
            raise ValueError("there is no picture of this one")
        return method

    @property
    def chosen(self) -> tuple[Voice, ...]:
        """The voices to hear, in their usual order, at least one."""
        named = set(self.voices.split(","))
        return tuple(voice for voice in Voice if voice in named) or (Voice.FOLK,)

    @classmethod
    def lenient(cls, values: Any) -> tuple[Self, list[str]]:
        """As :meth:`Settings.lenient`; unknown voices are dropped with a note."""
        settings, notes = super().lenient(values)
        unknown = [name for name in settings.voices.split(",") if name and name not in set(Voice)]
        if unknown:
            notes.append(f"voices: there is no voice {unknown[0][:40]!r}; the voices are {', '.join(Voice)}.")
        return settings.model_copy(update={"voices": ",".join(settings.chosen)}), notes


@dataclass(frozen=True)
class Piece:
    """A melody that a voice wrote.

    Attributes:
        strength: of the LoRA, 0 where none was at work.
        written: the melody and its bars as they were written.
        given: how many notes and rests at the beginning are the opening.
        mean_log_probability: of the tokens that the voice chose, under its own raw distribution, in nats.
        entropy: mean of the raw distribution at the same steps, in nats.
    """

    voice: Voice
    strength: float
    written: Written
    given: int
    mean_log_probability: float
    entropy: float

    @property
    def melody(self) -> Melody:
        """The melody, in C major or A minor."""
        return self.written.melody

    @property
    def given_pitches(self) -> int:
        """How many of the notes that sound are the opening."""
        return sum(note.pitch is not None for note in self.melody.notes[: self.given])


def prompt_of(settings: MelodySettings, voice: Voice) -> tuple[list[str], int]:
    """Return the names of the tokens that a voice starts from, and how many notes and rests of them are the opening.

    Raises:
        OpeningError: if the opening cannot be used.
    """
    meter = BACH_METER if voice is Voice.HEADER else settings.meter
    phrases = BACH_PHRASES if voice is Voice.HEADER else settings.phrases
    opening = read_opening(settings.opening, Meter.parse(meter), settings.mode)
    if opening is None:
        return [str(settings.mode), meter, phrases_token(phrases)], 0
    # A melody is at least one phrase longer than its opening.
    phrases = max(phrases, sum(note.phrase_end for note in opening.notes) + 1)
    return [str(settings.mode), meter, phrases_token(phrases), *write_notes(opening, phrases)], len(opening.notes)


def known_prompt(voices: Voices, settings: MelodySettings, voice: Voice) -> tuple[int, ...]:
    """Return the ids of the tokens that a voice starts from, at most half of the model's context.

    Raises:
        OpeningError: if the opening cannot be used.
    """
    names, _ = prompt_of(settings, voice)
    check_range(names, voices.vocabulary)
    limit = voices.engine(voice).context // 2
    if len(names) > limit:
        raise OpeningError(f"This opening takes {len(names)} tokens; the models go on from at most {limit}.")
    return tuple(voices.vocabulary.encode(names))


def rules_of(voices: Voices, settings: MelodySettings) -> Rules | None:
    """Return what a melody has to keep to; the cadence needs bars of which one can be the last, originality nothing."""
    from lab.music.grammar import Cadence
    from lab.music.originality import Original

    grammar = voices.grammar
    rules = (Cadence(grammar) if settings.cadence else grammar) if settings.mask else None
    return Original(grammar, load_index(EVERY_TUNE), rules) if settings.originality else rules


def row_of(
    voices: Voices, settings: MelodySettings, voice: Voice, *, strength: float | None = None, seed: int | None = None
) -> Row:
    """Return the row by which a voice's engine writes a melody. Raises OpeningError if the opening cannot be used."""
    from lab.text.rows import Row
    from lab.text.strategies import Kind, Strategy

    ids = known_prompt(voices, settings, voice)
    factor = settings.strength if strength is None else strength
    worn = voice is Voice.LORA and factor > 0
    return Row(
        prompt=ids,
        strategy=Strategy(kind=Kind.TOP_P, temperature=settings.temperature, top_p=settings.top_p),
        seed=settings.seed if seed is None else seed,
        max_new_tokens=voices.engine(voice).context - len(ids),
        adapter=LORA_NAME if worn else None,
        strength=factor if worn else 1.0,
        rules=rules_of(voices, settings),
    )


def compose(voices: Voices, settings: MelodySettings) -> list[Piece]:
    """Return one melody per chosen voice, all from the same opening and seed.

    Raises:
        OpeningError: if the opening cannot be used.
        ModelUnavailable: if a voice cannot be loaded.
        EngineError: if the model failed.
    """
    return write_all(voices, settings, [(voice, None, None) for voice in settings.chosen])


def write_all(
    voices: Voices, settings: MelodySettings, wishes: Sequence[tuple[Voice, float | None, int | None]]
) -> list[Piece]:
    """Return a melody for each wish: a voice, and a strength and seed where they are not the settings' own.

    Rows of one engine run as one batch. Raises what ``compose`` does.
    """
    rows = [row_of(voices, settings, voice, strength=strength, seed=seed) for voice, strength, seed in wishes]
    engines = [voices.engine(voice) for voice, _, _ in wishes]
    streams = {}
    for engine in dict.fromkeys(engines):
        places = [place for place, owner in enumerate(engines) if owner is engine]
        streams[engine] = (places, engine.submit([rows[place] for place in places]))
    pieces: dict[int, Piece] = {}
    try:
        for places, stream in streams.values():
            for number, tokens in finished(stream):
                place = places[number]
                pieces[place] = piece_of(voices, settings, wishes[place][0], rows[place], tokens)
    finally:
        for _, stream in streams.values():
            stream.cancel()
    return [pieces[place] for place in range(len(rows))]


def finished(stream: Any) -> Any:
    """Yield the number of each row of a stream and its tokens, as the rows end."""
    from lab.text.rows import Finished

    for event in stream:
        if isinstance(event, Finished):
            yield event.row, event.tokens


def piece_of(voices: Voices, settings: MelodySettings, voice: Voice, row: Row, tokens: Sequence[Any]) -> Piece:
    """Return what a voice wrote. Raises VisitorError if nothing sounds."""
    ids = [token.id for token in tokens]
    names = voices.vocabulary.decode((*row.prompt, *ids))
    try:
        written = read(whole_bars(names) if settings.mask else names)
    except ValueError:
        raise VisitorError(
            f"“{VOICES[voice].title}” wrote nothing that sounds. Please try another seed or a lower temperature."
        ) from None
    _, given = prompt_of(settings, voice)
    return Piece(
        voice=voice,
        strength=row.strength if row.adapter else 0.0,
        written=written,
        given=given,
        mean_log_probability=sum(token.log_probability for token in tokens) / len(tokens),
        entropy=sum(token.entropy for token in tokens) / len(tokens),
    )


def bars_of(piece: Piece) -> tuple[int, int]:
    """Return how many bars are complete, and how many there are."""
    return piece.written.complete_bars, len(piece.written.bars)
