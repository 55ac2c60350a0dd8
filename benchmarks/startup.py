"""Seconds from the command to the first answered page, against Gradio alone with an empty app.

Both start in a fresh interpreter, in turns, with every file already read once. Also measured: until the built-in
model is ready behind the page.

    python -m benchmarks.startup
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.report import Figure, parser, report
from benchmarks.serving import free_port, serving

TIMEOUT = 120.0

EMPTY_APP = """
import os, sys
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio
with gradio.Blocks() as app:
    pass
app.launch(server_port=int(sys.argv[1]), quiet=True)
"""


def seconds_to_first_page(command: Sequence[str], ready: str | None = None) -> tuple[float, float]:
    """Start a server, and return seconds until its page is answered and until its output has said ``ready``.

    Args:
        command: to which the port is appended.
        ready: text in the output to wait for; without it the second figure is that of the page.

    Raises:
        RuntimeError: if the server ends.
        TimeoutError: if either takes longer than two minutes.
    """
    port = free_port()
    options = {"env": os.environ | {"PYTHONUNBUFFERED": "1"}, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    started = time.perf_counter()
    with serving([*command, str(port)], port, TIMEOUT, text=True, **options) as (process, _):
        page = time.perf_counter() - started
        while ready is not None:
            line = process.stdout.readline()
            if ready in line:
                break
            if not line or time.perf_counter() - started > TIMEOUT:
                raise TimeoutError("the model was not ready within two minutes")
        return page, time.perf_counter() - started


def main() -> None:
    """Measure the starts and print the figures."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=3)
    arguments = options.parse_args()
    empty = [sys.executable, "-c", EMPTY_APP]
    app = [sys.executable, "app.py", "--port"]
    seconds_to_first_page(empty)  # the first start of all reads the libraries from disk
    seconds_to_first_page(app)
    empty_pages, pages, ready = [], [], []
    for _ in range(arguments.repeats):
        empty_pages.append(seconds_to_first_page(empty)[0])
        page, model = seconds_to_first_page(app, ready="is ready")
        pages.append(page)
        ready.append(model)
    base, own = statistics.median(empty_pages), statistics.median(pages)
    report(
        [
            Figure("empty_app_seconds", "import gradio and an empty app: first page after", base, "s"),
            Figure("app_seconds", "this app: first page after", own, "s"),
            Figure("startup_ratio", "ratio", own / base, "times", "at most 1.3"),
            Figure("model_ready_seconds", "built-in model ready after", statistics.median(ready), "s"),
        ],
        facts={"repeats": str(arguments.repeats)},
        as_json=arguments.json,
        save=arguments.save,
    )


if __name__ == "__main__":
    main()
