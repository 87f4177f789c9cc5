"""Logs lines for a thread that must not wait for a log, from another thread.

The application may have put a handler of its own at the root of all loggers, which waits for the reader of standard error while
it holds a lock that the next line waits for. A lease is not renewed late for that.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any

LINES_MAX = 100  #: waiting lines; the newest are lost beyond that


class LogRelay:
    """Logs lines on a logger, in order, and not from the calling thread."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._lock = threading.Lock()
        self._running = False

    def warning(self, text: str, *arguments: object) -> None:
        """Queue a warning, with the arguments of `Logger.warning`."""
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
