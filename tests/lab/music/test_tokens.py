"""What is written is read back, and what a model wrote against the rules is read as well as can be."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.music.corpus import Collection, load_tunes, load_vocabulary
from lab.music.melody import Melody, Meter, Mode, Note
from lab.music.tokens import (
    MAX_PHRASES,
    PHRASE_ENDS,
    UnknownToken,
    Vocabulary,
    Written,
    header,
    parse_note,
    phrase_end,
    phrases_token,
    read,
    whole_bars,
    write,
    write_notes,
)

HEADER = ["major", "3/4", "2 phrases"]


def melody(text: str, meter: str = "3/4", pickup: int = 0, mode: Mode = Mode.MAJOR) -> Melody:
    """Read notes such as ``60:8 r:4 62:12,``: pitch, ticks, and a comma where a phrase ends."""
    notes = [Note(*parse_note(word.rstrip(",")), word.endswith(",")) for word in text.split()]
    return Melody(tuple(notes), Meter.parse(meter), mode, pickup)


def read_text(text: str) -> Written:
    return read([*HEADER, *text.split()])


def notes(text: str) -> list[tuple[int | None, int, bool]]:
    return [(n.pitch, n.duration, n.phrase_end) for n in read_text(text).melody.notes]


MELODIES = {
    "on the bar line": (melody("60:8 62:16 64:24,"), "| 60:8 62:16 | 64:24 ,0"),
    "a pickup": (melody("60:8 62:24 64:16,", pickup=8), "60:8 | 62:24 | 64:16 ,0"),
    "a note over a bar line": (melody("60:8 62:20 64:20,"), "| 60:8 62:16 ~ | 62:4 64:20 ,0"),
    "a note over several": (melody("60:8 62:80 64:8,"), "| 60:8 62:16 ~ | 62:24 ~ | 62:24 ~ | 62:16 64:8 ,0"),
    "a pickup that is tied": (melody("60:20 62:12,", pickup=8), "60:8 ~ | 60:12 62:12 ,0"),
    "a rest over a bar line": (melody("60:12 r:24 62:12,"), "| 60:12 r:12 ~ | r:12 62:12 ,0"),
    "a phrase that ends with a tied note": (melody("60:36, 62:12,"), "| 60:24 ~ | 60:12 ,1 62:12 ,0"),
    "a phrase that ends with a rest": (melody("60:16 r:8, 62:24,"), "| 60:16 r:8 ,1 | 62:24 ,0"),
    "the same note twice": (melody("60:24 60:24"), "| 60:24 | 60:24"),
    "two rests": (melody("r:24 r:12 60:12"), "| r:24 | r:12 60:12"),
    "a single long note": (melody("60:72,"), "| 60:24 ~ | 60:24 ~ | 60:24 ,0"),
    "a short last bar": (melody("60:24 62:8,"), "| 60:24 | 62:8 ,0"),
    "less than a pickup": (melody("60:8,", pickup=8), "60:8 ,0"),
    "6/8 in minor": (melody("69:4 71:24 69:20", "6/8", 4, Mode.MINOR), "69:4 | 71:24 | 69:20"),
}
parametrize_melodies = pytest.mark.parametrize(("one", "text"), MELODIES.values(), ids=MELODIES)


@parametrize_melodies
def test_melodies_as_tokens(one: Melody, text: str) -> None:
    assert write_notes(one) == text.split()
    assert write(one) == [*header(one), *text.split(), "end"]


@parametrize_melodies
def test_what_is_written_is_read_back(one: Melody, text: str) -> None:
    again = read(write(one))
    assert again.ended
    assert list(again.bars) == one.bar_lengths()
    if text == "60:8 ,0":  # that its pickup is one cannot be told from tokens without a bar line
        one = melody("60:8,")
    assert again.melody == one


def test_random_melodies_are_read_back() -> None:
    rng = random.Random(3)
    meters = ("3/4", "4/4", "6/8", "2/2", "5/4", "3/8")
    for _ in range(300):
        meter = Meter.parse(rng.choice(meters))
        pickup = rng.choice([0, 0, rng.randrange(1, meter.bar)])
        made = [
            Note(rng.choice([None, *range(55, 80)]), rng.randint(1, 2 * meter.bar), rng.random() < 0.2)
            for _ in range(rng.randint(1, 30))
        ]
        made.append(Note(60, pickup + meter.bar, True))
        one = Melody(tuple(made), meter, rng.choice(list(Mode)), pickup)
        again = read(write(one))
        assert again.melody == one
        assert list(again.bars) == one.bar_lengths()
        assert all(again.checks()) is one.complete


@pytest.mark.parametrize("collection", Collection)
def test_all_tunes_that_ship_are_read_and_written_again(collection: Collection) -> None:
    vocabulary = load_vocabulary()
    unknown = 0
    tunes = load_tunes(collection)
    for tune in tunes:
        written = read(tune.tokens)
        assert tuple(write(written.melody)) == tune.tokens, tune.id
        assert written.ended
        assert all(written.checks()), tune.id
        assert list(written.bars) == written.melody.bar_lengths()
        unknown += not vocabulary.ids.keys() >= set(tune.tokens)
    assert len(tunes) > 300
    assert unknown == 0


# --- the countdown --------------------------------------------------------------------------------------------------


def counts(names: Iterable[str]) -> list[str]:
    """Return the ends of phrases among tokens."""
    return [name for name in names if name.startswith(",")]


def test_ends_of_phrases_count_down() -> None:
    four = melody("60:24, 62:8, 64:16, 65:24,")
    assert " ".join(write_notes(four)) == "| 60:24 ,3 | 62:8 ,2 64:16 ,1 | 65:24 ,0"
    for number in range(1, 30):
        left = [min(n, MAX_PHRASES - 1) for n in reversed(range(number))]
        assert counts(write_notes(melody("60:8, " * number))) == [f",{n}" for n in left]


def test_more_than_can_be_counted_repeat_the_highest_count() -> None:
    assert counts(write(melody("60:24, " * 12))) == list(reversed(PHRASE_ENDS))
    assert counts(write(melody("60:24, " * 13))) == [",11", *reversed(PHRASE_ENDS)]
    assert counts(write(melody("60:24, " * 15)))[:5] == [",11", ",11", ",11", ",11", ",10"]
    assert [phrase_end(n) for n in range(MAX_PHRASES)] == list(PHRASE_ENDS)
    assert phrase_end(12) == phrase_end(99) == ",11"


def test_a_phrase_that_has_no_end_does_not_count() -> None:
    assert counts(write_notes(melody("60:24, 62:24, 64:24"))) == [",1", ",0"]
    assert header(melody("60:24, 62:24, 64:24"))[2] == "2 phrases"


@pytest.mark.parametrize(
    ("text", "phrases", "expected"),
    [
        ("60:24, 62:24, 64:24", 4, "| 60:24 ,3 | 62:24 ,2 | 64:24"),
        ("60:24, 62:24, 64:24", 12, "| 60:24 ,11 | 62:24 ,10 | 64:24"),
        ("60:24, 62:24, 64:24", 20, "| 60:24 ,11 | 62:24 ,11 | 64:24"),
        ("60:24, 62:24, 64:24", 2, "| 60:24 ,1 | 62:24 ,0 | 64:24"),  # as if it were the whole
        ("60:24 62:24", 4, "| 60:24 | 62:24"),
    ],
)
def test_an_opening_counts_from_what_is_to_come(text: str, phrases: int, expected: str) -> None:
    assert " ".join(write_notes(melody(text), phrases)) == expected


def test_an_opening_with_more_phrases_than_the_whole_counts_to_none() -> None:
    assert counts(write_notes(melody("60:24, 62:24, 64:24,"), 1)) == [",0", ",0", ",0"]


def test_the_beginning_of_a_tune_as_an_opening_is_the_beginning_of_its_tokens() -> None:
    for tune in load_tunes(Collection.BACH)[::10]:
        whole = tune.melody
        number = sum(note.phrase_end for note in whole.notes)
        for size in (1, 5, len(whole.notes) // 2, len(whole.notes)):
            names = write_notes(replace(whole, notes=whole.notes[:size]), number)
            assert names == list(tune.tokens[3 : 3 + len(names)])


def test_what_the_counts_say_is_not_read() -> None:
    """A model may miscount: phrases end where it says so, however many it says are left."""
    rng = random.Random(2)
    for tune in load_tunes(Collection.FOLK)[::100]:
        wrong = [rng.choice(PHRASE_ENDS) if name.startswith(",") else name for name in tune.tokens]
        assert read(wrong) == read(tune.tokens)
    assert read_text("| 60:24 ,0 | 62:24 ,7 end").ended
    assert notes("| 60:24 ,0 | 62:24 ,0 end") == [(60, 24, True), (62, 24, True)]


@pytest.mark.parametrize("collection", Collection)
def test_the_tunes_that_ship_count_down_to_none(collection: Collection) -> None:
    most = 0
    for tune in load_tunes(collection):
        number = len(counts(tune.tokens))
        assert counts(tune.tokens) == [f",{min(n, MAX_PHRASES - 1)}" for n in reversed(range(number))], tune.id
        assert tune.tokens[-2:] == (",0", "end")
        assert tune.tokens[2] == phrases_token(number)
        most = max(most, number)
    assert most > MAX_PHRASES


def test_the_header() -> None:
    assert header(melody("69:8 71:16, 69:24,", mode=Mode.MINOR)) == ["minor", "3/4", "2 phrases"]
    assert phrases_token(0) == "1 phrases"
    assert phrases_token(MAX_PHRASES) == phrases_token(99) == f"{MAX_PHRASES} phrases"
    assert header(melody("60:24, " * 20))[2] == f"{MAX_PHRASES} phrases"


def test_notes_of_tokens() -> None:
    assert parse_note("60:12") == (60, 12)
    assert parse_note("r:4") == (None, 4)
    for name in ("x:4", "60:", "60:y", ":"):
        with pytest.raises(ValueError):
            parse_note(name)


# --- against the rules ----------------------------------------------------------------------------------------------


def test_a_tie_to_another_pitch_ties_nothing() -> None:
    assert notes("| 60:24 ~ | 62:24 end") == [(60, 24, False), (62, 24, False)]
    assert notes("| 60:24 ~ | r:24 end") == [(60, 24, False), (None, 24, False)]
    assert notes("| 60:24 ~ | 62:12 60:12 end") == [(60, 24, False), (62, 12, False), (60, 12, False)]


def test_a_tie_before_anything_ties_nothing() -> None:
    assert notes("~ | 60:24 | 60:24 end") == [(60, 24, False), (60, 24, False)]


def test_a_tie_without_a_bar_line_ties() -> None:
    assert notes("| 60:12 ~ 60:12 end") == [(60, 24, False)]


def test_a_tie_at_the_end_changes_nothing() -> None:
    assert notes("| 60:24 ~ end") == [(60, 24, False)]


def test_bar_lines_too_early_and_too_late_are_told_by_the_bars() -> None:
    written = read_text("| 60:8 | 62:24 | 64:40 | 65:24 end")
    assert written.bars == (8, 24, 40, 24)
    assert written.checks() == [False, True, False, True]
    assert written.complete_bars == 2
    assert written.melody.pickup == 0
    assert [note.duration for note in written.melody.notes] == [8, 24, 40, 24]


def test_bar_lines_without_notes_between_them_are_one() -> None:
    assert read_text("| | 60:24 | | | 62:24 | end").bars == (24, 24)


def test_a_melody_without_a_bar_line_is_one_bar() -> None:
    written = read_text("60:24 62:24 end")
    assert written.bars == (48,)
    assert written.melody.pickup == 0
    assert written.checks() == [False]


def test_a_phrase_that_ends_before_anything_ends_nothing() -> None:
    assert notes(",1 | 60:24 ,3 ,0 end") == [(60, 24, True)]


def test_what_stands_after_the_end_is_not_read() -> None:
    assert notes("| 60:24 end 62:24 end") == [(60, 24, False)]
    assert read_text("| 60:24 end").ended
    assert not read_text("| 60:24").ended


def test_a_second_header_in_the_middle_does_not_break_the_notes() -> None:
    written = read_text("| 60:24 minor 4/4 3 phrases | 62:24 end")
    assert written.melody.pitches == [60, 62]


@pytest.mark.parametrize("text", ["", "end", "| | end", "r:24 | r:24 end", "~ ,0 end 60:24"])
def test_silence_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nothing sounds"):
        read_text(text)


@pytest.mark.parametrize("names", [[], ["major"], ["3/4"], ["2 phrases"], ["end", "major", "3/4"]])
def test_a_header_that_is_not_there_is_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="header"):
        read([*names, "|", "60:24", "end"])


def test_no_sequence_of_tokens_breaks_the_reader() -> None:
    """Random tokens are read, or refused with a ValueError; what is read has the ticks that were written."""
    rng = random.Random(5)
    names = ["|", ",0", ",5", "~", "60:8", "62:16", "60:24", "r:8", "end", "major", "minor", "3/4", "4/4", "3 phrases"]
    read_once = 0
    for _ in range(500):
        text = [*HEADER, *rng.choices(names, weights=[3, 1, 1, 3, 4, 4, 3, 3, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1], k=20)]
        kept = text[: text.index("end")] if "end" in text else text
        ticks = sum(parse_note(name)[1] for name in kept if ":" in name)
        try:
            written = read(text)
        except ValueError as error:
            assert "nothing sounds" in str(error)
            continue
        read_once += 1
        assert written.melody.duration == sum(written.bars) == ticks
        assert len(written.checks()) == len(written.bars)
        assert written.ended is ("end" in text)
        assert read(write(written.melody)).melody.notes == written.melody.notes
    assert read_once > 400


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("| 60:24 | 62:24", [True, True]),
        ("60:8 | 62:24 | 64:16", [True, True, True]),  # the last bar leaves room for the pickup
        ("60:8 | 62:24 | 64:24", [True, True, True]),  # or does not
        ("60:8 | 62:24 | 64:8", [True, True, False]),
        ("60:8 | 62:16 | 64:16", [True, False, True]),
        ("60:24 | 62:24", [False, True]),  # a full bar is no pickup
        ("60:32 | 62:24", [False, True]),
        ("| 60:24 | 62:16", [True, False]),
        ("60:8 |", [False]),
    ],
)
def test_checks_tell_which_bars_are_as_long_as_they_should_be(text: str, good: list[bool]) -> None:
    written = read_text(text)
    assert written.checks() == good
    assert written.complete_bars == sum(good)


# --- vocabulary -----------------------------------------------------------------------------------------------------

NAMES = ["end", "|", "~", *PHRASE_ENDS, "major", "minor", "2/2", "3/4", "12/8", "2 phrases", "4 phrases", "12 phrases",
         "r:4", "r:12", "9:4", "60:4", "60:8", "60:12", "101:4"]  # fmt: skip


def test_the_order_of_a_vocabulary() -> None:
    """Signs, modes, meters, phrases, rests, notes, each in the order of their numbers; whatever order they came in."""
    rng = random.Random(0)
    for _ in range(5):
        shuffled = rng.sample(NAMES, len(NAMES))
        assert Vocabulary.of([shuffled[:9], shuffled[9:]], 1).names == tuple(NAMES)


def test_rare_tokens_are_left_out_but_never_a_sign() -> None:
    vocabulary = Vocabulary.of([["major", "60:8", "60:8"], ["major", "62:8"]], 2)
    assert vocabulary.names == ("end", "|", "~", *PHRASE_ENDS, "major", "60:8")


def test_ids_and_names() -> None:
    vocabulary = Vocabulary(NAMES)
    assert len(vocabulary) == len(NAMES)
    assert (vocabulary.end, vocabulary.bar, vocabulary.tie) == (0, 1, 2)
    assert vocabulary.decode(vocabulary.phrase_ends) == list(PHRASE_ENDS)  # by how many are still to come
    assert vocabulary.encode(["minor", "3/4", "end"]) == [NAMES.index("minor"), NAMES.index("3/4"), 0]
    assert vocabulary.decode(range(len(NAMES))) == NAMES
    assert vocabulary.meters == [Meter(2, 2), Meter(3, 4), Meter(12, 8)]


def test_a_token_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownToken, match=r"'61:8'"):
        Vocabulary(NAMES).encode(["60:8", "61:8"])
    assert issubclass(UnknownToken, ValueError)


def test_a_vocabulary_is_saved_and_loaded(tmp_path: Path) -> None:
    Vocabulary(NAMES).save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json").names == tuple(NAMES)
    shipped = load_vocabulary()
    shipped.save(tmp_path / "shipped.json")
    assert Vocabulary.load(tmp_path / "shipped.json").ids == shipped.ids


def test_the_vocabulary_that_ships_is_in_order() -> None:
    shipped = load_vocabulary()
    assert Vocabulary.of([shipped.names], 1).names == shipped.names
    assert len(set(shipped.names)) == len(shipped)


def test_a_melody_that_ran_out_of_room_ends_at_its_last_bar_line() -> None:
    begun = ["major", "2/4", "2 phrases", "|", "60:8", "62:8", "|", "60:8"]
    assert list(whole_bars(begun)) == begun[:6]
    assert read(whole_bars(begun)).checks() == [True]
    assert list(whole_bars([*begun, "end"])) == [*begun, "end"]
    assert list(whole_bars(begun[:3])) == begun[:3]  # nothing to cut
