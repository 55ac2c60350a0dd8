"""Whatever is drawn from what the grammar allows is a melody of whole bars with the phrases asked for."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch

from lab.music.corpus import Collection, load_tunes, load_vocabulary
from lab.music.grammar import MAX_BARS, PATIENCE, Cadence, Grammar, State
from lab.music.melody import Meter, Mode
from lab.music.tokens import (
    MAX_PHRASES,
    MODES,
    PHRASE_ENDS,
    Vocabulary,
    Written,
    parse_note,
    phrases_token,
    read,
    write,
)

SIGNS = ["end", "|", "~", *PHRASE_ENDS]
HEADS = ["major", "minor", "2/4", "3/4", "6/8", *(f"{n} phrases" for n in (1, 2, 3, 5, MAX_PHRASES))]
# 64 exists as a half note only; and from three eighths on there is no rest.
SMALL = Vocabulary([*SIGNS, *HEADS, "r:4", "r:8", "60:4", "60:8", "60:12", "62:8", "62:16", "64:16"])
# With these, six ticks are left after a note of ten, and nothing fills them.
COARSE = Vocabulary([*SIGNS, *HEADS, "60:4", "60:8", "60:10", "62:8"])


@pytest.fixture(scope="module")
def shipped() -> Grammar:
    return Grammar(load_vocabulary())


@pytest.fixture(scope="module")
def small() -> Grammar:
    return Grammar(SMALL)


def walk(grammar: Grammar | Cadence, prompt: Sequence[str], rng: random.Random, most: int = 4000) -> list[str]:
    """Draw one allowed token after another until the end, header and prompt included."""
    vocabulary = grammar.grammar.vocabulary if isinstance(grammar, Cadence) else grammar.vocabulary
    ids = vocabulary.encode(prompt)
    state = grammar.start(ids)
    while ids[-1] != vocabulary.end:
        ids.append(rng.choice(allowed(state)))
        state.advance(ids[-1])
        assert len(ids) < most, "the walk does not end"
    return vocabulary.decode(ids)


# Masks are shared, so each is looked into once; it is kept beside what it allows, lest another takes its number.
SEEN: dict[int, tuple[torch.Tensor, list[int]]] = {}


def allowed(state: State) -> list[int]:
    mask = state.allowed()
    if id(mask) not in SEEN:
        vocabulary = state.grammar.vocabulary
        assert mask.dtype == torch.bool
        assert mask.shape == (len(vocabulary),)
        ids = mask.nonzero()[:, 0].tolist()
        assert ids, "nothing is allowed"
        assert all(":" in vocabulary.names[id_] or vocabulary.names[id_] in SIGNS for id_ in ids), "a header's token"
        SEEN[id(mask)] = mask, ids
    return SEEN[id(mask)][1]


def names_allowed(grammar: Grammar, prompt: str, mode: str = "major", meter: str = "3/4", phrases: int = 2) -> set[str]:
    """Names of the tokens that may follow a header and a prompt."""
    ids = grammar.vocabulary.encode([mode, meter, phrases_token(phrases), *prompt.split()])
    return set(grammar.vocabulary.decode(allowed(grammar.start(ids))))


def counts_allowed(grammar: Grammar, prompt: str, phrases: int) -> set[str]:
    """Ends of phrases among the tokens that may follow."""
    return names_allowed(grammar, prompt, phrases=phrases) & set(PHRASE_ENDS)


def phrases_of(written: Written) -> int:
    return sum(note.phrase_end for note in written.melody.notes)


def assert_ties_are_kept(names: Sequence[str]) -> None:
    """After a tie a bar line comes, then the same pitch again."""
    for place, name in enumerate(names):
        if name == "~":
            assert names[place + 1] == "|"
            assert names[place + 2].partition(":")[0] == names[place - 1].partition(":")[0] != "r"


# --- walks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["small", "shipped"])
def test_every_walk_is_a_melody_of_whole_bars(which: str, request: pytest.FixtureRequest) -> None:
    grammar: Grammar = request.getfixturevalue(which)
    rng = random.Random(which)
    meters = [str(meter) for meter in grammar.vocabulary.meters]
    phrases = [n for n in range(1, MAX_PHRASES + 1) if f"{n} phrases" in grammar.vocabulary.ids]
    pickups = cut_short = ties = 0
    for turn in range(72):
        asked = rng.choice(phrases)
        names = walk(grammar, [rng.choice(MODES), meters[turn % len(meters)], f"{asked} phrases"], rng)
        written = read(names)
        assert written.ended
        assert all(written.checks()), names
        assert list(written.bars) == written.melody.bar_lengths()
        assert_ties_are_kept(names)
        if names.count("|") >= MAX_BARS:
            cut_short += 1
        elif asked < MAX_PHRASES:
            assert phrases_of(written) == asked
        else:
            assert phrases_of(written) >= asked
        if names.count("|") < MAX_BARS:  # else it may end before its last phrase does
            assert write(written.melody) == names  # so the phrases count down as they should
        assert names.count("|") <= MAX_BARS + 1
        pickups += written.melody.pickup > 0
        ties += "~" in names
    assert pickups > 10
    assert ties > 10
    assert cut_short < 24


def test_all_allowed_ways_through_a_short_song_end_well() -> None:
    """Not by chance: every sequence that the rules allow in a vocabulary of two notes and one short meter."""
    vocabulary = Vocabulary([*SIGNS, "major", "2/8", "1 phrases", "2 phrases", "60:4", "62:8"])
    grammar = Grammar(vocabulary)
    ends = 0
    for phrases in (1, 2):
        head = vocabulary.encode(["major", "2/8", f"{phrases} phrases"])
        open_ends = [head]
        while open_ends:
            ids = open_ends.pop()
            for id_ in allowed(grammar.start(ids)):
                if id_ == vocabulary.end:
                    written = read(vocabulary.decode([*ids, id_]))
                    assert all(written.checks())
                    assert phrases_of(written) == phrases
                    assert write(written.melody) == vocabulary.decode([*ids, id_])
                    ends += 1
                elif len(ids) < 12:
                    open_ends.append([*ids, id_])
    assert ends > 50


@pytest.mark.parametrize("collection", Collection)
def test_every_tune_that_ships_keeps_to_the_rules(shipped: Grammar, collection: Collection) -> None:
    vocabulary = shipped.vocabulary
    too_long = 0
    for tune in load_tunes(collection):
        ids = vocabulary.encode(tune.tokens)
        state = shipped.start(ids[:3])
        for id_ in ids[3:]:
            if state.bars >= MAX_BARS:
                too_long += 1
                break
            if id_ not in allowed(state):
                pytest.fail(f"{vocabulary.names[id_]} at {state} in {tune.id}")
            state.advance(id_)
    assert too_long <= 2


def test_max_bars_ends_a_melody(small: Grammar) -> None:
    opening = ["major", "2/4", f"{MAX_PHRASES} phrases", *["|", "60:8", "62:8"] * (MAX_BARS - 1)]
    state = small.start(SMALL.encode(opening))
    assert SMALL.end not in allowed(state)
    for seed in range(10):
        names = walk(small, opening, random.Random(seed))
        assert names.count("|") == MAX_BARS
        assert all(read(names).checks())
    full = small.start(SMALL.encode([*opening, "|", "60:8", "62:8"]))
    assert allowed(full) == [SMALL.end]


def test_max_bars_ends_a_melody_where_its_pickup_is_made_up_for(small: Grammar) -> None:
    opening = ["major", "2/4", f"{MAX_PHRASES} phrases", "60:8", *["|", "60:8", "62:8"] * MAX_BARS]
    assert allowed(small.start(SMALL.encode(opening))) == [SMALL.end]
    assert allowed(small.start(SMALL.encode(opening[:-1]))) == [SMALL.end]


# --- the cadence ----------------------------------------------------------------------------------------------------


def ends_allowed(rules: Grammar | Cadence, prompt: str, mode: str = "major", phrases: int = 1) -> bool:
    """Whether a melody in 2/4 may end after a prompt."""
    ids = SMALL.encode([mode, "2/4", phrases_token(phrases), *prompt.split()])
    return SMALL.phrase_ends[0] in allowed(rules.start(ids))


def test_the_last_phrase_ends_on_the_tonic(small: Grammar) -> None:
    cadence = Cadence(small)
    assert ends_allowed(cadence, "| 62:8 60:8")
    assert not ends_allowed(cadence, "| 60:8 62:8")
    assert ends_allowed(small, "| 60:8 62:8")
    assert ends_allowed(cadence, "| 62:8 60:4 r:4")  # what sounded last counts
    assert not ends_allowed(cadence, "| 60:8 62:8 | r:8 r:8")
    assert ends_allowed(cadence, "62:8 | 62:8 62:8 ,1 | 60:8", phrases=2)  # in a bar that the pickup makes full
    assert not ends_allowed(cadence, "| 62:8 60:8", "minor")


def test_only_the_last_phrase_must(small: Grammar) -> None:
    ids = SMALL.encode(["major", "2/4", "2 phrases", "|", "60:8", "62:8"])
    assert SMALL.phrase_ends[1] in allowed(Cadence(small).start(ids))


def test_after_eight_bars_of_the_last_phrase_any_note_will_do(small: Grammar) -> None:
    bars = "| 60:8 62:8 " * (PATIENCE - 1)
    assert not ends_allowed(Cadence(small), bars)
    assert ends_allowed(Cadence(small), bars + "| 60:8 62:8")
    late = "| 60:8 62:8 ,1 " + bars
    assert not ends_allowed(Cadence(small), late, phrases=2)
    assert ends_allowed(Cadence(small), late + "| 60:8 62:8", phrases=2)


@pytest.mark.parametrize("mode", MODES)
def test_walks_come_home_and_keep_to_all_other_rules(shipped: Grammar, mode: str) -> None:
    rng, home = random.Random(mode), 0
    for turn in range(24):
        meter = str(shipped.vocabulary.meters[turn % len(shipped.vocabulary.meters)])
        names = walk(Cadence(shipped), [mode, meter, phrases_token(1 + turn % 5)], rng)
        written = read(names)
        assert written.ended and all(written.checks())
        assert phrases_of(written) == 1 + turn % 5
        last_phrase = names[max((n for n, name in enumerate(names) if name == ",1"), default=0) :]
        came_home = written.melody.pitches[-1] % 12 == Mode(mode).tonic
        assert came_home or last_phrase.count("|") >= PATIENCE
        home += came_home
    assert home > 4  # by chance it would be one walk in twelve


# --- rule by rule ---------------------------------------------------------------------------------------------------

ALL_NOTES = {"r:4", "r:8", "60:4", "60:8", "60:12", "62:8", "62:16", "64:16"}


def test_a_melody_begins_with_a_pickup_or_a_bar_line(small: Grammar) -> None:
    assert names_allowed(small, "") == ALL_NOTES | {"|"}
    assert names_allowed(small, "", meter="2/4") == ALL_NOTES - {"62:16", "64:16"} | {"|"}  # a full bar is no pickup
    assert names_allowed(small, "60:8", meter="2/4") == {"60:4", "r:4", "|", "~"}
    assert names_allowed(small, "60:12", meter="2/4") == {"|", "~"}
    assert names_allowed(small, "60:12 ~", meter="2/4") == {"|"}


def test_notes_fit_into_the_bar(small: Grammar) -> None:
    assert names_allowed(small, "|") == ALL_NOTES
    assert names_allowed(small, "| 60:8") == ALL_NOTES | {",1"}
    assert names_allowed(small, "| 60:12") == ALL_NOTES - {"62:16", "64:16"} | {",1"}
    assert names_allowed(small, "| 60:12 r:8") == {"60:4", "r:4", ",1"}


def test_a_full_bar_is_followed_by_a_bar_line_or_a_tie(small: Grammar) -> None:
    assert names_allowed(small, "| 62:8 62:16") == {"|", "~", ",1"}
    assert names_allowed(small, "| 62:16 r:8") == {"|", ",1"}  # rests are not tied
    assert names_allowed(small, "| 62:8 62:16 ,1") == {"|"}


def test_a_tie_goes_on_with_the_same_pitch_only(small: Grammar) -> None:
    assert names_allowed(small, "| 62:8 62:16 ~") == {"|"}
    assert names_allowed(small, "| 62:8 62:16 ~ |") == {"62:8", "62:16"}
    assert names_allowed(small, "| 62:8 60:4 60:12 ~ |", meter="3/4") == {"60:4", "60:8", "60:12"}


def test_a_tie_that_nothing_could_go_on_is_not_begun() -> None:
    grammar = Grammar(Vocabulary([*SIGNS, *HEADS, "60:8", "60:4", "64:16"]))
    assert names_allowed(grammar, "| 64:16", meter="2/4") == {"|", "~", ",1"}
    coarse = Grammar(Vocabulary([*SIGNS, *HEADS, "60:4", "60:8", "64:16", "3/8"]))
    assert names_allowed(coarse, "64:16", meter="3/4") == {"60:4", "|", "~"}
    assert names_allowed(coarse, "60:8", meter="3/8") == {"|", "~"}
    assert "~" not in names_allowed(coarse, "64:16", meter="3/8")  # an opening against the rules


def test_the_next_phrase_ends_with_the_next_count(small: Grammar) -> None:
    """In the middle of a bar and at its end, whether the count is the header's or another phrase's."""
    for bar in ("| 60:12", "| 62:8 62:16"):
        assert counts_allowed(small, bar, phrases=5) == {",4"}
        assert counts_allowed(small, f"| 60:12 60:12 ,4 {bar}", phrases=5) == {",3"}
        for left in range(2, MAX_PHRASES - 1):
            assert counts_allowed(small, f"| 60:12 60:12 ,{left} {bar}", phrases=5) == {f",{left - 1}"}


def test_a_phrase_ends_after_a_note(small: Grammar) -> None:
    for prompt in ("", "|", "| 60:12 ,1", "| 62:8 62:16 ~", "| 62:8 62:16 ~ |", "| 62:8 62:16 |"):
        assert counts_allowed(small, prompt, phrases=3) == set()
    assert counts_allowed(small, "60:8", phrases=3) == set()  # nor in a pickup


def test_the_last_phrase_ends_with_the_melody(small: Grammar) -> None:
    assert counts_allowed(small, "| 60:12", phrases=1) == set()
    assert counts_allowed(small, "| 60:12 60:12", phrases=1) == {",0"}
    assert counts_allowed(small, "| 60:12", phrases=2) == {",1"}
    assert names_allowed(small, "| 60:12 60:12 ,0", phrases=1) == {"end"}
    assert names_allowed(small, "| 60:12 60:12 ,1", phrases=2) == {"|"}
    assert counts_allowed(small, "| 60:12 60:12 ,1 | 60:12", phrases=2) == set()
    assert counts_allowed(small, "| 60:12 60:12 ,1 | 60:12 60:12", phrases=2) == {",0"}


def test_the_last_phrase_ends_where_the_pickup_is_made_up_for(small: Grammar) -> None:
    start = "60:8 | 60:12 60:12 ,1 | "
    assert counts_allowed(small, start + "60:8", phrases=2) == set()
    assert counts_allowed(small, start + "60:8 62:8", phrases=2) == {",0"}
    assert names_allowed(small, start + "60:8 62:8 ,0", phrases=2) == {"end"}
    assert counts_allowed(small, start + "60:8 62:8 r:4", phrases=2) == set()
    assert counts_allowed(small, start + "60:8 62:8 r:4 r:4", phrases=2) == {",0"}  # or at a full bar
    assert names_allowed(small, start + "60:8 62:8 r:8 ,0", phrases=2) == {"end"}


def test_twelve_phrases_are_twelve_or_more(small: Grammar) -> None:
    phrase = "| 60:12 60:12 "
    for bar in ("| 60:12", phrase):
        assert counts_allowed(small, bar, phrases=MAX_PHRASES) == {",11"}
        for number in (1, 2, 20):
            assert counts_allowed(small, f"{phrase} ,11 " * number + bar, phrases=MAX_PHRASES) == {",11", ",10"}
        # Once it counts, it counts.
        assert counts_allowed(small, f"{phrase} ,11 {phrase} ,10 {bar}", phrases=MAX_PHRASES) == {",9"}
    countdown = " ".join(f"{phrase} {end}" for end in reversed(PHRASE_ENDS))
    assert names_allowed(small, countdown.removesuffix(" ,0"), phrases=MAX_PHRASES) == {",0", "|", "~"}
    assert names_allowed(small, countdown, phrases=MAX_PHRASES) == {"end"}
    assert names_allowed(small, f"{phrase} ,11 " * 5 + countdown, phrases=MAX_PHRASES) == {"end"}


def test_a_walk_of_many_phrases_counts_down(shipped: Grammar) -> None:
    rng = random.Random(12)
    seen = set()
    for _ in range(40):
        names = walk(shipped, ["major", "2/4", f"{MAX_PHRASES} phrases"], rng)
        said = [int(name[1:]) for name in names if name.startswith(",")]
        assert all(after == before - 1 or after == before == MAX_PHRASES - 1 for before, after in pairwise(said))
        if names[-2] == ",0":
            seen.add(len(said))
            assert said[-MAX_PHRASES:] == list(reversed(range(MAX_PHRASES)))
            assert set(said[:-MAX_PHRASES]) <= {MAX_PHRASES - 1}
    assert len(seen) > 1 and min(seen) >= MAX_PHRASES


def test_a_count_that_an_opening_gets_wrong_is_gone_on_from(small: Grammar) -> None:
    assert counts_allowed(small, "| 60:12 60:12 ,7 | 60:12", phrases=2) == {",6"}
    assert counts_allowed(small, "| 60:12 60:12 ,11 | 60:12", phrases=2) == {",11", ",10"}
    assert names_allowed(small, "| 60:12 60:12 ,0", phrases=5) == {"end"}
    # A last phrase in the middle of a bar: the bar is filled, and that is all.
    assert names_allowed(small, "| 60:12 ,0 60:8", phrases=5) == {"60:4", "r:4"}
    assert names_allowed(small, "| 60:12 ,0 60:12", phrases=5) == {"end"}


def test_a_melody_does_not_end_before_anything_sounds(small: Grammar) -> None:
    assert names_allowed(small, "| r:8 r:8 r:8", phrases=1) == {"|"}


# --- prompts against the rules --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "", "major", "major 3/4", "3/4 2 phrases", "major 2 phrases 3/4", "major minor 3/4", "| 3/4 2_phrases",
        "major 60:8 2_phrases", "3/4 3/4 2_phrases", "major | 60:8 62:8", "end 3/4 2_phrases",
    ],
)  # fmt: skip
def test_a_prompt_without_a_header_is_refused(small: Grammar, header: str) -> None:
    names = [name.replace("_", " ") for name in header.replace("2 phrases", "2_phrases").split()]
    with pytest.raises(ValueError, match="begins with mode, meter and number of phrases"):
        small.start(SMALL.encode(names))


@pytest.mark.parametrize(
    "prompt",
    [
        "| 60:12 62:16",  # too long a bar
        "| 60:8 |",  # too short a one
        "64:16 64:16 64:16",  # a pickup longer than a bar
        "~",
        "~ ~ | ~",
        "| 60:8 ~",  # a tie in the middle of a bar
        "| 60:12 r:4 r:4 ~ 62:8",
        "| r:8 ~",
        "| 62:16 r:4 ~",
        "| 60:12 64:16 ~ |",
        "| 62:16 ~ 60:4 ~",
        ",3 ,3 ,0 ,11",
        "| ,1 60:8 ,0 ,0 ,0 ,0 ,0",  # more phrases than there should be
        "| 60:12 ,0",  # the last one in the middle of a bar
        "| 60:12 ,5 60:8 ,9",  # counted upwards
        "| | | 60:4",
        "end",
        "| 60:12 60:12 end | end",
        "major 3/4 2_phrases | 3/4 60:8 minor",
    ],
)
@pytest.mark.parametrize("phrases", [1, 2, MAX_PHRASES])
def test_a_prompt_against_the_rules_comes_back_to_whole_bars(small: Grammar, prompt: str, phrases: int) -> None:
    start = ["major", "3/4", f"{phrases} phrases", *(word.replace("_", " ") for word in prompt.split()), "60:4"]
    assert_comes_back(small, start)


def assert_comes_back(grammar: Grammar, start: Sequence[str]) -> None:
    for seed in range(5):
        names = walk(grammar, start, random.Random(seed))
        ours = names[len(start) :]
        if "|" not in ours:
            continue
        ours = ours[ours.index("|") :]
        assert_ties_are_kept(ours)
        # From the next bar line on, whatever stood before it; the last bar may leave room for a pickup.
        *bars, last = ticks_of_bars(ours)
        full = Meter.parse(start[1]).bar
        assert all(length == full for length in bars), names
        assert last in (full, full - ticks_of_bars(names[3:])[0])


def ticks_of_bars(names: Sequence[str]) -> list[int]:
    """Ticks before each bar line and at the end, but for the first if it is nothing but a bar line."""
    bars = [0]
    for name in names:
        if name == "|":
            bars.append(0)
        elif ":" in name:
            bars[-1] += parse_note(name)[1]
    return bars[1:] if names[0] == "|" else bars


def test_any_prompt_at_all_comes_back_to_whole_bars(small: Grammar) -> None:
    rng = random.Random(8)
    for grammar in (small, Grammar(COARSE)):
        words = grammar.vocabulary.names
        for _ in range(60):
            meter = rng.choice(["2/4", "3/4"])
            opening = rng.choices(words, k=rng.randint(1, 12))
            assert_comes_back(grammar, ["minor", meter, f"{rng.choice([1, 3, 12])} phrases", *opening, "60:4"])


def test_a_bar_that_nothing_can_fill_ends_at_once() -> None:
    grammar = Grammar(COARSE)
    assert names_allowed(grammar, "| 60:10", meter="2/4") == {"|"}  # six are left
    assert names_allowed(grammar, "| 60:8", meter="2/4") == {"60:4", "60:8", "62:8", ",1"}  # nor would 60:10


def test_a_tie_that_nothing_can_go_on_is_let_go(small: Grammar) -> None:
    assert names_allowed(small, "| 64:16 ~", phrases=3) == {"r:4", "r:8", "60:4", "60:8", "62:8"}


def test_a_vocabulary_that_fills_no_bar_still_allows_something() -> None:
    grammar = Grammar(Vocabulary([*SIGNS, *HEADS, "60:10"]))
    for prompt in ("", "|", "| 60:10", "60:10 ~ |"):
        assert names_allowed(grammar, prompt)


def test_masks_are_made_once_and_not_shared_between_situations(small: Grammar) -> None:
    head = SMALL.encode(["major", "3/4", "2 phrases", "|"])
    first, second = small.start(head), small.start(head)
    assert first.allowed() is second.allowed()
    first.advance(SMALL.ids["60:12"])
    assert not torch.equal(first.allowed(), second.allowed())
