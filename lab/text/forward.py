"""GPT-2's forward pass over a ragged cache of keys and values.

The same arithmetic as transformers' ``GPT2LMHeadModel`` on the same weights, with two differences that serving needs.
Every row has its own length, so rows of different prompts join and leave the batch at any step without moving the keys
of the others. And keys and values lie in buffers that are allocated ahead, so a step writes one column instead of
copying the whole cache.

    slots  = rows of the cache, one per sequence; the first ``rows`` of them are in use
    length = tokens of a sequence whose keys and values are in the cache
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from lab.lora import Adapter, Mix, sizes

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

TIME_STEP = 64  # the buffers grow by so many positions
SLOT_STEP = 8  # and so many slots at a time
ADAPTABLE = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")  # modules of a block that an adapter may change
NO_MIX = Mix([])  # all rows wear the base
BLOCK = 24  # slots that attend together; each block looks as far back as its longest, not as everyone's longest


class RaggedCache:
    """Keys and values of all layers, (layers, slots, heads, time, head width), and the length of each slot."""

    def __init__(self, layers: int, heads: int, head_width: int, dtype: torch.dtype) -> None:
        self._shape = (layers, heads, head_width)
        self._dtype = dtype
        self.clear()

    @torch.inference_mode()
    def clear(self) -> None:
        """Forget all slots and give their memory back."""
        layers, heads, width = self._shape
        self.keys = torch.zeros(layers, 0, heads, 0, width, dtype=self._dtype)
        self.values = torch.zeros_like(self.keys)
        self.lengths = torch.zeros(0, dtype=torch.long)

    @property
    def rows(self) -> int:
        """Number of slots in use; they are the first ones."""
        return len(self.lengths)

    def bytes_for(self, rows: int, time: int) -> int:
        """Return the memory that so many slots of so many positions take, in bytes."""
        layers, heads, width = self._shape
        return 2 * layers * (rows + SLOT_STEP) * heads * (time + TIME_STEP) * width * self._dtype.itemsize

    def reserve(self, slots: int, time: int) -> None:
        """Make the buffers hold at least so many slots and positions, no fewer than are in use.

        New buffers are as large as now needed, not as the old ones were: many short rows that have left and one long
        row that comes would otherwise multiply.
        """
        if slots <= self.keys.size(1) and time <= self.keys.size(3):
            return
        used = max(self.lengths.tolist(), default=0)
        slots = -(-slots // SLOT_STEP) * SLOT_STEP
        time = -(-max(time, used) // TIME_STEP) * TIME_STEP
        layers, heads, width = self._shape
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = _lazy_zeros((layers, slots, heads, time, width), self._dtype)
            new[:, : self.rows, :, :used] = old[:, : self.rows, :, :used]
            setattr(self, name, new)

    @torch.inference_mode()
    def wipe(self, slots: torch.Tensor) -> None:
        """Zero all positions of these slots: those behind its length are masked, which does not hold back a NaN.

        slots: their numbers, shape (slots to wipe,).
        """
        self.keys[:, slots] = 0
        self.values[:, slots] = 0

    @torch.inference_mode()
    def keep(self, slots: Sequence[int]) -> None:
        """Keep these slots, in this order, as the first ones; the rest are free. Beam search repeats and drops."""
        if list(slots) == list(range(self.rows)):
            return
        moved = [(new, old) for new, old in enumerate(slots) if new != old]
        if moved:
            targets, sources = (torch.tensor(side) for side in zip(*moved, strict=True))
            time = int(self.lengths.max())
            for buffer in (self.keys, self.values):
                buffer[:, targets, :, :time] = buffer[:, sources, :, :time]  # the right side is a copy: no overlap
        self.lengths = self.lengths[torch.tensor(list(slots), dtype=torch.long)]


def _lazy_zeros(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Return zeros whose memory the system provides page by page when it is first written.

    torch.zeros writes all of it at once, and NumPy asks for huge pages; when thirty people come, both hold everybody up
    for some tenths of a second. Zeros they must be: what lies behind a slot's length is masked, but a NaN there would
    get through the mask.
    """
    if not all(shape):
        return torch.zeros(*shape, dtype=dtype)
    return torch.frombuffer(mmap.mmap(-1, math.prod(shape) * dtype.itemsize), dtype=dtype).view(*shape)


