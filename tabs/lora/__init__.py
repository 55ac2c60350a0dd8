"""The LoRA tab: adapters on a frozen language model, toggled, blended, scaled and trained."""

from tabs.lora.page import build

__all__ = ["build"]
