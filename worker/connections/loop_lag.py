"""Measures how late the event loop is. A worker whose loop lags takes one connection at a time, so that no client waits behind it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from time import monotonic
from typing import Final

from channel_layer.process.cpu_wait import CpuWait

INTERVAL_S: Final = 0.05
LAG_S: Final = 0.005
BLOCKED_S: Final = 0.02  #: a turn that is so long is due to the application


class LoopLag:
    """Measures the lag by a timer. Start it once; `late` counts from the last tick, or from the tick that is due."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due = math.inf  # until it is started
        self._handle: asyncio.TimerHandle | None = None
        self._cpu_wait = CpuWait()
        self._waited_s = 0.0
        self.seconds = 0.0
        self._on_blocked: Callable[[], object] | None = None

    def start(self, on_blocked: Callable[[], object]) -> None:
        """Start the timer. on_blocked: called when the loop was blocked for at least BLOCKED_S by what runs in it."""
        self._on_blocked = on_blocked
        self._begin_interval()

    def _begin_interval(self) -> None:
        self._waited_s = self._cpu_wait.total_s()
        self._due = self._loop.time() + INTERVAL_S
        self._handle = self._loop.call_at(self._due, self._tick)

    def stop(self) -> None:
        """Stop the timer."""
        if self._handle is not None:
            self._handle.cancel()
        self._cpu_wait.close()

    @property
    def late(self) -> bool:
        """True if the loop lags by more than 5 ms."""
        return max(self.seconds, self._loop.time() - self._due) > LAG_S

    def check_turn(self, began_s: float) -> None:
        """Report a turn of the loop that was too long. Call it at the end of the turn; began_s: `monotonic()` before it."""
        took_s = monotonic() - began_s
        if took_s > BLOCKED_S:
            self._report(took_s - (self._cpu_wait.total_s() - self._waited_s))

    def _report(self, blocked_s: float) -> None:
        if blocked_s > BLOCKED_S and self._on_blocked is not None:
            self._on_blocked()

    @property
    def blocked_s(self) -> float:
        """How late the tick is that is due, without the time in which this thread had no CPU."""
        late_s = self._loop.time() - self._due
        return late_s if late_s <= 0 else late_s - (self._cpu_wait.total_s() - self._waited_s)

    def _tick(self) -> None:
        self.seconds = max(0.0, self._loop.time() - self._due)  # uvloop counts whole milliseconds: a timer may be early
        self._report(self.blocked_s)
        self._begin_interval()
