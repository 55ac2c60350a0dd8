"""What can be set about training on a text. Apart from the training, so that pages read it without torch."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from lab.settings import Settings


class Method(StrEnum):
    """What is trained; all else stays frozen."""

    LORA = "lora"  # changes of low rank beside the blocks' matrices (Hu et al., 2021)
    LAST_BLOCK = "last-block"  # the last block and the final norm
    FULL = "full"  # every weight
    PROMPT = "prompt"  # a few vectors before the text (Lester et al., 2021)


class Targets(StrEnum):
    """Beside which matrices of every block LoRA puts its changes."""

    ALL = "all"
    ATTENTION = "attention"
    MLP = "mlp"
    INPUTS = "inputs"  # the first matrix of attention and of the MLP
    QUERY_KEY_VALUE = "query-key-value"

    @property
    def modules(self) -> tuple[str, ...]:
        """The ends of the modules' names in a GPT-2."""
        return _MODULES[self]


_MODULES = {
    Targets.ALL: ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"),
    Targets.ATTENTION: ("attn.c_attn", "attn.c_proj"),
    Targets.MLP: ("mlp.c_fc", "mlp.c_proj"),
    Targets.INPUTS: ("attn.c_attn", "mlp.c_fc"),
    Targets.QUERY_KEY_VALUE: ("attn.c_attn",),
}


class TuningSettings(Settings):
    """How to train on a text.

    Attributes:
        rank: of LoRA's changes, which are scaled by alpha / rank.
        dropout: on the input of LoRA's changes.
        virtual_tokens: how many vectors prompt tuning puts before the text.
        context: tokens of a window; a model's own context is the limit.
        batch_size: windows of a step.
        warmup: share of the steps in which the learning rate rises from zero.
        decay: share of the steps, at the end, in which it falls to zero.
        evaluate_every: steps between two measurements of the held-out loss.
        seed: of the starting values, of dropout and of the order of the windows.
    """

    method: Method = Method.LORA
    rank: int = Field(4, ge=1, le=64)
    alpha: float = Field(8.0, ge=0.5, le=256)
    dropout: float = Field(0.0, ge=0, le=0.5)
    targets: Targets = Targets.ALL
    virtual_tokens: int = Field(16, ge=1, le=64)
    steps: int = Field(60, ge=1, le=2000)
    learning_rate: float = Field(3e-3, ge=1e-5, le=0.3)
    batch_size: int = Field(4, ge=1, le=32)
    context: int = Field(256, ge=8, le=1024)
    warmup: float = Field(0.05, ge=0, le=0.5)
    decay: float = Field(0.5, ge=0, le=1)
    evaluate_every: int = Field(20, ge=1, le=500)
    seed: int = Field(0, ge=0, le=2**31 - 1)

    def learning_rate_factor(self, step: int) -> float:
        """Return the factor on the learning rate, 0 to 1: linear warm-up, constant, linear decay; step from 0."""
        warmup = min(1.0, (step + 1) / max(1.0, self.warmup * self.steps))
        decay = min(1.0, (self.steps - step) / max(1.0, self.decay * self.steps))
        return min(warmup, decay)
