"""Whose rankings the reward model learns from: the controls over all tools that use one."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.preferences.annotators import ANNOTATORS
from lab.preferences.bradley_terry import Features
from lab.preferences.heads import HeadKind
from lab.preferences.learning import Learner
from lab.preferences.settings import RewardSettings, Source
from tabs.controls import slider
from tabs.reward.examples import EXAMPLES
from tabs.reward.panels import OVERDONE

log = logging.getLogger(__name__)

SOURCES = [
    ("my own rankings", str(Source.OWN)),
    ("those of my class", str(Source.CLASS)),
    ("simulated annotator", str(Source.ANNOTATOR)),
    ("a mix of all of them", str(Source.MIX)),
]
FEATURES = [
    ("embedding and word vectors", str(Features.BOTH)),
    ("the text's embedding alone", str(Features.COMPLETION)),
    ("… and times the prompt's", str(Features.WITH_PROMPT)),
    ("word vectors, averaged", str(Features.WORDS)),
]
HEADS = [("a linear head", str(HeadKind.LINEAR)), ("a small MLP", str(HeadKind.MLP))]


def add_learns() -> tuple[gr.Accordion, dict[str, Any]]:
    """Add the controls; return what they stand in, and them by the name of their setting."""
    default = RewardSettings.default
    accordion = gr.Accordion("The reward model learns from …", open=True, visible=False, elem_id="sd-reward-learns")
    with accordion, gr.Row():
        source = gr.Dropdown(SOURCES, value=str(default("source")), label="Rankings", min_width=180, scale=5)
        annotator = gr.Dropdown(
            [(one.title, name) for name, one in ANNOTATORS.items()],
            value=default("annotator"),
            label="Annotator: the true rule",
            min_width=210,
            scale=6,
        )
        rankings = slider(RewardSettings, "rankings", "Its rankings", step=10, min_width=200, scale=5)
        head = gr.Dropdown(HEADS, value=str(default("head")), label="What is trained", min_width=130, scale=4)
        features = gr.Dropdown(
            FEATURES, value=str(default("features")), label="What the head sees", min_width=210, scale=6
        )
    return accordion, {
        "source": source,
        "annotator": annotator,
        "rankings": rankings,
        "head": head,
        "features": features,
    }


def warm(learner: Learner) -> None:
    """Fit what the examples and the first sight of the tools ask for, so that a click shows them at once."""
    for settings in (RewardSettings(), RewardSettings(**OVERDONE), *(settings for _, settings in EXAMPLES)):
        try:
            learner.learn(settings)
        except (VisitorError, OSError) as error:
            log.warning("the reward tab is not warm: %s", error)
            return
