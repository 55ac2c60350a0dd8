"""The pages. To add a tab, write a module with ``build(services) -> Page`` and add a line here."""

from __future__ import annotations

from dataclasses import dataclass

import lab as lab  # before Gradio, which loads NumPy: see there


@dataclass(frozen=True)
class Tab:
    """A tab: its name in links, its title, the module that builds it, and whether only a link shows it."""

    slug: str
    title: str
    module: str
    hidden: bool = False


# The first one is what the app opens with.
TABS = (
    Tab("start", "Start", "tabs.home"),
    Tab("embeddings", "Embeddings", "tabs.embeddings"),
    Tab("decoding", "Decoding", "tabs.decoding"),
    Tab("melodies", "Folk → Bach", "tabs.melodies"),
    Tab("lora", "LoRA", "tabs.lora"),
    Tab("reward", "Reward model", "tabs.reward"),
    Tab("reflection", "Reflection", "tabs.reflection"),
    Tab("class", "Class", "tabs.workshop", hidden=True),
)
