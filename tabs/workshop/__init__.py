"""A class that works with one code: the banner that shows it, and the teacher's page."""

from tabs.workshop.page import build

__all__ = ["build"]
