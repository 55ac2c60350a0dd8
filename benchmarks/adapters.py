"""What adapters cost: beside the base in one batch, against PEFT, and for others while somebody trains one.

    python -m benchmarks.adapters [--json] [--repeats 7] [--no-training]

All of it in one run on the built-in model and three of the adapters that ship, taken in turns so that a busy moment of
the machine hits all sides alike, and medians of the turns. One intra-op thread on all sides. PEFT's runs are what a
script would do: ``set_adapter`` and ``generate``, one text after the other; its mixed batches get the adapter of each
row by ``adapter_names``.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from statistics import median
from typing import TYPE_CHECKING

import torch

from benchmarks.decoding import NEW_TOKENS, decode
from benchmarks.report import Figure, parser, report, seconds
from lab.errors import TuningError
from lab.source import ROOT
from lab.text.live_training import LiveSettings, Phase, train
from lab.text.models import ASSETS, BUILT_IN, LanguageModel, load_folder
from lab.text.rows import Row
from lab.text.strategies import Kind, Strategy, generate_arguments

if TYPE_CHECKING:
    from peft import PeftModel

STRATEGY = Strategy(kind=Kind.TOP_P, top_p=0.9)
PROMPT = "The old house had been empty for years, but that night there was a light in the window."
BASE_NAME = "__base__"  # as PEFT calls it in a mixed batch
TRAINING_STEPS = 15
TRAINING_TOKENS = 4000


class Sides:
    """The same four texts by the engine and by PEFT: the base and three adapters, one prompt, one seed.

    Args:
        model: with at least three adapters.
    """

    def __init__(self, model: LanguageModel) -> None:
        from peft import PeftModel
        from transformers import GPT2LMHeadModel

        self.model = model
        self.names = list(model.adapters)[:3]
        if len(self.names) < 3:
            raise SystemExit("fewer than three adapters ship for this model")
        self.prompt = model.vocabulary.encode(PROMPT)
        base = GPT2LMHeadModel.from_pretrained(model.folder, dtype=torch.float32, use_safetensors=True).eval()
        # Every text has all its tokens, so that both sides do the same work.
        base.config.eos_token_id = base.generation_config.eos_token_id = None
        folders = [str(model.adapters[name].folder) for name in self.names]
        self.peft: PeftModel = PeftModel.from_pretrained(base, folders[0], adapter_name=self.names[0])
        for name, folder in zip(self.names[1:], folders[1:], strict=True):
            self.peft.load_adapter(folder, adapter_name=name)
        self.peft.eval()

    def rows(self, *names: str | None) -> list[Row]:
        """Return a row for each adapter, each with a seed of its own: equal rows would be run as one."""
        return [
            Row(self.prompt, STRATEGY, seed=3 + place, max_new_tokens=NEW_TOKENS, adapter=name)
            for place, name in enumerate(names)
        ]

    def engine(self, *names: str | None) -> list[list[int]]:
        """Write with these adapters in one batch, by the engine. Raises RuntimeError if a text ends by itself."""
        texts = decode(self.model.engine, self.rows(*names))
        if any(len(text) != NEW_TOKENS for text in texts):
            raise RuntimeError("a text has ended early, so that the two sides would not do the same work")
        return texts

    def peft_text(self, name: str | None) -> list[int]:
        """Write one text with PEFT, switched to the adapter first."""
        if name is None:
            with self.peft.disable_adapter():
                return self._generate(1)[0]
        self.peft.set_adapter(name)
        return self._generate(1)[0]

    def peft_mixed(self, *names: str | None) -> list[list[int]]:
        """Write with these adapters in one batch, by PEFT's own way."""
        return self._generate(len(names), adapter_names=[name or BASE_NAME for name in names])

    def _generate(self, rows: int, **more: object) -> list[list[int]]:
        prompt = torch.tensor([self.prompt] * rows)
        torch.manual_seed(3)
        text = self.peft.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=NEW_TOKENS,
            pad_token_id=0,
            **generate_arguments(STRATEGY),
            **more,
        )
        return text[:, prompt.size(1) :].tolist()


