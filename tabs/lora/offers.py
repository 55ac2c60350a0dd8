"""Which adapters a visitor is offered: those that ship with a model, and their own."""

from __future__ import annotations

from collections.abc import Collection

from lab.text.adapters import shipped_adapters
from lab.text.live_training import LiveSettings, estimate
from lab.text.models import LanguageModel, Models
from tabs.lora.render.train import duration
from tabs.rendering import message

Offers = tuple[tuple[str, str], ...]  # names and titles
GONE = (
    "“{title}” is not here any more: the connection was lost for too long, and your own adapters go with it. Reload "
    "the page, then upload it if you have saved it, or train it again."
)
TYPICAL_TOKENS = 20_000  # of a text that somebody trains on, about 15,000 words


def offers_here(models: Models, name: str, own: Offers = ()) -> Offers:
    """Return the adapters for a model: those that ship, then those of the visitor's own that it has."""
    if not models.is_loaded(name):
        return tuple((style, one.title) for style, one in shipped_adapters(name).items())
    model = models.get(name)
    ships = ((style, one.title) for style, one in model.adapters.items())  # those that do fit it
    return (*ships, *((style, title) for style, title in own if model.engine.adapter(style) is not None))


def loaded(model: LanguageModel, offered: Offers) -> dict[str, str]:
    """Return the titles, by name, of those adapters that the model's engine has."""
    return {name: title for name, title in offered if model.engine.adapter(name) is not None}


def gone(model: LanguageModel, offered: Offers, worn: Collection[str]) -> dict[str, str]:
    """Return the titles, by name, of the visitor's own adapters that are worn but not there any more.

    They go some time after the page has lost its connection, which it does not notice itself.
    """
    ships = shipped_adapters(model.name)
    here = loaded(model, offered)
    return {name: title for name, title in offered if name in worn and name not in here and name not in ships}


def without_adapters(models: Models, name: str) -> str:
    """Return what to say where a model has no adapter yet, with the time that training one takes."""
    title = models.choices.get(name, name)
    words = f"There is no adapter for “{title}” yet, so only the base can write. Train one on a text of yours"
    if not models.is_loaded(name):
        return message(f"{words}.")
    seconds = estimate(models.get(name), LiveSettings(), TYPICAL_TOKENS)
    return message(f"{words}: at the defaults that takes {duration(seconds)} here, once it is your turn.")
