"""Outfits: read from links as they were written, clamped, and never the cause of an error."""

from __future__ import annotations

import pytest

from lab.text.outfits import BASE, MAX_PARTS, Outfit, blend, outfits_from_text, outfits_to_text, percent

TITLES = {"shakespeare": "Shakespeare", "tales": "Fairy tales"}


@pytest.mark.parametrize(
    "outfit",
    [
        Outfit((("shakespeare", 1.0),)),
        Outfit((("shakespeare", 0.0),)),
        Outfit((("own-A_b-1", 1.75), ("tales", 0.3333))),
        blend("shakespeare", "tales", 0.25, 1.5),
    ],
)
def test_an_outfit_is_read_as_it_was_written(outfit: Outfit) -> None:
    assert Outfit.from_text(outfit.to_text()) == (outfit, [])
    assert not outfit.is_base


def test_the_base_wears_nothing() -> None:
    assert BASE.is_base and not BASE.is_blend
    assert Outfit.from_text("base") == (BASE, [])
    assert BASE.to_text() == "base"
    assert BASE.label(TITLES) == "Base"


def test_a_blend_shares_its_strength_out() -> None:
    assert blend("a", "b", 0.25, 2.0).parts == (("a", 1.5), ("b", 0.5))
    assert blend("a", "b", 0.0).parts == (("a", 1.0), ("b", 0.0))
    assert blend("a", "b", 0.5).label({"a": "A"}) == "A 50 % + b 50 %"
    assert percent(0.333) == "33.3 %"


@pytest.mark.parametrize(
    ("text", "strength", "told"),
    [
        ("a", 1.0, ""),
        ("a=0.5", 0.5, ""),
        (" a = 2 ", 2.0, ""),
        ("a=7", 2.0, "outside 0 to 2"),
        ("a=-1", 0.0, "outside 0 to 2"),
        ("a=nan", 1.0, "nan is not possible"),
        ("a=inf", 2.0, "outside 0 to 2"),
        ("a=", 1.0, "is not possible"),
        ("a=strong", 1.0, "strong is not possible"),
        ("a=1=2", 1.0, "1=2 is not possible"),
    ],
)
def test_a_strength_is_clamped_with_a_note(text: str, strength: float, told: str) -> None:
    outfit, notes = Outfit.from_text(text)
    assert outfit == Outfit((("a", strength),))
    assert told in " ".join(notes)
    assert bool(told) is bool(notes)


@pytest.mark.parametrize("text", ["", "=1", "a b=1", "<b>=1", "a+=1", "../x=1", "a;b", "é" * 99])
def test_what_cannot_be_a_name_is_left_out(text: str) -> None:
    outfit, (note,) = Outfit.from_text(text)
    assert outfit is None
    assert "left out" in note and len(note) < 150


def test_columns_are_read_without_repetitions() -> None:
    outfits, notes = outfits_from_text("a=1; b=0.5+a=1 ;;a=1;base;a=0.5; !")
    assert [outfit.to_text() for outfit in outfits] == ["a=1", "b=0.5+a=1", "a=0.5"]
    assert len(notes) == 1
    assert outfits_from_text(outfits_to_text((BASE, *outfits))) == (outfits, [])


def test_a_blend_has_a_bounded_number_of_adapters() -> None:
    outfit, notes = Outfit.from_text("+".join(f"a{n}=1" for n in range(MAX_PARTS + 3)))
    assert len(outfit.parts) == MAX_PARTS
    assert "at most" in notes[0]
