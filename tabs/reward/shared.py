"""What the tools of the tab have in common: their controls, and whose rankings the reward model learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from lab.preferences.learning import Learner, Learnt
from lab.preferences.settings import RewardSettings
from tabs.controls import NamedControls
from tabs.page import Services
from tabs.reward.fooled import Kept, of_annotator


@dataclass(frozen=True)
class Shared:
    """What every tool is given.

    Attributes:
        learner: fits reward models, and keeps them: asked twice for the same it answers at once.
        session: holds the visitor's random id, empty before there is anything to keep.
        class_code: holds the code of the visitor's class, empty for none.
        added: a ``gr.State`` with pairs (prompt, chosen, rejected) that the visitor has added while breaking a model,
            each with its annotator: see :mod:`tabs.reward.fooled`.
    """

    services: Services
    learner: Learner
    session: gr.Textbox
    class_code: gr.Textbox
    added: gr.State

    @property
    def inputs(self) -> list[Any]:
        """Whose rankings are learnt from: what :meth:`learn` takes after the settings, in its order."""
        return [self.session, self.class_code, self.added]

    def learn(self, settings: RewardSettings, session: str, class_code: str, added: Kept) -> Learnt:
        """Return the reward model for the settings, which learns from its annotator's added pairs alone.

        Raises what ``learner.learn`` does.
        """
        return self.learner.learn(settings, session, class_code, of_annotator(added, settings.annotator))


class Controls(NamedControls):
    """The controls of the tab."""

    def settings(self, *values: Any) -> tuple[RewardSettings, list[str]]:
        """Return the settings that the controls show, and notes on what had to be changed."""
        named = self.named(values)
        for name in ("mixed",):
            if name in named:
                named[name] = int(bool(named[name]))
        return RewardSettings.lenient({name: value for name, value in named.items() if value is not None})

    def updates(self, settings: RewardSettings) -> list[Any]:
        """Return values that make the controls show settings."""
        shown = settings.model_dump(mode="json") | {"mixed": bool(settings.mixed)}
        return [shown[name] for name in self.components]
