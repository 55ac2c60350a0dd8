"""The Embeddings tab: what a frozen sentence model knows of kinship in meaning, on a map."""

from tabs.embeddings.page import build

__all__ = ["build"]
