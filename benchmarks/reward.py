"""How well a reward model learns each simulated annotator's rule, how fast, and whether a class loses a ranking.

    python -m benchmarks.reward [--json] [--seeds 3] [--repeats 7]

Accuracy is the share of pairs in order among completions of prompts that were not learned from, for models fitted on
10 to 1,000 rankings of four completions each; the mean over several draws of rankings. Times are those of the calls
that the page makes, without the page: no HTTP, no queue, no browser.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, median

import torch

from benchmarks.report import Figure, parser, report
from lab.preferences import Item
from lab.preferences.annotators import ANNOTATORS, Annotator, ceiling, simulate
from lab.preferences.bradley_terry import Features, solve
from lab.preferences.fitting import fit
from lab.preferences.heads import HeadKind, Linear
from lab.preferences.judging import accuracy
from lab.preferences.pairs import Pairs, Ranked, pairs_of
from lab.preferences.pool import Pool, load_pool
from lab.preferences.rounds import write_round
from lab.preferences.settings import RewardSettings
from lab.preferences.store import Store
from lab.text.models import BUILT_IN, Models

COUNTS = (10, 30, 100, 300, 1000)  # rankings
AIMED = 300  # rankings at which the aim is set
BESIDE = {"embedding alone": (HeadKind.LINEAR, Features.COMPLETION)}  # beside the default, for all counts
OTHERS = {  # and where the aim is set
    **BESIDE,
    "words": (HeadKind.LINEAR, Features.WORDS),
    "with prompt": (HeadKind.LINEAR, Features.WITH_PROMPT),
    "MLP": (HeadKind.MLP, Features.COMPLETION),
    "MLP on words": (HeadKind.MLP, Features.WORDS),
}
PER_RANKING = 4
VISITORS, RANKINGS = 30, 20


def held_out_pairs(pool: Pool, annotator: Annotator) -> Pairs:
    """Return an annotator's pairs of the held-out prompts, each completion in one ranking."""
    rankings = []
    for number, prompt in enumerate(pool.held_out):
        for first in range(0, len(prompt.texts) - PER_RANKING + 1, PER_RANKING):
            texts = prompt.texts[first : first + PER_RANKING]
            rankings.append(Ranked(prompt.prompt, texts, annotator.rank(prompt.prompt, texts, 10**6 + number + first)))
    return pairs_of(rankings)


def learning(pool: Pool, seeds: int) -> list[Figure]:
    """Measure accuracy for each annotator and number of rankings, and at 300 rankings what other heads make of it."""
    figures = []
    for annotator in ANNOTATORS.values():
        judge = held_out_pairs(pool, annotator)
        slug = annotator.name.replace("-", "_")
        for count in COUNTS:
            aim = ">= 0.85" if count == AIMED and not annotator.noise else ""
            name, title = f"{slug}_{count}", f"{annotator.title}: {count} rankings"
            draws = [pairs_of(simulate(annotator, pool.train, count, seed=1000 * seed)) for seed in range(seeds)]
            draws = [pairs for pairs in draws if len(pairs)]
            fits = [fit(pairs, pool.embed) for pairs in draws]
            found = [accuracy(one.model.margins(judge), judge.groups) for one in fits]
            figures.append(Figure(name, title, mean(one.share for one in found), "", aim))
            if count == AIMED:
                figures += [
                    Figure(f"{name}_low", "    95 % interval, low", mean(one.low for one in found)),
                    Figure(f"{name}_high", "    95 % interval, high", mean(one.high for one in found)),
                    Figure(f"{name}_cv", "    as cross-validation judged", mean(_left_out(one) for one in fits)),
                    Figure(f"{name}_ece", "    expected calibration error", mean(_ece(one) for one in fits)),
                ]
            for label, (head, features) in (OTHERS if count == AIMED else BESIDE).items():
                others = [fit(pairs, pool.embed, head, features) for pairs in draws]
                share = mean(accuracy(one.model.margins(judge), judge.groups).share for one in others)
                key = f"{name}_{label.lower().replace(' ', '_')}"
                figures.append(Figure(key, f"    {label}", share))
        figures.append(Figure(f"{slug}_ceiling", "    the rule itself", ceiling(annotator, judge)))
    return figures


