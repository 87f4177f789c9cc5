"""Counts the commands that a Redis executes: those that clients send, and those that scripts run."""

from __future__ import annotations

import socket
import threading
from types import TracebackType

#: What a monitor's line has in the place of a client's address, for a command that a script runs.
BY_SCRIPT = b" lua] "


class Monitor:
    """A connection in MONITOR, which a thread reads."""

    def __init__(self, path: str) -> None:
        self.commands = self.by_scripts = 0
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(path)
        self._lines = self._connection.makefile("rb")
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Monitor:
        self._connection.sendall(b"MONITOR\r\n")
        if self._lines.readline() != b"+OK\r\n":
            raise OSError("Redis does not let itself be monitored")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._lines.close()
        self._connection.close()

    def _read(self) -> None:
        for line in self._lines:
            if BY_SCRIPT in line[:60]:
                self.by_scripts += 1
            else:
                self.commands += 1
