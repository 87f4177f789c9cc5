"""Log lines of a thread that must not wait for a log: a thread of their own says them.

The application may have put a handler of its own at the root of all loggers, which waits for the reader of standard error, with a
lock that the next line waits for. A lease is not late for that.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any

LINES_MAX = 100  #: that wait; the newest are lost beyond that


class LogRelay:
    """Says lines on a logger, in order, and not from the calling thread."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._lock = threading.Lock()
        self._running = False

    def warning(self, text: str, *arguments: object) -> None:
        """As a logger takes it."""
        with self._lock:
            if len(self._waiting) >= LINES_MAX:
                return
            self._waiting.append((text, *arguments))
            if self._running:
                return
            self._running = True
        threading.Thread(target=self._run, name="towpath-log-relay", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running = False
                    return
                line = self._waiting.popleft()
            self._log.warning(*line)
