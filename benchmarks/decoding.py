"""How much faster the decoding engine is than ``generate``, and how it holds when 30 want something at once.

    python -m benchmarks.decoding [--json] [--repeats 5]

All of it in one run on one model, taken in turns so that a busy moment of the machine hits both sides alike, and
medians of the turns. Both sides use one intra-op thread, unless a figure says otherwise.

Those thirty are threads that hand their rows to the engine: no HTTP, no queue, no page. What a visitor waits for, alone
and among thirty, is measured by ``benchmarks.load``. The floor is what no decoder can go below: the matrix-vector
products alone, with every weight read once per token.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.report import Figure, parser, report, seconds
from lab.text.engine import Engine
from lab.text.rows import Finished, Row
from lab.text.strategies import Kind, Strategy, generate_arguments

ASSETS = Path(__file__).resolve().parents[1] / "assets" / "prose-gpt2"
NEW_TOKENS = 64
VISITORS = 30
STRATEGIES = (
    Strategy(kind=Kind.GREEDY),
    Strategy(kind=Kind.TEMPERATURE, temperature=0.8),
    Strategy(kind=Kind.TOP_K, top_k=40),
    Strategy(kind=Kind.TOP_P, top_p=0.9),
)


def load() -> tuple[GPT2LMHeadModel, str]:
    """Return the built-in model, or a random one of the same shape, and which of the two it is."""
    which = "assets/prose-gpt2"
    if (ASSETS / "config.json").exists() and any(ASSETS.glob("*.safetensors")):
        model = GPT2LMHeadModel.from_pretrained(ASSETS, dtype=torch.float32, local_files_only=True)
    else:
        which = "random weights in the shape of assets/prose-gpt2"
        torch.manual_seed(0)
        config = GPT2Config(
            vocab_size=8192,
            n_positions=256,
            n_embd=320,
            n_layer=6,
            n_head=5,
            activation_function="gelu_pytorch_tanh",
            bos_token_id=0,
            eos_token_id=0,
        )
        model = GPT2LMHeadModel(config)
    # Every text has all its tokens, so that both sides do the same work.
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    return model.eval(), which


def prompt_of(visitor: int, vocabulary: int) -> tuple[int, ...]:
    """Return a prompt of 8 to 37 tokens; the time does not depend on which they are."""
    generator = torch.Generator().manual_seed(visitor)
    return tuple(torch.randint(1, vocabulary, (8 + visitor,), generator=generator).tolist())


def rows_of(visitor: int, vocabulary: int) -> list[Row]:
    """Return the four columns of a visitor."""
    prompt = prompt_of(visitor, vocabulary)
    return [Row(prompt, strategy, seed=visitor, max_new_tokens=NEW_TOKENS) for strategy in STRATEGIES]


def decode(engine: Engine, rows: list[Row]) -> list[list[int]]:
    """Return the token ids of each row's continuation, by the engine."""
    ends = {event.row: event.tokens for event in engine.submit(rows) if isinstance(event, Finished)}
    return [[token.id for token in ends[row]] for row in range(len(rows))]


def generate(model: GPT2LMHeadModel, rows: list[Row]) -> list[list[int]]:
    """Return the same, by one call of transformers' ``generate`` after the other."""
    texts = []
    for row in rows:
        prompt = torch.tensor([row.prompt])
        torch.manual_seed(row.seed)
        text = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=row.max_new_tokens,
            pad_token_id=0,
            **generate_arguments(row.strategy),
        )
        texts.append(text[0, len(row.prompt) :].tolist())
    return texts


@torch.inference_mode()
def products(model: GPT2LMHeadModel, steps: int = NEW_TOKENS) -> None:
    """Multiply a vector by every weight matrix, for so many tokens: the least that any decoder does."""
    layers = [
        layer
        for block in model.transformer.h
        for layer in (block.attn.c_attn, block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj)
    ]
    vectors = {size: torch.randn(1, size) for size in {layer.weight.size(0) for layer in layers}}
    state = torch.randn(1, model.config.n_embd)
    for _ in range(steps):
        for layer in layers:
            torch.addmm(layer.bias, vectors[layer.weight.size(0)], layer.weight)
        torch.nn.functional.linear(state, model.lm_head.weight)


def crowd(engine: Engine, visitors: int, one_link: bool = False) -> list[float]:
    """Let many ask at the same moment and return the seconds until each was served. Raises if one fails.

    Each asks for texts of their own, or all for those of one link.
    """
    start = threading.Barrier(visitors)

    def visit(visitor: int) -> float:
        rows = rows_of(0 if one_link else visitor, engine.vocabulary_size)
        start.wait()
        before = time.perf_counter()
        texts = decode(engine, rows)
        took = time.perf_counter() - before
        if any(len(text) != NEW_TOKENS for text in texts):
            raise RuntimeError(f"visitor {visitor} got an incomplete text")
        return took

    with ThreadPoolExecutor(visitors) as pool:
        return sorted(pool.map(visit, range(visitors)))