def _left_out(fitted: object) -> float:
    return fitted.held_out.accuracy.share if fitted.held_out else float("nan")


def _ece(fitted: object) -> float:
    return fitted.held_out.calibration.error if fitted.held_out else float("nan")


def speed(pool: Pool, repeats: int) -> list[Figure]:
    """Measure fits on a thousand pairs, embeddings at hand."""
    pairs = pairs_of(simulate(ANNOTATORS["short-sentences"], pool.train, 400), limit=1000)
    values = Features.BOTH.of(pairs.completions, pool.embed)
    whole, alone = [], []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        fitted = fit(pairs, pool.embed)
        whole.append(1000 * (time.perf_counter() - start))
        start = time.perf_counter()
        solve(Linear(values.shape[1]), values, pairs.chosen, pairs.rejected, fitted.model.l2)
        alone.append(1000 * (time.perf_counter() - start))
    return [
        Figure("pairs", "pairs in the fit", len(pairs)),
        Figure("fit_ms", "fit at one strength of regularisation", median(alone[1:]), "ms", "<= 50"),
        Figure("fit_cv_ms", "the same with cross-validation and judgement, as the page fits", median(whole[1:]), "ms"),
    ]


def waiting(repeats: int) -> list[Figure]:
    """Measure four completions as the page asks for them: the built-in model, loaded, and its adapters take turns."""
    models = Models()
    took, first = [], []
    try:
        model = models.get(BUILT_IN)
        for seed in range(repeats + 1):
            start = time.perf_counter()
            settings = RewardSettings(seed=1000 * seed)
            for number, _round in enumerate(write_round(model, settings, tuple(model.adapters))):
                if number == 1:
                    first.append(time.perf_counter() - start)
            took.append(time.perf_counter() - start)
    finally:
        models.close()
    return [
        Figure(
            "first_words_s",
            "the first words of four completions, base and adapters, without the page",
            median(first[1:]),
            "s",
        ),
        Figure(
            "four_completions_s",
            "four completions of 40 tokens, base and adapters, without the page",
            median(took[1:]),
            "s",
        ),
    ]


def crowd() -> list[Figure]:
    """Let thirty threads rank at once into one file, and count what is there afterwards, in a store opened anew."""
    items = [Item(f"completion {n}") for n in range(PER_RANKING)]
    seconds: list[float] = []
    together = threading.Barrier(VISITORS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "preferences.sqlite3"
        store = Store(path)

        def rank(visitor: int) -> set[int]:
            together.wait()
            kept = set()
            for number in range(RANKINGS):
                start = time.perf_counter()
                kept.add(store.add_ranking(f"visitor-{visitor}", f"prompt {number}", items, [1, 2, 2, 3], "class").id)
                seconds.append(time.perf_counter() - start)
            return kept

        with ThreadPoolExecutor(VISITORS) as threads:
            acknowledged: Sequence[set[int]] = list(threads.map(rank, range(VISITORS)))
        store.close()
        store = Store(path)
        found = {ranking.id for ranking in store.rankings(class_code="class")}
        store.close()
    told = set().union(*acknowledged)
    return [
        Figure(
            "rankings_acknowledged", f"{VISITORS} threads at once, {RANKINGS} rankings each into the store", len(told)
        ),
        Figure("rankings_lost", "of them lost", len(told - found), "", "0"),
        Figure("ranking_ms", "until a ranking is acknowledged", 1000 * median(seconds), "ms"),
        Figure("ranking_ms_worst", "the longest", 1000 * max(seconds), "ms"),
    ]


def main() -> None:
    """Measure all and print the figures."""
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=3, help="draws of rankings")
    options.add_argument("--repeats", type=int, default=7, help="turns of the measurements of time")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    pool = load_pool()
    figures = learning(pool, arguments.seeds) + speed(pool, arguments.repeats) + crowd() + waiting(arguments.repeats)
    facts = {
        "cores": str(os.cpu_count()),
        "prompts to learn from": str(len(pool.train)),
        "prompts held out": str(len(pool.held_out)),
        "completions": str(len(pool.item_vectors)),
        "draws": str(arguments.seeds),
    }
    report(figures, facts=facts, as_json=arguments.json, save=arguments.save)


if __name__ == "__main__":
    main()
