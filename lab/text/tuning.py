"""Training a language model on a text, in one of four ways: LoRA, the last block, every weight, prompt tuning.

:func:`tune` does one step after the other and hands out, now and then, the best weights so far. So whoever runs it
decides how it is shown, and when it ends: closing the generator is enough, and what was best is in hand already.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from lab.errors import TuningError
from lab.lora import Adapter, LoRALinear, adapter_of, inject, oriented, save_peft, sizes
from lab.text.losses import language_model_loss
from lab.text.tuning_settings import Method, TuningSettings

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

    from lab.text.vocabulary import Vocabulary

MIN_TOKENS = 200  # of a text, so that both parts of it are more than a few sentences
HELD_OUT = (0.8, 0.9)  # this stretch of a text; its end is often no text of the author's but a licence or notes
HELD_OUT_WINDOWS = 32  # that a measurement reads while it trains, evenly spread
EVALUATION_BATCH = 8
BETAS = (0.9, 0.98)


@dataclass(frozen=True)
class Corpus:
    """Token ids to train on and others to measure by, each of shape (tokens,)."""

    training: torch.Tensor
    held_out: torch.Tensor


@dataclass(frozen=True)
class Tuned:
    """What a training has made of the base model.

    Attributes:
        step: after which these were the weights; 0 before training.
        held_out_loss: in nats per token.
        adapter: what LoRA has learnt, None for the other methods.
        tensors: what the other methods have learnt, by the parameter's name; prompt tuning's is called ``prompt``.
    """

    method: Method
    step: int
    held_out_loss: float
    adapter: Adapter | None = None
    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """Number of numbers that were trained."""
        return self.adapter.parameters if self.adapter else sum(t.numel() for t in self.tensors.values())

    def save(self, folder: Path, base: str) -> Path:
        """Write what was trained, half precision, LoRA as PEFT does; return the file with the weights."""
        from safetensors.torch import save_file

        if self.adapter is not None:
            save_peft(self.adapter, folder, base)
            return folder / "adapter_model.safetensors"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.method}.safetensors"
        save_file({name: tensor.half().contiguous() for name, tensor in self.tensors.items()}, file)
        return file


@dataclass(frozen=True)
class TuningStep:
    """One step of training. Losses in nats per token.

    Attributes:
        step: number of steps done, 0 for the measurement before the first.
        steps: number of steps to be done.
        training_loss: of this step's batch before the weights moved; None for step 0.
        held_out_loss: None where it was not measured.
        best: the weights with the least held-out loss so far.
        seconds: that training and measuring have taken, without what others did between the steps.
        tokens: that were trained on.
    """

    step: int
    steps: int
    training_loss: float | None
    held_out_loss: float | None
    best: Tuned
    seconds: float
    tokens: int


def split_text(text: str, vocabulary: Vocabulary) -> Corpus:
    """Return a text's tokens, a contiguous tenth of them held out.

    Raises:
        TuningError: if the text is too short.
    """
    return split_tokens(vocabulary.encode(text))


def split_tokens(ids: Sequence[int]) -> Corpus:
    """Return token ids, a contiguous tenth of them held out. Raises TuningError if there are too few."""
    if len(ids) < MIN_TOKENS:
        raise TuningError(
            f"The text has {len(ids):,} tokens; at least {MIN_TOKENS} are needed (about {MIN_TOKENS * 3 // 4} words), "
            "and a few thousand words teach more."
        )
    tokens = torch.tensor(ids, dtype=torch.long)
    first, last = (int(share * len(tokens)) for share in HELD_OUT)
    return Corpus(torch.cat([tokens[:first], tokens[last:]]), tokens[first:last])


def blocks(tokens: torch.Tensor, context: int, count: int | None = None) -> torch.Tensor:
    """Return windows to measure by, shape (windows, context + 1): each token but the first is predicted once.

    A text shorter than a window is one window of its own length; what is left over at the end is left out.

    Args:
        count: so many of them, evenly spread; None for all.
    """
    context = min(context, len(tokens) - 1)
    windows = tokens.unfold(0, context + 1, context)
    if count is not None and count < len(windows):
        windows = windows[torch.linspace(0, len(windows) - 1, count).long()]
    return windows


def batches(tokens: torch.Tensor, context: int, batch_size: int, seed: int) -> Iterator[torch.Tensor]:
    """Yield windows to train on, (batch size, context + 1), for ever; the seed alone decides which.

    Each pass over the text is cut at another place and shuffled.
    """
    generator = torch.Generator().manual_seed(seed)
    context = min(context, len(tokens) - 1)
    waiting = torch.empty(0, dtype=torch.long)  # starts of windows
    while True:
        while len(waiting) < batch_size:
            offset = int(torch.randint(min(context, len(tokens) - context), (), generator=generator))
            starts = torch.arange(offset, len(tokens) - context, context)
            waiting = torch.cat([waiting, starts[torch.randperm(len(starts), generator=generator)]])
        yield torch.stack([tokens[start : start + context + 1] for start in waiting[:batch_size].tolist()])
        waiting = waiting[batch_size:]


@torch.no_grad()
def held_out_loss(model: GPT2LMHeadModel, windows: torch.Tensor, prompt: torch.Tensor | None = None) -> float:
    """Return the mean loss of windows, (windows, context + 1), in nats per token; the model is left as it was."""
    training, total = model.training, 0.0
    model.eval()
    for batch in windows.split(EVALUATION_BATCH):
        total += language_model_loss(model, batch, prompt).item() * len(batch)
    model.train(training)
    return total / len(windows)


@dataclass
class _Trainee:
    """A model in which what the method trains, and only that, wants gradients."""

    model: GPT2LMHeadModel
    method: Method
    layers: dict[str, LoRALinear] = field(default_factory=dict)
    prompt: nn.Parameter | None = None

    @property
    def trained(self) -> dict[str, nn.Parameter]:
        if self.prompt is not None:
            return {"prompt": self.prompt}
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def loss(self, windows: torch.Tensor) -> torch.Tensor:
        return language_model_loss(self.model, windows, self.prompt)

    def tuned(self, step: int, loss: float) -> Tuned:
        """Return copies of the weights of this moment."""
        if self.layers:
            return Tuned(self.method, step, loss, adapter=adapter_of(self.layers))
        return Tuned(self.method, step, loss, tensors={n: p.detach().clone() for n, p in self.trained.items()})


def _prepare(model: GPT2LMHeadModel, settings: TuningSettings, training: torch.Tensor) -> _Trainee:
    trainee = _Trainee(model, settings.method)
    model.requires_grad_(settings.method is Method.FULL)
    match settings.method:
        case Method.LORA:
            _check_rank(model, settings)
            trainee.layers = inject(model, settings.targets.modules, settings.rank, settings.alpha, settings.dropout)
        case Method.LAST_BLOCK:
            model.transformer.h[-1].requires_grad_(True)
            model.transformer.ln_f.requires_grad_(True)
        case Method.PROMPT:
            # Words of the text to start from: vectors that no text has are harder to move (Lester et al., 2021).
            places = torch.randint(len(training), (settings.virtual_tokens,))
            trainee.prompt = nn.Parameter(model.transformer.wte.weight[training[places]].detach().clone())
    return trainee


def _check_rank(model: GPT2LMHeadModel, settings: TuningSettings) -> None:
    """Raise TuningError where the change would be no smaller than the matrix."""
    block = model.transformer.h[0]
    for name in settings.targets.modules:
        if settings.rank > (smallest := min(sizes(block.get_submodule(name)))):
            raise TuningError(f"A rank of {settings.rank} is more than {name} has: at most {smallest} for this model.")


def tune(
    model: GPT2LMHeadModel, corpus: Corpus, settings: TuningSettings, *, held_out_windows: int = HELD_OUT_WINDOWS
) -> Iterator[TuningStep]:
    """Train a model on a corpus and yield every step, the first being a measurement before training.

    Cancel by closing the generator: ``best`` of the last step seen is what the training was worth. The same settings
    on the same corpus give the same weights: torch's random numbers are seeded here, so other users of them in the
    same process would disturb a training with dropout.

    Args:
        model: this training's own; it is changed.
        held_out_windows: how many windows a measurement reads.

    Raises:
        TuningError: if the settings do not fit the model, or if the loss is no longer a number.
    """
    torch.manual_seed(settings.seed)
    room = model.config.n_positions - (settings.virtual_tokens if settings.method is Method.PROMPT else 0)
    if room < 8:
        raise TuningError(f"{settings.virtual_tokens} virtual tokens leave no room for text in this model.")
    context = min(settings.context, room)
    trainee = _prepare(model, settings, corpus.training)
    parameters = list(trainee.trained.values())
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, betas=BETAS, weight_decay=0.0)
    windows = blocks(corpus.held_out, context, held_out_windows)
    batch_stream = batches(corpus.training, context, settings.batch_size, settings.seed)

    begun, seconds, tokens = time.perf_counter(), 0.0, 0
    held_out = held_out_loss(model, windows, trainee.prompt)
    best = trainee.tuned(0, held_out)
    model.train()
    for step in range(settings.steps + 1):
        loss = None
        if step > 0:
            begun = time.perf_counter()
            batch = next(batch_stream)
            loss = _step(trainee, batch, optimizer, settings.learning_rate * settings.learning_rate_factor(step - 1))
            tokens += batch[:, 1:].numel()
            held_out = None
            if step % settings.evaluate_every == 0 or step == settings.steps:
                held_out = held_out_loss(model, windows, trainee.prompt)
                if held_out < best.held_out_loss:
                    best = trainee.tuned(step, held_out)
        seconds += time.perf_counter() - begun
        yield TuningStep(step, settings.steps, loss, held_out, best, seconds, tokens)


def _step(trainee: _Trainee, batch: torch.Tensor, optimizer: torch.optim.Optimizer, learning_rate: float) -> float:
    """Do one step and return the loss before it, in nats per token. Raises TuningError if it is not finite."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    loss = trainee.loss(batch)
    if not math.isfinite(loss.item()):
        raise TuningError("The loss is no longer a number. Please choose a smaller learning rate.")
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trainee.trained.values(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


def tuned_model(base: GPT2LMHeadModel, tuned: Tuned) -> tuple[GPT2LMHeadModel, torch.Tensor | None]:
    """Return a copy of the base that does what was trained, and the prompt to put before its texts, if there is one."""
    model = copy.deepcopy(base).eval().requires_grad_(False)
    if tuned.method is Method.PROMPT:
        return model, tuned.tensors["prompt"]
    if tuned.adapter is not None:
        for name, (a, b) in tuned.adapter.matrices.items():
            layer = model.get_submodule(name)
            layer.weight += oriented(layer, a @ b * tuned.adapter.scale)
    model.load_state_dict(tuned.tensors, strict=False)
    return model, None
