"""The decoding engine: one thread that owns a model and steps all visitors' rows together.

Visitors submit rows and read a stream of events. At every step the engine takes in the rows that wait (as far as
memory allows), runs one batched forward pass for all rows, lets each row's strategy choose, and hands out the tokens.
A row that ends, or that nobody reads any more, leaves at the next step. So the four columns of one visitor and the
columns of thirty others advance side by side, and nobody waits for somebody else's text to end. Equal rows write the
same, so they are one row that several read: a class that follows one link costs little more than one visitor.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from lab.errors import AdapterGone, EngineError
from lab.lora import Adapter, Mix
from lab.text.beam import BeamSearch
from lab.text.choosing import Choice, Dice, choose
from lab.text.forward import CachedGPT2
from lab.text.rows import Reason, Row, Token
from lab.text.running import Running, identity, key_of
from lab.text.strategies import Kind
from lab.text.stream import Stream
from lab.text.waiting import Waiting

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

log = logging.getLogger(__name__)

CACHE_BYTES = 1_500_000_000  # keys and values of all rows together
PREFILL_TOKENS = 2048  # prompts read in one step; more would make those who are already reading wait
PREFILL_BLOCK = 8  # prompts read in one forward pass, which pads them to the longest
OVERFLOW = "The model's numbers overflowed on this text. Please choose a smaller strength, or another adapter."
CROWD = 32  # sequences from which on a step is shared by two cores: below it, waiting for the other one costs more


class Engine:
    """Serves one model to many. Every method may be called from any thread.

    Args:
        model: a GPT-2; nobody else may use it from now on.
        threads: intra-op threads of the owner thread. On two shared cores one is fastest for a visitor alone: with
            more, each operation waits for a core that somebody else holds.
        crowd_threads: likewise, for a step of at least ``CROWD`` sequences; two if there are as many cores.
        cache_bytes: memory for keys and values; rows beyond it wait.
    """

    def __init__(
        self,
        model: GPT2LMHeadModel,
        *,
        threads: int = 1,
        crowd_threads: int | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._forward = CachedGPT2(model)
        self.context = self._forward.context
        self.vocabulary_size = self._forward.vocabulary_size
        self._end_of_text = model.config.eos_token_id
        self._threads = threads
        self._crowd_threads = max(threads, min(2, os.cpu_count() or 1)) if crowd_threads is None else crowd_threads
        self._cache_bytes = cache_bytes
        self._adapters: dict[str, Adapter] = {}  # adapters are never changed: rows under way hold on to theirs
        self._wake = threading.Condition()
        self._waiting = Waiting()
        self._admitted: list[Running] = []  # out of the line, and not yet in the batch
        self._running: list[Running] = []
        self._closed = False
        self._thread = threading.Thread(target=self._own, name="decoding-engine", daemon=True)
        self._thread.start()

    @property
    def load(self) -> tuple[int, int]:
        """Number of rows that run and that wait; equal ones are one."""
        return len(self._running), len(self._waiting)

    @property
    def alive(self) -> bool:
        """Whether rows that are submitted will be served."""
        return self._thread.is_alive()

    def add_adapter(self, name: str, adapter: Adapter) -> None:
        """Let rows name an adapter; one of that name that was there serves the rows under way to their end.

        Raises:
            ValueError: if it does not fit the model.
        """
        if not self._forward.can_wear(adapter):
            raise ValueError(f"the adapter {name!r} does not fit this model")
        self._adapters[name] = adapter

    def remove_adapter(self, name: str) -> None:
        """Forget an adapter, if it is there; rows under way that wear it go on to their end."""
        self._adapters.pop(name, None)

    def adaptable(self) -> dict[str, tuple[int, int]]:
        """Return the modules that an adapter may change, in the model's order, each with its inputs and outputs."""
        return self._forward.adaptable()

    def adapter(self, name: str) -> Adapter | None:
        """Return the adapter that rows can name so, None if there is none."""
        return self._adapters.get(name)

    @property
    def network(self) -> GPT2LMHeadModel:
        """The model, to be read and copied; only the owner thread may run it, and nobody may change it."""
        return self._forward.model

    def submit(self, rows: Sequence[Row]) -> Stream:
        """Put rows in line and return the stream of their events.

        Raises:
            ValueError: for a row that no step could carry out: empty or too long, a token that does not exist.
            TypeError: for a row that cannot be hashed.
            AdapterGone: for an adapter that is not loaded.
            EngineError: if too many rows wait already, or the engine is closed.
        """
        for row in rows:
            self.check(row)
        stream = Stream(rows)
        entries = [self._entry(row, index, stream) for index, row in enumerate(rows)]
        with self._wake:
            if self._closed:
                raise EngineError("This model has been closed.")
            self._waiting.put(entries)
            self._wake.notify()
        return stream

    def close(self) -> None:
        """End the owner thread; rows under way fail."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def check(self, row: Row) -> None:
        """Raise ValueError for a row that no step could carry out; see :meth:`submit`."""
        if not row.prompt:
            raise ValueError("a row needs a prompt of at least one token")
        if row.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {row.max_new_tokens}, not at least 1")
        if len(row.prompt) + row.max_new_tokens > self.context:
            raise ValueError(
                f"{len(row.prompt)} tokens of prompt and {row.max_new_tokens} new ones exceed {self.context} of context"
            )
        if not all(0 <= token < self.vocabulary_size for token in row.prompt):
            raise ValueError("a token of the prompt is not in the vocabulary")
        if not all(0 <= token < self.vocabulary_size for token in row.forced):
            raise ValueError("a forced token is not in the vocabulary")
        if row.forced and row.strategy.kind is Kind.BEAM:
            raise ValueError("beam search takes no forced tokens")
        if row.top < 0 or not all(0 <= token < self.vocabulary_size for token in row.include):
            raise ValueError("a distribution needs top of at least 0, and tokens to include that are in the vocabulary")
        if not -(2**63) <= row.seed < 2**64:
            raise ValueError(f"the seed {row.seed} does not fit into 64 bits")
        if row.rules is not None and row.strategy.kind is Kind.BEAM:
            raise ValueError("beam search takes no rules")
        for name, strength in ((row.adapter, row.strength), *row.blended):
            if not math.isfinite(strength):
                raise ValueError(f"a strength of {strength} is not finite")
            if name is not None and name not in self._adapters:
                raise AdapterGone(name)
        if self._forward.cache.bytes_for(row.width, len(row.prompt) + row.max_new_tokens) > self._cache_bytes:
            raise ValueError("the row alone needs more memory than the engine has")

    def _entry(self, row: Row, index: int, stream: Stream) -> Running:
        try:
            worn = tuple((self._adapters[name], strength) for name, strength in row.wishes)
        except KeyError as error:  # taken away since it was checked
            raise AdapterGone(error.args[0]) from None
        strategy = row.strategy.canonical()
        choice = Choice(strategy, strategy.to_text(), list(row.prompt), Dice(row.seed), row.top, row.include)
        beam = BeamSearch(row, self._end_of_text) if strategy.kind is Kind.BEAM else None
        progress = row.rules.start(row.prompt) if row.rules is not None else None
        return Running(row, [(stream, index)], choice, beam, progress, worn, key_of(row, worn))

    # From here on everything runs in the owner thread.

    def _own(self) -> None:
        try:
            self._serve()
        finally:  # also where that failed, which nothing should make it do: nobody waits for an engine that is gone
            with self._wake:
                self._closed = True
                self._running += [*self._admitted, *self._waiting.clear()]
            self._abandon("This model has been closed.")

    @torch.inference_mode()
    def _serve(self) -> None:
        next_tokens: list[int] = []
        while True:
            with self._wake:
                while not (self._closed or self._running or self._waiting):
                    self._wake.wait()
                if self._closed:
                    return
            self._admitted, line_is_sound = [], False
            try:
                with self._wake:
                    self._admit()
                line_is_sound = True
                self._share_out(self._admitted)
                next_tokens = self._step(next_tokens, self._admitted)
            except Exception:  # whatever it was, the next visitor must be served
                log.exception("a decoding step failed")
                self._running += self._admitted  # some may be there already: a stream fails once all the same
                if not line_is_sound:
                    with self._wake:
                        self._running += self._waiting.clear()
                self._abandon("The model failed on this text. Please change the prompt or the settings and try again.")
                next_tokens = []

    def _share_out(self, admitted: Sequence[Running]) -> None:
        """Give the step as many cores as pay."""
        sequences = sum(entry.row.width for entry in (*self._running, *admitted))
        torch.set_num_threads(self._crowd_threads if sequences >= CROWD else self._threads)

    def _admit(self) -> None:
        """Take rows from the line, first come first served, as far as memory and patience allow.

        Those that equal one under way join it, wherever in the line they are.
        """
        self._waiting.join(self._running)
        rows = sum(entry.row.width for entry in self._running)
        time_needed = max((_final_length(entry.row) for entry in self._running), default=0)
        prompts: set[tuple[int, ...]] = set()
        while (entry := self._waiting.first()) is not None:
            rows += entry.row.width
            time_needed = max(time_needed, _final_length(entry.row))
            prompts.add(entry.row.prompt)
            first = not self._admitted
            if not first and sum(map(len, prompts)) > PREFILL_TOKENS:
                break
            if (self._running or not first) and self._forward.cache.bytes_for(rows, time_needed) > self._cache_bytes:
                break
            self._admitted.append(self._waiting.take())

    def _step(self, next_tokens: list[int], admitted: list[Running]) -> list[int]:
        """Advance the rows under way by ``next_tokens`` (one per slot), take in the admitted ones, and choose.

        Returns the tokens chosen, one per slot.
        """
        next_tokens = [next_tokens[slot] for slot in self._drop_cancelled()]
        parts = [self._forward.step(torch.tensor(next_tokens), self._mix(self._running))] if self._running else []
        if admitted:
            parts.append(self._read_prompts(admitted))
        if not parts:
            self._forward.cache.clear()
            return []
        logits = self._drop_broken(torch.cat(parts) if len(parts) > 1 else parts[0])  # (slots, vocabulary)

        slots, slot = [], 0  # of each row: its first slot
        for entry in self._running:
            slots.append(slot)
            slot += entry.row.width
        for entry in self._running:
            place = len(entry.tokens)
            entry.choice.forced = entry.row.forced[place] if place < len(entry.row.forced) else None
            entry.choice.allowed = entry.progress.allowed() if entry.progress is not None else None
        sampling = [place for place, entry in enumerate(self._running) if entry.beam is None]
        sampling_logits = logits
        if len(sampling) < len(self._running):
            sampling_logits = logits.index_select(
                0, torch.tensor([slots[place] for place in sampling], dtype=torch.long)
            )
        tokens_chosen = choose(sampling_logits, [self._running[place].choice for place in sampling])
        chosen = dict(zip(sampling, tokens_chosen, strict=True))

        kept_slots: list[int] = []
        kept_tokens: list[int] = []
        kept_rows: list[Running] = []
        for place, entry in enumerate(self._running):
            if entry.beam is not None:
                parents, tokens = self._advance_beams(entry, logits[slots[place] : slots[place] + entry.row.width])
            else:
                parents, tokens = self._advance_sample(entry, chosen[place])
            if tokens:
                kept_rows.append(entry)
                kept_tokens += tokens
                kept_slots += [slots[place] + parent for parent in parents]
        for stream in {stream for entry in self._running for stream, _ in entry.readers}:
            stream.hand_out()
        self._running = kept_rows
        if kept_rows:
            self._forward.cache.keep(kept_slots)
        else:
            self._forward.cache.clear()
        return kept_tokens

    def _read_prompts(self, admitted: list[Running]) -> torch.Tensor:
        """Prefill the admitted rows, rows of one prompt and outfit together, and append them to those under way.

        Prompts of similar length go together: padding costs as much as text, and neighbours in the cache attend
        together.
        """
        alike: dict[tuple[object, ...], list[Running]] = {}
        for entry in admitted:
            alike.setdefault((entry.row.prompt, identity(entry.worn)), []).append(entry)
        now = time.perf_counter()
        groups = sorted(alike.values(), key=lambda group: len(group[0].row.prompt))
        for group in groups:
            for entry in group:
                entry.started = now
                self._running.append(entry)
        # At once for all that is to come: growing means copying.
        rows = sum(entry.row.width for entry in self._running)
        self._forward.cache.reserve(rows, max(_final_length(entry.row) for entry in self._running))
        blocks = [groups[first : first + PREFILL_BLOCK] for first in range(0, len(groups), PREFILL_BLOCK)]
        return torch.cat([self._prefill(block) for block in blocks])

    def _prefill(self, groups: Sequence[Sequence[Running]]) -> torch.Tensor:
        """Read the prompt of each group of rows once."""
        prompts = [group[0].row.prompt for group in groups]
        copies = [sum(entry.row.width for entry in group) for group in groups]
        return self._forward.prefill(prompts, copies, Mix([group[0].worn for group in groups]))

    def _mix(self, entries: Sequence[Running]) -> Mix:
        """Return what the slots of these rows wear."""
        return Mix([entry.worn for entry in entries for _ in range(entry.row.width)])

    def _advance_sample(self, entry: Running, token: Token) -> tuple[list[int], list[int]]:
        entry.has_chosen(token)
        # A forced text is scored to its end, whatever stands in it.
        ended = token.id == self._end_of_text and len(entry.tokens) >= len(entry.row.forced)
        if ended or len(entry.tokens) == entry.row.max_new_tokens:
            self._finish(entry, entry.tokens)
            return [], []
        return [0], [token.id]

    def _advance_beams(self, entry: Running, logits: torch.Tensor) -> tuple[list[int], list[int]]:
        parents, tokens, candidates = entry.beam.advance(logits)
        entry.has_weighed(entry.beam.best, candidates)
        if entry.beam.done:
            self._finish(entry, entry.beam.best)
            return [], []
        return parents, tokens

    def _finish(self, entry: Running, tokens: Sequence[Token]) -> None:
        ended = tokens[-1].id == self._end_of_text
        seconds = time.perf_counter() - entry.started
        reason = Reason.END_OF_TEXT if ended else Reason.LENGTH
        entry.has_ended(tokens, reason, seconds)

    def _drop_broken(self, logits: torch.Tensor) -> torch.Tensor:
        """Take rows whose logits are no numbers out of the batch, and fail them; return the logits of those that stay.

        An adapter can push a row beyond what a float holds. What that leaves in the cache must not wait there for the
        next row in its place.

        logits: shape (slots, vocabulary).
        """
        sound = logits.isfinite().all(-1)  # (slots,)
        if sound.all():
            return logits
        self._forward.cache.wipe((~sound).nonzero()[:, 0])
        slot, broken = 0, []
        for entry in self._running:
            if not sound[slot : slot + entry.row.width].all():
                broken.append(entry)
            slot += entry.row.width
        _fail(broken, OVERFLOW)
        return logits[self._drop_cancelled()]

    def _drop_cancelled(self) -> list[int]:
        """Take rows that nobody reads any more out of the batch; return the slots that stay, in order."""
        kept_rows, kept_slots, slot = [], [], 0
        for entry in self._running:
            entry.forget_the_gone()
            if entry.readers:
                kept_rows.append(entry)
                kept_slots += range(slot, slot + entry.row.width)
            slot += entry.row.width
        if len(kept_slots) < slot:
            self._forward.cache.keep(kept_slots)
            self._running = kept_rows
        return kept_slots

    def _abandon(self, message: str) -> None:
        _fail(self._running, message)
        self._running = []
        self._forward.cache.clear()


def _fail(entries: Sequence[Running], message: str) -> None:
    """End the streams of all who read these rows, each once."""
    for stream in {stream for entry in entries for stream, _ in entry.readers}:
        stream.fail(EngineError(message))


def _final_length(row: Row) -> int:
    return len(row.prompt) + row.max_new_tokens
