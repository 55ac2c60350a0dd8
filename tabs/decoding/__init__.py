"""The Decoding tab: how much of a text is the model, and how much is the way its next token is chosen?"""

from tabs.decoding.page import build

__all__ = ["build"]
