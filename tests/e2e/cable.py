"""A network cable between browser and app, which a test can pull out and put in again."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

RESET = struct.pack("ii", 1, 0)  # close at once, as a connection ends that is lost


class Cable:
    """Hands on to an app what comes in at ``url``, as long as it is not cut."""

    def __init__(self, app_url: str) -> None:
        parts = urlsplit(app_url)
        self._app = (parts.hostname, parts.port)
        self._whole = True
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._welcome, daemon=True).start()

    def cut(self) -> None:
        """End all connections, and let none begin."""
        with self._lock:
            self._whole = False
            ends, self._open = self._open, set()
        for end in ends:
            _drop(end)

    def mend(self) -> None:
        """Let connections begin again."""
        with self._lock:
            self._whole = True

    def _welcome(self) -> None:
        while True:
            try:
                browser, _ = self._door.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._join, args=[browser], daemon=True).start()

    def _join(self, browser: socket.socket) -> None:
        try:
            app = socket.create_connection(self._app)
        except OSError:
            _drop(browser)
            return
        with self._lock:
            if self._whole:
                self._open |= {browser, app}
        if browser not in self._open:
            _drop(browser)
            _drop(app)
            return
        there = threading.Thread(target=self._pump, args=[browser, app], daemon=True)
        there.start()
        self._pump(app, browser)
        there.join()
        with self._lock:
            self._open -= {browser, app}
        for end in (browser, app):
            end.close()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._door.close()
        self.cut()


def _drop(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        end.shutdown(socket.SHUT_RDWR)
    end.close()
