"""What can go wrong in words fit for visitors. Apart from their causes, so that pages import them without torch."""

from __future__ import annotations


class VisitorError(RuntimeError):
    """Base of errors whose message can be shown as it is."""


class EngineError(VisitorError):
    """The engine could not carry a row out."""


class AdapterGone(EngineError, ValueError):
    """An adapter that a row asks for is not loaded, or not any more."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The adapter {name[:40]!r} is not there any more.")


class ModelUnavailable(VisitorError):
    """A model cannot be had."""


class PromptError(VisitorError, ValueError):
    """A prompt that cannot be continued."""


class UploadError(VisitorError, ValueError):
    """A file that cannot be read as what it is meant to be."""


class TuningError(VisitorError, ValueError):
    """A text that nothing can be learnt from, settings that do not fit a model, or a training that has gone astray."""
