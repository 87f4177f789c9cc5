"""Time in which the long reads of all WebSockets together may be parsed in one turn of the event loop.

A client can put 40 000 of the smallest frames into one read. If each socket had a share of every turn, a hundred such clients would
delay all others for seconds. So all long reads share one budget of time. When it is used up, sockets wait in a queue for the next turn,
and between two turns the loop serves all other connections.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Final

TIME_PER_TURN_S: Final = 0.005


class ReadBudget:
    """The time that is left in this turn, and the sockets that wait for the next one."""

    __slots__ = ("_ends", "_loop", "_waiting", "time_s")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.time_s = TIME_PER_TURN_S
        self._loop = loop
        self._ends: float | None = None  # None until the first read of a turn asks
        self._waiting: deque[Callable[[], None]] = deque()

    def has_time(self) -> bool:
        """True if part of a long read may be parsed now. Always True for the first read in a turn."""
        now = perf_counter()
        if self._ends is None:
            self._ends = now + self.time_s
            self._loop.call_soon(self._next_turn)
            return True
        return now < self._ends

    def wait(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` in a later turn, after those that wait already. Call this only after `has_time` was False."""
        self._waiting.append(go_on)

    def _next_turn(self) -> None:
        self._ends = None
        while self._waiting and (self._ends is None or self.has_time()):  # the first always has time: the queue moves
            self._waiting.popleft()()
