"""Importing large libraries, one thread at a time.

transformers, sentence-transformers and peft import each other in circles, and load much of themselves only when it is
first asked for. Two threads that come in at two places of such a circle wait for each other, which Python resolves by
giving one of them a module that is half made: "cannot import name 'AutoConfig' from 'transformers'". That happened to
a visitor who wanted the sentence model while the language model was being loaded behind the page.

The lock is held while weights are read, too. Of what ships that is little: libraries and the first model take seconds,
each further one a tenth of a second or less. And since the libraries load parts of themselves only when some model asks
for them, nobody can say before a model is made that all it needs has been imported.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.RLock()


@contextmanager
def importing() -> Iterator[None]:
    """Let no other thread import at the same time. Around the import and the first use; also to decorate a function."""
    with _lock:
        yield
