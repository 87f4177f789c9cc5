"""Counts the commands that a Redis executes: those that clients send, and those that scripts run, by kind.

A kind is a name with its first argument, which is mostly a key or a script.
"""

from __future__ import annotations

import socket
import threading
from collections import Counter
from types import TracebackType

#: What a monitor's line has in the place of a client's address, for a command that a script runs.
BY_SCRIPT = b"lua]"


class Monitor:
    """A connection in MONITOR, which a thread reads. It is there for all commands between the two ends of its context."""

    def __init__(self, path: str) -> None:
        self.commands: Counter[bytes] = Counter()
        self.by_scripts: Counter[bytes] = Counter()
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
            _, _, caller, *words = line.split(b" ", 5)  # the time, the database, and then the command
            counter = self.by_scripts if caller == BY_SCRIPT else self.commands
            counter[b" ".join(words[:2]).strip()] += 1


def frequent(counter: Counter[bytes], times: int) -> int:
    """The number of all commands of those kinds that came at least `times` times."""
    return sum(count for count in counter.values() if count >= times)
