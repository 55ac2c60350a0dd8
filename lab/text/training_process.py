"""Training in a process of its own: python -m lab.text.training_process

It talks through its pipes and writes no file. It reads one line of JSON, the job, then as many token ids (int32) as the
job says; and writes lines of JSON, some of them followed by as many bytes of safetensors as they say. When its input
ends, because the app does not want it any more or is dead itself, it ends at once.
"""

from __future__ import annotations

import copy
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lab.errors import TuningError

if TYPE_CHECKING:
    import torch
    from transformers import GPT2LMHeadModel

    from lab.text.tuning import Tuned, TuningStep

NICENESS = 10  # of nineteen: whoever generates in the meantime comes first
OWN_TEXTS, OWN_TOKENS = 16, 64  # that the base writes itself, to measure what it forgets

Send = Callable[..., None]


def main() -> None:
    """Do the job that comes in, and end."""
    source, target = sys.stdin.buffer, _private_output()
    job = json.loads(source.readline())
    tokens = source.read(4 * job["tokens"])
    threading.Thread(target=_end_with, args=[source.fileno()], daemon=True).start()
    _step_back()

    def send(message: Mapping[str, Any], payload: bytes = b"") -> None:
        target.write(json.dumps(message | {"bytes": len(payload)}).encode() + b"\n" + payload)
        target.flush()

    try:
        work(job, tokens, send)
        send({"kind": "done"})
    except TuningError as error:
        send({"kind": "failed", "message": str(error)})


def work(job: Mapping[str, Any], tokens: bytes, send: Send) -> None:
    """Train as often as the job says, each time from the base.

    Args:
        job: ``folder`` of the base, ``threads``, ``runs`` (a list of settings), and ``forgetting``, whether to measure
            it.
        tokens: ids of the text, int32.
    """
    import numpy as np
    import torch
    from transformers import GPT2LMHeadModel

    from lab.text.training_pace import MEASURED_WINDOWS
    from lab.text.tuning import blocks, held_out_loss, split_tokens, tune
    from lab.text.tuning_settings import TuningSettings

    torch.set_num_threads(job["threads"])
    corpus = split_tokens(np.frombuffer(tokens, dtype=np.int32).astype(np.int64))
    base = GPT2LMHeadModel.from_pretrained(
        job["folder"], dtype=torch.float32, use_safetensors=True, local_files_only=True
    ).eval()
    own = own_texts(base) if job["forgetting"] else None
    for number, values in enumerate(job["runs"]):
        settings = TuningSettings(**values)
        windows = blocks(corpus.held_out, settings.context, MEASURED_WINDOWS)
        # Not what the first step tells: the vectors of prompt tuning stand in front of the base there already.
        before = None if own is None else held_out_loss(base, windows)
        step = None
        for step in tune(copy.deepcopy(base), corpus, settings, held_out_windows=MEASURED_WINDOWS):
            _tell(step, number, send)
        if step is not None:
            send({"kind": "finished", "run": number, "held_out_before": before} | _outcome(step, base, own))


def _tell(step: TuningStep, number: int, send: Send) -> None:
    """Send one step, and the adapter where it is a new best."""
    from lab.lora import CONFIG_FILE, WEIGHTS_FILE, peft_files

    message = {
        "kind": "step",
        "run": number,
        "step": step.step,
        "steps": step.steps,
        "training_loss": step.training_loss,
        "held_out_loss": step.held_out_loss,
        "seconds": step.seconds,
        "tokens": step.tokens,
    }
    if step.best.adapter is None or step.best.step != step.step:
        send(message)
    else:
        files = peft_files(step.best.adapter, "", half=False)
        send(message | {"config": json.loads(files[CONFIG_FILE])}, files[WEIGHTS_FILE])


def _outcome(step: TuningStep, base: GPT2LMHeadModel, own: torch.Tensor | None) -> dict[str, Any]:
    """Return what came of a training: numbers trained, seconds, held-out loss, and how far the model has moved."""
    from lab.text.tuning import held_out_loss, tuned_model

    outcome = {
        "parameters": step.best.parameters,
        "seconds": step.seconds,
        "best_step": step.best.step,
        "held_out_loss": step.best.held_out_loss,
    }
    if own is not None:
        model, prompt = tuned_model(base, step.best)
        outcome["forgetting"] = held_out_loss(model, own, prompt) - held_out_loss(base, own)
        outcome["file_bytes"] = _file_bytes(step.best)
    return outcome


def _file_bytes(tuned: Tuned) -> int:
    """Return the size of the file with what was trained, in half precision."""
    from safetensors.torch import save

    from lab.lora import WEIGHTS_FILE, peft_files

    if tuned.adapter is not None:
        return len(peft_files(tuned.adapter, "")[WEIGHTS_FILE])
    return len(save({name: tensor.half().contiguous() for name, tensor in tuned.tensors.items()}))


def own_texts(base: GPT2LMHeadModel, seed: int = 0) -> torch.Tensor:
    """Return texts that the base itself writes, token ids of shape (texts, tokens).

    On them its mean loss is its entropy, and what another model's is above that, the KL divergence of the two per token
    (up to chance): how far that model has moved away from what the base would say.
    """
    import torch

    torch.manual_seed(seed)
    start = torch.full((OWN_TEXTS, 1), base.config.eos_token_id)
    tokens = min(OWN_TOKENS, base.config.n_positions // 2)
    return base.generate(
        start,
        attention_mask=torch.ones_like(start),
        do_sample=True,
        top_k=0,
        min_new_tokens=tokens,
        max_new_tokens=tokens,
        pad_token_id=base.config.eos_token_id,
    )


def _private_output() -> IO[bytes]:
    """Return the pipe to the app, and let everything that libraries print go to the log instead."""
    private = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return private


def _end_with(descriptor: int) -> None:
    while os.read(descriptor, 1 << 16):  # empty once the other side has closed the pipe, or died
        pass
    os._exit(0)


def _step_back() -> None:
    """Come last when the processor is wanted, and go first when memory is."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    with suppress(OSError):  # no Linux
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main()
