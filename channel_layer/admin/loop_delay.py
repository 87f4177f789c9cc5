"""Measures how late an event loop is, by a timer ten times a second; the process that observes it pays for nothing else."""

from __future__ import annotations

import asyncio
import math
from time import monotonic

from channel_layer.admin.histogram import Histogram

INTERVAL_S = 0.1


class LoopDelay:
    """The delay of one loop, from `start` on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self.histogram = Histogram()

    def start(self) -> None:
        """Start the timer."""
        self._due = monotonic() + INTERVAL_S
        self._timer = self._loop.call_later(INTERVAL_S, self._tick)

    def stop(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._due = math.inf

    def lag_s(self) -> float:
        """How late the loop is at this moment. Any thread may ask."""
        return max(0.0, monotonic() - self._due)

    def _tick(self) -> None:
        self.histogram.observe(self.lag_s())
        self.start()
