"""The card that goes with a visitor's adapter: what it is, what it was trained with, what that gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.text.adapter_files import base_hash

if TYPE_CHECKING:
    from lab.text.live_training import Snapshot
    from lab.text.models import LanguageModel

CARD = """---
base_model: {base}
library_name: peft
pipeline_tag: text-generation
---
# {title}

A LoRA adapter, trained in the browser tab of “Slightly Different” on a visitor's own text, which is not in here.

| | |
| --- | --- |
| base | {base} |
| SHA-256 of the base's safetensors | {hash} |
| rank, alpha | {settings.rank}, {settings.alpha:g} |
| targets | {modules} |
| trained parameters | {parameters:,} of {total:,} ({share:.2%}) |
| steps | {snapshot.step} of {settings.steps}, the weights are those after step {snapshot.best_step} |
| batch, context | {settings.batch_size} × {context} tokens |
| learning rate | {settings.learning_rate:g} |
| seed | {settings.seed} |
| text | {snapshot.tokens:,} tokens, a tenth of them held out |
| held-out loss, base → adapted | {before:.3f} → {after:.3f} nats per token |
| seconds of training | {snapshot.seconds:.0f} |

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained({base!r})
model = PeftModel.from_pretrained(base, "folder of this file")
```

| step | held-out loss |
| --- | --- |
{losses}
"""


def card(snapshot: Snapshot, model: LanguageModel, title: str) -> str:
    """Return the card of a training that has come to its end with an adapter, in Markdown."""
    settings, losses = snapshot.settings, dict(snapshot.held_out_losses)
    parameters = snapshot.adapter.parameters
    return CARD.format(
        title=" ".join(title.split()),
        base=model.name,
        hash=base_hash(model.folder) if model.folder is not None else "not known",
        settings=settings,
        snapshot=snapshot,
        modules=", ".join(settings.targets.modules),
        parameters=parameters,
        total=model.parameters,
        share=parameters / model.parameters,
        context=min(settings.context, model.context),
        before=losses.get(0, float("nan")),
        after=losses.get(snapshot.best_step, float("nan")),
        losses="\n".join(f"| {step} | {loss:.4f} |" for step, loss in losses.items()),
    )
