"""Thirty visitors for five minutes over all tabs, through the real HTTP interface, against one alone.

    python -m benchmarks.load --save docs/figures/load.json

Each visitor does one thing after another, chosen by chance from all tabs, and pauses some seconds between them as those
who read do. Reported are errors, the median and the 95th percentile of every action against one visitor alone, and the
server's memory, threads and open files before, during and after. The visitors are threads of a few processes, so that
they do not wait for each other as those of one interpreter would; but they are on the same machine: where it has two
cores they share them with the server, so what they do themselves is in every figure.
"""

from __future__ import annotations

import math
import os
import random
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier

from benchmarks.report import Figure, parser, report
from benchmarks.serving import PATIENCE, free_port, serving

PROCESSES = 6  # in which the visitors are
WINDOW = 30  # seconds
PROMPTS = ("Once upon a time", "The captain opened the letter and", "“I never said so,” she answered,", "It was a dark")
TEXTS = (
    "He caught a bass.",
    "She plays the bass.",
    "A waltz is a dance.",
    "It rained all day.",
    "The baker slept late.",
)
STORIES = ("The old man smiled at the child.", "Nobody came. The rain went on and on.", "“Come in,” said the fox.")


class Visitor:
    """One visitor: a client of their own, and dice that say what they do and for how long they read."""

    def __init__(self, url: str, number: int) -> None:
        from gradio_client import Client

        self.url = url
        self.client = Client(url, verbose=False)
        self.dice = random.Random(number)

    def call(self, name: str, **values: object) -> None:
        """Call an API name; no answer for so long is an error."""
        self.client.submit(**values, api_name=f"/{name}").result(timeout=PATIENCE)

    def opens_a_page(self) -> None:
        """Fetch the page, as a browser does first."""
        with urllib.request.urlopen(self.url, timeout=60) as answer:
            if answer.status != 200 or b"Slightly Different" not in answer.read():
                raise RuntimeError("the page was not served")

    def decodes(self) -> None:
        """Four strategies side by side."""
        self.call("decode", prompt=self.dice.choice(PROMPTS), seed=self.dice.randrange(1000))

    def looks_into_a_step(self) -> None:
        """The distribution of one next token."""
        self.call("next_token", prompt=self.dice.choice(PROMPTS))

    def adapts(self) -> None:
        """Base and adapters side by side."""
        self.call("adapt", prompt=self.dice.choice(PROMPTS), seed=self.dice.randrange(1000))

    def composes(self) -> None:
        """Three melodies with their files."""
        self.call("melody", seed=self.dice.randrange(1000))

    def embeds(self) -> None:
        """Some sentences, one of them never seen before."""
        self.call("embed", texts=[*self.dice.sample(TEXTS, 3), f"Sentence {self.dice.random()}"])

    def compares(self) -> None:
        """Two sentences."""
        first, second = self.dice.sample(TEXTS, 2)
        self.call("similarity", first=first, second=second)

    def ranks(self) -> None:
        """Four completions to put in order."""
        self.call("rank", prompt=self.dice.choice(PROMPTS), seed=self.dice.randrange(1000))

    def scores(self) -> None:
        """A text by a reward model."""
        self.call("reward", texts=self.dice.sample(STORIES, 2))


Action = Callable[[Visitor], None]
GENERATION: dict[str, Action] = {
    "decode": Visitor.decodes,
    "adapt": Visitor.adapts,
    "melody": Visitor.composes,
    "rank": Visitor.ranks,
}
OTHERS: dict[str, Action] = {
    "page": Visitor.opens_a_page,
    "next_token": Visitor.looks_into_a_step,
    "embed": Visitor.embeds,
    "similarity": Visitor.compares,
    "reward": Visitor.scores,
}
ACTIONS = GENERATION | OTHERS


