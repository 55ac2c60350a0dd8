"""The Reflection tab: what each method froze and changed, what it cost, and what to discuss."""

from tabs.reflection.page import build

__all__ = ["build"]