class CachedGPT2:
    """Runs a GPT-2 over a :class:`RaggedCache`. Not safe for threads: its owner alone calls it.

    Args:
        model: weights and configuration; it is not changed.
    """

    def __init__(self, model: GPT2LMHeadModel) -> None:
        config = model.config
        if config.scale_attn_by_inverse_layer_idx or config.add_cross_attention:
            raise ValueError("this GPT-2 uses options (scaled or cross attention) that the engine does not implement")
        self.model = model.eval()
        self.transformer = model.transformer
        self.context = config.n_positions
        self.vocabulary_size = config.vocab_size
        self.heads = config.n_head
        self._scale = None if config.scale_attn_weights else 1.0
        self.cache = RaggedCache(config.n_layer, config.n_head, config.n_embd // config.n_head, model.dtype)

    def can_wear(self, adapter: Adapter) -> bool:
        """Tell whether an adapter changes nothing but what this forward pass lets it change."""
        return self.adaptable().keys() >= adapter.matrices.keys() and adapter.fits(self.model)

    def adaptable(self) -> dict[str, tuple[int, int]]:
        """Return the modules that an adapter may change, each with its inputs and outputs."""
        names = (f"transformer.h.{layer}.{part}" for layer in range(len(self.transformer.h)) for part in ADAPTABLE)
        return {name: sizes(self.model.get_submodule(name)) for name in names}

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]], copies: Sequence[int], mix: Mix = NO_MIX) -> torch.Tensor:
        """Read prompts into new slots at the end and return the logits after each.

        Args:
            prompts: token ids, each between 1 and ``context`` long.
            copies: how many slots each prompt is to fill; a prompt is read once, whatever the number.
            mix: which adapter each prompt wears.

        Returns:
            Logits in fp32, shape (sum of copies, vocabulary), a prompt's copies next to each other.
        """
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        longest = int(lengths.max())
        # Padding stands at the right: causal attention never looks at it, and later steps overwrite it. Kept are zeros:
        # of a row that wears an adapter even the padding can be no number.
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = torch.as_tensor(prompt)
        padding = (torch.arange(longest) >= lengths[:, None])[:, None, :, None]  # (prompts, 1, time, 1)
        source = torch.arange(len(prompts)).repeat_interleave(torch.tensor(copies))
        first, last = self.cache.rows, self.cache.rows + len(source)
        self.cache.reserve(last, longest)

        hidden = self.transformer.wte(ids) + self.transformer.wpe(torch.arange(longest))  # (prompts, time, width)
        for layer, block in enumerate(self.transformer.h):
            worn = _Worn(mix, layer)
            query, key, value = self._query_key_value(block, hidden, worn)  # each (prompts, heads, time, head width)
            attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=self._scale)
            if mix.parts:
                key, value = key.masked_fill(padding, 0), value.masked_fill(padding, 0)
            self.cache.keys[layer, first:last, :, :longest] = key[source]
            self.cache.values[layer, first:last, :, :longest] = value[source]
            hidden = self._rest_of_block(block, hidden, attended, worn)
        self.cache.lengths = torch.cat([self.cache.lengths, lengths[source]])
        ends = hidden[torch.arange(len(prompts)), lengths - 1]  # (prompts, width)
        return self._logits(ends)[source]

    @torch.inference_mode()
    def step(self, tokens: torch.Tensor, mix: Mix = NO_MIX) -> torch.Tensor:
        """Append one token to every slot in use and return the logits after it.

        Args:
            tokens: shape (rows,). No slot may have reached ``context`` yet.
            mix: which adapter each slot wears.

        Returns:
            Logits in fp32, shape (rows, vocabulary).
        """
        rows, positions = self.cache.rows, self.cache.lengths
        self.cache.reserve(rows, int(positions.max()) + 1)
        slots = torch.arange(rows)
        blocks = [self._block(first, positions[first : first + BLOCK]) for first in range(0, rows, BLOCK)]
        hidden = (self.transformer.wte(tokens) + self.transformer.wpe(positions))[:, None]  # (rows, 1, width)
        for layer, block in enumerate(self.transformer.h):
            worn = _Worn(mix, layer)
            query, key, value = self._query_key_value(block, hidden, worn)  # each (rows, heads, 1, head width)
            keys, values = self.cache.keys[layer], self.cache.values[layer]
            keys[slots, :, positions] = key[:, :, 0]
            values[slots, :, positions] = value[:, :, 0]
            attended = [
                functional.scaled_dot_product_attention(
                    query[part], keys[part, :, :back], values[part, :, :back], attn_mask=visible, scale=self._scale
                )
                for part, back, visible in blocks
            ]
            hidden = self._rest_of_block(block, hidden, torch.cat(attended), worn)
        self.cache.lengths = positions + 1
        return self._logits(hidden[:, 0])

    @staticmethod
    def _block(first: int, positions: torch.Tensor) -> tuple[slice, int, torch.Tensor]:
        """Return a block's slots, the number of positions it looks at, and which of them each slot may see."""
        time = int(positions.max()) + 1
        visible = torch.arange(time) <= positions[:, None]
        return slice(first, first + len(positions)), time, visible[:, None, None, :]  # (slots, 1, 1, time)

    def _query_key_value(self, block: torch.nn.Module, hidden: torch.Tensor, worn: _Worn) -> list[torch.Tensor]:
        packed = worn("attn.c_attn", block.attn.c_attn, block.ln_1(hidden))  # (rows, time, 3 * width)
        return [part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in packed.chunk(3, dim=-1)]

    def _rest_of_block(
        self, block: torch.nn.Module, hidden: torch.Tensor, attended: torch.Tensor, worn: _Worn
    ) -> torch.Tensor:
        hidden = hidden + worn("attn.c_proj", block.attn.c_proj, attended.transpose(1, 2).flatten(2))
        inner = block.mlp.act(worn("mlp.c_fc", block.mlp.c_fc, block.ln_2(hidden)))
        return hidden + worn("mlp.c_proj", block.mlp.c_proj, inner)

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.model.lm_head(self.transformer.ln_f(hidden)).float()


class _Worn:
    """Applies the linear layers of one block, with what each row's adapter adds."""

    def __init__(self, mix: Mix, layer: int) -> None:
        self._mix = mix
        self._prefix = f"transformer.h.{layer}."

    def __call__(self, name: str, layer: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        y = layer(x)
        return self._mix.add(self._prefix + name, x, y) if self._mix.parts else y
