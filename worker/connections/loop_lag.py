"""Measures how late the event loop is. A worker whose loop lags takes one connection at a time, so that no client waits behind it."""

from __future__ import annotations

import asyncio

INTERVAL_S = 0.05
LAG_S = 0.005


class LoopLag:
    """Measures the lag by a timer. Start it once; `late` counts from the last tick, or from the tick that is due."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None
        self.seconds = 0.0

    def start(self) -> None:
        """Start the timer."""
        self._due = self._loop.time() + INTERVAL_S
        self._handle = self._loop.call_at(self._due, self._tick)

    def stop(self) -> None:
        """Stop the timer."""
        if self._handle is not None:
            self._handle.cancel()

    @property
    def late(self) -> bool:
        """True if the loop lags by more than 5 ms."""
        return max(self.seconds, self._loop.time() - self._due) > LAG_S

    def _tick(self) -> None:
        self.seconds = max(0.0, self._loop.time() - self._due)  # uvloop counts whole milliseconds: a timer may be early
        self.start()
