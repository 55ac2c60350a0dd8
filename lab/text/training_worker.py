"""The app's end of a training process: starts it, hears from it, and makes sure that it is gone."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from array import array
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "lab.text.training_process"
MAX_PAYLOAD = 200_000_000  # bytes
PATIENCE = 5.0  # seconds until a process that was killed is gone

Message = tuple[dict[str, Any], bytes]


class Worker:
    """A training process with its job. To be used as a context, at whose end it is dead.

    Args:
        folder: of the base model.
        tokens: ids of the text.
        runs: settings of each training, as JSON takes them.
        threads: that it computes with.
        forgetting: whether it is measured.
    """

    def __init__(
        self,
        folder: Path,
        tokens: Sequence[int],
        runs: Sequence[dict[str, Any]],
        *,
        threads: int,
        forgetting: bool = False,
    ) -> None:
        job = {
            "folder": str(folder),
            "tokens": len(tokens),
            "runs": list(runs),
            "threads": threads,
            "forgetting": forgetting,
        }
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", PROGRAM],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is the app's business
        )
        # The pipe holds 64 kB, and the process needs a moment before it reads.
        feed = threading.Thread(target=self._feed, args=[job, array("i", tokens).tobytes()], daemon=True)
        listen = threading.Thread(target=self._listen, daemon=True)
        for thread in (feed, listen):
            thread.start()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def message(self, timeout: float) -> Message | None:
        """Return the next message with the bytes that came with it; None if the process has ended.

        Raises:
            TimeoutError: if none comes within so many seconds.
        """
        try:
            found = self._messages.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None
        if found is None:
            self._messages.put(None)  # it has ended for whoever asks again, too
        return found

    def close(self) -> None:
        """Kill the process, if it is there."""
        self._process.kill()
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _feed(self, job: dict[str, Any], tokens: bytes) -> None:
        with suppress(OSError, ValueError):  # the process may have died already: the other thread notices
            self._process.stdin.write(json.dumps(job).encode() + b"\n" + tokens)
            self._process.stdin.flush()

    def _listen(self) -> None:
        with suppress(OSError, ValueError, KeyError), self._process.stdout as pipe:
            while line := pipe.readline():
                message = json.loads(line)
                if not 0 <= message["bytes"] <= MAX_PAYLOAD:
                    break
                payload = pipe.read(message["bytes"])
                if len(payload) == message["bytes"]:  # else it died in the middle
                    self._messages.put((message, payload))
        self._messages.put(None)
