"""No run of intervals grows longer than it may, whatever a model wants to write."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest

from lab.music.corpus import Collection, Split, Tune, load_split, load_vocabulary
from lab.music.grammar import Cadence, Grammar
from lab.music.originality import Original
from lab.music.plagiarism import EVERY_TUNE, LONGEST_RUN, Index, load_index
from lab.music.tokens import END, MODES, PHRASE_ENDS, TIE, Vocabulary, read

PITCHES = range(58, 70)
NAMES = ["end", "|", TIE, *PHRASE_ENDS, *MODES, "4/4", "1 phrases", "r:4", *(f"{pitch}:4" for pitch in PITCHES)]
SMALL = Vocabulary(NAMES)
HEADER = ["major", "4/4", "1 phrases"]


def tune_of(pitches: Sequence[int], name: str = "") -> Tune:
    return Tune(name, name, "", Split.TRAIN, 0, 0, (*HEADER, *(f"{pitch}:4" for pitch in pitches), END))


def index_of(*tunes: Sequence[int]) -> Index:
    return Index.of((Collection.FOLK, tune_of(pitches, str(number))) for number, pitches in enumerate(tunes))


def forbidden(index: Index, names: str, longest: int = 3) -> set[int]:
    """Return the pitches that may not follow, and check that the mask says the same."""
    state = Original(Grammar(SMALL), index, None, longest).start(SMALL.encode([*HEADER, *names.split()]))
    masked = {name for name, allowed in zip(NAMES, state.allowed().tolist(), strict=True) if not allowed}
    assert masked == {f"{pitch}:4" for pitch in state.forbidden() if pitch in PITCHES}
    return state.forbidden()


def test_followers_against_all_places() -> None:
    chooser = random.Random(4)
    for _ in range(40):
        tunes = [[60 + chooser.choice((0, 2, 3)) for _ in range(chooser.randint(1, 12))] for _ in range(4)]
        index = index_of(*tunes)
        run = [chooser.choice((-3, -2, -1, 0, 1, 2, 3)) for _ in range(chooser.randint(1, 3))]
        steps = [[b - a for a, b in pairwise(tune)] for tune in tunes]
        expected = {s[at + len(run)] for s in steps for at in range(len(s) - len(run)) if s[at : at + len(run)] == run}
        assert index.followers(run) == expected


def test_the_note_by_which_a_tune_goes_on_is_masked() -> None:
    index = index_of([60, 62, 64, 65, 67], [60, 62, 64, 65, 64])
    assert forbidden(index, "60:4 62:4 64:4 65:4") == {67, 64}
    assert forbidden(index, "61:4 63:4 65:4 66:4") == {68, 65}  # in any key
    assert forbidden(index, "62:4 64:4 65:4") == set()  # not so long yet
    assert forbidden(index, "60:4 62:4 64:4 66:4") == set()
    assert forbidden(index, "69:4 60:4 62:4 64:4 65:4") == {67, 64}  # what came before does not matter
    assert forbidden(index, "60:4 62:4 64:4 65:4", longest=4) == set()
    assert forbidden(index, "62:4 64:4 65:4 67:4") == set()  # there the tune ends


def test_rests_bar_lines_and_ties_do_not_hide_a_copy() -> None:
    index = index_of([60, 62, 64, 65, 67])
    assert forbidden(index, "| 60:4 r:4 62:4 | 64:4 65:4") == {67}
    assert forbidden(index, "60:4 62:4 ~ | 62:4 64:4 65:4") == {67}
    assert forbidden(index, "60:4 62:4 64:4 65:4 ~ |") == set()  # what is tied is no new note


def test_a_melody_never_gets_stuck() -> None:
    index = index_of([60, 60 + 1, 60 + 2, 60 + 3, 60 + 4])

    class OnlyOne:
        def start(self, ids: Sequence[int]) -> OnlyOne:
            return self

        def advance(self, token: int) -> None:
            pass

        def allowed(self) -> object:
            return Grammar(SMALL).of_pitch(64)

    prompt = SMALL.encode([*HEADER, "60:4", "61:4", "62:4", "63:4"])
    state = Original(Grammar(SMALL), index, OnlyOne(), 3).start(prompt)
    assert state.forbidden() == {64}
    assert state.allowed().any()


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar(load_vocabulary())


@pytest.mark.parametrize("collection", EVERY_TUNE)
def test_who_wants_to_copy_cannot(grammar: Grammar, collection: Collection) -> None:
    """A writer that knows a training tune by heart, and goes on by it wherever it may."""
    index, rng = load_index(EVERY_TUNE), random.Random(1)
    vocabulary = grammar.vocabulary
    stopped = 0
    for tune in rng.sample([t for t in load_split(collection, Split.TRAIN) if len(t.melody.pitches) > 30], 12):
        ids = vocabulary.encode(tune.tokens[:3])
        state = Original(grammar, index, Cadence(grammar)).start(ids)
        wanted = vocabulary.encode(tune.tokens)
        while ids[-1] != vocabulary.end:
            allowed = state.allowed().nonzero().flatten().tolist()
            wish = wanted[len(ids)] if len(ids) < len(wanted) else None
            stopped += wish is not None and wish not in allowed
            ids.append(wish if wish in allowed else rng.choice(allowed))
            state.advance(ids[-1])
        written = read(vocabulary.decode(ids))
        assert all(written.checks())
        steps = [b - a for a, b in pairwise(written.melody.pitches)]
        assert index.longest(steps)[1] <= LONGEST_RUN
    assert stopped >= 12


def test_an_opening_counts(grammar: Grammar) -> None:
    tune = load_split(Collection.BACH, Split.TRAIN)[0]
    names, sounding = list(tune.tokens[:3]), 0
    for name in tune.tokens[3:]:
        names.append(name)
        sounding += ":" in name and not name.startswith("r")
        if sounding > LONGEST_RUN:
            break
    state = Original(grammar, load_index(EVERY_TUNE)).start(grammar.vocabulary.encode(names))
    assert len(state.forbidden()) >= 1
