"""The Folk → Bach tab: a model of folk songs, what a little training on chorales makes of it, and how to hear that."""

from tabs.melodies.page import build

__all__ = ["build"]