@dataclass
class Tally:
    """Seconds that each action took, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)

    def do(self, visitor: Visitor, name: str) -> None:
        """Let a visitor do something."""
        started = time.perf_counter()
        try:
            ACTIONS[name](visitor)
        except Exception as error:  # whatever it was, it is an error that a visitor sees
            self.errors.append(f"{name}: {type(error).__name__}: {str(error)[:200]}")
        else:
            self.seconds[name].append(time.perf_counter() - started)

    def add(self, other: Tally) -> None:
        """Count what other visitors did, too."""
        self.errors += other.errors
        for name, seconds in other.seconds.items():
            self.seconds[name] += seconds


@dataclass(frozen=True)
class Usage:
    """What a process holds."""

    megabytes: float
    threads: int
    files: int


def usage(pid: int) -> Usage:
    """Return what a process holds now."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    files = len(os.listdir(f"/proc/{pid}/fd"))
    return Usage(int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"]), files)


@contextmanager
def served() -> Iterator[tuple[str, int]]:
    """Run the app; yield its address and the number of its process once the model answers."""
    from gradio_client import Client

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "app.py", "--port", str(port), "--store", str(Path(folder) / "store.sqlite3")]
        with serving(command, port) as (process, _):
            # An answer needs the model, so it comes when the model is there.
            Client(url, verbose=False).predict(prompt="Once", max_new_tokens=1, api_name="/decode")
            yield url, process.pid


def alone(url: str, rounds: int) -> Tally:
    """One visitor does everything, one after the other, several times; the first round warms up and does not count."""
    visitor, tally = Visitor(url, 0), Tally()
    for round_ in range(rounds + 1):
        for name in ACTIONS:
            tally.do(visitor, name)
        if round_ == 0:
            tally.seconds.clear()
    return tally


