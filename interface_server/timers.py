"""One timer for the deadlines of all sockets, so that no connection needs a timer of its own.

The timeouts of the queue and the leases have timers of their own (connections/dispatcher.py, channel_layer).

* A deadline is a number; at each tick a job compares its numbers with the time, and acts on those that are past.
* Deadlines are met late by up to one tick, never early: a deadline that is set from `context.now`, the time of the last
  tick, has one period added (`ServerContext.deadline`).
* A job must not raise, and must be short: it runs on the reactor's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

Job = Callable[[float], None]


class Ticker:
    """Calls each job with `loop.time()` once per period, from `start` until `stop`."""

    __slots__ = ("_handle", "_jobs", "_loop", "period_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, period_s: float = 1.0) -> None:
        self.period_s = period_s
        self._loop = loop
        self._jobs: list[Job] = []
        self._handle: asyncio.TimerHandle | None = None

    def add(self, job: Job) -> None:
        """Call `job(now)` at each tick from the next one on, after those that were added earlier."""
        self._jobs.append(job)

    def start(self) -> None:
        """Start the timer; a second call does nothing."""
        if self._handle is None:
            self._handle = self._loop.call_later(self.period_s, self._tick)

    def stop(self) -> None:
        """Stop the timer: no job is called any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _tick(self) -> None:
        # The next tick first: a job that stops the ticker must find something to cancel.
        self._handle = self._loop.call_later(self.period_s, self._tick)
        now = self._loop.time()
        for job in self._jobs:
            job(now)
