"""“What is frozen” shows what the voices say of themselves."""

from __future__ import annotations

from lab.music.voices import VOICES, Part, Voice, training_table
from tabs.melodies.inside import LAYERS, METHODS
from tabs.melodies.render.figures import anatomy
from tests.tabs.pages import Page


def picture(method: str) -> list[tuple[str, str]]:
    """Return each part of the model with what became of it."""
    rows = Page(anatomy(LAYERS, method, training_table())).find("li")
    return [(attributes["class"], text) for attributes, text in rows]


def test_all_that_was_trained_can_be_chosen_and_is_explained() -> None:
    trained = [voice for voice, about in VOICES.items() if not about.is_base]
    assert METHODS.keys() == {"folk", *trained}
    assert all(training_table()["shipped"].keys() >= {voice} for voice in trained)
    for voice in trained:
        about = VOICES[voice]
        assert about.stage and about.explanation and (about.trained or about.beside)


def test_the_picture_shows_what_a_voice_says_of_itself(monkeypatch) -> None:
    for voice, about in VOICES.items():
        changed = [text for kind, text in picture(voice) if kind == "sd-changed"]
        assert len(changed) == sum(LAYERS - 1 if part is Part.LOWER_BLOCKS else 1 for part in about.trained)
    assert [text[:7] for kind, text in picture("last-block") if kind == "sd-changed"] == ["Block 4", "Final n"]
    beside = [text for _, text in picture("lora") if "A·B, rank 8" in text]
    assert [text[:7] for text in beside] == [f"Block {n + 1}" for n in range(LAYERS)]
    about = VOICES[Voice.LAST_BLOCK]
    monkeypatch.setitem(VOICES, "below", type(about)(**vars(about) | {"trained": frozenset({Part.LOWER_BLOCKS})}))
    assert [text[:7] for kind, text in picture("below") if kind == "sd-changed"] == ["Block 1", "Block 2", "Block 3"]
