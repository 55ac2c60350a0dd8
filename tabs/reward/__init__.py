"""The Reward model tab: rankings become a reward model, which chooses, and is fooled."""

from tabs.reward.page import build

__all__ = ["build"]
