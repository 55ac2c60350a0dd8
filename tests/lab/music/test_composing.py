"""Voices write what their settings and seed say, whoever else is served; with tiny models for all of them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import torch
from safetensors.torch import load_file, save_file

from lab.errors import ModelUnavailable, VisitorError
from lab.music.composing import (
    BACH_PHRASES,
    METERS,
    MelodySettings,
    Piece,
    bars_of,
    compose,
    prompt_of,
    row_of,
    write_all,
)
from lab.music.melody import Meter, Mode
from lab.music.opening import OpeningError, read_opening
from lab.music.tokens import MAX_PHRASES, PHRASE_ENDS
from lab.music.voices import VOICES, Voice, Voices, last_block_model, load_model
from lab.text.running import key_of
from tests.lab.music.conftest import CONTEXT, LAYERS, tiny_melody_model, voices_of
from tests.lab.text.conftest import wait_until

ALL = ",".join(Voice)
OWN_FILES = (Voice.LAST_BLOCK, Voice.FULL, Voice.SCRATCH)  # of a model that no other voice plays


def settings_of(voices: str = ALL, **changes: object) -> MelodySettings:
    return MelodySettings(**{"voices": voices, "phrases": 2} | changes)


def melodies(pieces: Sequence[Piece]) -> list[object]:
    """What must be the same to the last note; probabilities are sums, which other rows in a batch may reorder."""
    return [(piece.voice, piece.strength, piece.written, piece.given) for piece in pieces]


def together(calls: int, of: object) -> list[object]:
    """Call a function with 0, 1, 2 ... from as many threads that start at once, and return what it gave."""
    barrier = threading.Barrier(calls)
    results: list[object] = [None] * calls

    def work(number: int) -> None:
        barrier.wait(30)
        results[number] = of(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert None not in results
    return results


# --- seeds ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pieces(voices: Voices) -> list[Piece]:
    """What all voices write with these settings."""
    return compose(voices, settings_of())


def test_every_voice_is_served(voices: Voices, pieces: list[Piece]) -> None:
    assert [piece.voice for piece in pieces] == list(Voice)
    assert [piece.strength for piece in pieces] == [float(voice is Voice.LORA) for voice in Voice]
    assert all(voices.is_loaded(voice) for voice in Voice)
    assert len({piece.written for piece in pieces}) == len(Voice)  # each has a model, or a header, of its own
    engines = {voice: voices.engine(voice) for voice in Voice}
    assert engines[Voice.FOLK] is engines[Voice.HEADER] is engines[Voice.LORA]
    assert len(set(engines.values())) == len(Voice) - 2
    for piece in pieces:
        assert piece.mean_log_probability < 0 < piece.entropy


def test_voices_are_heard_in_their_order_whatever_the_setting_says(voices: Voices, pieces: list[Piece]) -> None:
    some = compose(voices, settings_of("scratch,lora,folk,lora"))
    chosen = [pieces[list(Voice).index(voice)] for voice in (Voice.FOLK, Voice.LORA, Voice.SCRATCH)]
    assert melodies(some) == melodies(chosen)


def test_the_same_settings_give_the_same_melodies(voices: Voices, pieces: list[Piece]) -> None:
    again = compose(voices, settings_of())
    assert melodies(again) == melodies(pieces)
    for one, other in zip(again, pieces, strict=True):
        assert one.mean_log_probability == pytest.approx(other.mean_log_probability, abs=1e-4)
        assert one.entropy == pytest.approx(other.entropy, abs=1e-4)


def test_another_seed_gives_others(voices: Voices, pieces: list[Piece]) -> None:
    others = write_all(voices, settings_of(), [(voice, None, seed) for voice in Voice for seed in (8, 9)])
    for voice, piece in zip(Voice, pieces, strict=True):
        assert len({piece.written, *(other.written for other in others if other.voice is voice)}) > 1, voice


def test_twelve_who_compose_at_once_get_what_each_gets_alone(voices: Voices) -> None:
    wishes = [
        settings_of(
            "folk,lora" if number % 2 else "header,last-block",
            seed=number,
            strength=number / 6,
            phrases=1 + number % 2,
            mode=list(Mode)[number % 2],
            meter=METERS[number % 3],
            opening="" if number % 6 == 0 else "c2 d2 e2\nf2",
        )
        for number in range(12)
    ]
    alone = [melodies(compose(voices, settings)) for settings in wishes]
    at_once = together(12, lambda number: melodies(compose(voices, wishes[number])))
    assert at_once == alone


def test_a_model_is_loaded_once_however_many_ask_at_once(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    load = Voices._load
    monkeypatch.setattr(Voices, "_load", lambda self, *which: loads.append(which) or load(self, *which))
    voices = voices_of(models)
    try:
        assert not voices.is_loaded(Voice.FOLK)
        engines = together(8, lambda number: voices.engine(list(Voice)[number % 2]))  # folk and header
        assert len(set(engines)) == len(loads) == 1
        assert voices.is_loaded(Voice.LORA) and not voices.is_loaded(Voice.FULL)
    finally:
        voices.close()
    assert not voices.is_loaded(Voice.FOLK)


# --- the mask -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("meter", ["4/4", "3/8"])
def test_with_the_mask_all_bars_are_complete(voices: Voices, meter: str) -> None:
    wishes = [(voice, None, seed) for voice in Voice for seed in range(3)]
    written = [piece.written for piece in write_all(voices, settings_of(meter=meter), wishes)]
    for one in written:
        assert all(one.checks()), one  # also where the model's memory ended before the melody did
        assert one.melody.complete or not one.ended
    assert sum(one.ended for one in written) > 12


def test_without_the_mask_they_are_not(voices: Voices) -> None:
    for piece in compose(voices, settings_of("folk", mask=0)):
        complete, bars = bars_of(piece)
        assert complete < bars


# --- strength -------------------------------------------------------------------------------------------------------


def test_at_strength_zero_the_lora_is_the_folk_voice(voices: Voices) -> None:
    seed = 20
    (folk,) = compose(voices, settings_of("folk", seed=seed))
    (lora,) = compose(voices, settings_of("lora", seed=seed, strength=0.0))
    assert replace(lora, voice=Voice.FOLK) == folk  # probabilities and all
    one, zero, other = write_all(
        voices, settings_of(seed=seed), [(Voice.FOLK, None, None), (Voice.LORA, 0.0, None), (Voice.LORA, 1.0, None)]
    )
    assert zero.written == one.written == folk.written != other.written
    assert (zero.strength, other.strength) == (0.0, 1.0)


def test_wishes_override_strength_and_seed(voices: Voices) -> None:
    settings = settings_of("lora", strength=0.5, seed=3)
    wishes = [(Voice.LORA, None, None), (Voice.LORA, 1.5, None), (Voice.LORA, None, 4), (Voice.FULL, 1.5, 4)]
    half, more, seeded, full = write_all(voices, settings, wishes)
    assert melodies([half]) == melodies(compose(voices, settings))
    assert melodies([more]) == melodies(compose(voices, settings_of("lora", strength=1.5, seed=3)))
    assert melodies([seeded]) == melodies(compose(voices, settings_of("lora", strength=0.5, seed=4)))
    assert melodies([full]) == melodies(compose(voices, settings_of("full", seed=4)))
    assert (half.strength, more.strength, full.strength) == (0.5, 1.5, 0.0)


def test_nothing_to_write(voices: Voices) -> None:
    assert write_all(voices, settings_of(), []) == []


# --- prompts --------------------------------------------------------------------------------------------------------


def test_the_header_voice_asks_for_what_is_usual_in_bach(voices: Voices, pieces: list[Piece]) -> None:
    settings = settings_of("header", meter="3/8", phrases=2, opening="", mode="major")
    assert prompt_of(settings, Voice.HEADER) == (["major", "4/4", f"{BACH_PHRASES} phrases"], 0)
    assert BACH_PHRASES == 6
    for voice in Voice:
        if voice is not Voice.HEADER:
            assert prompt_of(settings, voice) == (["major", "3/8", "2 phrases"], 0)
    (piece,) = compose(voices, settings)
    assert piece.melody.meter == Meter(4, 4)
    if piece.written.ended:
        assert sum(note.phrase_end for note in piece.melody.notes) == 6


@pytest.mark.parametrize("opening", ["E2 | A2 B2 c2 d2 | e4", "c8 d8- | d2", "c2 z2 e4\nf4\ng", "c2 ^f2 c12"])
def test_an_opening_stands_at_the_beginning(voices: Voices, opening: str) -> None:
    settings = settings_of("folk,header,lora", opening=opening, phrases=3)
    given = read_opening(opening, Meter(4, 4), Mode.MINOR)
    for piece in compose(voices, settings):
        assert piece.given == len(given.notes)
        assert piece.given_pitches == len(given.pitches)  # of a rest there is no interval to leave out
        *begun, last = piece.melody.notes[: piece.given]
        assert begun == list(given.notes[:-1])
        # What the voice adds to the last one is a tie, or the end of a phrase.
        assert (last.pitch, last.duration >= given.notes[-1].duration) == (given.notes[-1].pitch, True)
        assert piece.melody.pickup == given.pickup
        assert piece.melody.duration > given.duration


def test_no_opening_gives_no_notes(voices: Voices) -> None:
    for piece in compose(voices, settings_of("folk,full", opening=" \n")):
        assert piece.given == 0


@pytest.mark.parametrize("lines", [1, 4, 11])
def test_an_opening_with_all_phrases_asked_for_gets_one_more(voices: Voices, lines: int) -> None:
    settings = settings_of("folk,header,lora", opening="c8\n" * lines, phrases=min(lines, 4), mask=1)
    expected = max(lines + 1, 4 if lines >= 4 else 0)
    names, given = prompt_of(settings, Voice.FOLK)
    assert names[2] == f"{expected} phrases"
    assert [name for name in names if name in PHRASE_ENDS] == [f",{expected - 1 - n}" for n in range(lines)]
    assert given == lines
    for piece in compose(voices, settings):
        ends = sum(note.phrase_end for note in piece.melody.notes)
        assert len(piece.melody.notes) > lines
        if piece.written.ended:
            assert ends == (expected if piece.voice is not Voice.HEADER else max(6, lines + 1))


@pytest.mark.parametrize("lines", [12, 20])
def test_an_opening_of_twelve_phrases_and_more_gets_one_more(lines: int) -> None:
    settings = settings_of("folk", opening="c8\n" * lines, phrases=4)
    names, _ = prompt_of(settings, Voice.FOLK)
    assert names[2] == f"{MAX_PHRASES} phrases"
    assert ",0" not in names


def test_an_opening_that_cannot_be_used_is_refused(voices: Voices) -> None:
    for opening in ("[CEG]", "z4", "C,,,,,, c", "c13/4"):
        with pytest.raises(OpeningError):
            compose(voices, settings_of(opening=opening))


def test_an_opening_longer_than_the_models_memory_is_refused(voices: Voices) -> None:
    with pytest.raises(VisitorError):
        compose(voices, settings_of("folk", opening="c16 " * 64))


def test_an_opening_that_only_the_header_voice_does_not_know_is_refused(voices: Voices) -> None:
    settings = settings_of("header", meter="2/4", mode="major", opening="c c14/4")
    row_of(voices, settings, Voice.FOLK)
    with pytest.raises(OpeningError, match="never met"):  # in 4/4 no bar line divides it
        row_of(voices, settings, Voice.HEADER)


def test_a_row_fills_the_context(voices: Voices) -> None:
    for voice in Voice:
        row = row_of(voices, settings_of(), voice)
        assert len(row.prompt) + row.max_new_tokens == CONTEXT
        assert (row.adapter is not None) is (voice is Voice.LORA)


@pytest.mark.parametrize("rules", [{}, {"originality": False}, {"cadence": False}, {"mask": False}], ids=str)
def test_equal_settings_make_equal_rows(voices: Voices, rules: dict[str, bool]) -> None:
    """Those who follow one link are served by one row, whatever the rules hold."""
    one, same = (key_of(row_of(voices, settings_of(seed=3, **rules), Voice.FOLK), ()) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    assert key_of(row_of(voices, settings_of(seed=4, **rules), Voice.FOLK), ()) != one


def test_silence_is_told_kindly(voices: Voices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.music.composing.read", lambda names: (_ for _ in ()).throw(ValueError("nothing sounds")))
    with pytest.raises(VisitorError, match="“Folk” wrote nothing that sounds. Please try another seed"):  # noqa: RUF043
        compose(voices, settings_of("folk"))


# --- settings -------------------------------------------------------------------------------------------------------


def test_unknown_voices_give_a_note() -> None:
    settings, notes = MelodySettings.lenient({"voices": "folk,mozart,full"})
    assert settings.voices == "folk,full"
    assert len(notes) == 1 and "'mozart'" in notes[0] and "scratch" in notes[0]
    for nothing in ("mozart", "", ",,"):
        settings, notes = MelodySettings.lenient({"voices": nothing})
        assert settings.chosen == (Voice.FOLK,)
        assert len(notes) == (nothing == "mozart")


def test_out_of_range_is_clamped() -> None:
    asked = {"phrases": "99", "temperature": "0", "top_p": 7, "seed": -4, "strength": "1e9", "tempo": 1, "mask": 3}
    settings, notes = MelodySettings.lenient(asked)
    assert (settings.phrases, settings.temperature, settings.top_p, settings.seed) == (MAX_PHRASES, 0.05, 1.0, 0)
    assert (settings.strength, settings.tempo, settings.mask) == (2.0, 40, 1)
    assert len(notes) == len(asked)


def test_what_there_is_none_of_becomes_the_default() -> None:
    asked = {"meter": "5/4", "mode": "dorian", "instrument": "Kazoo", "view": "x", "seed": "no", "opening": "c" * 2001}
    settings, notes = MelodySettings.lenient({**asked, "nonsense": 1})
    assert settings == MelodySettings()
    assert [note.partition(":")[0] for note in notes] == list(asked)


def test_a_link_is_read_back() -> None:
    settings = settings_of("lora", opening="c2 ^d2\n| e'/2", seed=99, strength=0.25, meter="6/8", mode="major")
    assert MelodySettings.lenient(dict(parse_qsl(settings.to_query(), keep_blank_values=True))) == (settings, [])
    empty = settings_of(opening="")
    assert MelodySettings.lenient(dict(parse_qsl(empty.to_query(), keep_blank_values=True)))[0].opening == ""


def test_every_meter_is_one_that_the_models_know(voices: Voices) -> None:
    assert set(METERS) <= {str(meter) for meter in voices.vocabulary.meters}
    for meter in METERS:
        assert MelodySettings(meter=meter).meter == meter


# --- files ----------------------------------------------------------------------------------------------------------


def test_the_last_block_has_the_bases_other_weights(models: Path) -> None:
    folder = models / "adapters" / "bach-last-block"
    model, base = last_block_model(models / "base", folder).state_dict(), load_model(models / "base").state_dict()
    trained = load_file(folder / "last_block.safetensors")
    assert {name.split(".")[1] for name in trained} == {"h", "ln_f"}
    assert {name.split(".")[2] for name in trained if ".h." in name} == {str(LAYERS - 1)}
    assert model.keys() == base.keys() >= trained.keys()
    for name, tensor in model.items():
        assert torch.equal(tensor, trained[name].float() if name in trained else base[name]), name
    other = dict(tiny_melody_model(3).named_parameters())
    name = f"transformer.h.{LAYERS - 1}.mlp.c_fc.weight"
    assert not torch.equal(model[name], base[name])
    assert torch.allclose(model[name], other[name], atol=1e-3)


@pytest.fixture
def copied(models: Path, tmp_path: Path) -> Path:
    """A copy of all models, to be damaged."""
    return shutil.copytree(models, tmp_path / "models")


def assert_only_these_fail(folder: Path, failing: set[Voice]) -> None:
    before, voices = engines(), voices_of(folder)
    try:
        for voice in Voice:
            settings = settings_of(str(voice), phrases=1)
            if voice not in failing:
                assert compose(voices, settings)[0].voice is voice
                continue
            for _ in range(2):  # nor is it there when it is asked for again
                with pytest.raises(ModelUnavailable) as error:
                    compose(voices, settings)
                assert str(error.value) == (
                    f"The voice “{VOICES[voice].title}” could not be loaded: its files are missing or damaged."
                )
            assert not voices.is_loaded(voice)
    finally:
        voices.close()
    wait_until(lambda: engines() == before)  # none is left behind by a voice that could not be loaded


def engines() -> int:
    return sum(thread.name == "decoding-engine" for thread in threading.enumerate())


BASED = {Voice.FOLK, Voice.HEADER, Voice.LORA}


@pytest.mark.parametrize(
    ("missing", "failing"),
    [
        ("adapters/bach-full/model.safetensors", {Voice.FULL}),
        ("adapters/bach-scratch/config.json", {Voice.SCRATCH}),
        ("adapters/bach-last-block/last_block.safetensors", {Voice.LAST_BLOCK}),
        ("adapters/bach-lora/adapter_config.json", BASED),  # which share an engine
        ("base/model.safetensors", BASED | {Voice.LAST_BLOCK}),
    ],
)
def test_missing_files(copied: Path, missing: str, failing: set[Voice]) -> None:
    (copied / missing).unlink()
    assert_only_these_fail(copied, failing)


def test_damaged_files(copied: Path) -> None:
    adapters = copied / "adapters"
    whole = (adapters / "bach-full" / "model.safetensors").read_bytes()
    (adapters / "bach-full" / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    (adapters / "bach-scratch" / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    save_file({"transformer.h.9.ln_1.weight": torch.ones(3)}, adapters / "bach-last-block" / "last_block.safetensors")
    assert_only_these_fail(copied, set(OWN_FILES))


def test_weights_of_another_model(copied: Path) -> None:
    adapters = copied / "adapters"
    path = adapters / "bach-full" / "model.safetensors"
    tensors = load_file(path)
    del tensors["transformer.h.0.mlp.c_fc.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    last = adapters / "bach-last-block" / "last_block.safetensors"
    save_file({name: tensor[..., :-1].contiguous() for name, tensor in load_file(last).items()}, last)
    (adapters / "bach-scratch" / "config.json").write_text("{", encoding="utf-8")
    assert_only_these_fail(copied, set(OWN_FILES))


def test_files_that_come_later_are_found(copied: Path, tmp_path: Path) -> None:
    folder = copied / "adapters" / "bach-full"
    folder.rename(tmp_path / "away")
    voices = voices_of(copied)
    try:
        with pytest.raises(ModelUnavailable):
            voices.engine(Voice.FULL)
        (tmp_path / "away").rename(folder)
        assert compose(voices, settings_of("full", phrases=1))
    finally:
        voices.close()