def visits(
    url: str, numbers: Sequence[int], seconds: float, pause: tuple[float, float], everyone_in: Barrier | None = None
) -> Tally:
    """Some visitors at once, each a thread, for some seconds; what they began by then they finish.

    Args:
        everyone_in: where they wait for those of the other processes. A program that connects asks for the description
            of all components, which takes the server longer than most of what is measured.
    """
    tally = Tally()
    visitors = [Visitor(url, number) for number in numbers]
    if everyone_in is not None:
        everyone_in.wait(PATIENCE)
    until = time.monotonic() + seconds

    def visit(visitor: Visitor) -> None:
        while (reading := visitor.dice.uniform(*pause)) < until - time.monotonic():
            time.sleep(reading)
            tally.do(visitor, visitor.dice.choice(list(ACTIONS)))

    threads = [threading.Thread(target=visit, args=[visitor]) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


def crowd(
    url: str, pid: int, visitors: int, seconds: float, pause: tuple[float, float], processes: int = PROCESSES
) -> tuple[Tally, list[Usage]]:
    """Many visitors at once, with what the server holds every second."""
    tally, held = Tally(), []
    shares = [range(first, visitors + 1, processes) for first in range(1, processes + 1)]
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(processes, context) as pool:
        everyone_in = manager.Barrier(processes)
        running = [pool.submit(visits, url, share, seconds, pause, everyone_in) for share in shares]
        while wait(running, 1).not_done:
            held.append(usage(pid))
    for one in running:
        tally.add(one.result())
    return tally, held


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile by nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def slope(values: Sequence[float], every: float = 1.0) -> float:
    """Return by how much a series of values, one every so many seconds, grows in a minute: least squares."""
    return statistics.linear_regression(range(len(values)), values).slope * 60 / every


def slope_error(values: Sequence[float], window: int = WINDOW) -> float:
    """Return the standard error of a slope in a minute, of means of so many values, one a second; of three at least.

    What is held in one second hangs on the second before, and hardly any more on the half minute before.
    """
    means = [statistics.fmean(part) for part in windows(values, window)]
    line = statistics.linear_regression(range(len(means)), means)
    left = sum((mean - line.intercept - line.slope * n) ** 2 for n, mean in enumerate(means))
    spread = sum((n - (len(means) - 1) / 2) ** 2 for n in range(len(means)))
    return math.sqrt(left / (len(means) - 2) / spread) * 60 / window


def windows(values: Sequence[float], window: int = WINDOW) -> list[Sequence[float]]:
    """Return the values cut into parts of this many; what is left over at the end is in none."""
    return [values[start : start + window] for start in range(0, len(values) - window + 1, window)]


def floors(values: Sequence[float], window: int = WINDOW) -> list[float]:
    """Return the least of each so many values: what is held for a moment, while a sound is sent, is not in it."""
    return [min(part) for part in windows(values, window)]


def figures(single: Tally, many: Tally) -> list[Figure]:
    """Return times of every action, alone and in the crowd; in a short run nobody may have come to one of them."""
    found = []
    for name in ACTIONS:
        if not (single.seconds[name] and many.seconds[name]):
            continue
        base = statistics.median(single.seconds[name])
        late = percentile(many.seconds[name], 0.95)
        aim = "<= 6" if name in GENERATION else "<= 3"
        found += [
            Figure(f"{name}_alone_s", f"{name}: one visitor alone, median", base, "s"),
            Figure(f"{name}_median_s", f"{name}: in the crowd, median", statistics.median(many.seconds[name]), "s"),
            Figure(f"{name}_p95_s", f"{name}: in the crowd, 95th percentile", late, "s"),
            Figure(f"{name}_p95_ratio", f"{name}: 95th percentile / alone", late / base, "x", aim),
        ]
    return found


def main() -> None:
    """Run the crowd and print the figures."""
    options = parser(__doc__)
    options.add_argument("--visitors", type=int, default=30)
    options.add_argument("--seconds", type=float, default=300)
    options.add_argument("--rounds", type=int, default=5, help="of the visitor alone")
    options.add_argument(
        "--pause", type=float, nargs=2, default=(8.0, 24.0), help="seconds between actions, from and to"
    )
    arguments = options.parse_args()
    with served() as (url, pid):
        single = alone(url, arguments.rounds)
        before = usage(pid)
        many, held = crowd(url, pid, arguments.visitors, arguments.seconds, tuple(arguments.pause))
        time.sleep(20)  # connections that are kept alive end
        Visitor(url, 0).compares()  # idle threads of the server's pool end when the next visitor comes
        after = usage(pid)
    for error in sorted(set(single.errors + many.errors)):
        print(error)
    memory = [one.megabytes for one in held]
    last_half = memory[len(memory) // 2 :]
    floor = floors(last_half)
    done = sum(map(len, many.seconds.values()))
    report(
        [
            Figure("errors", "errors", len(single.errors) + len(many.errors), "", "0"),
            Figure("actions", "actions done by the crowd", done),
            *figures(single, many),
            Figure("memory_before_mb", "memory after one visitor", before.megabytes, "MB"),
            Figure("memory_most_mb", "memory, most", max(memory), "MB", "<= 1500"),
            Figure("memory_after_mb", "memory after the crowd", after.megabytes, "MB"),
            Figure("memory_slope", "memory, growth in the last half", slope(last_half), "MB/min", "0"),
            *(
                [Figure("memory_slope_error", "    its standard error", slope_error(last_half), "MB/min")]
                if len(floor) > 2
                else []
            ),
            *(
                [Figure("floor_slope", f"    of the least in each {WINDOW} s", slope(floor, WINDOW), "MB/min")]
                if len(floor) > 1
                else []
            ),
            Figure("threads_before", "threads after one visitor", before.threads),
            Figure("threads_after", "threads after the crowd", after.threads),
            Figure("files_before", "open files after one visitor", before.files),
            Figure("files_after", "open files after the crowd", after.files),
        ],
        facts={
            "visitors": f"{arguments.visitors} in {PROCESSES} processes",
            "seconds": f"{arguments.seconds:g}",
            "pause": "{:g} to {:g} s".format(*arguments.pause),
            "cores": str(os.cpu_count()),
        },
        as_json=arguments.json,
        save=arguments.save,
    )


if __name__ == "__main__":
    main()
