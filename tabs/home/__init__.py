"""The first screen: what this is, one thing to press in each tab, and a tour of experiments."""

from tabs.home.page import build

__all__ = ["build"]