def with_threads(count: int, action: Callable[[], object]) -> float:
    """Return how long an action takes with so many intra-op threads."""
    torch.set_num_threads(count)
    try:
        action_seconds = seconds(action)
    finally:
        torch.set_num_threads(1)
    return action_seconds


def measure(model: GPT2LMHeadModel, engine: Engine, repeats: int) -> list[Figure]:
    """Take all figures."""
    four = rows_of(0, engine.vocabulary_size)
    one = four[:1]
    if decode(engine, four) != generate(model, four):  # also the warm-up
        print("note: a text differs from generate's; on these weights two tokens may be all but equally probable")
    crowd(engine, VISITORS)

    times: dict[str, list[float]] = {}
    for _ in range(repeats):
        for name, action in {
            "engine_four": lambda: decode(engine, four),
            "generate_four": lambda: generate(model, four),
            "engine_one": lambda: decode(engine, one),
            "generate_one": lambda: generate(model, one),
            "floor": lambda: products(model),
        }.items():
            times.setdefault(name, []).append(seconds(action))

    alone, last, late, alike = [], [], [], []
    for _ in range(max(1, repeats // 2)):
        for _ in range(5):  # a short time is easily doubled by somebody else's moment
            alone += crowd(engine, 1)
        served = crowd(engine, VISITORS)
        last.append(served[-1])
        late.append(quantiles(served, n=20)[-1])
        alike.append(crowd(engine, VISITORS, one_link=True)[-1])
    # Last, for once this thread has helpers too, there are more than cores, and all of them wait in another way.
    for _ in range(max(1, repeats // 2)):
        two_threads = with_threads(2, lambda: generate(model, four))
        times.setdefault("generate_four_two_threads", []).append(two_threads)

    took = {name: median(values) for name, values in times.items()}
    per_token = {name: 1000 * value / NEW_TOKENS for name, value in took.items()}
    return [
        Figure(
            "side_by_side_ratio",
            "four columns: generate / engine",
            took["generate_four"] / took["engine_four"],
            "x",
            ">= 2.2",
        ),
        Figure(
            "side_by_side_ratio_two_threads",
            "four columns: generate on two threads / engine on one",
            took["generate_four_two_threads"] / took["engine_four"],
            "x",
        ),
        Figure("one_stream_ratio", "one column: generate / engine", took["generate_one"] / took["engine_one"], "x"),
        Figure("engine_four_ms", "engine, a step of four columns", per_token["engine_four"], "ms"),
        Figure(
            "generate_four_ms",
            "generate, a step of four columns, one after the other",
            per_token["generate_four"],
            "ms",
        ),
        Figure("engine_one_ms", "engine, a step of one column", per_token["engine_one"], "ms"),
        Figure("generate_one_ms", "generate, a step of one column", per_token["generate_one"], "ms"),
        Figure("floor_ms", "floor: all weights read once", per_token["floor"], "ms"),
        Figure("engine_one_over_floor", "engine, one column / floor", took["engine_one"] / took["floor"], "x"),
        Figure("generate_one_over_floor", "generate, one column / floor", took["generate_one"] / took["floor"], "x"),
        Figure("alone_s", "in the engine: one alone, four columns", median(alone), "s"),
        Figure("crowd_last_s", f"in the engine: {VISITORS} at once, the last one served", median(last), "s"),
        Figure("crowd_p95_s", f"in the engine: {VISITORS} at once, 95th percentile", median(late), "s"),
        Figure(
            "crowd_ratio",
            f"in the engine: the last of {VISITORS} / one alone",
            median(last) / median(alone),
            "x",
            "<= 8",
        ),
        Figure(
            "crowd_p95_ratio",
            f"in the engine: 95th percentile of {VISITORS} / one alone",
            median(late) / median(alone),
            "x",
        ),
        Figure(
            "one_link_ratio",
            f"in the engine: the last of {VISITORS} who follow one link / one alone",
            median(alike) / median(alone),
            "x",
        ),
    ]


def main() -> None:
    """Measure all and print the figures."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=5, help="turns of each measurement")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    model, which = load()
    engine = Engine(model, threads=1)
    try:
        figures = measure(model, engine, arguments.repeats)
    finally:
        engine.close()
    facts = {"model": which, "cores": str(os.cpu_count()), "new tokens": str(NEW_TOKENS)}
    report(figures, facts=facts, as_json=arguments.json, save=arguments.save)


if __name__ == "__main__":
    main()
