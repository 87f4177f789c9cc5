"""Checks periodically whether this worker has reached a limit of its life (recycling.py), and reports it once."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from pathlib import Path

from worker.lifecycle.recycling import Recycling

CHECK_INTERVAL_S = 0.1
MEMORY_CHECK_INTERVAL_S = 2.0  #: reading /proc is a call into the kernel, and memory grows slowly


class RecyclingWatch:
    """A timer, beside the path of connections: a limit is noticed some connections late."""

    def __init__(self, recycling: Recycling, adopted: Callable[[], int], over: Callable[[str], None]) -> None:
        """adopted: returns the connections so far. over: called once, with the reason as a text."""
        self._loop = asyncio.get_running_loop()
        self._recycling = recycling
        self._adopted = adopted
        self._over = over
        self._began_at = self._loop.time()
        self._memory_at = self._began_at
        self._rss_bytes = 0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the timer, if there is any limit."""
        if self._recycling.limited:
            self._handle = self._loop.call_later(CHECK_INTERVAL_S, self._check)

    def stop(self) -> None:
        """Stop the timer."""
        if self._handle is not None:
            self._handle.cancel()

    def _check(self) -> None:
        now = self._loop.time()
        if self._recycling.rss_bytes and now >= self._memory_at:
            self._memory_at = now + MEMORY_CHECK_INTERVAL_S
            self._rss_bytes = resident_bytes()
        why = self._recycling.over(self._adopted(), now - self._began_at, self._rss_bytes)
        if why:
            self._over(why)
        else:
            self.start()


def resident_bytes() -> int:
    """The memory of this process that is in RAM; 0 where the system does not provide it (not Linux)."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