def taken_in_turns(actions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each action, all of them run once beforehand."""
    for action in actions.values():
        action()
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            times[name].append(seconds(action))
    return {name: median(values) for name, values in times.items()}


def serving(sides: Sides, repeats: int) -> list[Figure]:
    """Measure texts in adapters, by the engine and by PEFT."""
    a, b, c = sides.names
    four = (None, a, b, c)
    took = taken_in_turns(
        {
            "engine_four": lambda: sides.engine(*four),
            "peft_four": lambda: [sides.peft_text(name) for name in four],
            "peft_mixed": lambda: sides.peft_mixed(*four),
            "engine_base_four": lambda: sides.engine(*[None] * 4),
            "engine_one": lambda: sides.engine(*[a] * 4),
            "engine_base": lambda: sides.engine(None),
            "engine_adapter": lambda: sides.engine(a),
            # Two texts one after the other, in the same adapter and in two: what differs is the switch.
            "engine_same": lambda: [sides.engine(a), sides.engine(a)],
            "engine_switched": lambda: [sides.engine(a), sides.engine(b)],
            "peft_base": lambda: sides.peft_text(None),
            "peft_adapter": lambda: sides.peft_text(a),
        },
        repeats,
    )
    switches = [seconds(lambda name=name: sides.peft.set_adapter(name)) for name in [a, b] * 10]
    ms = {name: 1000 * value / NEW_TOKENS for name, value in took.items()}

    def ratio(name: str, meaning: str, one: str, other: str, aim: str = "") -> Figure:
        return Figure(name, meaning, took[one] / took[other], "x", aim)

    return [
        ratio(
            "side_by_side_ratio", "base and three adapters: four PEFT runs / engine", "peft_four", "engine_four", ">= 2"
        ),
        ratio("mixed_ratio", "the same: PEFT's mixed batch / engine", "peft_mixed", "engine_four"),
        ratio("peft_mixed_ratio", "the same: PEFT's mixed batch / four PEFT runs", "peft_mixed", "peft_four"),
        Figure("engine_four_ms", "engine, a step of base and three adapters", ms["engine_four"], "ms"),
        Figure("peft_four_ms", "PEFT, the same, one after the other", ms["peft_four"], "ms"),
        Figure("peft_mixed_ms", "PEFT, the same, mixed batch", ms["peft_mixed"], "ms"),
        ratio("adapter_cost", "engine, one column: adapter / base", "engine_adapter", "engine_base", "< 1.35"),
        ratio(
            "adapter_cost_four", "engine, four columns: one adapter / base", "engine_one", "engine_base_four", "< 1.35"
        ),
        ratio(
            "mix_cost_four", "engine, four columns: three adapters / base", "engine_four", "engine_base_four", "< 1.35"
        ),
        ratio("peft_adapter_cost", "PEFT, one column: adapter / base", "peft_adapter", "peft_base"),
        Figure("engine_base_ms", "engine, a step of one column, base", ms["engine_base"], "ms"),
        Figure("engine_adapter_ms", "engine, a step of one column, adapter", ms["engine_adapter"], "ms"),
        ratio("switch_ratio", "engine, two texts: in two adapters / in one", "engine_switched", "engine_same", "1"),
        Figure("peft_switch_ms", "PEFT, one set_adapter", 1000 * median(switches), "ms"),
    ]


@contextmanager
def training(model: LanguageModel, text: str) -> Iterator[list]:
    """Have somebody train on a text for as long as this is entered; yield the list of snapshots, which grows."""
    snapshots: list = []
    stop, begun = threading.Event(), threading.Event()

    def run() -> None:
        with suppress(TuningError):  # stopped before anything was learnt from a text that nobody wrote
            for snapshot in train(model, text, LiveSettings(steps=400), stop):
                snapshots.append(snapshot)
                if snapshot.phase is Phase.TRAINING and snapshot.step >= 1:
                    begun.set()

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait(300)
    try:
        yield snapshots
    finally:
        stop.set()
        thread.join()


def while_one_trains(sides: Sides, repeats: int) -> list[Figure]:
    """Measure a training's speed, and the columns of others before and during it."""
    model = sides.model
    four = (None, *sides.names)
    alone = median(seconds(lambda: sides.engine(*four)) for _ in range(repeats))
    with training(model, own_text(model)) as snapshots:
        first = snapshots[-1]
        beside = []
        while snapshots[-1].step < first.step + TRAINING_STEPS and len(beside) < 20 * repeats:
            beside.append(seconds(lambda: sides.engine(*four)))
        busy = snapshots[-1]
        # Nobody generates: what a training does by itself.
        settled = busy.step
        pause = threading.Event()
        while snapshots[-1].step < settled + TRAINING_STEPS and snapshots[-1].phase is not Phase.DONE:
            pause.wait(0.5)
        quiet = snapshots[-1]
    return [
        Figure("training_steps_per_second", "training alone, steps of 4 x 256 tokens", speed(busy, quiet), "1/s"),
        Figure(
            "training_beside_steps_per_second", "training while four columns are written", speed(first, busy), "1/s"
        ),
        Figure("alone_ms", "a step of four columns, nobody trains", 1000 * alone / NEW_TOKENS, "ms"),
        Figure("beside_ms", "a step of four columns while one trains", 1000 * median(beside) / NEW_TOKENS, "ms"),
        Figure("slow_down", "four columns: while one trains / nobody trains", median(beside) / alone, "x"),
    ]


def own_text(model: LanguageModel) -> str:
    """Return a text of the model's own to train on: what is in it makes no difference to the time."""
    prompt = model.vocabulary.encode("The")
    rows = [Row(prompt, STRATEGY, seed=seed, max_new_tokens=200) for seed in range(TRAINING_TOKENS // 200)]
    return "\n".join(model.vocabulary.text(ids) for ids in decode(model.engine, rows))


def default_training(model: LanguageModel) -> list[Figure]:
    """Measure a whole training at the defaults, process start and samples included, while nothing else goes on."""
    text = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("lab/**/*.py")))  # as in the tab
    settings = LiveSettings()
    took = seconds(lambda: [*train(model, text, settings, threading.Event())])
    meaning = f"a training at the defaults ({settings.steps} steps), without the page"
    return [Figure("default_training_s", meaning, took, "s", "about 60")]


def speed(earlier: object, later: object) -> float:
    """Return steps per second between two snapshots, measurements of the held-out loss included."""
    return (later.step - earlier.step) / max(later.seconds - earlier.seconds, 1e-9)


def main() -> None:
    """Measure all and print the figures."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=7, help="turns of each measurement")
    options.add_argument("--no-training", action="store_true", help="leave out what takes minutes")
    arguments = options.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)  # transformers' own
    torch.set_num_threads(1)
    model = load_folder(ASSETS / BUILT_IN, BUILT_IN, "Built-in")
    try:
        sides = Sides(model)
        figures = serving(sides, arguments.repeats)
        if not arguments.no_training:
            figures += while_one_trains(sides, arguments.repeats) + default_training(model)
    finally:
        model.engine.close()
    facts = {
        "model": BUILT_IN,
        "adapters": ", ".join(sides.names),
        "cores": str(os.cpu_count()),
        "new tokens": str(NEW_TOKENS),
    }
    report(figures, facts=facts, as_json=arguments.json, save=arguments.save)


if __name__ == "__main__":
    main()
